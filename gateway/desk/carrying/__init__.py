"""Carrying: hands a mail, a text message or a signed page to whoever takes it, by the settings; and when to try again.

Never knows what a message is about: whoever calls it has the words, and a failure is a code of ours.
"""
