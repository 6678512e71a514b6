"""What both web apps (gateway and desk) need, without keys: headers, CSRF, limits on bodies, logs, problems, serving.

Never imports another room of the gateway.
"""
