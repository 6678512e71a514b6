"""Replies to the people who report: what to begin with, what is checked, and writing them to the return code."""
