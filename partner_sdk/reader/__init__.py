"""For outsiders who check what the agency signed: packages, for police, and the gateway's public log.

A distribution of its own, `report-abuse-partner-reader`: services that report need none of it.
`package_reader.py` runs as one file, without the rest.
"""
