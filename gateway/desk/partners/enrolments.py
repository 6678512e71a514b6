"""Enrolments: sealed answers to invitations, opened and checked by their own signatures, then waiting for a person.

Never approves, and never takes a partner's key from anywhere but the sealed enrolment.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.feed_client import FeedClient
from gateway.desk.inbox import Intake, collect_items, keep_envelope
from gateway.desk.partners.account_changes import is_key_taken, make_key_columns, take_enrolled_registration
from gateway.desk.store.agency_tables import ENROLMENTS, INVITATIONS
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from gateway.exchange.feed import ENROLMENT, ItemRow
from partner_sdk.errors import EnrolmentError, FormatError, OpeningError
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time
from partner_sdk.wire.enrolment import (
    MAX_ENROLMENT_BYTES,
    EnrolmentKeys,
    check_enrolment,
    enrolment_context,
    find_enrolled_registration,
)
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import PUBLIC_KEY_BYTES, key_id_of

INTAKE: Final = Intake(
    ENROLMENT,
    most_items=1_000,
    most_bytes=8 * 1024 * 1024,
    endless="enrolments-endless",
    too_large="enrolment-too-large",
)


@dataclass(frozen=True, slots=True)
class EnrolmentsTaken:
    """The result of one fetch: partners that wait for approval, and refusals by partner and reason."""

    waiting: tuple[str, ...]
    refused: dict[tuple[str, str], int]


def collect_enrolments(desk: Desk, feed: FeedClient, *, actor: str) -> EnrolmentsTaken:
    """Open and check the enrolments at the feed, store every one, then acknowledge them."""
    take = partial(_take_enrolment, desk=desk, vault=desk.load_vault(actor=actor, reason="file"), actor=actor)
    outcomes = collect_items(desk, feed, INTAKE, take=take)
    return EnrolmentsTaken(
        waiting=tuple(partner for partner, reason in outcomes if reason is None),
        refused=dict(Counter((partner, reason) for partner, reason in outcomes if reason is not None)),
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """One checked enrolment; `reason` is None if its keys are good."""

    partner: str | None
    reason: str | None = None
    keys: EnrolmentKeys | None = None
    registration: bytes | None = None


def _take_enrolment(
    connection: Connection, row: ItemRow, *, desk: Desk, vault: Vault, actor: str
) -> tuple[str, str | None] | None:
    """Store one enrolment; return its partner and the reason for a refusal, or None if it is already stored."""
    if connection.execute(select(ENROLMENTS.c.id).where(ENROLMENTS.c.id == row.item_id)).first() is not None:
        return None
    now = desk.clock()
    checked = _check_row(connection, desk, row, vault=vault)
    values: dict[str, object] = {
        "id": row.item_id,
        "secret_sha256": row.address,
        "partner": checked.partner,
        "envelope": keep_envelope(desk, connection, row, intake=INTAKE),
        "state": "refused" if checked.keys is None else "waiting",
        "reason": checked.reason,
        "received_at": format_time(now),
    }
    if checked.keys is not None:
        values |= make_key_columns(checked.keys)
        connection.execute(
            update(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.address).values(used_at=format_time(now))
        )
    connection.execute(insert(ENROLMENTS).values(values))
    audit.append_entry(
        connection, "take-enrolment", checked.partner or "unknown", at=now, actor=actor, reason=checked.reason
    )
    if checked.keys is not None and checked.registration is not None:
        take_enrolled_registration(connection, desk, checked.registration, keys=checked.keys, actor=actor)
    return checked.partner or "unknown", checked.reason


def _check_row(connection: Connection, desk: Desk, row: ItemRow, *, vault: Vault) -> _Checked:
    invitation = connection.execute(select(INVITATIONS).where(INVITATIONS.c.secret_sha256 == row.address)).first()
    if invitation is None:
        return _Checked(None, "unknown-invitation")
    partner: str = invitation.partner
    if invitation.used_at is not None:
        return _Checked(partner, "invitation-used")
    if desk.clock() >= parse_time(invitation.expires_at):
        return _Checked(partner, "invitation-expired")
    environment = desk.config.environment
    context = enrolment_context(environment=environment, partner=partner, hashed_secret=row.address)
    try:
        envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ENROLMENT_BYTES))
        opened = vault.open_enrolment(envelope, context=context)
        keys = check_enrolment(opened, environment=environment, invited={row.address: partner})
        registration = find_enrolled_registration(opened)
    except (FormatError, OpeningError, EnrolmentError) as error:
        return _Checked(partner, error.reason)
    if is_key_taken(connection, key_id_of(parse_base64url(keys.submission_key, length=PUBLIC_KEY_BYTES))):
        return _Checked(partner, "key-in-use")
    return _Checked(partner, keys=keys, registration=registration)
