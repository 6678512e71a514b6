"""What a case and its opened reports say, in words, the same for the pages and for the terminal.

Never knows Flask, and never prints: the pages draw it, the commands print it.
"""
