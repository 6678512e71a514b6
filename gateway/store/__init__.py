"""The gateway's storage: one file per thing that is kept, one transaction per change.

`open_store(path, lock_path=...)` gives a `Store`; `with store.write() as connection:` and `with store.read() as
connection:` give the connection that the functions of `reports`, `collection`, `items`, `invitations`, `boxes`,
`published` and `high_water` take.
"""

from gateway.store.failures import StorageUnavailableError
from gateway.store.store import Store, open_store

__all__ = ["StorageUnavailableError", "Store", "open_store"]
