"""Requests to see, correct or wipe a report: recorded, answered in time, exported for the person, erased by two."""
