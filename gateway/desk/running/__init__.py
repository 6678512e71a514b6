"""The running desk: all pages in one app, its commands, the doctor and the night's work."""
