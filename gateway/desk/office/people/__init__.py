"""The people who work at the desk: who they are, what each may do, and their sessions. Knows no case and no page."""
