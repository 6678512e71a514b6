"""A digest for people: its page, and the changes between periods. The desk shows the same page. Loads no Flask."""
