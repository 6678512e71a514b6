"""The post room: short notes that a report came in, to people who asked for one (R22).

Sent by itself once the report is filed, before anybody has read it. Never stores an address and never writes what a
report says: a note can be read by anyone who holds the phone.
"""
