"""Partners: enrolment and register, messages to their mailboxes, stages of their own reports."""
