"""Signs the key set and the partner register and publishes them through the feed.

Never signs two different texts with one serial: a signed text is stored first, and sent as stored. The register keeps
rotated partner keys whose statements still count, never a revoked one: revocation takes effect immediately.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.desk import audit
from gateway.desk.keyring.delegation import find_root_change, read_signed_delegation, settle_key_set_key
from gateway.desk.keyring.key_set import (
    RECEIPT_ROLE,
    ensure_sealing_keys,
    has_role,
    make_key_set,
    make_mailbox_key,
)
from gateway.desk.keyring.signing_keys import finish_rotations
from gateway.desk.people.passkeys import list_in_use
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS, INVITATIONS, PARTNERS, PLACEMENTS, PUBLICATIONS
from gateway.desk.suggestions import suggest
from gateway.desk.vault.record import FIRST_PREVIOUS, OPENINGS_FILE, OpeningRecord
from gateway.desk.wiring import Desk
from gateway.exchange.feed import MAX_FORMER_KEYS, FormerKey, PartnerRegister, RegisterEntry
from partner_sdk.errors import ConflictError, ReportAbuseError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.button import PlacementEntry
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.signing import KEY_SET_LIFETIME, MAX_LIST_BYTES, KeySet, make_bundle, peek_statement

PublicationKind = Literal["keys", "register", "staffing"]
RESIGN_AFTER: Final = timedelta(days=1)
REGISTER_LIFETIME: Final = KEY_SET_LIFETIME
# The action of the audit log whose subject is the newest line of the vault's record.
OPENINGS_NOTED: Final = "note-openings"
ListT = TypeVar("ListT", KeySet, PartnerRegister)


class PublicationError(ReportAbuseError):
    """The key set or the register cannot be signed or published."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A signed list. `is_new`: this run signed it; `was_published`: the gateway already had it."""

    kind: PublicationKind
    serial: int
    body: bytes
    is_new: bool
    was_published: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """The result of one `publish`."""

    key_set: Publication
    register: Publication


def publish(desk: Desk, *, actor: str) -> Published:
    """Sign the changed lists, store them, and send key set and register to the gateway; sending again is harmless.

    Raises `PublicationError`, and the feed client's errors: then run it again, and nothing is signed a second time.
    """
    published = sign_lists(desk, actor=actor)
    note_openings(desk, actor=actor)
    share_passkeys(desk)
    feed = desk.make_feed()
    status = feed.get_status()
    if status.environment != desk.config.environment:
        raise PublicationError(
            ("The gateway at this address belongs to another environment."), reason="wrong-environment"
        )
    # The register is signed by a key of the key set: the key set goes first.
    for publication, seen, send in (
        (published.key_set, status.key_set_serial, partial(feed.put_list, "keys")),
        (published.register, status.register_serial, partial(feed.put_list, "register")),
    ):
        try:
            send(publication.body)
        except ConflictError:
            raise PublicationError(
                (
                    f"The gateway has serial {seen} of the {publication.kind}, but this desk only has "
                    f"{publication.serial}: this desk was restored from an older backup. Restore the newest "
                    "one. If another person may have signed with the key-set key, run `keys renew-delegation "
                    "--new-key`."
                ),
                reason="serial-behind-gateway",
            ) from None
        now = desk.clock()
        is_this = (PUBLICATIONS.c.kind == publication.kind) & (PUBLICATIONS.c.serial == publication.serial)
        first = update(PUBLICATIONS).where(is_this, PUBLICATIONS.c.published_at.is_(None))
        with desk.store.write() as connection:
            if connection.execute(first.values(published_at=format_time(now))).rowcount:
                serial = str(publication.serial)
                audit.append_entry(connection, f"publish-{publication.kind}", serial, at=now, actor=actor)
    return published


def share_passkeys(desk: Desk) -> None:
    """Hand every passkey in use to the vault, which believes a new one a week later. Raises `VaultError`."""
    with desk.store.read() as connection:
        known = list_in_use(connection)
    desk.load_signer().learn_passkeys(known)


def sign_lists(desk: Desk, *, actor: str) -> Published:
    """Sign the key set and the register if they changed or are older than a day, and store them."""
    now = desk.clock()
    finish_rotations(desk, actor=actor)
    settle_key_set_key(desk)
    signer, register_key = desk.load_signer(), desk.read_key(KeyRole.REGISTER)
    delegation, root_change = read_signed_delegation(desk.paths), find_root_change(desk.paths)
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=now)
        if not has_role(connection, RECEIPT_ROLE):
            raise PublicationError(
                f"There is no gateway yet. Run `{suggest('gateway add gateway.card')}` first.", reason="no-gateway"
            )
        key_set = make_key_set(connection, desk=desk, now=now)
        register = make_register(connection, desk=desk, now=now)
        return Published(
            key_set=_sign(
                connection,
                "keys",
                key_set,
                now=now,
                actor=actor,
                signed_with=delegation + (root_change or b""),
                sign=lambda it: make_bundle(signer.sign(it), delegation=delegation, root_change=root_change),
            ),
            register=_sign(
                connection,
                "register",
                register,
                now=now,
                actor=actor,
                signed_with=parse_base64url(register_key.public_key),
                sign=signer.sign,
            ),
        )


def note_openings(desk: Desk, *, actor: str) -> None:
    """Lay the head of the vault's record of openings into the audit log, if it has moved: a cut record then shows."""
    head = to_base64url(OpeningRecord(desk.paths.vault / OPENINGS_FILE).get_head())
    with desk.store.write() as connection:
        noted = audit.list_subjects(connection, OPENINGS_NOTED)
        if head != (noted[-1] if noted else to_base64url(FIRST_PREVIOUS)):
            audit.append_entry(connection, OPENINGS_NOTED, head, at=desk.clock(), actor=actor)


def make_register(connection: Connection, *, desk: Desk, now: datetime) -> PartnerRegister:
    """Return the current register, with serial 0."""
    rows = connection.execute(select(PARTNERS).order_by(PARTNERS.c.partner)).all()
    return PartnerRegister(
        environment=desk.config.environment,
        serial=0,
        issued_at=format_time(now),
        expires_at=format_time(now + REGISTER_LIFETIME),
        partners=tuple(
            make_register_entry(row, former=_list_former_keys(connection, row.partner, now=now)) for row in rows
        ),
        placements=list_placement_entries(connection),
    )


def list_placement_entries(connection: Connection) -> tuple[PlacementEntry, ...]:
    """Return the placements agreed now, by link id.

    Those of a suspended partner are included: suspension ends the trust in its reports, but a child on its pages can
    still press the button, and the desk must still know the place. A link id gives its owner no right.
    """
    rows = connection.execute(
        select(PLACEMENTS.c.placement, PLACEMENTS.c.owner, PLACEMENTS.c.service)
        .where(PLACEMENTS.c.state == "agreed")
        .order_by(PLACEMENTS.c.placement)
    )
    return tuple(PlacementEntry(partner=row.owner, placement=row.placement, service=row.service) for row in rows)


def make_register_entry(row: Row[tuple[object, ...]], *, former: tuple[FormerKey, ...] = ()) -> RegisterEntry:
    """Return a partner's register entry; one with a revoked key appears to the gateway as suspended."""
    approved_at = parse_time(row.approved_at)
    return RegisterEntry(
        context_key=to_base64url(bytes(row.context_key)),
        environment=row.environment,
        key_id=row.key_id,
        mailbox_key=make_mailbox_key(bytes(row.mailbox_key), approved_at=approved_at),
        name=row.name,
        partner=row.partner,
        state="active" if row.state == "active" else "suspended",
        submission_key=to_base64url(bytes(row.submission_key)),
        former_keys=former if row.state == "active" else (),
    )


def _list_former_keys(connection: Connection, partner: str, *, now: datetime) -> tuple[FormerKey, ...]:
    """Return the newest keys that were rotated out but whose statements still count, up to the register's limit."""
    former = select(FORMER_PARTNER_KEYS).where(
        FORMER_PARTNER_KEYS.c.partner == partner,
        FORMER_PARTNER_KEYS.c.ended_at > format_time(now),
        FORMER_PARTNER_KEYS.c.revoked.is_(False),
    )
    newest_first = (FORMER_PARTNER_KEYS.c.ended_at.desc(), FORMER_PARTNER_KEYS.c.key_id)
    return tuple(
        FormerKey(key_id=row.key_id, submission_key=to_base64url(bytes(row.submission_key)), until=row.ended_at)
        for row in connection.execute(former.order_by(*newest_first).limit(MAX_FORMER_KEYS))
    )


def find_newest(connection: Connection, kind: PublicationKind) -> Row[tuple[object, ...]] | None:
    """Return the newest signed list of a kind, or None before the first."""
    newest = select(PUBLICATIONS).where(PUBLICATIONS.c.kind == kind).order_by(PUBLICATIONS.c.serial.desc()).limit(1)
    return connection.execute(newest).first()


def is_gateway_behind(connection: Connection, desk: Desk) -> bool:
    """Return whether the gateway lacks the register as it would be signed now, or an open invitation."""
    now, newest = desk.clock(), find_newest(connection, "register")
    if newest is None or newest.published_at is None:
        return True
    given = peek_statement(bytes(newest.body), PartnerRegister, max_bytes=MAX_LIST_BYTES)
    if _strip_stamp(given) != _strip_stamp(make_register(connection, desk=desk, now=now)):
        return True
    is_open = INVITATIONS.c.used_at.is_(None) & (INVITATIONS.c.expires_at > format_time(now))
    unknown = select(INVITATIONS.c.partner).where(INVITATIONS.c.published_at.is_(None), is_open)
    return connection.execute(unknown.limit(1)).first() is not None


def _strip_stamp(content: ListT) -> ListT:
    return msgspec.structs.replace(content, serial=0, issued_at="", expires_at="")


def _sign(
    connection: Connection,
    kind: PublicationKind,
    content: ListT,
    *,
    now: datetime,
    actor: str,
    signed_with: bytes,
    sign: Callable[[ListT], bytes],
) -> Publication:
    """Sign a list, or return the newest one if it is fresh, unchanged and `signed_with` the same key."""
    content_sha256 = hashlib.sha256(encode(_strip_stamp(content)) + signed_with).digest()
    newest = find_newest(connection, kind)
    if newest is not None:
        is_fresh = now - parse_time(newest.signed_at) < RESIGN_AFTER
        if is_fresh and bytes(newest.content_sha256) == content_sha256:
            return Publication(
                kind=kind,
                serial=newest.serial,
                body=bytes(newest.body),
                is_new=False,
                was_published=newest.published_at is not None,
            )
    highest = connection.execute(select(func.max(PUBLICATIONS.c.serial)).where(PUBLICATIONS.c.kind == kind)).scalar()
    serial = (highest or 0) + 1
    body = sign(msgspec.structs.replace(content, serial=serial))
    connection.execute(
        insert(PUBLICATIONS).values(
            kind=kind,
            serial=serial,
            content_sha256=content_sha256,
            body=body,
            signed_at=format_time(now),
            published_at=None,
        )
    )
    audit.append_entry(connection, f"sign-{kind}", str(serial), at=now, actor=actor)
    return Publication(kind=kind, serial=serial, body=body, is_new=True)
