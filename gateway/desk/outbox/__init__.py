"""The outbox: all that the desk sends, queued in the transaction that decided it and sent by one loop.

`queue.py` holds the one table of states and `loop.py` sends what is due. The kinds and their limits are listed in
`outbox_kinds.py`, above the rooms that they come from.
"""
