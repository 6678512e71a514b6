"""The files of a case that a partner handed over: listed, looked at and saved."""
