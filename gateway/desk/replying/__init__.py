"""Replies to the people who report: written, sealed to their return code, posted."""
