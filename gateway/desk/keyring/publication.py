"""Makes a desk with its keys, settings and pin, and publishes the key set and the partner register through the feed.

Never signs two different texts with one serial: a signed text is stored first, and sent as stored. The register keeps
rotated partner keys whose statements still count, never a revoked one: revocation takes effect immediately.

Never overwrites an existing desk, and never leaves a partial one: the folder is built aside and moved into place. The
gateway's card is taken here too (WIRE.md §5.6).
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.desk.keyring.delegation import (
    find_root_change,
    finish_renewal,
    finish_rotations,
    read_signed_delegation,
    sign_delegation,
)
from gateway.desk.keyring.key_set import (
    KEY_SET_LIFETIME,
    LOG_ROLE,
    RECEIPT_ROLE,
    SEAL_GRACE,
    add_sealing_key,
    add_verify_key,
    end_use,
    ensure_sealing_keys,
    find_verify_role,
    get_quarter_of,
    has_role,
    make_key_set,
    make_mailbox_key,
)
from gateway.desk.office.config import DeskConfig, DeskPaths, check_config
from gateway.desk.office.people.passkeys import list_in_use
from gateway.desk.office.people.permissions import BY_THE_DESK, Role
from gateway.desk.office.people.register import add_person, grant_role
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit, open_store
from gateway.desk.store.agency_tables import (
    FORMER_PARTNER_KEYS,
    INVITATIONS,
    PARTNERS,
    PLACEMENTS,
    PUBLICATIONS,
    VERIFY_KEYS,
)
from gateway.desk.store.schema import REPORTS
from gateway.desk.vault import to_public
from gateway.desk.vault.record import FIRST_PREVIOUS, OPENINGS_FILE, OpeningRecord
from gateway.exchange.feed import (
    INSTANCE_PATTERN,
    MAX_FORMER_KEYS,
    SIGNED_REGISTER,
    FormerKey,
    GatewayCard,
    GatewayKey,
    PartnerRegister,
    PlacementEntry,
    RegisterEntry,
)
from gateway.guidance.agency import write_agency_example
from gateway.web.settings import format_settings
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import ConflictError, RefusalError
from partner_sdk.key_files import KeyFile, KeyRole, new_key, write_key_file
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    PUBLIC_KEY_BYTES,
    KeySet,
    KeySetBundle,
    Pin,
    fingerprint_of,
    parse_statement,
)

PublicationKind = Literal["keys", "register", "staffing"]
RESIGN_AFTER: Final = timedelta(days=1)
REGISTER_LIFETIME: Final = KEY_SET_LIFETIME
# The action of the audit log whose subject is the newest line of the vault's record.
OPENINGS_NOTED: Final = "note-openings"
ListT = TypeVar("ListT", KeySet, PartnerRegister)


class PublicationError(RefusalError[Literal["no-gateway", "serial-behind-gateway", "wrong-environment"]]):
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
    finish_renewal(desk)
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
    given = SIGNED_REGISTER.peek(bytes(newest.body))
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


UNUSED_FOR: Final = timedelta(hours=1)  # before a receipt key may end without --now
# The keys in daily use; the roots are kept offline.
DAILY_ROLES: Final = (KeyRole.KEY_SET, KeyRole.REGISTER, KeyRole.FEED, KeyRole.MAILBOX_SIGNING)
_ROOT_ROLES: Final = (KeyRole.ROOT, KeyRole.NEXT_ROOT)


class BootstrapError(
    RefusalError[
        Literal["bad-instance", "desk-exists", "key-in-use", "no-card", "unknown-key", "wrong-environment"]
        | Literal["wrong-origin"]
    ]
):
    """A desk cannot be made here, or a card is invalid."""


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """The first administrator of a new desk, who adds the other people; the handle is made from the name if empty."""

    name: str
    account: str
    handle: str = ""


def make_desk(
    state: Path, *, config: DeskConfig, now: datetime, random: Callable[[int], bytes], first: FirstPerson
) -> Pin:
    """Make the folder of a new desk with every key and its first person, and return the pin for the gateway.

    Raises `BootstrapError` if the folder is not empty, and `PersonError` for an unusable name.
    """
    check_config(config)
    state = state.resolve()
    if state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise BootstrapError(f"{state} is not empty: make the desk in an empty folder.", reason="desk-exists")
    state.parent.mkdir(parents=True, exist_ok=True)
    making = state.with_name(f".{state.name}.making")
    # Keys left by a killed run have sealed and signed nothing: they never reached their place.
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    try:
        pin = _fill(DeskPaths(making), config=config, now=now, random=random, first=first)
        sync_folder(making)
        making.replace(state)
    except BaseException:
        shutil.rmtree(making)  # unused private keys are removed
        raise
    # A rename is on disk only once the folder is synced (fsync(2), NOTES).
    sync_folder(state.parent)
    return pin


def add_gateway(desk: Desk, card: GatewayCard, *, actor: str) -> bool:
    """Trust this gateway's receipts and log from now on; False if all keys were known. `publish` passes it on.

    Its keys are valid for this one instance only. Raises `BootstrapError`.
    """
    if card.environment != desk.config.environment:
        raise BootstrapError(
            f"This card belongs to a {card.environment} gateway, but this desk is {desk.config.environment}.",
            reason="wrong-environment",
        )
    if card.origin != desk.config.gateway_origin:
        raise BootstrapError(
            f"This card belongs to the gateway at {card.origin}, but desk.toml names {desk.config.gateway_origin}.",
            reason="wrong-origin",
        )
    if not re.fullmatch(INSTANCE_PATTERN, card.instance):
        raise BootstrapError("The name on this card is not a valid gateway name.", reason="bad-instance")
    with desk.store.write() as connection:
        is_new = _add_key(desk, connection, card, RECEIPT_ROLE, card.receipt_key, actor=actor)
        if card.log_key is not None:
            is_new |= _add_key(desk, connection, card, LOG_ROLE, card.log_key, actor=actor)
    return is_new


def _add_key(desk: Desk, connection: Connection, card: GatewayCard, role: str, key: GatewayKey, *, actor: str) -> bool:
    known = connection.execute(select(VERIFY_KEYS).where(VERIFY_KEYS.c.key_id == key.key_id)).first()
    if known is not None and (known.role, known.instance) == (role, card.instance):
        return False
    if known is not None:
        raise BootstrapError(
            "The key on this card already has another use at this desk. Make a new key for this gateway.",
            reason="key-in-use",
        )
    public_key, now = parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES), desk.clock()
    add_verify_key(connection, role, public_key, now=now, instance=card.instance)
    audit.append_entry(connection, "add-gateway", card.instance, at=now, actor=actor, **{f"{role}_key_id": key.key_id})
    return True


def check_receipt_key_unused(desk: Desk, key_id: str) -> None:
    """Raise `BootstrapError` (`key-in-use`) if a report of the last hour was signed with this receipt key."""
    since = format_time(desk.clock() - UNUSED_FOR)
    with desk.store.read() as connection:
        recent = connection.execute(select(REPORTS.c.intake).where(REPORTS.c.received_at > since)).scalars()
        is_used = any(parse_statement(intake).signatures[0].keyid == key_id for intake in recent)
    if is_used:
        raise BootstrapError(
            f"A gateway signed a report with {key_id} in the last hour. Restart every service of every gateway with "
            "the new key first, and wait an hour: reports under an ended key go into quarantine. If the key has to end "
            "at once, use --now.",
            reason="key-in-use",
        )


def end_receipt_key(desk: Desk, key_id: str, *, actor: str) -> None:
    """End a gateway's receipt or log key now; earlier receipts stay valid. Raises `BootstrapError`."""
    now = desk.clock()
    with desk.store.write() as connection:
        role = find_verify_role(connection, key_id)
        if role not in {RECEIPT_ROLE, LOG_ROLE}:
            raise BootstrapError(
                (f"No receipt or log key has the id {key_id}. `keys list` shows every key."), reason="unknown-key"
            )
        end_use(connection, key_id, at=now)
        audit.append_entry(connection, f"end-{role}-key", key_id, at=now, actor=actor)


def _fill(
    paths: DeskPaths, *, config: DeskConfig, now: datetime, random: Callable[[int], bytes], first: FirstPerson
) -> Pin:
    def make(role: KeyRole, path: Path) -> KeyFile:
        key_file = new_key(role, environment=config.environment, created_at=format_time(now), seed=random(32))
        write_key_file(path, key_file)
        return key_file

    root, next_root = (make(role, paths.root / f"{role.value}.key") for role in _ROOT_ROLES)
    for role in (KeyRole.IDENTIFIER, KeyRole.CASE):
        make(role, paths.keys / f"{role.value}.key")
    daily = {role: make(role, paths.keys / f"{role.value}.key") for role in DAILY_ROLES}
    paths.delegation.write_bytes(sign_delegation(root, to_public(daily[KeyRole.KEY_SET]), now=now))
    store = open_store(paths.database, uri=config.database_uri, create=True)
    this_quarter = get_quarter_of(now)
    with store.write() as connection:
        for quarter in (this_quarter, this_quarter.next()):
            add_sealing_key(
                connection,
                to_public(make(KeyRole.SEALING, paths.sealing_key(quarter.name))),
                name=quarter.name,
                not_before=quarter.starts_at,
                seal_until=quarter.ends_at + SEAL_GRACE,
            )
        for role in (KeyRole.REGISTER, KeyRole.MAILBOX_SIGNING):
            add_verify_key(connection, role.value, parse_base64url(daily[role].public_key), now=now)
        person = add_person(
            connection, name=first.name, handle=first.handle, account=first.account, actor=BY_THE_DESK, now=now
        )
        grant_role(connection, person, Role.ADMINISTRATOR, actor=BY_THE_DESK, now=now)
        audit.append_entry(connection, "make-desk", config.environment, at=now, actor=person)
    store.close()
    pin = Pin(
        environment=config.environment,
        feed_key=daily[KeyRole.FEED].public_key,
        next_root_fingerprint=fingerprint_of(parse_base64url(next_root.public_key)),
        root_fingerprint=fingerprint_of(parse_base64url(root.public_key)),
    )
    paths.pin.write_bytes(encode(pin) + b"\n")
    write_agency_example(paths.agency)
    paths.config.write_text(format_settings(config), encoding="utf-8")
    return pin


def make_bundle(signed_key_set: bytes, *, delegation: bytes, root_change: bytes | None = None) -> bytes:
    """Return the bytes of a key-set bundle of statements that are all signed already."""
    return encode(
        KeySetBundle(
            delegation=parse_statement(delegation),
            key_set=parse_statement(signed_key_set, max_bytes=MAX_LIST_BYTES),
            root_change=None if root_change is None else parse_statement(root_change),
        )
    )
