"""The root's delegation to the key-set key: made, renewed before it ends, moved to a new key; and the change of root.

The next root, which every party has pinned, takes over and names its successor. Each step recognises the work of an
earlier run, so the same command finishes an interrupted run.

Never keeps a root key: renewal and change read it from the folder that a person brings. Between uses both roots are
offline.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.desk import audit
from gateway.desk.config import DeskPaths
from gateway.desk.keyring.key_set import CLOCK_ALLOWANCE, find_newest_published
from gateway.desk.vault import PublicKey
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import sync_folder, write_durably
from partner_sdk.errors import KeySetError, LocalStateError, ReportAbuseError
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_signing_key, new_key, write_key_bytes
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_exact
from partner_sdk.wire.signing import (
    Delegation,
    Pin,
    RootChange,
    StatementKind,
    fingerprint_of,
    parse_pin,
    parse_statement,
    sign_statement,
    verify_bundle,
)

DELEGATION_LIFETIME: Final = timedelta(days=730)
_NEXT: Final = "key-set.next"
# The next root but one, while the change is under way.
_COMING: Final = "coming-root"


class DelegationError(ReportAbuseError):
    """The delegation cannot be renewed with the keys present."""


def sign_delegation(root: KeyFile, key_set: PublicKey, *, now: datetime) -> bytes:
    """Return the root's signed delegation for `key_set` to sign key sets, for two years from now."""
    delegation = Delegation(
        environment=root.environment,
        root_key=root.public_key,
        key_set_key=key_set.public_key,
        not_before=format_time(now - CLOCK_ALLOWANCE),
        not_after=format_time(now + DELEGATION_LIFETIME),
    )
    return sign_statement(delegation, kind=StatementKind.DELEGATION, private_keys=(load_signing_key(root),))


def read_delegation(paths: DeskPaths) -> Delegation:
    """Return the delegation from this desk's disk; raises `LocalStateError`, `FormatError`."""
    payload = parse_base64url(parse_statement(read_signed_delegation(paths)).payload)
    return parse_exact(payload, kind=Delegation, max_bytes=len(payload))


def read_signed_delegation(paths: DeskPaths) -> bytes:
    """Return the signed bytes; raises `LocalStateError` (`no-delegation`)."""
    try:
        return paths.delegation.read_bytes()
    except OSError:
        raise LocalStateError(
            (f"{paths.delegation} is missing: restore it from a backup."), reason="no-delegation"
        ) from None


def renew_delegation(desk: Desk, *, roots: KeyFolder, with_new_key: bool, actor: str) -> Delegation:
    """Sign the delegation again, for today's key-set key or for a new one, and return it.

    `roots` holds `root.key`. Only the root can do this. An interrupted run is finished by the next use of the
    key-set key. Raises `LocalStateError` for a folder without the key, `DelegationError` (`wrong-root`).
    """
    root = roots.read("root", role=KeyRole.ROOT)
    pin = parse_pin(desk.paths.pin.read_bytes())
    if fingerprint_of(parse_base64url(root.public_key)) != pin.root_fingerprint:
        raise DelegationError(f"The root key in {roots.path} does not match this desk's pin.", reason="wrong-root")
    now = desk.clock()
    if with_new_key:
        key_set = desk.load_signer().make_key(_NEXT)
    else:
        key_set = desk.read_key(KeyRole.KEY_SET)
    # The delegation comes first: a run that finds it beside the old key finishes the exchange (settle_key_set_key).
    write_durably(desk.paths.delegation, sign_delegation(root, key_set, now=now))
    settle_key_set_key(desk)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "renew-delegation", key_set.key_id, at=now, actor=actor, new_key="yes" if with_new_key else "no"
        )
    return read_delegation(desk.paths)


def settle_key_set_key(desk: Desk) -> None:
    """Finish an interrupted renewal, so that the vault signs with the key-set key that the root names.

    Raises `LocalStateError`; `DelegationError` (`wrong-key`) if neither key is the one that the root names.
    """
    named = read_delegation(desk.paths).key_set_key
    folder = KeyFolder(desk.paths.keys)
    key, following = desk.read_key(KeyRole.KEY_SET), folder.get_path(_NEXT)
    if key.public_key != named and following.exists():
        key = desk.load_signer().read_key(_NEXT)
        if key.public_key == named:
            following.replace(folder.get_path(KeyRole.KEY_SET.value))
    if key.public_key != named:
        raise DelegationError(
            ("The root's delegation is for another key-set key: restore the keys and the delegation from one backup."),
            reason="wrong-key",
        )


def find_root_change(paths: DeskPaths) -> bytes | None:
    """Return the signed step to the present root, or None before the first change."""
    return paths.root_change.read_bytes() if paths.root_change.exists() else None


def change_root(desk: Desk, *, roots: KeyFolder, actor: str) -> Pin:
    """Make the next root the current one, and return the pin for the gateway's operator; `publish` informs the others.

    `roots` holds `root.key` and `next-root.key`; afterwards both are the new ones, and the former root is gone
    from it. Raises `LocalStateError`, and `DelegationError`: `wrong-root` for roots that are not this desk's, and
    `not-published` if the previous change is unpublished: a party that missed it could not follow this one.
    """
    pin = parse_pin(desk.paths.pin.read_bytes())
    following = roots.read("next-root", role=KeyRole.NEXT_ROOT)
    if not (_fingerprint(following) == pin.root_fingerprint and roots.get_path(_COMING).exists()):
        pin = _sign_change(desk, roots, pin=pin, following=_as_root(following), actor=actor)
    # From here on, an interrupted run is recognised because the next root is already the pinned one.
    write_durably(roots.get_path("root"), roots.encode(_as_root(following)))
    # In one step: a coming root beside its own copy would look like the start of another change.
    roots.get_path(_COMING).replace(roots.get_path("next-root"))
    sync_folder(roots.path)
    return pin


def _sign_change(desk: Desk, roots: KeyFolder, *, pin: Pin, following: KeyFile, actor: str) -> Pin:
    former = roots.read("root", role=KeyRole.ROOT)
    if (_fingerprint(former), _fingerprint(following)) != (pin.root_fingerprint, pin.next_root_fingerprint):
        raise DelegationError(
            (f"The keys in {roots.path} do not match the root keys in this desk's pin."), reason="wrong-root"
        )
    if desk.paths.root_change.exists() and not _is_published(desk, pin=pin):
        raise DelegationError("The last root change is not published yet: run publish first.", reason="not-published")
    now = desk.clock()
    coming = _get_or_make_root(desk, roots, now=now)
    change = RootChange(
        changed_at=format_time(now),
        environment=desk.config.environment,
        new_root_key=following.public_key,
        next_root_fingerprint=_fingerprint(coming),
        old_root_key=former.public_key,
    )
    signed = sign_statement(
        change,
        kind=StatementKind.ROOT_CHANGE,
        private_keys=(load_signing_key(former), load_signing_key(following)),
    )
    new_pin = msgspec.structs.replace(
        pin, next_root_fingerprint=_fingerprint(coming), root_fingerprint=_fingerprint(following)
    )
    write_durably(desk.paths.root_change, signed)
    write_durably(desk.paths.delegation, sign_delegation(following, desk.read_key(KeyRole.KEY_SET), now=now))
    with desk.store.write() as connection:
        audit.append_entry(connection, "change-root", new_pin.root_fingerprint, at=now, actor=actor)
    write_durably(desk.paths.pin, encode(new_pin) + b"\n")
    return new_pin


def _get_or_make_root(desk: Desk, roots: KeyFolder, *, now: datetime) -> KeyFile:
    path = roots.get_path(_COMING)
    if not path.exists():  # an existing one is left from an interrupted run
        environment, seed = desk.config.environment, desk.random(SEED_BYTES)
        made = new_key(KeyRole.NEXT_ROOT, environment=environment, created_at=format_time(now), seed=seed)
        write_key_bytes(path, roots.encode(made))
    return roots.read(_COMING, role=KeyRole.NEXT_ROOT)


def _is_published(desk: Desk, *, pin: Pin) -> bool:
    """Return whether the gateway has taken a key set under the root of `pin`, without a root change."""
    with desk.store.read() as connection:
        newest = find_newest_published(connection)
    alone = msgspec.structs.replace(pin, next_root_fingerprint=None)
    try:
        return newest is not None and bool(verify_bundle(newest, pin=alone, now=desk.clock(), allow_expired=True))
    except KeySetError:
        return False


def _as_root(key_file: KeyFile) -> KeyFile:
    return new_key(
        KeyRole.ROOT,
        environment=key_file.environment,
        created_at=key_file.created_at,
        seed=parse_base64url(key_file.secret),
    )


def _fingerprint(key_file: KeyFile) -> str:
    return fingerprint_of(parse_base64url(key_file.public_key))
