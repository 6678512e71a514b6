"""Requests to services, by the accredited officer alone: for information, and to preserve data (R45).

From any case to any partner, or as a letter to a service without keys. Never names the reporter to a service, nor one
service to another (R49).
"""
