"""Partners: enrolment, register and keys, requests for the button, messages to their mailboxes, outcomes of reports."""
