"""The gateway's two keys (receipt and cookie), and the refusal of every other private key.

Never reads a key that opens anything: a gateway refuses to start if it finds one.
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
# Private keys of other tools, which do not belong in a gateway's state folder.
_FOREIGN_MARKS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-")


class ForeignKeyError(ReportAbuseError):
    """The state folder holds another party's private key."""


def check_no_foreign_keys(state: Path, *, left_out: str = "") -> None:
    """Raise `ForeignKeyError` when a file under `state` is a private key that is not the gateway's own.

    Key files are small, so larger files (e.g. the database) are not read. `left_out` is the folder in `state` with data
    from partners, whose contents must not stop the gateway.
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
                continue  # SQLite may delete a log file between the listing and the reading
            except OSError:
                raise ForeignKeyError(
                    f"{path} cannot be read, so it cannot be checked for foreign keys. Fix its permissions or remove "
                    "it.",
                    reason="unreadable",
                ) from None
            _check_file(path, raw=raw, is_key_folder=path.parent == state / KEY_FOLDER)


def _check_file(path: Path, *, raw: bytes, is_key_folder: bool) -> None:
    if is_private_key_text(raw):
        role = _role_of(path, raw=raw)
        if role not in _OWN_ROLES:
            raise ForeignKeyError(
                f"{path} is a private {role} key. A gateway holds only its receipt key and its cookie key. Remove the "
                "file before you start the gateway.",
                reason="foreign-key",
            )
    elif any(mark in raw for mark in _FOREIGN_MARKS):
        raise ForeignKeyError(f"{path} is a private key. A gateway must not hold it; remove it.", reason="foreign-key")
    elif is_key_folder:
        raise ForeignKeyError(
            f"{path} is not a key of this gateway. Only {RECEIPT_KEY} and {COOKIE_KEY} belong in {KEY_FOLDER}/; "
            "remove it.",
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
    """Make the next receipt key, or return the one already made."""
    path = state / KEY_FOLDER / NEXT_RECEIPT_KEY
    if path.exists():
        return read_key_file(path, role=KeyRole.RECEIPT)
    key_file = new_key(KeyRole.RECEIPT, environment=environment, created_at=created_at)
    write_key_file(path, key_file)
    return key_file


def find_next_receipt_key(state: Path) -> KeyFile | None:
    """Return the next receipt key, which the agency has yet to publish, or None."""
    path = state / KEY_FOLDER / NEXT_RECEIPT_KEY
    return read_key_file(path, role=KeyRole.RECEIPT) if path.exists() else None


def use_next_receipt_key(state: Path) -> None:
    """Replace the receipt key with the next one; does nothing if another process already has."""
    folder = state / KEY_FOLDER
    with contextlib.suppress(FileNotFoundError):
        (folder / NEXT_RECEIPT_KEY).replace(folder / RECEIPT_KEY)


def read_cookie_secret(state: Path) -> bytes:
    """Read the 32-byte secret from which the cookie signature and the limiter's daily key are derived."""
    key_file = read_key_file(state / KEY_FOLDER / COOKIE_KEY, role=KeyRole.COOKIE)
    return parse_base64url(key_file.secret, length=SEED_BYTES)
