"""The outbox: all that the desk sends, queued in the transaction that decided it and sent by one loop.

`queue.py` holds the one table of states, and `loop.py` sends what is due. The kinds and their limits stand in
`desk/outbox_run.py`, above the packages that they come from.
"""
