"""The one storage error, and the translation of the driver's errors into it.

Never lets a driver's error out of the store for a cause that an operator must fix: full, locked, read-only, missing,
broken.
"""

import errno
import sqlite3
from typing import Literal

from sqlalchemy.exc import DBAPIError

# behind: the database has lost committed reports. log-gone: its write-ahead log was removed while in use.
FailureReason = Literal["locked", "full", "read-only", "missing", "schema", "broken", "behind", "log-gone"]

# https://www.sqlite.org/rescode.html: primary codes; an extended code carries its primary code in the low byte.
REASON_OF_SQLITE_CODE: dict[int, FailureReason] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_CANTOPEN: "missing",
    sqlite3.SQLITE_IOERR: "broken",
    sqlite3.SQLITE_CORRUPT: "broken",
    sqlite3.SQLITE_NOTADB: "broken",
    sqlite3.SQLITE_NOMEM: "broken",
    sqlite3.SQLITE_AUTH: "broken",
}
REASON_OF_ERRNO: dict[int, FailureReason] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "read-only",
    errno.EACCES: "read-only",
    errno.EPERM: "read-only",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
}


class StorageUnavailableError(Exception):
    """Nothing was stored and nothing may be acknowledged; the sender can safely retry later."""

    def __init__(self, message: str, *, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


def make_storage_error(reason: FailureReason) -> StorageUnavailableError:
    """Build the error with a fixed text: a driver's message could repeat a path or a bound value."""
    return StorageUnavailableError(f"The storage cannot be used ({reason}).", reason=reason)


def find_driver_reason(error: BaseException | None) -> FailureReason | None:
    """Return the reason if the storage failed, or None if the statement did (a constraint, or a bug of ours)."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else REASON_OF_SQLITE_CODE.get(code & 0xFF)


def is_damage(error: DBAPIError) -> bool:
    """Return whether bytes on the disk are unreadable: a malformed page, invalid text, a bad sector."""
    reason = find_driver_reason(error.orig)
    # Python's own module refuses text that is not UTF-8, without an SQLite code.
    return reason == "broken" or (reason is None and "UTF-8" in str(error.orig))


def get_system_reason(error: OSError) -> FailureReason:
    """Return the reason for a failed system call on one of the store's files."""
    return REASON_OF_ERRNO.get(error.errno or 0, "broken")
