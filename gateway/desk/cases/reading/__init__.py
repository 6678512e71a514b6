"""A case and its opened reports as labelled text, the same for the pages and for the terminal.

Never imports Flask, and never prints: the pages draw it, the commands print it.
"""
