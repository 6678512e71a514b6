"""Makes pages: the frame that all share, and each kind of page inside it.

Never decides where a person goes, and never stores anything: that is for the views and the rooms below.
"""
