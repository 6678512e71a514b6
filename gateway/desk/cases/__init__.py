"""Cases: queued, opened, read, answered and closed, with their pages (`*pages.py`) and commands."""
