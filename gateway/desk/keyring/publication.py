"""Signs the key set and the partner register and publishes them through the feed.

Never signs two different texts with one serial: what was signed is stored first, and sent as stored.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.desk import audit
from gateway.desk.keyring.quarters import Quarter, get_quarter_of
from gateway.desk.store.schema import PARTNERS, PUBLICATIONS, SEALING_KEYS, VERIFY_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import KeyFile, KeyRole, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.enrolment import mailbox_key_id
from partner_sdk.wire.envelope import SUITE_NAME
from partner_sdk.wire.keys import KEY_SET_LIFETIME, KeySet, SealingKey, SealingState, VerifyKey, sign_bundle
from partner_sdk.wire.register import PartnerRegister, RegisterEntry, sign_register

PublicationKind = Literal["keys", "register"]

RESIGN_AFTER: Final = timedelta(days=1)
REGISTER_LIFETIME: Final = KEY_SET_LIFETIME
# A new quarter's key is used from the first publication in the quarter: the old one seals on until then.
SEAL_GRACE: Final = timedelta(days=30)
# Content lives a year (SI 2026/268); a case may be opened until then.
OPEN_AFTER_SEAL: Final = timedelta(days=400)

ListT = TypeVar("ListT", KeySet, PartnerRegister)


class PublicationError(ReportAbuseError):
    """The key set or the register can not be signed or published."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A list as signed. `is_new` says that this run signed it."""

    kind: PublicationKind
    serial: int
    body: bytes
    is_new: bool


@dataclass(frozen=True, slots=True)
class Published:
    """What one `publish` did."""

    key_set: Publication
    register: Publication


def publish(desk: Desk, *, actor: str) -> Published:
    """Sign what changed, store it, and give key set and register to the gateway; sending again is harmless.

    Raises `PublicationError`, and what the feed client raises: then run it again, nothing is signed anew.
    """
    published = sign_lists(desk, actor=actor)
    feed = desk.make_feed()
    status = feed.get_status()
    if status.environment != desk.config.environment:
        raise PublicationError("The gateway at this address serves another environment.", reason="wrong-environment")
    # The register is signed by a key of the key set: the key set goes first.
    for publication, seen, send in (
        (published.key_set, status.key_set_serial, feed.put_keys),
        (published.register, status.register_serial, feed.put_register),
    ):
        if seen is not None and seen > publication.serial:
            raise PublicationError(
                f"The gateway has seen serial {seen} of the {publication.kind}, this desk only {publication.serial}: "
                "this desk was restored from an older copy. Restore the newest one.",
                reason="serial-behind-gateway",
            )
        send(publication.body)
        _mark_published(desk, publication, actor=actor)
    return published


def sign_lists(desk: Desk, *, actor: str) -> Published:
    """Sign the key set and the register where they changed or are older than a day, and store them."""
    now = desk.clock()
    key_set_key = desk.load_private_key(KeyRole.KEY_SET)
    register_key = desk.load_private_key(KeyRole.REGISTER)
    try:
        delegation = desk.paths.delegation.read_bytes()
    except OSError:
        raise LocalStateError(f"{desk.paths.delegation} is missing: restore it.", reason="no-delegation") from None
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=now)
        if not _has_keys(connection, "receipt"):
            raise PublicationError(
                "There is no gateway yet. Run `report-abuse-desk gateway add gateway.card` first.", reason="no-gateway"
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
                sign=lambda it: sign_bundle(key_set=it, delegation=delegation, key_set_key=key_set_key),
            ),
            register=_sign(
                connection,
                "register",
                register,
                now=now,
                actor=actor,
                sign=lambda it: sign_register(it, register_key=register_key),
            ),
        )


def ensure_sealing_keys(desk: Desk, connection: Connection, *, now: datetime) -> None:
    """Make the sealing keys of this quarter and the next, where they are missing."""
    this = get_quarter_of(now)
    for quarter in (this, this.next()):
        known = connection.execute(select(SEALING_KEYS.c.key_id).where(SEALING_KEYS.c.quarter == quarter.name))
        if known.first() is None:
            add_sealing_key(connection, _get_sealing_key_file(desk, quarter, now=now), quarter=quarter)


def _get_sealing_key_file(desk: Desk, quarter: Quarter, *, now: datetime) -> KeyFile:
    path = desk.paths.sealing_key(quarter.name)
    if path.exists():
        # From a run that was stopped before its commit, or the database is an older copy: never make a second one.
        return read_key_file(path, role=KeyRole.SEALING)
    key_file = new_key(
        KeyRole.SEALING, environment=desk.config.environment, created_at=format_time(now), seed=desk.random(32)
    )
    write_key_file(path, key_file)
    return key_file


def add_sealing_key(connection: Connection, key_file: KeyFile, *, quarter: Quarter) -> None:
    """Enter the public half of a quarter's sealing key."""
    seal_until = quarter.ends_at + SEAL_GRACE
    connection.execute(
        insert(SEALING_KEYS).values(
            key_id=key_file.key_id,
            quarter=quarter.name,
            public_key=parse_base64url(key_file.public_key),
            not_before=format_time(quarter.starts_at),
            seal_until=format_time(seal_until),
            open_until=format_time(seal_until + OPEN_AFTER_SEAL),
            destroyed_at=None,
        )
    )


def make_key_set(connection: Connection, *, desk: Desk, now: datetime) -> KeySet:
    """Return the key set as it should be now, with serial 0: signing gives it its number."""
    sealing = connection.execute(select(SEALING_KEYS).order_by(SEALING_KEYS.c.quarter)).all()
    return KeySet(
        environment=desk.config.environment,
        serial=0,
        issued_at=format_time(now),
        expires_at=format_time(now + KEY_SET_LIFETIME),
        sealing_keys=tuple(_sealing_entry(row, now=now) for row in sealing),
        receipt_keys=_verify_entries(connection, "receipt"),
        mailbox_keys=_verify_entries(connection, KeyRole.MAILBOX_SIGNING.value),
        register_keys=_verify_entries(connection, KeyRole.REGISTER.value),
    )


def make_register(connection: Connection, *, desk: Desk, now: datetime) -> PartnerRegister:
    """Return the register as it should be now, with serial 0."""
    rows = connection.execute(select(PARTNERS).order_by(PARTNERS.c.partner)).all()
    return PartnerRegister(
        environment=desk.config.environment,
        serial=0,
        issued_at=format_time(now),
        expires_at=format_time(now + REGISTER_LIFETIME),
        partners=tuple(make_register_entry(row) for row in rows),
    )


def make_register_entry(row: Row[tuple[object, ...]]) -> RegisterEntry:
    """Return one partner as the register shows it."""
    approved_at = parse_time(row.approved_at)
    return RegisterEntry(
        context_key=to_base64url(bytes(row.context_key)),
        environment=row.environment,
        key_id=row.key_id,
        mailbox_key=make_mailbox_key(bytes(row.mailbox_key), approved_at=approved_at),
        name=row.name,
        partner=row.partner,
        state=row.state,
        submission_key=to_base64url(bytes(row.submission_key)),
    )


def make_mailbox_key(public_key: bytes, *, approved_at: datetime) -> SealingKey:
    """Return a partner's mailbox key as an entry: it is used until the partner enrols again."""
    far = approved_at + timedelta(days=3650)
    return SealingKey(
        key_id=mailbox_key_id(public_key),
        suite=SUITE_NAME,
        public_key=to_base64url(public_key),
        not_before=format_time(approved_at),
        seal_until=format_time(far),
        open_until=format_time(far),
        state="active",
    )


def find_newest(connection: Connection, kind: PublicationKind) -> Row[tuple[object, ...]] | None:
    """Return the newest list of a kind as signed, or None before the first."""
    newest = select(PUBLICATIONS).where(PUBLICATIONS.c.kind == kind).order_by(PUBLICATIONS.c.serial.desc()).limit(1)
    return connection.execute(newest).first()


def _sign(
    connection: Connection,
    kind: PublicationKind,
    content: ListT,
    *,
    now: datetime,
    actor: str,
    sign: Callable[[ListT], bytes],
) -> Publication:
    unstamped = msgspec.structs.replace(content, serial=0, issued_at="", expires_at="")
    content_sha256 = hashlib.sha256(encode(unstamped)).digest()
    newest = find_newest(connection, kind)
    if newest is not None:
        is_fresh = now - parse_time(newest.signed_at) < RESIGN_AFTER
        if is_fresh and bytes(newest.content_sha256) == content_sha256:
            return Publication(kind=kind, serial=newest.serial, body=bytes(newest.body), is_new=False)
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
    audit.append_entry(connection, at=now, actor=actor, action=f"sign-{kind}", subject=str(serial))
    return Publication(kind=kind, serial=serial, body=body, is_new=True)


def _mark_published(desk: Desk, publication: Publication, *, actor: str) -> None:
    now = desk.clock()
    with desk.store.write() as connection:
        changed = connection.execute(
            update(PUBLICATIONS)
            .where(
                PUBLICATIONS.c.kind == publication.kind,
                PUBLICATIONS.c.serial == publication.serial,
                PUBLICATIONS.c.published_at.is_(None),
            )
            .values(published_at=format_time(now))
        )
        if changed.rowcount:
            audit.append_entry(
                connection, at=now, actor=actor, action=f"publish-{publication.kind}", subject=str(publication.serial)
            )


def _sealing_entry(row: Row[tuple[object, ...]], *, now: datetime) -> SealingKey:
    return SealingKey(
        key_id=row.key_id,
        suite=SUITE_NAME,
        public_key=to_base64url(bytes(row.public_key)),
        not_before=row.not_before,
        seal_until=row.seal_until,
        open_until=row.open_until,
        state=_sealing_state(row, now=now),
    )


def _sealing_state(row: Row[tuple[object, ...]], *, now: datetime) -> SealingState:
    if row.destroyed_at is not None:
        return "destroyed"
    if now < parse_time(row.not_before):
        return "pending"
    return "active" if now < parse_time(row.seal_until) else "retired"


def _verify_entries(connection: Connection, role: str) -> tuple[VerifyKey, ...]:
    rows = connection.execute(select(VERIFY_KEYS).where(VERIFY_KEYS.c.role == role).order_by(VERIFY_KEYS.c.key_id))
    return tuple(
        VerifyKey(
            key_id=row.key_id,
            public_key=to_base64url(bytes(row.public_key)),
            not_before=row.not_before,
            use_until=row.use_until,
            verify_until=row.verify_until,
        )
        for row in rows
    )


def _has_keys(connection: Connection, role: str) -> bool:
    return connection.execute(select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.role == role)).first() is not None
