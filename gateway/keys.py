"""The gateway's own keys (receipt, log and cookie), and the refusal of every other private key.

Never reads a key that opens anything: a gateway refuses to start if it finds one.
"""

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import (
    MAX_KEY_FILE_BYTES,
    SEED_BYTES,
    KeyFile,
    KeyRole,
    new_key,
    parse_key_file,
    read_key_file,
    write_key_file,
)
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.signing import Environment

RECEIPT_KEY = "receipt.key"
LOG_KEY = "log.key"
COOKIE_KEY = "cookie.key"
KEY_FOLDER = "keys"

# The keys that each role reads. A machine or a service of one role needs no others, and never opens them. The feed's
# service publishes the log, because no caller on the internet reaches it.
ROLE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "public": frozenset({RECEIPT_KEY, COOKIE_KEY}),
    "industry": frozenset({RECEIPT_KEY}),
    "feed": frozenset({LOG_KEY}),
}
_LIMIT_LABEL: Final = b"report-abuse limit secret v1"

# The keys that sign: the agency publishes a new one before the gateway uses it.
SIGNING_ROLES = (KeyRole.RECEIPT, KeyRole.LOG)
_OWN_ROLES = frozenset({KeyRole.RECEIPT.value, KeyRole.LOG.value, KeyRole.COOKIE.value})
# Private keys of other tools, which do not belong in a gateway's state folder.
_FOREIGN_MARKS = (b"PRIVATE KEY-----", b"AGE-SECRET-KEY-")


class ForeignKeyError(ReportAbuseError):
    """The state folder holds another party's private key."""


def list_role_keys(roles: Iterable[str]) -> frozenset[str]:
    """Return the names of the keys that a process with these roles reads."""
    return frozenset().union(*(ROLE_KEYS[role] for role in roles))


def list_signing_roles(roles: Iterable[str]) -> list[KeyRole]:
    """Return the signing keys that a process with these roles reads."""
    keys = list_role_keys(roles)
    return [role for role in SIGNING_ROLES if f"{role.value}.key" in keys]


def check_no_foreign_keys(state: Path, *, left_out: str = "", roles: Iterable[str] = tuple(ROLE_KEYS)) -> None:
    """Raise `ForeignKeyError` when a file under `state` is a private key that is not the gateway's own.

    Key files are small, so larger files (e.g. the database) are not read. `left_out` is the folder in `state` with data
    from partners, whose contents must not stop the gateway. A key that only other roles read is not opened.
    """
    foreign = list_role_keys(ROLE_KEYS) - list_role_keys(roles)
    unread = {name for key in foreign for name in (key, f"{key.removesuffix('.key')}.next.key")}
    for folder, names, files in os.walk(state):
        if Path(folder) == state and left_out in names:
            names.remove(left_out)
        for name in sorted(files):
            path = Path(folder) / name
            try:
                # Kubernetes mounts the files of keys/ as links to a folder in it.
                is_unread = name in unread and path.is_relative_to(state / KEY_FOLDER)
                if is_unread or not path.is_file() or path.stat().st_size > MAX_KEY_FILE_BYTES:
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
                f"{path} is a private {role} key. A gateway holds only its receipt, log and cookie keys. "
                "Remove the file before you start the gateway.",
                reason="foreign-key",
            )
    elif any(mark in raw for mark in _FOREIGN_MARKS):
        raise ForeignKeyError(f"{path} is a private key. A gateway must not hold it; remove it.", reason="foreign-key")
    elif is_key_folder:
        raise ForeignKeyError(
            f"{path} is not a key of this gateway. Only {RECEIPT_KEY}, {LOG_KEY} and {COOKIE_KEY} belong in "
            f"{KEY_FOLDER}/; remove it.",
            reason="foreign-key",
        )


def _role_of(path: Path, *, raw: bytes) -> str:
    try:
        return parse_key_file(raw, name=str(path)).role
    except LocalStateError:
        return "damaged"


def make_keys(state: Path, *, environment: Environment, created_at: str) -> KeyFile:
    """Make the keys of a new gateway; return the receipt key."""
    receipt = make_signing_key(state, KeyRole.RECEIPT, environment=environment, created_at=created_at)
    make_signing_key(state, KeyRole.LOG, environment=environment, created_at=created_at)
    cookie = new_key(KeyRole.COOKIE, environment=environment, created_at=created_at)
    write_key_file(state / KEY_FOLDER / COOKIE_KEY, cookie)
    return receipt


def read_receipt_key(state: Path) -> KeyFile:
    """Read the key that signs intake statements."""
    return read_key_file(state / KEY_FOLDER / RECEIPT_KEY, role=KeyRole.RECEIPT)


def make_signing_key(
    state: Path, role: KeyRole, *, environment: Environment, created_at: str, is_next: bool = False
) -> KeyFile:
    """Make a signing key, or the next one; return the one that is there already."""
    path = _path_of(state, role, is_next=is_next)
    if path.exists():
        return read_key_file(path, role=role)
    key_file = new_key(role, environment=environment, created_at=created_at)
    write_key_file(path, key_file)
    return key_file


def find_signing_key(state: Path, role: KeyRole, *, is_next: bool = False) -> KeyFile | None:
    """Return a signing key, or the next one, which the agency has yet to publish; None if there is none."""
    path = _path_of(state, role, is_next=is_next)
    return read_key_file(path, role=role) if path.exists() else None


def use_next_key(state: Path, role: KeyRole) -> None:
    """Replace a signing key with the next one; does nothing if another process already has."""
    with contextlib.suppress(FileNotFoundError):
        _path_of(state, role, is_next=True).replace(_path_of(state, role))


def _path_of(state: Path, role: KeyRole, *, is_next: bool = False) -> Path:
    return state / KEY_FOLDER / f"{role.value}{'.next' if is_next else ''}.key"


def read_cookie_secret(state: Path) -> bytes:
    """Read the 32-byte secret from which the cookie signature is derived."""
    key_file = read_key_file(state / KEY_FOLDER / COOKIE_KEY, role=KeyRole.COOKIE)
    return parse_base64url(key_file.secret, length=SEED_BYTES)


def derive_limit_secret(receipt_key: KeyFile) -> bytes:
    """Return the secret from which the limiter's daily key is derived, the same at every gateway.

    From the receipt key, because both roles that count hold it (HMAC, RFC 2104; its label keeps it apart).
    """
    seed = parse_base64url(receipt_key.secret, length=SEED_BYTES)
    return hmac.digest(seed, _LIMIT_LABEL, hashlib.sha256)


def is_private_key_text(raw: bytes) -> bool:
    """Return whether bytes hold any key file of this project (used to refuse keys where they do not belong)."""
    return b'"type":"report-abuse/private-' in raw
