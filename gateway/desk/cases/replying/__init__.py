"""Answers to people who reported: written, checked, sent or left out, and the texts that they start from."""
