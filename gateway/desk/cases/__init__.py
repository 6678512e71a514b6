"""Cases: queued, opened, read, answered and closed, with their pages (`*pages.py`, `forms.py`) and their commands."""
