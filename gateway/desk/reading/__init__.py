"""What the desk says of a case and of its opened reports, in words, the same for the pages and for the terminal.

Never knows Flask, and never prints: views/ draws it, commands/ prints it.
"""
