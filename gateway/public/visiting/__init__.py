"""One person's visit: the cookie, the typed answers so far, the language, and the posted forms.

Never stores text that can be read without that person's cookie.
"""
