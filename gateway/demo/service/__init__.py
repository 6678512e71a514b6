"""A fictitious online service with the button on five pages, built as a real one would. Never sees a report."""
