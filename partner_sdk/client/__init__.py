"""A partner's side: its own folder, its way to the gateway, its receipts and its mailbox.

Public here: `partner.py` (submit reports, keep receipts, read the mailbox), `account.py` (enrol, register, change
keys), `mailbox.py`, `http.py` and `transport.py`, the way to a gateway, which the agency's desk uses too. The modules
whose names begin with an underscore are the SDK's own; services import none of them.
"""
