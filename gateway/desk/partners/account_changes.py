"""Account changes: taken from the feed, opened, checked by their signatures, then waiting for a person.

Never changes a key automatically: a thief with a stolen key could ask for a rotation too, so people compare the key ids
by phone. Never accepts a key that was used here before: two partners with one key could speak for each other.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select

from gateway.desk import audit
from gateway.desk.feed_client import FeedClient
from gateway.desk.inbox import Intake, collect_items, keep_envelope
from gateway.desk.store import copy_fields
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, ENROLMENTS, FORMER_PARTNER_KEYS, PARTNERS
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from gateway.exchange.feed import ACCOUNT_CHANGE, ItemRow
from partner_sdk.errors import EnrolmentError, FormatError, OpeningError
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_ENVELOPE_BYTES,
    AccountChange,
    EnrolmentKeys,
    NewKeys,
    Registration,
    account_context,
    check_account_change,
    get_signing_key_id,
    peek_account_change,
)
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import PUBLIC_KEY_BYTES, key_id_of
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
class ChangeRow:
    """One change for lists; old and new key id only for a change of keys.

    `signed_by` is the id of the key that signed it, None if it was refused as unreadable.
    """

    partner: str
    change_id: str
    kind: str
    state: str
    reason: str | None
    old_key_id: str | None
    new_key_id: str | None
    signed_by: str | None
    received_at: str
    decided_at: str | None
    decided_by: str | None


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
    return None if row is None else peek_account_change(bytes(row.statement)).registration


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
