"""Rotates the daily signing keys without downtime: published first, used after, ended last.

Never signs with a key that the gateway and the partners cannot know yet, and never ends one before its successor signs.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.keyring.key_set import (
    CLOCK_ALLOWANCE,
    add_verify_key,
    end_use,
    find_newest_published,
    find_verify_role,
    reject_key,
)
from gateway.desk.vault import FeedKeyName, PublicKey
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import KeySetError, NotAuthorisedError, ReportAbuseError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.signing import Pin, parse_pin, verify_bundle

# Partners cache a key set for ten minutes (client/partner.py), and clocks differ.
KNOWN_BEFORE_USE: Final = timedelta(hours=1)
LISTED_ROLES: Final = (KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING)
ROTATED_ROLES: Final = (*LISTED_ROLES, KeyRole.FEED)
_FORMER_FEED: Final = "feed.former"
FEED_KEY_DENIED: Final = "feed-key-denied"


class RotationError(ReportAbuseError):
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
    in `next.pin`, which the gateway's operator installs. Raises `RotationError` (`wrong-role`).
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
    changed = [*listed, *([KeyRole.FEED] if _is_feed_key_taken(desk) else [])]
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


def _is_feed_key_taken(desk: Desk) -> bool:
    path = get_next_path(desk, KeyRole.FEED)
    return path.exists() and _opens_feed(desk, "feed.next")


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
    pin = parse_pin(desk.paths.pin.read_bytes())
    return Pin(
        environment=pin.environment,
        feed_key=feed_key,
        next_root_fingerprint=pin.next_root_fingerprint,
        root_fingerprint=pin.root_fingerprint,
    )
