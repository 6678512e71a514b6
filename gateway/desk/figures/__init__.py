"""Figures for the head of the desk: waits, kept promises and open work. Nothing is opened for them."""
