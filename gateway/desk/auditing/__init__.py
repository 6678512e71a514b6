"""For the auditor: the audit log in words, with filters, exports and the state of its anchors."""
