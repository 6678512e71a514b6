"""The post room: short notes to people who asked for one, sent by the desk after their report was opened (R22).

Never stores an address and never writes what a report says: a note can be read by anyone who holds the phone.
"""
