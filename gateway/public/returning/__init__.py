"""The way back to a sent report: five words, the key derived from them, and the replies that it opens.

Never stores the words or anything derived from them, except sealed under the visitor's cookie. Knows neither the form
nor its pages.
"""
