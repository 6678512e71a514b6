"""The keys of the agency: made once, published through the feed, changed each quarter."""
