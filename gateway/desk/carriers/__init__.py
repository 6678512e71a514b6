"""Carriers: hand a mail, a text message or a signed notice to the other side, by the settings.

Never know what a message is about: the caller has the words, and a failure is a code of ours.
"""
