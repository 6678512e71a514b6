"""Calling somebody at once: notices without content, in hours and out of hours."""
