"""Alerts: notices without content that call the people on duty, in hours and out of hours, until one acknowledges."""
