"""The quarantine: reports that did not verify or open, kept byte for byte with the reason, tried again, never dropped.

Acknowledging such a row to the gateway means "the desk has these bytes", never "these bytes are good". A row claims its
own sender: unverified, but enough to keep one sender's flood out of the others' room.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Integer, Row, and_, cast, false, func, insert, or_, select, update

from gateway.desk.collection.row_checks import ALARMING_REASONS, BY_GATEWAY, MAX_ROW_BYTES, PRIORITIES, RowRefusedError
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import find_waiting
from gateway.desk.store import audit, copy_fields
from gateway.desk.store.audit import list_alarm_subjects, raise_alarm
from gateway.desk.store.schema import QUARANTINE, QuarantineColumns
from gateway.desk.vault import VaultError
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import Acknowledgement, ReportRow
from gateway.exchange.form_rules import list_answer_faults
from gateway.exchange.public_report import check_made_values, parse_public_report
from partner_sdk.errors import FormatError, OpeningError, RefusalError, ReportAbuseError
from partner_sdk.wire.canonical import decode, encode, format_time, parse_base64url, parse_exact, parse_time
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import SignedStatement
from partner_sdk.wire.submission import PUBLIC_SENDER, SIGNED_SUBMISSION, ClearFields, clear_fields_of, report_context

# The most rows that wait here for one claimed sender: a flood from one leaves room for the others. Further rows stay at
# the gateway, unacknowledged, and are taken once rows here are dismissed.
MOST_ROWS_OF_ONE: Final = 500
MOST_BYTES_OF_ONE: Final = 64 * 1024 * 1024
# Beyond that there is extra room for rows that seal a crisis, so that each of them alerts and can be found.
MOST_CRISES_OF_ONE: Final = 100
# Why a row is in quarantine, for a person who reads it on a page.
EXPLANATIONS: Final = {
    "answer-misplaced": "it has an answer to a question that the form does not ask on this way",
    "answer-missing": "it lacks an answer without which the form is not sent",
    "answer-unknown": "it has an answer that the form does not offer, or one twice",
    "answers-contradict": "its answers contradict each other, or what is written beside them",
    "bad-padding": "the sealed report is padded wrongly",
    "clear-fields-mismatch": "the sealed report names other facts than its statement",
    "does-not-open": "the sealed report does not open",
    "door-mismatch": "it did not come through the door that it names",
    "duplicate-reference": "its reference belongs to another report",
    "duplicate-report-id": "its id belongs to another report",
    "envelope-mismatch": "the sealed report is not the one that the gateway accepted",
    "intake-misspelled": "the gateway's statement breaks the format",
    "intake-not-genuine": "the gateway's statement is not genuine",
    "key-ended": "the sender's key had ended",
    "malformed": "it cannot be read",
    "no-intake-statement": "the gateway's statement is missing",
    "submission-mismatch": "the sender's statement is not the one that the gateway accepted",
    "submission-not-genuine": "the sender did not sign it",
    "unknown-key": "it is sealed to a key that this desk does not have",
    "unreadable-content": "it opens, but it breaks the format of a report",
    "wrong-environment": "it is for another environment",
    "wrong-instance": "a gateway of another name signed it",
    "wrong-purpose": "it is sealed for another purpose",
}
FILED: Final = ("filed", "filed-by-word", "known")
_NOTIFIED_QUARANTINED: Final = "quarantined"
_NOTIFIED_FILED: Final = "filed"
_IS_OF_FEED: Final = QUARANTINE.c.resolved_at.is_(None) & (QUARANTINE.c.channel == BY_GATEWAY)


class QuarantineError(RefusalError[Literal["unknown-row"]]):
    """The row does not exist, or was dismissed or filed already."""


@dataclass(frozen=True, slots=True)
class QuarantinedRow(QuarantineColumns):
    """A row that waits for a person."""

    row_sha256: str


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """A row with its sealed content and the clear fields it opened under; `fault` explains a row that stays closed.

    `plain` is for the eyes of the reader: never store or log it. `broken` names the rules that a public report breaks.
    """

    row: QuarantinedRow
    clear: ClearFields | None
    plain: bytes | None
    fault: str | None
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alike:
    """How many rows of one sender wait for one cause, how many of them may be urgent, and since and until when."""

    partner: str | None
    reason: str
    rows: int
    urgent: int
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class UnnotifiedRow:
    """A row whose sender still has to hear that it is in quarantine, or was later filed (`is_filed`).

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
    """The result for a row: kept, known already, or left because its sender has too many here.

    `needs_alert`: it states the highest priority or seals a crisis, and no pending alert covers its group; or it may
    seal one, and is the first such row of its group.
    """

    outcome: Literal["kept", "known", "full"]
    needs_alert: bool = False
    states_p1: bool = False


# Sender, cause and channel.
Group = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A row's claims about itself: unverified, used only to find it again."""

    partner: str | None = None
    report_id: str | None = None
    intake_sha256: bytes | None = None


def keep_row(
    connection: Connection, raw: bytes, refused: RowRefusedError, *, alerted: set[Group], actor: str, now: datetime
) -> Kept:
    """Keep a refused row of the feed with its reason, unless its sender has too many here.

    `alerted` holds the groups that need an alert from this transaction already.
    """
    claimed = _find_claimed(raw)
    claim, stated = Claim(), refused.stated_priority
    if claimed is not None:
        intake_raw, clear = claimed
        claim = Claim(clear.partner, clear.report_id, hashlib.sha256(intake_raw).digest())
        stated = min(stated or clear.priority, clear.priority)
    if _is_full(connection, claim.partner, is_crisis=bool(refused.seals_crisis)) and not _is_kept(connection, raw):
        return Kept("full", states_p1=claimed is not None and claimed[1].priority == PRIORITIES[0])
    return keep_bytes(
        connection,
        raw,
        refused,
        claim=claim,
        stated_priority=stated,
        channel=BY_GATEWAY,
        alerted=alerted,
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
    alerted: set[Group],
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
    group = (claim.partner, refused.reason, channel)
    needs_alert = is_urgent and group not in alerted and _needs_alert(connection, group, is_certain=is_certain)
    if needs_alert:
        alerted.add(group)
    is_alarming = refused.reason in ALARMING_REASONS
    # One alarm is open for a sender and cause; a cleared one hides no later row.
    alarmed = [bytes.fromhex(subject) for subject in list_alarm_subjects(connection, refused.reason)]
    of_sender = QUARANTINE.c.claimed_partner.is_not_distinct_from(claim.partner)
    alike = select(QUARANTINE.c.id).where(QUARANTINE.c.row_sha256.in_(alarmed), of_sender).limit(1)
    has_alarm = connection.execute(alike).first() is not None
    connection.execute(
        insert(QUARANTINE).values(
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
            quarantined_at=format_time(now),
        )
    )
    if is_alarming and not has_alarm:
        raise_alarm(connection, refused.reason, row_sha256.hex(), now=now)
    audit.append_entry(
        connection,
        "quarantine",
        row_sha256.hex(),
        at=now,
        actor=actor,
        reason=refused.reason,
        priority=refused.priority,
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


def list_quarantined(connection: Connection, *, with_resolved: bool = False) -> list[QuarantinedRow]:
    """Return the waiting rows, urgent rows first, then alarmed ones, then by priority and age."""
    # Without the sealed bytes: a flood of them would fill the memory of the page.
    columns = (one for one in QUARANTINE.c if one is not QUARANTINE.c.row)
    query = select(*columns).order_by(
        QUARANTINE.c.is_urgent.desc(), QUARANTINE.c.alarmed.desc(), QUARANTINE.c.priority, QUARANTINE.c.id
    )
    if not with_resolved:
        query = query.where(QUARANTINE.c.resolved_at.is_(None))
    return [_to_row(row) for row in connection.execute(query)]


def count_quarantined(connection: Connection) -> tuple[int, int]:
    """Return the number of waiting rows, and of possibly urgent ones."""
    counts = func.count(), func.coalesce(func.sum(cast(QUARANTINE.c.is_urgent, Integer)), 0)
    found = connection.execute(select(*counts).where(QUARANTINE.c.resolved_at.is_(None))).one()
    return found[0], int(found[1])


def count_urgent(connection: Connection, *, before: datetime) -> tuple[int, str | None]:
    """Return the number of waiting rows from before then that may be urgent, and the time of the oldest."""
    found = select(func.count(), func.min(QUARANTINE.c.quarantined_at)).where(
        QUARANTINE.c.resolved_at.is_(None), QUARANTINE.c.is_urgent, QUARANTINE.c.quarantined_at <= format_time(before)
    )
    return tuple(connection.execute(found).one())


def count_alike(connection: Connection) -> list[Alike]:
    """Return the waiting rows of each sender and cause that has more than one, the most first."""
    found = QUARANTINE.c
    rows = func.count().label("rows")
    query = (
        select(
            found.claimed_partner.label("partner"),
            found.reason,
            rows,
            func.sum(cast(found.is_urgent, Integer)).label("urgent"),
            func.min(found.quarantined_at).label("first_at"),
            func.max(found.quarantined_at).label("last_at"),
        )
        .where(found.resolved_at.is_(None))
        .group_by(found.claimed_partner, found.reason)
        .having(rows > 1)
        .order_by(rows.desc(), found.reason)
    )
    return [Alike(**row._mapping) for row in connection.execute(query)]


def list_full_senders(connection: Connection) -> list[tuple[str, int, str]]:
    """Return the senders of which the desk keeps no more rows, each with its rows and the time of the newest."""
    partner = func.coalesce(QUARANTINE.c.claimed_partner, "")
    rows, size = func.count(), func.sum(func.length(QUARANTINE.c.row))
    query = select(partner, rows, func.max(QUARANTINE.c.quarantined_at)).where(_IS_OF_FEED).group_by(partner)
    full = (rows >= MOST_ROWS_OF_ONE) | (size >= MOST_BYTES_OF_ONE)
    return [tuple(row) for row in connection.execute(query.having(full).order_by(partner))]


def list_unnotified(connection: Connection) -> list[UnnotifiedRow]:
    """Return partners' reports that were quarantined, or filed later, without their sender having been informed."""
    is_filed = QUARANTINE.c.resolution.in_(FILED)
    rows = connection.execute(
        select(
            QUARANTINE.c.id,
            QUARANTINE.c.claimed_partner.label("partner"),
            QUARANTINE.c.claimed_report_id.label("report_id"),
            QUARANTINE.c.reference,
            QUARANTINE.c.reason,
            QUARANTINE.c.is_proven,
            func.coalesce(is_filed, false()).label("is_filed"),
        ).where(
            QUARANTINE.c.reference.is_not(None),
            QUARANTINE.c.claimed_partner != PUBLIC_SENDER,
            QUARANTINE.c.channel == BY_GATEWAY,
            or_(
                and_(QUARANTINE.c.told.is_(None), QUARANTINE.c.resolved_at.is_(None)),
                and_(QUARANTINE.c.told == _NOTIFIED_QUARANTINED, is_filed),
            ),
        )
    )
    return [UnnotifiedRow(**{**row._mapping, "is_filed": bool(row.is_filed)}) for row in rows]


def mark_notified(connection: Connection, row: UnnotifiedRow) -> None:
    """Note in the caller's transaction that the sender has been informed of this row's state."""
    notified = _NOTIFIED_FILED if row.is_filed else _NOTIFIED_QUARANTINED
    connection.execute(update(QUARANTINE).where(QUARANTINE.c.id == row.id).values(told=notified))


def open_row(desk: Desk, row_id: int, *, actor: str) -> OpenedRow:
    """Open a row's sealed content for a person to read, under the clear fields that it claims; the opening is audited.

    Use it only for reading: nothing here is verified. Raises `QuarantineError`.
    """
    with desk.store.read() as connection:
        found = connection.execute(select(QUARANTINE).where(QUARANTINE.c.id == row_id)).first()
    if found is None:
        raise QuarantineError("No row has this number.", reason="unknown-row")
    opened = _open_bytes(_to_row(found), bytes(found.row), vault=desk.load_vault(actor=actor, reason="read"))
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "open-quarantined", opened.row.row_sha256, at=desk.clock(), actor=actor, fault=opened.fault
        )
    return opened


def _open_bytes(row: QuarantinedRow, raw: bytes, *, vault: Vault) -> OpenedRow:
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
            clear = SIGNED_INTAKE.peek(signed).clear if is_intake else clear_fields_of(SIGNED_SUBMISSION.peek(signed))
            plain = vault.open_report(envelope, context=report_context(clear))
            return OpenedRow(row, clear, plain, None, _list_broken(plain, clear=clear, at=row.quarantined_at))
        except OpeningError as error:
            fault = error.reason
        except VaultError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ReportAbuseError):
            continue
    return OpenedRow(row, None, None, fault)


def _list_broken(plain: bytes, *, clear: ClearFields, at: str) -> tuple[str, ...]:
    if clear.partner != PUBLIC_SENDER:
        return ()
    try:
        report = parse_public_report(plain)
        check_made_values(report)
        faults = list_answer_faults(report, received_on=parse_time(at).date())
    except FormatError as error:
        return (str(error),)
    return tuple(f"{one.path}: {format_cause(one.kind)}" for one in faults)


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


def read_waiting(desk: Desk, *, channel: str) -> Iterator[tuple[int, bytes, str]]:
    """Yield the waiting rows of a channel, byte for byte, with the time each was first seen here; one is in memory."""
    waiting = select(QUARANTINE.c.id).where(QUARANTINE.c.resolved_at.is_(None), QUARANTINE.c.channel == channel)
    with desk.store.read() as connection:
        ids = connection.execute(waiting.order_by(QUARANTINE.c.id)).scalars().all()
    for row_id in ids:
        with desk.store.read() as connection:
            columns = select(QUARANTINE.c.row, QUARANTINE.c.quarantined_at)
            row = connection.execute(columns.where(QUARANTINE.c.id == row_id)).one()
        yield row_id, bytes(row.row), row.quarantined_at


def resolve_row(
    connection: Connection, row_id: int, *, resolution: str, actor: str, now: datetime, with_alike: bool = False
) -> int:
    """Record how a row was dealt with, and return how many were; its bytes stay.

    With `with_alike` also the older rows of its sender, cause and channel: newer ones, not shown yet, wait.
    Raises `QuarantineError`.
    """
    waiting = QUARANTINE.c.resolved_at.is_(None)
    row = connection.execute(select(QUARANTINE).where(QUARANTINE.c.id == row_id, waiting)).first()
    if row is None:
        raise QuarantineError("No waiting row has this number.", reason="unknown-row")
    alike = (
        QUARANTINE.c.claimed_partner.is_not_distinct_from(row.claimed_partner),
        QUARANTINE.c.reason == row.reason,
        QUARANTINE.c.channel == row.channel,
        QUARANTINE.c.id <= row_id,
    )
    wanted = (waiting, *alike) if with_alike else (QUARANTINE.c.id == row_id,)
    changed = connection.execute(
        update(QUARANTINE).where(*wanted).values(resolved_at=format_time(now), resolution=resolution)
    )
    digest, rows = bytes(row.row_sha256).hex(), changed.rowcount
    audit.append_entry(connection, "resolve-quarantined", digest, at=now, actor=actor, resolution=resolution, rows=rows)
    return rows


def _is_full(connection: Connection, partner: str | None, *, is_crisis: bool) -> bool:
    """Return whether the desk keeps no more rows of this sender, or no more that seal a crisis."""
    rows, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(func.length(QUARANTINE.c.row)), 0)).where(
            _IS_OF_FEED, QUARANTINE.c.claimed_partner.is_not_distinct_from(partner)
        )
    ).one()
    if is_crisis:
        return bool(rows >= MOST_ROWS_OF_ONE + MOST_CRISES_OF_ONE or size >= 2 * MOST_BYTES_OF_ONE)
    return bool(rows >= MOST_ROWS_OF_ONE or size >= MOST_BYTES_OF_ONE)


def _needs_alert(connection: Connection, group: Group, *, is_certain: bool) -> bool:
    """Return whether an urgent row of this group needs an alert.

    The first of its group does. A later one does if it is known to be urgent, unless its group's alert is still to be
    sent: the acknowledgement of an earlier alert does not cover it.
    """
    partner, reason, channel = group
    last_at = connection.execute(
        select(func.max(QUARANTINE.c.quarantined_at)).where(
            QUARANTINE.c.resolved_at.is_(None),
            QUARANTINE.c.claimed_partner.is_not_distinct_from(partner),
            QUARANTINE.c.reason == reason,
            QUARANTINE.c.channel == channel,
            QUARANTINE.c.is_urgent,
        )
    ).scalar()
    if last_at is None:
        return True
    # An alert that was tried may be on its way to the pager at this moment, with its earlier count.
    waiting = find_waiting(connection)
    is_told = waiting is not None and waiting.tries == 0 and (waiting.news_at or waiting.first_at) <= last_at
    return is_certain and not is_told


def format_cause(reason: str) -> str:
    """Return why a row is in quarantine, in words; a code without words stays as it is."""
    return EXPLANATIONS.get(reason, reason)


def format_sender(partner: str | None, *, names: Mapping[str, str]) -> str:
    """Return the sender that a row claims, by its name, e.g. `Example Chat`."""
    if not partner:
        return "No sender"
    return "The public form" if partner == PUBLIC_SENDER else names.get(partner, f"{partner} (unknown here)")


def _is_kept(connection: Connection, raw: bytes) -> bool:
    row_sha256 = hashlib.sha256(raw).digest()
    return connection.execute(select(QUARANTINE.c.id).where(QUARANTINE.c.row_sha256 == row_sha256)).first() is not None


def _find_claimed(raw: bytes) -> tuple[bytes, ClearFields] | None:
    try:
        intake_raw = encode(parse_exact(raw, kind=ReportRow, max_bytes=MAX_ROW_BYTES).intake)
        return intake_raw, SIGNED_INTAKE.peek(intake_raw).clear
    except FormatError:
        return None


def _to_row(row: Row[Any]) -> QuarantinedRow:
    return copy_fields(QuarantinedRow, row, row_sha256=bytes(row.row_sha256).hex())
