"""Placements of the button: agreements, link ids, checks of the pages, and the register's entries."""
