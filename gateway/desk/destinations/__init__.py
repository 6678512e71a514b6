"""Destinations: the bodies that a case may be handed to, and the rules that suggest some of them for a case.

A suggestion decides nothing: a person picks a body and says why (R18).
"""
