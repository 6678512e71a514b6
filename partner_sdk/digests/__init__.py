"""Reading digests: the page for managers, its paper form, and the changes between periods."""
