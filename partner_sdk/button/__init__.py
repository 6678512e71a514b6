"""The button of a service: its snippet in every flavour, what a policy must allow, and what a service says of it.

Works offline: the released files are known by their hashes. Never touches a key, except in `page_contexts.py`.
"""
