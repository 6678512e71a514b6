"""A case and its opened reports as labelled text for the pages.

Never imports Flask, and never prints: the pages draw it, the commands print it.
"""
