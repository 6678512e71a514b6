"""The views of the public door: one file for each kind of page, and one for failures."""
