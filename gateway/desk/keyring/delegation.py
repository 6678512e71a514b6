"""The root's word for the key-set key: made at the beginning, renewed before it ends, moved to a new key.

Never keeps a root key: `renew_delegation` reads it from the folder that a person brings, and only root_change.py reads
one too. Between two uses both roots lie offline.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk import audit
from gateway.desk.config import DeskPaths
from gateway.desk.keyring.verify_keys import CLOCK_ALLOWANCE
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_exact
from partner_sdk.wire.keys import Delegation, fingerprint_of, parse_pin
from partner_sdk.wire.statements import StatementKind, parse_statement, sign_statement

DELEGATION_LIFETIME: Final = timedelta(days=730)
_NEXT: Final = "key-set.next.key"


class DelegationError(ReportAbuseError):
    """The root's word can not be renewed with what is here."""


def sign_delegation(root: KeyFile, key_set: KeyFile, *, now: datetime) -> bytes:
    """Return the root's signed word that `key_set` signs key sets, for two years from now."""
    delegation = Delegation(
        environment=root.environment,
        root_key=root.public_key,
        key_set_key=key_set.public_key,
        not_before=format_time(now - CLOCK_ALLOWANCE),
        not_after=format_time(now + DELEGATION_LIFETIME),
    )
    return sign_statement(delegation, kind=StatementKind.DELEGATION, private_keys=(load_signing_key(root),))


def read_delegation(paths: DeskPaths) -> Delegation:
    """Return what the root has said, as it lies on this desk's disk; raises `LocalStateError`, `FormatError`."""
    payload = parse_base64url(parse_statement(read_signed_delegation(paths)).payload)
    return parse_exact(payload, kind=Delegation, max_bytes=len(payload))


def read_signed_delegation(paths: DeskPaths) -> bytes:
    """Return the signed bytes; raises `LocalStateError` (`no-delegation`)."""
    try:
        return paths.delegation.read_bytes()
    except OSError:
        raise LocalStateError(f"{paths.delegation} is missing: restore it.", reason="no-delegation") from None


def renew_delegation(desk: Desk, *, root_folder: Path, with_new_key: bool, actor: str) -> Delegation:
    """Sign the root's word anew, for the key-set key of today or for a new one, and return it.

    `root_folder` holds `root.key`. Nobody but the root can do this. A run that was stopped is finished by the next use
    of the key-set key. Raises `LocalStateError` for a folder without the key, `DelegationError` (`wrong-root`).
    """
    root = read_key_file(root_folder / "root.key", role=KeyRole.ROOT)
    pin = parse_pin(desk.paths.pin.read_bytes())
    if fingerprint_of(parse_base64url(root.public_key)) != pin.root_fingerprint:
        raise DelegationError(f"The root key in {root_folder} is not the one of this desk's pin.", reason="wrong-root")
    now = desk.clock()
    key_set = _make_next_key(desk, now=now) if with_new_key else desk.read_key(KeyRole.KEY_SET)
    # The word comes first: whoever finds it beside the old key finishes the exchange (load_key_set_key).
    write_durably(desk.paths.delegation, sign_delegation(root, key_set, now=now))
    load_key_set_key(desk)
    with desk.store.write() as connection:
        audit.append_entry(
            connection,
            at=now,
            actor=actor,
            action="renew-delegation",
            subject=key_set.key_id,
            detail={"new_key": "yes" if with_new_key else "no"},
        )
    return read_delegation(desk.paths)


def load_key_set_key(desk: Desk) -> Ed25519PrivateKey:
    """Return the key that the root has named, and put a new one in its place where a renewal was stopped.

    Raises `LocalStateError`; `DelegationError` (`wrong-key`) when neither key is the one that the root names.
    """
    named = read_delegation(desk.paths).key_set_key
    following = desk.paths.keys / _NEXT
    key_file = desk.read_key(KeyRole.KEY_SET)
    if key_file.public_key != named and following.exists():
        key_file = read_key_file(following, role=KeyRole.KEY_SET)
        if key_file.public_key == named:
            following.replace(desk.paths.keys / f"{KeyRole.KEY_SET.value}.key")
    if key_file.public_key != named:
        raise DelegationError("The root's word is for another key-set key: restore keys and word.", reason="wrong-key")
    return load_signing_key(key_file)


def _make_next_key(desk: Desk, *, now: datetime) -> KeyFile:
    path = desk.paths.keys / _NEXT
    if path.exists():
        return read_key_file(path, role=KeyRole.KEY_SET)
    key_file = new_key(
        KeyRole.KEY_SET, environment=desk.config.environment, created_at=format_time(now), seed=desk.random(32)
    )
    write_key_file(path, key_file)
    return key_file
