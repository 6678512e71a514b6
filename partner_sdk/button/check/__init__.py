"""The conformance checker: looks at one page as a browser reads it and says whether its button is as agreed.

`static_check.py` reads the page's source, `browser_check.py` measures it in Chromium. Both give a `ButtonCheck`
(WIRE.md §10.1). Never keeps or repeats words of the page, and never sends anything anywhere.
"""
