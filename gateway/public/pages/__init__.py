"""Renders pages: the shared frame, and each kind of page inside it.

Never decides the next page, and never stores anything: views do.
"""
