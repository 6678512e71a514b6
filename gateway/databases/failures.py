"""The one storage error, and the translation of the driver's errors into it.

Never lets a driver's error out of the store for a cause that an operator must fix: full, locked, read-only, missing,
broken.
"""

import errno
import sqlite3
from typing import Final, Literal

from sqlalchemy.exc import DBAPIError

from gateway.web.logs import METER

# behind: the database has lost committed reports. log-gone: its write-ahead log was removed while in use. unsafe: the
# settings of its server could lose a committed report.
FailureReason = Literal["locked", "full", "read-only", "missing", "schema", "broken", "behind", "log-gone", "unsafe"]

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
# A full disk has no room for the file of shared memory beside the log, so no connection opens: SQLITE_IOERR_SHMSIZE,
# by its number, which Python 3.11 and later name.
_NO_ROOM_TO_OPEN: Final = 4874
# https://www.postgresql.org/docs/15/errcodes-appendix.html: a whole code, or the class that it begins with.
REASON_OF_SQLSTATE: dict[str, FailureReason] = {
    "08": "missing",  # connection exceptions
    "57P": "missing",  # the server stops, starts, or ended this session
    "25P03": "missing",  # it ended a session that was idle in its transaction
    "55P03": "locked",
    "40": "locked",  # deadlock, serialisation failure
    "57014": "locked",  # cancelled
    "53300": "locked",  # too many connections
    "53100": "full",
    "53": "broken",  # out of memory
    "25006": "read-only",  # a replica
    "42501": "read-only",  # no permission
    "58": "broken",  # input and output
    "XX": "broken",  # damaged data or index, internal errors
}
ADVICE_ON_FULL: Final = "The disk is full: free space. Nothing is lost."
# For operators, where `database_uri` names a server.
ADVICE_ON_SERVERS: dict[FailureReason, str] = {
    "full": ADVICE_ON_FULL,
    "missing": "Check that the server of database_uri runs, and that this machine may connect to it.",
    "read-only": "database_uri leads to a replica, or its user may not write. Name the primary, or all hosts.",
    "schema": "Run `serve`: it makes and migrates the tables.",
    "unsafe": (
        "The server needs PostgreSQL 15 or newer, encoding UTF8, fsync = on, full_page_writes = on, "
        "synchronous_commit = on (or remote_apply) and no UNLOGGED table: with less, a report with a receipt could be "
        "lost."
    ),
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
        METER.count("storage_refusals", reason)


class UnknownSchemaError(Exception):
    """The database has a schema that this release cannot migrate: too old, or newer."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"This release does not know the schema of the database ({revision}). If a newer release made it, install "
            "that release. If it is older than the first release, keep its folder with the version that made it, and "
            "make a new one in an empty folder with `init`."
        )


def make_storage_error(reason: FailureReason) -> StorageUnavailableError:
    """Build the error with a fixed text: a driver's message could repeat a path or a bound value."""
    return StorageUnavailableError(f"The storage cannot be used ({reason}).", reason=reason)


def find_driver_reason(error: BaseException | None) -> FailureReason | None:
    """Return the reason if the storage failed, or None if the statement did (a constraint, or a bug of ours)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == _NO_ROOM_TO_OPEN:
        return "full"
    if code is not None:
        return REASON_OF_SQLITE_CODE.get(code & 0xFF)
    state = getattr(error, "sqlstate", None)
    if state is None:
        # PostgreSQL's driver found no server, or lost it before an answer. With no answer it is a subclass.
        is_lost = hasattr(error, "sqlstate") and _has_class(error, "OperationalError")
        return "missing" if is_lost else None
    prefixes = (state[:length] for length in (5, 3, 2))
    return next((REASON_OF_SQLSTATE[prefix] for prefix in prefixes if prefix in REASON_OF_SQLSTATE), None)


def is_overdue(error: BaseException | None) -> bool:
    """Return whether a PostgreSQL server did not answer in time; it may still carry out what it was asked."""
    return _has_class(getattr(error, "orig", error), "ConnectionTimeout")


def _has_class(error: BaseException | None, name: str) -> bool:
    # By name, because the driver is not installed everywhere.
    return any(one.__name__ == name for one in type(error).__mro__)


def is_damage(error: DBAPIError) -> bool:
    """Return whether bytes on the disk are unreadable: a malformed page, invalid text, a bad sector."""
    reason = find_driver_reason(error.orig)
    # Python's own module refuses text that is not UTF-8, without an SQLite code.
    return reason == "broken" or (reason is None and "UTF-8" in str(error.orig))


def get_system_reason(error: OSError) -> FailureReason:
    """Return the reason for a failed system call on one of the store's files."""
    return REASON_OF_ERRNO.get(error.errno or 0, "broken")
