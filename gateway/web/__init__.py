"""Shared by both web apps (gateway and desk), without keys: headers, CSRF, body limits, logs, problems, serving.

Never imports another part of the gateway.
"""
