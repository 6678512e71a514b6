"""A case and its opened reports as labelled text for the pages.

Never imports Flask: the pages draw it.
"""
