"""Shared by form and desk: advice, helplines with the dates of their checks, the agency's hours, and risk rules.

Never holds a key, a report, or any typed text; imports nothing of the gateway except `gateway.web`.
"""
