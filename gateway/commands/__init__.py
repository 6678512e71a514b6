"""The commands of `report-abuse-gateway`, a file for each subject: `gateway/cli.py` loads the one that is asked for."""
