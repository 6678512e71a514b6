"""A partner's account: changes that it signs, a person's decision about them, ended keys, its registration.

Never changes a key automatically: a thief with a stolen key could ask for a rotation too, so people compare the key ids
by phone. Never accepts a key that was used here before, nor a change signed with a key that is no longer in force.
Never revives a key that has ended: the first end counts, also against later statements.

The registration (SI 2026/268) decides nothing about a report: it only adds a notice to the case.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import Intake, collect_items, keep_envelope
from gateway.desk.office.organisations import SERVICE, PartnerError, get_partner, list_partners
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit, copy_fields
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, ENROLMENTS, FORMER_PARTNER_KEYS, PARTNERS, ChangeColumns
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import ACCOUNT_CHANGE, ItemRow
from partner_sdk.errors import EnrolmentError, FormatError, OpeningError, StatementError
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_ENVELOPE_BYTES,
    MAX_ACCOUNT_STATEMENT_BYTES,
    SIGNED_CHANGE,
    AccountChange,
    EnrolmentKeys,
    NewKeys,
    Person,
    Registration,
    account_context,
    list_registration_gaps,
)
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES, Envelope
from partner_sdk.wire.signing import PUBLIC_KEY_BYTES, StatementKind, check_statement, key_id_of, parse_statement
from partner_sdk.wire.submission import check_partner_id

# A partner may ask only this often an hour (gateway/limits.py); a longer feed is endless, and an alarm.
INTAKE: Final = Intake(
    ACCOUNT_CHANGE,
    most_items=1_000,
    most_bytes=8 * 1024 * 1024,
    endless="account-changes-endless",
    too_large="account-change-too-large",
)
UNREADABLE: Final = "unreadable"


def is_key_taken(connection: Connection, key_id: str, *, offered_by: str | None = None) -> bool:
    """Return whether any partner has, had or has offered the submission key with this id.

    `offered_by` may offer a key again if it has only offered it: its change was refused, and it asks again.
    """
    offered = select(ACCOUNT_CHANGES.c.new_key_id).where(
        ACCOUNT_CHANGES.c.new_key_id == key_id, ACCOUNT_CHANGES.c.partner != (offered_by or "")
    )
    return connection.execute(offered).first() is not None or any(
        connection.execute(select(table.c.key_id).where(table.c.key_id == key_id)).first() is not None
        for table in (PARTNERS, FORMER_PARTNER_KEYS, ENROLMENTS)
    )


@dataclass(frozen=True, slots=True)
class ChangeRow(ChangeColumns):
    """One change for lists, with the id of the key that signed it, None if it was refused as unreadable."""

    signed_by: str | None


@dataclass(frozen=True, slots=True)
class ChangesTaken:
    """The result of one fetch: changes that wait for a person, and refusals by partner and reason."""

    waiting: tuple[ChangeRow, ...]
    refused: dict[tuple[str, str], int]


def collect_account_changes(desk: Desk, feed: FeedClient, *, actor: str) -> ChangesTaken:
    """Open and check the changes at the feed, store every one, then acknowledge them."""
    take = partial(_take, desk=desk, vault=desk.load_vault(actor=actor, reason="file"), actor=actor)
    changes = collect_items(desk, feed, INTAKE, take=take)
    return ChangesTaken(
        waiting=tuple(change for change in changes if change.reason is None),
        refused=dict(Counter((change.partner, change.reason) for change in changes if change.reason is not None)),
    )


def take_enrolled_registration(
    connection: Connection, desk: Desk, raw: bytes, *, keys: EnrolmentKeys, actor: str
) -> None:
    """Store the registration inside an enrolment, signed by the enrolling key; a bad one is refused."""
    partner = keys.partner
    submission_key = parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES)
    change, reason = _check(
        raw, desk=desk, partner=partner, submission_keys={key_id_of(submission_key): submission_key}, change_id=None
    )
    if change is not None and change.registration is None:
        change, reason = None, "wrong-change"
    change_id = desk.make_id() if change is None else change.change_id
    if _find(connection, partner, change_id) is None:
        _store(
            connection,
            desk,
            partner=partner,
            change_id=change_id,
            envelope=b"",
            opened=(raw, change, reason),
            actor=actor,
        )


def get_key_in_force(partner: Row[Any]) -> dict[str, bytes]:
    """Return the only key that may sign a change of a partner's account, by its id.

    A rotated key still counts for reports in a spool, but for no change: a theft may be the reason for the rotation.
    """
    return {partner.key_id: bytes(partner.submission_key)}


def list_changes(connection: Connection, *, with_decided: bool = False) -> list[ChangeRow]:
    """Return the waiting changes, the oldest first; on request all."""
    query = select(ACCOUNT_CHANGES).order_by(ACCOUNT_CHANGES.c.received_at, ACCOUNT_CHANGES.c.change_id)
    if not with_decided:
        query = query.where(ACCOUNT_CHANGES.c.state == "waiting")
    return [to_change_row(row) for row in connection.execute(query)]


def count_waiting(connection: Connection) -> int:
    """Return the number of changes that wait for a person."""
    waiting = select(func.count()).select_from(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.state == "waiting")
    return connection.execute(waiting).scalar_one()


def find_wanted_registration(connection: Connection, partner: str) -> Registration | None:
    """Return the partner's newest waiting registration, or None."""
    row = connection.execute(
        select(ACCOUNT_CHANGES.c.statement)
        .where(
            ACCOUNT_CHANGES.c.partner == partner,
            ACCOUNT_CHANGES.c.kind == "registration",
            ACCOUNT_CHANGES.c.state == "waiting",
        )
        .order_by(ACCOUNT_CHANGES.c.received_at.desc(), ACCOUNT_CHANGES.c.change_id.desc())
        .limit(1)
    ).first()
    return None if row is None else SIGNED_CHANGE.peek(bytes(row.statement)).registration


def to_change_row(row: Row[Any]) -> ChangeRow:
    """Return a row of the table as a `ChangeRow`."""
    signed_by = None if row.kind == UNREADABLE else get_signing_key_id(bytes(row.statement))
    return copy_fields(ChangeRow, row, signed_by=signed_by)


def _take(connection: Connection, row: ItemRow, *, desk: Desk, vault: Vault, actor: str) -> ChangeRow | None:
    try:
        # The gateway is not trusted: an impossible name is not stored as one.
        check_partner_id(row.address)
        check_report_id(row.item_id)
    except FormatError:
        return None
    known = _find(connection, row.address, row.item_id)
    if known is not None and known.kind != UNREADABLE:
        return None
    opened = _open(connection, desk, row, vault=vault)
    if known is not None:
        # The gateway's operator can put forged bytes under an id: the partner's own statement replaces them.
        if opened[1] is None:
            return None
        connection.execute(
            delete(ACCOUNT_CHANGES).where(
                ACCOUNT_CHANGES.c.partner == row.address, ACCOUNT_CHANGES.c.change_id == row.item_id
            )
        )
    return _store(
        connection,
        desk,
        partner=row.address,
        change_id=row.item_id,
        envelope=keep_envelope(desk, connection, row, intake=INTAKE),
        opened=opened,
        actor=actor,
    )


def _open(
    connection: Connection, desk: Desk, row: ItemRow, *, vault: Vault
) -> tuple[bytes | None, AccountChange | None, str | None]:
    partner = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == row.address)).first()
    if partner is None:
        return None, None, "unknown-partner"
    context = account_context(environment=desk.config.environment, partner=row.address, change_id=row.item_id)
    try:
        envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ACCOUNT_ENVELOPE_BYTES))
        raw = vault.open_enrolment(envelope, context=context)
    except (FormatError, OpeningError) as error:
        return None, None, error.reason
    if partner.state != "active":
        return raw, None, "partner-not-active"
    change, reason = _check(
        raw,
        desk=desk,
        partner=row.address,
        submission_keys=get_key_in_force(partner),
        change_id=row.item_id,
    )
    if change is None or change.keys is None:
        return raw, change, reason
    if change.keys.old_key_id != partner.key_id:
        return raw, None, "unknown-key"
    if is_key_taken(connection, _new_key_id(change) or "", offered_by=row.address):
        return raw, None, "key-in-use"
    return raw, change, None


def _check(
    raw: bytes, *, desk: Desk, partner: str, submission_keys: dict[str, bytes], change_id: str | None
) -> tuple[AccountChange | None, str | None]:
    try:
        change = check_account_change(
            raw,
            environment=desk.config.environment,
            partner=partner,
            submission_keys=submission_keys,
            change_id=change_id,
        )
    except EnrolmentError as error:
        return None, error.reason
    return change, None


def _store(
    connection: Connection,
    desk: Desk,
    *,
    partner: str,
    change_id: str,
    envelope: bytes,
    opened: tuple[bytes | None, AccountChange | None, str | None],
    actor: str,
) -> ChangeRow:
    raw, change, reason = opened
    now = desk.clock()
    kind = UNREADABLE if change is None else "keys" if change.keys is not None else "registration"
    connection.execute(
        insert(ACCOUNT_CHANGES).values(
            partner=partner,
            change_id=change_id,
            kind=kind,
            state="refused" if change is None else "waiting",
            reason=reason,
            envelope=envelope,
            statement=raw,
            old_key_id=None if change is None or change.keys is None else change.keys.old_key_id,
            new_key_id=None if change is None else _new_key_id(change),
            received_at=format_time(now),
        )
    )
    audit.append_entry(
        connection, "take-account-change", partner, at=now, actor=actor, change_id=change_id, kind=kind, reason=reason
    )
    row = _find(connection, partner, change_id)
    if row is None:
        raise LookupError(change_id)
    return to_change_row(row)


def _find(connection: Connection, partner: str, change_id: str) -> Row[Any] | None:
    return connection.execute(
        select(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.partner == partner, ACCOUNT_CHANGES.c.change_id == change_id)
    ).first()


def _new_key_id(change: AccountChange) -> str | None:
    return None if change.keys is None else str(make_key_columns(change.keys)["key_id"])


def make_key_columns(keys: EnrolmentKeys | NewKeys) -> dict[str, str | bytes]:
    """Return a partner's keys by column name, with the id of the submission key."""
    submission_key = parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES)
    return {
        "key_id": key_id_of(submission_key),
        "submission_key": submission_key,
        "context_key": parse_base64url(keys.context_key, length=PUBLIC_KEY_BYTES),
        "mailbox_key": parse_base64url(keys.mailbox_key),
    }


def suspend_partner(desk: Desk, *, partner: str, actor: str) -> None:
    """Stop taking a partner's new reports; `publish` puts it into effect at the gateway.

    The desk itself quarantines rows that it first sees under this key after a grace period (row_checks.py). Raises
    `PartnerError`.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        get_partner(connection, partner)
        connection.execute(
            update(PARTNERS)
            .where(PARTNERS.c.partner == partner)
            # Of two revocations the first counts: a stolen key does not get a new start.
            .values(
                state=case((PARTNERS.c.revoked_at.is_not(None), "revoked"), else_="suspended"),
                suspended_at=func.coalesce(PARTNERS.c.suspended_at, format_time(now)),
            )
        )
        end_former_keys(connection, partner, at=format_time(now))
        audit.append_entry(connection, "suspend-partner", partner, at=now, actor=actor)


def revoke_key(
    desk: Desk, *, partner: str, key_id: str | None = None, keep_successor: bool = False, actor: str
) -> tuple[str, ...]:
    """End lost or stolen keys, without a grace period, and return their ids; `publish` puts it into effect.

    Without `key_id`, or with the key in force, all keys of the partner end, and it enrols again by invitation. With the
    id of a former key, that one ends, and everything it signed for: the keys that followed it, and the registrations
    that it, or one of them, signed. Its thief may have asked for them. If one of those keys is in force, the partner
    enrols again. `keep_successor` keeps them, if the partner has confirmed by phone that they are its own. Requests
    that wait for a person under an ended key are refused. Raises `PartnerError`.
    """
    now = desk.clock()
    at = format_time(now)
    with desk.store.write() as connection:
        current = get_partner(connection, partner)
        is_all = key_id in {None, current.key_id}
        if is_all and keep_successor:
            raise PartnerError("Only a former key has a successor to keep: give its key id.", reason="no-successor")
        former = connection.execute(
            select(FORMER_PARTNER_KEYS.c.key_id).where(FORMER_PARTNER_KEYS.c.partner == partner)
        ).scalars()
        wanted = {current.key_id, *former} if is_all else {str(key_id)}
        if not keep_successor:
            wanted |= _list_successors(connection, partner, wanted)
        ended = _revoke_former(connection, partner, wanted, at=at)
        if current.key_id in wanted:
            connection.execute(
                update(PARTNERS)
                .where(PARTNERS.c.partner == partner)
                .values(
                    state="revoked",
                    suspended_at=func.coalesce(PARTNERS.c.suspended_at, at),
                    revoked_at=func.coalesce(PARTNERS.c.revoked_at, at),
                )
            )
            ended.append(current.key_id)
        if not ended:
            raise PartnerError(f"{partner} has no key {key_id}.", reason="unknown-key")
        changes = _end_changes(
            connection,
            partner,
            wanted,
            states=("waiting",) if keep_successor else ("waiting", "accepted"),
            is_all=current.key_id in wanted,
            at=at,
            actor=actor,
        )
        audit.append_entry(
            connection,
            "revoke-key",
            partner,
            at=now,
            actor=actor,
            changes=" ".join(changes),
            key_ids=" ".join(sorted(ended)),
            kept_successor=keep_successor,
        )
    return tuple(sorted(ended))


def keep_former_key(connection: Connection, row: Row[Any], *, ended_at: str, is_revoked: bool = False) -> None:
    """Keep a partner's previous signing key, with its end: filed reports stay provable."""
    connection.execute(
        insert(FORMER_PARTNER_KEYS).values(
            {name: getattr(row, name) for name in ("key_id", "partner", "submission_key", "context_key")}
            | {"ended_at": ended_at, "revoked": is_revoked}
        )
    )


def end_former_keys(connection: Connection, partner: str, *, at: str) -> None:
    """End former keys whose statements the gateway would still take, immediately."""
    connection.execute(
        update(FORMER_PARTNER_KEYS)
        .where(FORMER_PARTNER_KEYS.c.partner == partner, FORMER_PARTNER_KEYS.c.ended_at > at)
        .values(ended_at=at)
    )


def _list_successors(connection: Connection, partner: str, keys: set[str]) -> set[str]:
    """Return the keys that these signed for, the keys that those signed for, and so on."""
    steps = connection.execute(
        select(ACCOUNT_CHANGES.c.old_key_id, ACCOUNT_CHANGES.c.new_key_id).where(
            ACCOUNT_CHANGES.c.partner == partner,
            ACCOUNT_CHANGES.c.kind == "keys",
            ACCOUNT_CHANGES.c.state == "accepted",
        )
    ).all()
    found: set[str] = set()
    newest = set(keys)
    while newest:
        newest = {step.new_key_id for step in steps if step.old_key_id in newest} - found - keys
        found |= newest
    return found


def _revoke_former(connection: Connection, partner: str, wanted: set[str], *, at: str) -> list[str]:
    rows = connection.execute(
        select(FORMER_PARTNER_KEYS.c.key_id, FORMER_PARTNER_KEYS.c.ended_at).where(
            FORMER_PARTNER_KEYS.c.partner == partner, FORMER_PARTNER_KEYS.c.key_id.in_(wanted)
        )
    ).all()
    for row in rows:
        connection.execute(
            update(FORMER_PARTNER_KEYS)
            .where(FORMER_PARTNER_KEYS.c.key_id == row.key_id)
            .values(ended_at=min(row.ended_at, at), revoked=True)
        )
    return [row.key_id for row in rows]


def _end_changes(
    connection: Connection,
    partner: str,
    keys: set[str],
    *,
    states: tuple[str, ...],
    is_all: bool,
    at: str,
    actor: str,
) -> list[str]:
    """Refuse changes signed with these keys: waiting ones, and registrations in force; return the ids of the latter.

    With `is_all` every waiting change is refused, under any key. A step from key to key stays on record as it was.
    """
    rows = connection.execute(
        select(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.partner == partner, ACCOUNT_CHANGES.c.state.in_(states))
    ).all()
    ended: list[str] = []
    for row in rows:
        is_accepted = row.state == "accepted"
        if is_accepted and row.kind != "registration":
            continue
        if (is_accepted or not is_all) and get_signing_key_id(bytes(row.statement)) not in keys:
            continue
        connection.execute(
            update(ACCOUNT_CHANGES)
            .where(ACCOUNT_CHANGES.c.partner == partner, ACCOUNT_CHANGES.c.change_id == row.change_id)
            .values(state="refused", reason="key-revoked", decided_at=at, decided_by=actor)
        )
        if is_accepted:
            ended.append(row.change_id)
    return ended


# A partner's spool may hold reports sealed before a rotation for this long, e.g. while its machine is off.
FORMER_KEY_GRACE: Final = timedelta(days=14)

RefusalReason = Literal["more-needed", "not-confirmed", "not-the-partner"]
REFUSAL_REASONS: Final[dict[RefusalReason, str]] = {
    "more-needed": "something is missing; the partner sends the change again with more",
    "not-confirmed": "no contact at the partner could confirm the key ids by phone",
    "not-the-partner": "the partner did not ask for this: revoke its key too",
}


def accept_change(desk: Desk, *, change_id: str, actor: str) -> None:
    """Accept a change; `publish` puts new keys into effect.

    The previous key becomes a former one: it may sign no request and no change, and reports signed with it are accepted
    for `FORMER_KEY_GRACE`. Earlier changes of the same kind are refused as superseded. Raises `PartnerError`.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        row = get_waiting_change(connection, change_id)
        partner = get_partner(connection, row.partner)
        if partner.state != "active":
            raise PartnerError(
                f"{row.partner} is {partner.state}: invite it again if it may continue.",
                reason="partner-not-active",
            )
        keys = _find_new_keys(row, partner, desk=desk)
        if keys is not None:
            keep_former_key(connection, partner, ended_at=format_time(now + FORMER_KEY_GRACE))
            values = make_key_columns(keys) | {"approved_at": format_time(now), "approved_by": actor}
            connection.execute(update(PARTNERS).where(PARTNERS.c.partner == row.partner).values(values))
        _decide(connection, row, state="accepted", reason=None, at=format_time(now), actor=actor)
        _supersede(connection, row, at=format_time(now), actor=actor)
        _note(connection, desk, row, action="accept-account-change", reason=None, actor=actor)


def refuse_change(desk: Desk, *, change_id: str, reason: RefusalReason, actor: str) -> None:
    """Refuse a change; it stays on record. Raises `PartnerError`."""
    now = desk.clock()
    with desk.store.write() as connection:
        row = get_waiting_change(connection, change_id)
        _decide(connection, row, state="refused", reason=reason, at=format_time(now), actor=actor)
        _note(connection, desk, row, action="refuse-account-change", reason=reason, actor=actor)


def get_waiting_change(connection: Connection, change_id: str) -> Row[Any]:
    """Return a waiting change by its id; raises `PartnerError`."""
    rows = connection.execute(select(ACCOUNT_CHANGES).where(ACCOUNT_CHANGES.c.change_id == change_id)).all()
    waiting = [row for row in rows if row.state == "waiting"]
    if len(waiting) == 1:
        return waiting[0]
    if not rows:
        raise PartnerError("There is no such change.", reason="unknown-change")
    if waiting:
        # Two partners cannot both have drawn one id by chance: a person looks before either counts.
        raise PartnerError("Two partners sent this id: ask both which of them sent it.", reason="not-waiting")
    (row, *_) = rows
    if row.reason == "superseded":
        raise PartnerError("A later change was accepted. The partner may send this one again.", reason="superseded")
    # Without a person the desk refused it while collecting.
    by = f"on {row.decided_at} by {row.decided_by}" if row.decided_at else f"on arrival ({row.reason})"
    raise PartnerError(f"This change was {row.state} {by}. The partner may send it again.", reason="not-waiting")


def _find_new_keys(row: Row[Any], partner: Row[Any], *, desk: Desk) -> NewKeys | None:
    """Return the new keys of a change, or None for a registration; raises `PartnerError`."""
    outdated = PartnerError(
        (
            f"The key that signed this change is not in force at {row.partner}: approve its enrolment "
            "first, or ask the partner to send the change again."
        ),
        reason="change-outdated",
    )
    try:
        change = check_account_change(
            bytes(row.statement),
            environment=desk.config.environment,
            partner=row.partner,
            submission_keys=get_key_in_force(partner),
            change_id=row.change_id,
        )
    except EnrolmentError:
        raise outdated from None
    if change.keys is not None and change.keys.old_key_id != partner.key_id:
        raise outdated
    return change.keys


def _decide(connection: Connection, row: Row[Any], *, state: str, reason: str | None, at: str, actor: str) -> None:
    connection.execute(
        update(ACCOUNT_CHANGES)
        .where(ACCOUNT_CHANGES.c.partner == row.partner, ACCOUNT_CHANGES.c.change_id == row.change_id)
        .values(state=state, reason=reason, decided_at=at, decided_by=actor)
    )


def _supersede(connection: Connection, row: Row[Any], *, at: str, actor: str) -> None:
    others = update(ACCOUNT_CHANGES).where(
        ACCOUNT_CHANGES.c.partner == row.partner,
        ACCOUNT_CHANGES.c.kind == row.kind,
        ACCOUNT_CHANGES.c.state == "waiting",
    )
    if row.kind == "registration":
        # A later registration may still be wanted, but no later keys: the remaining key signs for no other.
        others = others.where(ACCOUNT_CHANGES.c.received_at <= row.received_at)
    connection.execute(others.values(state="refused", reason="superseded", decided_at=at, decided_by=actor))


def _note(connection: Connection, desk: Desk, row: Row[Any], *, action: str, reason: str | None, actor: str) -> None:
    audit.append_entry(
        connection,
        action,
        row.partner,
        at=desk.clock(),
        actor=actor,
        change_id=row.change_id,
        kind=row.kind,
        new_key_id=row.new_key_id,
        old_key_id=row.old_key_id,
        reason=reason,
    )


KEYS_ARE_OLD_AFTER: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class AcceptedRegistration:
    """The registration in force: its change and its start."""

    change_id: str
    accepted_at: str
    registration: Registration


def find_registration(connection: Connection, partner: str) -> AcceptedRegistration | None:
    """Return a partner's last accepted registration, or None."""
    row = connection.execute(
        select(ACCOUNT_CHANGES)
        .where(
            ACCOUNT_CHANGES.c.partner == partner,
            ACCOUNT_CHANGES.c.kind == "registration",
            ACCOUNT_CHANGES.c.state == "accepted",
        )
        # For two decisions in one second: ids sort by time.
        .order_by(ACCOUNT_CHANGES.c.decided_at.desc(), ACCOUNT_CHANGES.c.change_id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    registration = SIGNED_CHANGE.peek(bytes(row.statement)).registration
    if registration is None:
        return None
    return AcceptedRegistration(row.change_id, row.decided_at, registration)


def find_authorisation(connection: Connection, partner: str, *, email: str | None, name: str | None) -> bool | None:
    """Return whether the partner registered the submitter of a report, or None if it registered no one.

    The e-mail address decides if the report gives one, otherwise the name. Case and outer spaces do not count.
    """
    accepted = find_registration(connection, partner)
    if accepted is None:
        return None
    people = list_people(accepted.registration)
    if email is not None and email.strip():
        return _fold(email) in {_fold(person.email) for person in people}
    if name is not None and name.strip():
        return _fold(name) in {_fold(person.name) for person in people}
    return False


def list_incomplete(connection: Connection) -> list[tuple[str, tuple[str, ...]]]:
    """Return each active service with the missing parts of its registration; an unregistered one lacks all."""
    services = select(PARTNERS.c.partner).where(PARTNERS.c.state == "active", PARTNERS.c.type == SERVICE)
    found = []
    for partner in connection.execute(services.order_by(PARTNERS.c.partner)).scalars():
        accepted = find_registration(connection, partner)
        gaps = ("registration",) if accepted is None else list_registration_gaps(accepted.registration)
        if gaps:
            found.append((partner, gaps))
    return found


def list_old_keys(connection: Connection, *, now: datetime) -> list[str]:
    """Return the active partners whose keys were approved more than a year ago."""
    old = select(PARTNERS.c.partner).where(
        PARTNERS.c.state == "active", PARTNERS.c.approved_at < format_time(now - KEYS_ARE_OLD_AFTER)
    )
    return list(connection.execute(old.order_by(PARTNERS.c.partner)).scalars())


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner, for a person at the desk. `wanted` is a registration that waits.

    `former_keys` are rows with their end, the one that ends last first.
    """

    partner: str
    name: str
    state: str
    since: str
    type: str
    country: str | None
    key_id: str | None
    former_keys: tuple[Row[Any], ...]
    changes: tuple[ChangeRow, ...]
    registration: Registration | None
    registered_at: str | None
    wanted: Registration | None


def get_partner_view(connection: Connection, partner: str) -> PartnerView:
    """Return the page of a registered, waiting or invited partner; raises `PartnerError`."""
    rows = [row for row in list_partners(connection) if row.partner == partner]
    if not rows:
        raise PartnerError(f"There is no partner {partner}.", reason="unknown-partner")
    row, accepted = rows[0], find_registration(connection, partner)
    former = select(FORMER_PARTNER_KEYS).where(FORMER_PARTNER_KEYS.c.partner == partner)
    return copy_fields(
        PartnerView,
        row,
        former_keys=tuple(connection.execute(former.order_by(FORMER_PARTNER_KEYS.c.ended_at.desc()))),
        changes=tuple(change for change in list_changes(connection) if change.partner == partner),
        registration=None if accepted is None else accepted.registration,
        registered_at=None if accepted is None else accepted.accepted_at,
        wanted=find_wanted_registration(connection, partner),
    )


def list_people(registration: Registration) -> tuple[Person, ...]:
    """Return all permitted submitters: the authorised persons, the administrator and the replacement."""
    leading = (registration.administrator, registration.replacement)
    return (*(one for one in leading if one is not None), *registration.authorised_persons)


def check_account_change(
    raw: bytes, *, environment: str, partner: str, submission_keys: Mapping[str, bytes], change_id: str | None = None
) -> AccountChange:
    """Return the change that a statement (`raw`, the opened box) carries, for the desk.

    `submission_keys` holds the one key of the partner that is in force. Raises `EnrolmentError`: `malformed`,
    `wrong-partner`, `wrong-change`, `unknown-key`, `bad-signature`, `bad-key`.
    """
    try:
        statement = parse_statement(raw, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES)
        change = SIGNED_CHANGE.peek(raw)
        SIGNED_CHANGE.check(change)
        if not statement.signatures or statement.signatures[0].keyid not in submission_keys:
            raise EnrolmentError("The change is not signed by the current key.", reason="unknown-key")
        signers = (submission_keys[statement.signatures[0].keyid], *_new_signers(change))
        check_statement(statement, kind=StatementKind.ACCOUNT_CHANGE, signers=signers, payload_type=AccountChange)
    except StatementError:
        raise EnrolmentError("The change is not signed by all its keys.", reason="bad-signature") from None
    except FormatError as error:
        raise EnrolmentError(f"The change cannot be read: {error}", reason="malformed") from None
    if (change.partner, change.environment) != (partner, environment):
        raise EnrolmentError("The change is for another partner or environment.", reason="wrong-partner")
    if change_id is not None and change.change_id != change_id:
        raise EnrolmentError("The change has a different id inside and outside.", reason="wrong-change")
    if len(set(signers)) != len(signers):
        raise EnrolmentError("Each key has one role: the new keys must be different.", reason="bad-key")
    if change.keys is not None and change.keys.old_key_id != statement.signatures[0].keyid:
        raise EnrolmentError("The change replaces a different key from the one that signed it.", reason="bad-key")
    return change


def get_signing_key_id(raw: bytes) -> str:
    """Return the id of the key that signed a stored statement first: the old one of a change of keys.

    Only of a statement that was checked before; raises `FormatError`.
    """
    return parse_statement(raw, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES).signatures[0].keyid


def _new_signers(change: AccountChange) -> tuple[bytes, ...]:
    if change.keys is None:
        return ()
    parse_base64url(change.keys.mailbox_key, length=XWING_PUBLIC_KEY_BYTES)
    return (
        parse_base64url(change.keys.submission_key, length=PUBLIC_KEY_BYTES),
        parse_base64url(change.keys.context_key, length=PUBLIC_KEY_BYTES),
    )
