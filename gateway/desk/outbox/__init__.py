"""The outbox: everything the desk sends, queued in the transaction that decided it and sent by one loop.

The kinds and their limits are in `desk/cases/outbox_run.py`, above the packages that they come from.
"""
