"""The views of the public door, split by job: one file for each kind of page, and one for what goes another way."""
