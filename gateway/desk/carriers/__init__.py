"""Carriers: deliver a mail, a text message or a signed notice, according to the settings.

Never know the subject of a message: the caller has the text, and a failure is a code of ours.
"""
