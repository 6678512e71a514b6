"""What the desk keeps: sealed envelopes with their statements, cases, keys published, messages sent, the audit chain.

Never keeps anything that a person wrote in the clear: content stays in its envelope and is opened to view.
"""

from gateway.desk.store.engine import DeskStore, DeskStoreError, open_store, read_row

__all__ = ["DeskStore", "DeskStoreError", "open_store", "read_row"]
