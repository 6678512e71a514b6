"""Reports that did not verify or open: kept byte for byte with the reason, shown first, retried, never dropped.

Acknowledging such a row to the gateway means "the desk has these bytes", never "these bytes are good".
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Row, and_, false, func, insert, or_, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.collection.row_checks import ALARMING_REASONS, BY_GATEWAY, MAX_ROW_BYTES, PRIORITIES, RowRefusedError
from gateway.desk.collection.shelf import SetAsideError, Shelf
from gateway.desk.store import copy_fields
from gateway.desk.store.schema import SET_ASIDE
from gateway.desk.vault import VaultError
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from gateway.exchange.feed import Acknowledgement, ReportRow
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import decode, encode, format_time, parse_base64url, parse_exact
from partner_sdk.wire.receipts import peek_intake
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import SignedStatement
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields, clear_fields_of, peek_submission, report_context

# Outcomes that a person may record for a row; the others come from a retry.
RESOLUTIONS: Final = ("forged", "sender-told", "police-told", "lost")
FILED: Final = ("filed", "filed-by-word", "known")
_NOTIFIED_SET_ASIDE: Final = "set-aside"
_NOTIFIED_FILED: Final = "filed"


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A row that waits for a person. Its claims are unverified and only help to find it."""

    id: int
    row_sha256: str
    reason: str
    alarmed: bool
    priority: str
    stated_priority: str | None
    claimed_partner: str | None
    claimed_report_id: str | None
    set_aside_at: str
    resolved_at: str | None
    resolution: str | None
    channel: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """A row with its sealed content and the clear fields it opened under; `fault` explains a row that stays closed.

    `plain` is for the eyes of the reader: never store or log it.
    """

    row: SetAsideRow
    clear: ClearFields | None
    plain: bytes | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class UnnotifiedRow:
    """A row whose sender still has to hear that it was set aside, or later filed (`is_filed`).

    Its intake statement is genuine, so the gateway vouches for partner, id and reference; `is_proven` means that a key
    of the partner that is in force signed for the report.
    """

    id: int
    partner: str
    report_id: str
    reference: str
    reason: str
    is_proven: bool
    is_filed: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The result for a row: kept, known already, or left because the sender's share is full.

    `needs_alert`: it states the highest priority or seals a crisis, and no pending alert covers its group; or it may
    seal one, and is the first such row of its group.
    """

    outcome: Literal["kept", "known", "full"]
    needs_alert: bool = False
    states_p1: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A row's claims about itself: unverified, used only to find it again."""

    partner: str | None = None
    report_id: str | None = None
    intake_sha256: bytes | None = None


def keep_row(
    connection: Connection, raw: bytes, refused: RowRefusedError, *, shelf: Shelf, actor: str, now: datetime
) -> Kept:
    """Keep a refused row of the feed with its reason, unless its sender's share is full."""
    claimed = _find_claimed(raw)
    claim, stated = Claim(), refused.stated_priority
    if claimed is not None:
        intake_raw, clear = claimed
        claim = Claim(clear.partner, clear.report_id, hashlib.sha256(intake_raw).digest())
        stated = min(stated or clear.priority, clear.priority)
    # Rows without a sender share one allowance.
    is_full = shelf.is_full_for(claim.partner or "", is_crisis=bool(refused.seals_crisis))
    if is_full and not _is_kept(connection, raw):
        return Kept("full", states_p1=claimed is not None and claimed[1].priority == PRIORITIES[0])
    return keep_bytes(
        connection,
        raw,
        refused,
        claim=claim,
        stated_priority=stated,
        channel=BY_GATEWAY,
        shelf=shelf,
        actor=actor,
        now=now,
    )


def keep_bytes(
    connection: Connection,
    raw: bytes,
    refused: RowRefusedError,
    *,
    claim: Claim,
    stated_priority: str | None,
    channel: str,
    shelf: Shelf,
    actor: str,
    now: datetime,
) -> Kept:
    """Keep refused bytes from any channel, with the reason; the same bytes are kept once."""
    if _is_kept(connection, raw):
        return Kept("known")
    row_sha256 = hashlib.sha256(raw).digest()
    is_certain = refused.seals_crisis or stated_priority == PRIORITIES[0]
    # A row that cannot be weighed may come from a child in danger.
    is_urgent = is_certain or refused.seals_crisis is None
    needs_alert = is_urgent and shelf.needs_alert((claim.partner, refused.reason, channel), is_certain=is_certain)
    is_alarming = refused.reason in ALARMING_REASONS
    connection.execute(
        insert(SET_ASIDE).values(
            row_sha256=row_sha256,
            reason=refused.reason,
            alarmed=is_alarming,
            priority=refused.priority,
            stated_priority=stated_priority,
            is_urgent=is_urgent,
            claimed_partner=claim.partner,
            claimed_report_id=claim.report_id,
            intake_sha256=claim.intake_sha256,
            row=raw,
            channel=channel,
            reference=None if refused.intake is None else refused.intake.reference,
            is_proven=refused.is_proven,
            set_aside_at=format_time(now),
        )
    )
    shelf.add(claim.partner or "", len(raw))
    if is_alarming and not shelf.has_alarm(claim.partner, refused.reason):
        raise_alarm(connection, refused.reason, row_sha256.hex(), now=now)
    audit.append_entry(
        connection, "set-aside", row_sha256.hex(), at=now, actor=actor, reason=refused.reason, priority=refused.priority
    )
    return Kept("kept", needs_alert=needs_alert)


def find_claim(raw: bytes) -> Acknowledgement | None:
    """Return the claim that would acknowledge a row; None if it carries no statement."""
    claimed = _find_claimed(raw)
    if claimed is None:
        return None
    intake_raw, clear = claimed
    return Acknowledgement(
        address=clear.partner, item_id=clear.report_id, sha256=hashlib.sha256(intake_raw).hexdigest()
    )


def list_set_aside(connection: Connection, *, with_resolved: bool = False) -> list[SetAsideRow]:
    """Return the waiting rows, urgent rows first, then alarmed ones, then by priority and age."""
    query = select(SET_ASIDE).order_by(
        SET_ASIDE.c.is_urgent.desc(), SET_ASIDE.c.alarmed.desc(), SET_ASIDE.c.priority, SET_ASIDE.c.id
    )
    if not with_resolved:
        query = query.where(SET_ASIDE.c.resolved_at.is_(None))
    return [_to_row(row) for row in connection.execute(query)]


def list_unnotified(connection: Connection) -> list[UnnotifiedRow]:
    """Return partners' reports that were set aside, or filed later, without their sender having been informed."""
    is_filed = SET_ASIDE.c.resolution.in_(FILED)
    rows = connection.execute(
        select(
            SET_ASIDE.c.id,
            SET_ASIDE.c.claimed_partner.label("partner"),
            SET_ASIDE.c.claimed_report_id.label("report_id"),
            SET_ASIDE.c.reference,
            SET_ASIDE.c.reason,
            SET_ASIDE.c.is_proven,
            func.coalesce(is_filed, false()).label("is_filed"),
        ).where(
            SET_ASIDE.c.reference.is_not(None),
            SET_ASIDE.c.claimed_partner != PUBLIC_SENDER,
            SET_ASIDE.c.channel == BY_GATEWAY,
            or_(
                and_(SET_ASIDE.c.told.is_(None), SET_ASIDE.c.resolved_at.is_(None)),
                and_(SET_ASIDE.c.told == _NOTIFIED_SET_ASIDE, is_filed),
            ),
        )
    )
    return [UnnotifiedRow(**{**row._mapping, "is_filed": bool(row.is_filed)}) for row in rows]


def mark_notified(connection: Connection, row: UnnotifiedRow) -> None:
    """Note in the caller's transaction that the sender has been informed of this row's state."""
    notified = _NOTIFIED_FILED if row.is_filed else _NOTIFIED_SET_ASIDE
    connection.execute(update(SET_ASIDE).where(SET_ASIDE.c.id == row.id).values(told=notified))


def open_row(desk: Desk, row_id: int, *, actor: str) -> OpenedRow:
    """Open a row's sealed content for a person to read, under the clear fields that it claims; the opening is audited.

    Use it only for reading: nothing here is verified. Raises `SetAsideError` (`unknown-row`).
    """
    with desk.store.read() as connection:
        found = connection.execute(select(SET_ASIDE).where(SET_ASIDE.c.id == row_id)).first()
    if found is None:
        raise SetAsideError("No row has this number. `set-aside list --all` shows every row.", reason="unknown-row")
    opened = _open_bytes(_to_row(found), bytes(found.row), vault=desk.load_vault(actor=actor, reason="read"))
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "open-set-aside", opened.row.row_sha256, at=desk.clock(), actor=actor, fault=opened.fault
        )
    return opened


def _open_bytes(row: SetAsideRow, raw: bytes, *, vault: Vault) -> OpenedRow:
    fault = "malformed"
    try:
        parts = decode(raw, kind=dict[str, msgspec.Raw])
        envelope = Envelope.parse(parse_base64url(decode(parts["envelope"], kind=str), max_bytes=MAX_ENVELOPE_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, ReportAbuseError):
        return OpenedRow(row, None, None, fault)
    # A row of the feed has an intake, and a partner's a submission; a file has a statement. One may be damaged.
    for name in ("intake", "submission", "statement"):
        try:
            signed = decode(parts.get(name, b""), kind=SignedStatement)
            is_intake = name == "intake"
            clear = peek_intake(encode(signed)).clear if is_intake else clear_fields_of(peek_submission(signed))
            return OpenedRow(row, clear, vault.open_report(envelope, context=report_context(clear)), None)
        except OpeningError as error:
            fault = error.reason
        except VaultError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ReportAbuseError):
            continue
    return OpenedRow(row, None, None, fault)


def format_plain(plain: bytes, *, with_blanks: bool = True) -> str:
    """Return the sealed content as text: JSON indented, without the secrets of evidence; anything else unchanged."""
    try:
        value = decode(plain)
        evidence = value.get("evidence") if isinstance(value, dict) else None
        for one in evidence if isinstance(evidence, list) else ():
            if isinstance(one, dict):
                one.pop("secret", None)
        return json.dumps(value if with_blanks else _drop_blanks(value), indent=2, ensure_ascii=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return plain.decode("utf-8", "backslashreplace")


def _drop_blanks(value: object) -> object:
    # Most answers of a report are blank: a person reads what is said first.
    if isinstance(value, dict):
        kept = {name: _drop_blanks(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in (None, "", [], {})}
    return [_drop_blanks(one) for one in value] if isinstance(value, list) else value


def list_waiting_bytes(connection: Connection, *, channel: str) -> Sequence[tuple[int, bytes, str]]:
    """Return the waiting rows of this channel, byte for byte, with the time each was first seen here."""
    rows = connection.execute(
        select(SET_ASIDE.c.id, SET_ASIDE.c.row, SET_ASIDE.c.set_aside_at)
        .where(SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.channel == channel)
        .order_by(SET_ASIDE.c.id)
    )
    return [(row.id, bytes(row.row), row.set_aside_at) for row in rows]


def resolve_row(connection: Connection, row_id: int, *, resolution: str, actor: str, now: datetime) -> None:
    """Record how a row was resolved; its bytes stay. Raises `SetAsideError` (`unknown-row`)."""
    row = connection.execute(
        select(SET_ASIDE.c.row_sha256, SET_ASIDE.c.resolved_at).where(SET_ASIDE.c.id == row_id)
    ).first()
    if row is None or row.resolved_at is not None:
        raise SetAsideError(
            "No waiting row has this number. `set-aside list` shows the waiting rows.", reason="unknown-row"
        )
    connection.execute(
        update(SET_ASIDE).where(SET_ASIDE.c.id == row_id).values(resolved_at=format_time(now), resolution=resolution)
    )
    audit.append_entry(
        connection, "resolve-set-aside", bytes(row.row_sha256).hex(), at=now, actor=actor, resolution=resolution
    )


def _is_kept(connection: Connection, raw: bytes) -> bool:
    row_sha256 = hashlib.sha256(raw).digest()
    return connection.execute(select(SET_ASIDE.c.id).where(SET_ASIDE.c.row_sha256 == row_sha256)).first() is not None


def _find_claimed(raw: bytes) -> tuple[bytes, ClearFields] | None:
    try:
        intake_raw = encode(parse_exact(raw, kind=ReportRow, max_bytes=MAX_ROW_BYTES).intake)
        return intake_raw, peek_intake(intake_raw).clear
    except FormatError:
        return None


def _to_row(row: Row[Any]) -> SetAsideRow:
    return copy_fields(SetAsideRow, row, row_sha256=bytes(row.row_sha256).hex())
