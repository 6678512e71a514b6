"""One person's visit: what the cookie knows, what was typed so far, in which language, and what a form posts.

Never writes a word that can be read without that person's cookie.
"""
