"""The desk's store: sealed envelopes with their statements, cases, published keys, sent messages, the audit chain.

Never keeps typed text in the clear: content stays in its envelope and is opened to view.
"""

from gateway.desk.store.engine import DeskStore, DeskStoreError, copy_fields, move_store, open_store

__all__ = ["DeskStore", "DeskStoreError", "copy_fields", "move_store", "open_store"]
