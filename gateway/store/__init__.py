"""The gateway's storage: one file for each kind of data, each change whole or not at all.

`open_store(path, lock_path=...)` returns a `Store`. `with store.write() as connection:` and `with store.read() as
connection:` give the connection for the functions of `reports`, `evidence`, `items`, `published` and `connections`.
"""

from gateway.databases.failures import StorageUnavailableError
from gateway.store.store import Store, open_own_store, open_store

__all__ = ["StorageUnavailableError", "Store", "open_own_store", "open_store"]
