"""The gateway's own two keys (receipt and cookie), and the refusal of every other private key.

Never reads a key that opens anything: a gateway that finds one does not start.
"""

import contextlib
import os
from pathlib import Path

from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import (
    MAX_KEY_FILE_BYTES,
    SEED_BYTES,
    KeyFile,
    KeyRole,
    is_private_key_text,
    new_key,
    parse_key_file,
    read_key_file,
    write_key_file,
)
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.keys import Environment

RECEIPT_KEY = "receipt.key"
NEXT_RECEIPT_KEY = "receipt.next.key"
COOKIE_KEY = "cookie.key"
KEY_FOLDER = "keys"

_OWN_ROLES = frozenset({KeyRole.RECEIPT.value, KeyRole.COOKIE.value})
# Private keys that other tools write; none has business in a gateway's state folder.
_FOREIGN_MARKS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-")


class ForeignKeyError(ReportAbuseError):
    """The state folder holds a private key that a gateway must not have."""


def check_no_foreign_keys(state: Path, *, left_out: str = "") -> None:
    """Raise `ForeignKeyError` when any file under `state` is a private key that is not the gateway's own.

    Key files are small, so larger files (the database) are not read. `left_out` is the folder in `state` whose files
    hold what partners sent: whatever they write there, it must not stop the gateway.
    """
    for folder, names, files in os.walk(state):
        if Path(folder) == state and left_out in names:
            names.remove(left_out)
        for name in sorted(files):
            path = Path(folder) / name
            try:
                if not path.is_file() or path.stat().st_size > MAX_KEY_FILE_BYTES:
                    continue
                raw = path.read_bytes()
            except FileNotFoundError:
                continue  # a log of SQLite may go between the listing and the reading
            except OSError:
                raise ForeignKeyError(f"{path} cannot be read, so it cannot be checked.", reason="unreadable") from None
            _check_file(path, raw=raw, is_key_folder=path.parent == state / KEY_FOLDER)


def _check_file(path: Path, *, raw: bytes, is_key_folder: bool) -> None:
    if is_private_key_text(raw):
        role = _role_of(path, raw=raw)
        if role not in _OWN_ROLES:
            raise ForeignKeyError(
                f"{path} is a private {role} key. A private {role} key does not belong here: a gateway holds only its "
                "receipt key and its cookie key. Take the file away before you start.",
                reason="foreign-key",
            )
    elif any(mark in raw for mark in _FOREIGN_MARKS):
        raise ForeignKeyError(f"{path} is a private key. It does not belong here; take it away.", reason="foreign-key")
    elif is_key_folder:
        raise ForeignKeyError(
            f"{path} is not a key file of this gateway. Only {RECEIPT_KEY} and {COOKIE_KEY} belong in {KEY_FOLDER}/.",
            reason="foreign-key",
        )


def _role_of(path: Path, *, raw: bytes) -> str:
    try:
        return parse_key_file(raw, name=str(path)).role
    except LocalStateError:
        return "damaged"


def make_keys(state: Path, *, environment: Environment, created_at: str) -> KeyFile:
    """Make the receipt key and the cookie key of a new gateway; return the receipt key."""
    receipt = new_key(KeyRole.RECEIPT, environment=environment, created_at=created_at)
    write_key_file(state / KEY_FOLDER / RECEIPT_KEY, receipt)
    cookie = new_key(KeyRole.COOKIE, environment=environment, created_at=created_at)
    write_key_file(state / KEY_FOLDER / COOKIE_KEY, cookie)
    return receipt


def read_receipt_key(state: Path) -> KeyFile:
    """Read the key that signs intake statements."""
    return read_key_file(state / KEY_FOLDER / RECEIPT_KEY, role=KeyRole.RECEIPT)


def make_next_receipt_key(state: Path, *, environment: Environment, created_at: str) -> KeyFile:
    """Make the successor of the receipt key, or return the one that waits already."""
    path = state / KEY_FOLDER / NEXT_RECEIPT_KEY
    if path.exists():
        return read_key_file(path, role=KeyRole.RECEIPT)
    key_file = new_key(KeyRole.RECEIPT, environment=environment, created_at=created_at)
    write_key_file(path, key_file)
    return key_file


def find_next_receipt_key(state: Path) -> KeyFile | None:
    """Return the receipt key that waits for the agency to publish it, or None."""
    path = state / KEY_FOLDER / NEXT_RECEIPT_KEY
    return read_key_file(path, role=KeyRole.RECEIPT) if path.exists() else None


def use_next_receipt_key(state: Path) -> None:
    """Put the key that waits in the place of the receipt key; harmless where another process was faster."""
    folder = state / KEY_FOLDER
    with contextlib.suppress(FileNotFoundError):
        (folder / NEXT_RECEIPT_KEY).replace(folder / RECEIPT_KEY)


def read_cookie_secret(state: Path) -> bytes:
    """Read the 32 secret bytes behind the cookie's signature and the limiter's daily key."""
    key_file = read_key_file(state / KEY_FOLDER / COOKIE_KEY, role=KeyRole.COOKIE)
    return parse_base64url(key_file.secret, length=SEED_BYTES)
