"""The button of a service: its snippet for every framework, and the policy line it needs.

Works offline: the released files are known by their hashes. Never touches a key, except in `page_contexts.py`.
"""
