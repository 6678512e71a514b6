"""The way back to what was sent: five words, the key that they give, and the replies that it opens.

Never stores the words, or anything that they are made into. Knows neither the form nor its pages.
"""
