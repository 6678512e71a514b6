"""Keying in: a phone call, a letter or a visit becomes a sealed report like any other."""
