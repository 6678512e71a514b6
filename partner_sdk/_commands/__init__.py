"""What `report-abuse-partner` does, command by command; `cli.py` reads the arguments."""
