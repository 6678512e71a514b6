"""The root's delegation to the key-set key, the change of root, and the daily signing keys.

The next root, which every party has pinned, takes over and names its successor. Each step recognises the work of an
earlier run, so the same command finishes an interrupted run.

Never keeps a root key: renewal and change read it from the folder that a person brings. Between uses both roots are
offline.

A signing key is published first, used after, ended last. Never signs with a key that the gateway and the partners
cannot know yet, and never ends one before its successor signs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.desk.keyring.key_set import (
    CLOCK_ALLOWANCE,
    add_verify_key,
    end_use,
    find_newest_published,
    find_verify_role,
    reject_key,
)
from gateway.desk.office.config import DeskPaths
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.audit import raise_alarm
from gateway.desk.vault import FeedKeyName, PublicKey
from gateway.desk.vault.key_folder import KeyFolder
from gateway.exchange.feed import parse_pin
from partner_sdk.durable_files import sync_folder, write_durably
from partner_sdk.errors import KeySetError, LocalStateError, NotAuthorisedError, RefusalError
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_signing_key, new_key, write_key_bytes
from partner_sdk.wire.canonical import encode, format_time, parse_base64url
from partner_sdk.wire.signing import (
    SIGNED_DELEGATION,
    Delegation,
    Pin,
    RootChange,
    StatementKind,
    fingerprint_of,
    sign_statement,
    verify_bundle,
)

DELEGATION_LIFETIME: Final = timedelta(days=730)
_NEXT: Final = "key-set.next"
# The next root but one, while the change is under way.
_COMING: Final = "coming-root"


class DelegationError(RefusalError[Literal["not-published", "wrong-key", "wrong-root"]]):
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
    return SIGNED_DELEGATION.sign(delegation, load_signing_key(root))


def read_delegation(paths: DeskPaths) -> Delegation:
    """Return the delegation from this desk's disk; raises `LocalStateError`, `FormatError`."""
    return SIGNED_DELEGATION.peek(read_signed_delegation(paths))


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

    `roots` holds `root.key`. Only the root can do this. An interrupted run is finished by the next use of the key-set
    key. Raises `LocalStateError` for a folder without the key, `DelegationError`.
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
    # The delegation comes first: a run that finds it beside the old key finishes the exchange (finish_renewal).
    write_durably(desk.paths.delegation, sign_delegation(root, key_set, now=now))
    finish_renewal(desk)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "renew-delegation", key_set.key_id, at=now, actor=actor, new_key="yes" if with_new_key else "no"
        )
    return read_delegation(desk.paths)


def finish_renewal(desk: Desk) -> None:
    """Finish an interrupted renewal, so that the vault signs with the key-set key that the root names.

    Raises `LocalStateError`; `DelegationError` if neither key is the one that the root names.
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


# Partners cache a key set for ten minutes (client/partner.py), and clocks differ.
KNOWN_BEFORE_USE: Final = timedelta(hours=1)
LISTED_ROLES: Final = (KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING)
ROTATED_ROLES: Final = (*LISTED_ROLES, KeyRole.FEED)
_FORMER_FEED: Final = "feed.former"
FEED_KEY_DENIED: Final = "feed-key-denied"


class RotationError(RefusalError[Literal["key-in-use", "unknown-key", "wrong-role"]]):
    """A key cannot be rotated or revoked now."""


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A new key that does not sign yet."""

    role: KeyRole
    key_id: str
    made_at: str


def begin_rotation(desk: Desk, role: KeyRole, *, actor: str) -> PendingKey:
    """Make the successor of a signing key; it signs once every party can know it. Safe to repeat.

    A register or mailbox-signing key is in the next key set, and signs one hour after that is published. A feed key is
    in `next.pin`, which the gateway's operator installs. Raises `RotationError`.
    """
    if role not in ROTATED_ROLES:
        raise RotationError(f"A {role.value} key cannot be rotated.", reason="wrong-role")
    now = desk.clock()
    key_file = desk.load_signer().make_key(f"{role.value}.next")
    if role is KeyRole.FEED:
        write_durably(desk.paths.next_pin, encode(_make_pin(desk, feed_key=key_file.public_key)) + b"\n")
    with desk.store.write() as connection:
        if role in LISTED_ROLES and find_verify_role(connection, key_file.key_id) is None:
            add_verify_key(connection, role.value, parse_base64url(key_file.public_key), now=now)
        audit.append_entry(connection, f"begin-rotation-{role.value}", key_file.key_id, at=now, actor=actor)
    return PendingKey(role=role, key_id=key_file.key_id, made_at=key_file.created_at)


def finish_rotations(desk: Desk, *, actor: str) -> tuple[KeyRole, ...]:
    """Switch to every successor that has been known for long enough, end its predecessor, and return the roles.

    Asks the gateway only while a feed key is pending; raises the feed client's errors except a refusal.
    """
    _take_back_feed_key(desk, actor=actor)
    listed = [role for role in LISTED_ROLES if _is_known(desk, role)]
    changed = [
        *listed,
        *([KeyRole.FEED] if get_next_path(desk, KeyRole.FEED).exists() and _opens_feed(desk, "feed.next") else []),
    ]
    for role in changed:
        _exchange(desk, role, actor=actor)
    return tuple(changed)


def revoke_signing_key(desk: Desk, key_id: str, *, actor: str) -> None:
    """Reject a key from now on, including its earlier signatures. `publish` informs the others.

    Raises `RotationError`: `unknown-key`, or `key-in-use` for the current signing key.
    """
    now = desk.clock()
    if key_id in {desk.read_key(role).key_id for role in LISTED_ROLES}:
        raise RotationError(
            "This key is in use: run `keys rotate` for its role first, and revoke it once the new key signs.",
            reason="key-in-use",
        )
    with desk.store.write() as connection:
        if not reject_key(connection, key_id, at=now):
            raise RotationError(
                (f"No signing key has the id {key_id}. `keys list` shows every key."), reason="unknown-key"
            )
        audit.append_entry(connection, "revoke-key", key_id, at=now, actor=actor)


def list_pending(desk: Desk) -> tuple[PendingKey, ...]:
    """Return the keys that were made but do not sign yet."""
    found = ((role, get_next_path(desk, role)) for role in ROTATED_ROLES)
    return tuple(
        PendingKey(role=role, key_id=key_file.key_id, made_at=key_file.created_at)
        for role, path in found
        if path.exists()
        for key_file in (read_next(desk, role),)
    )


def get_next_path(desk: Desk, role: KeyRole) -> Path:
    """Return the path of a pending successor; the file may not exist."""
    return KeyFolder(desk.paths.keys).get_path(f"{role.value}.next")


def read_next(desk: Desk, role: KeyRole) -> PublicKey:
    """Return the public part of a pending successor. Raises `LocalStateError`."""
    return desk.load_signer().read_key(f"{role.value}.next")


def _is_known(desk: Desk, role: KeyRole) -> bool:
    """Return whether a key set with this successor was published long enough ago."""
    path = get_next_path(desk, role)
    if not path.exists():
        return False
    key_id, now = read_next(desk, role).key_id, desk.clock()
    pin = parse_pin(desk.paths.pin.read_bytes())
    with desk.store.read() as connection:
        body = find_newest_published(connection, before=now - KNOWN_BEFORE_USE)
    if body is None:
        return False
    try:
        key_set = verify_bundle(body, pin=pin, now=now, allow_expired=True)
    except KeySetError:
        return False  # published under the previous root: the next publication is under this one
    return any(key.key_id == key_id for key in (*key_set.register_keys, *key_set.mailbox_keys))


def _opens_feed(desk: Desk, name: FeedKeyName) -> bool:
    feed = FeedClient(
        origin=desk.config.feed_url,
        private_key=desk.load_signer().load_feed_key(name),
        clock=desk.clock,
        session=desk.session,
    )
    try:
        feed.get_status()
    except NotAuthorisedError:
        return False  # the gateway has another pin
    return True


def _take_back_feed_key(desk: Desk, *, actor: str) -> None:
    """Return to the former feed key if the gateway claimed to accept the new one, but does not.

    The new key is pending again, and so is its pin.
    """
    now, folder = desk.clock(), KeyFolder(desk.paths.keys)
    current, former = folder.get_path(KeyRole.FEED.value), folder.get_path(_FORMER_FEED)
    following = get_next_path(desk, KeyRole.FEED)
    # Beside itself, the new key is one that an earlier run has begun to put back: this run continues.
    is_another = following.exists() and read_next(desk, KeyRole.FEED) != desk.read_key(KeyRole.FEED)
    if not former.exists() or is_another or _opens_feed(desk, "feed") or not _opens_feed(desk, "feed.former"):
        return
    waits = desk.read_key(KeyRole.FEED)
    folder.add_name("feed", to="feed.next")
    write_durably(desk.paths.next_pin, encode(_make_pin(desk, feed_key=waits.public_key)) + b"\n")
    back = desk.load_signer().read_key(_FORMER_FEED)
    write_durably(desk.paths.pin, encode(_make_pin(desk, feed_key=back.public_key)) + b"\n")
    former.replace(current)
    with desk.store.write() as connection:
        raise_alarm(connection, FEED_KEY_DENIED, waits.key_id, now=now)
        audit.append_entry(connection, "take-back-feed-key", back.key_id, at=now, actor=actor)


def _exchange(desk: Desk, role: KeyRole, *, actor: str) -> None:
    now, former, following = desk.clock(), desk.read_key(role), read_next(desk, role)
    folder = KeyFolder(desk.paths.keys)
    if role is KeyRole.FEED:
        # Only the gateway claims to accept the new key: the former one stays until the next change.
        folder.add_name("feed", to=_FORMER_FEED)
        write_durably(desk.paths.pin, encode(_make_pin(desk, feed_key=following.public_key)) + b"\n")
        desk.paths.next_pin.unlink(missing_ok=True)
    with desk.store.write() as connection:
        # Signatures from a moment ago are still on their way; after a day, no new one by the old key is accepted.
        end_use(connection, former.key_id, at=now + CLOCK_ALLOWANCE)
        audit.append_entry(
            connection,
            f"finish-rotation-{role.value}",
            following.key_id,
            at=now,
            actor=actor,
            former_key_id=former.key_id,
        )
    get_next_path(desk, role).replace(folder.get_path(role.value))


def _make_pin(desk: Desk, *, feed_key: str) -> Pin:
    return msgspec.structs.replace(parse_pin(desk.paths.pin.read_bytes()), feed_key=feed_key)
