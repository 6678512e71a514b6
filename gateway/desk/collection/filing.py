"""Files each verified report as a case, in the transaction that stores the report, from any channel.

A report from a file that comes through the gateway too stays one case, with both references. The hash of a page's
context is stored, so that a reused context is noticed. Never keeps the text of a report: the case gets codes, days and
yes or no; the text stays in the envelope.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, or_, select, update

from gateway.databases.columns import insert_new
from gateway.desk.collection.identifiers import add_rows, make_rows
from gateway.desk.collection.joining import RESPONSE, apply_share, find_request, get_tier, join_case, join_cases
from gateway.desk.collection.row_checks import (
    BY_GATEWAY,
    SealedContent,
    VerifiedRow,
    assess,
    get_filed_kind,
    parse_clear_fields,
)
from gateway.desk.keyring.case_boxes import close_reports, find_report_key, make_keys
from gateway.desk.office.organisations import list_owners
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.outbox.queue import COLLECTED, NO_OPEN_REQUEST, queue_stage, queue_stage_again
from gateway.desk.outbox.replies import queue_notes
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASES, IMPORTED_REPORTS, NAMED_EVIDENCE, PAGE_CONTEXTS, REPORTS
from gateway.desk.vault import CaseKey
from gateway.desk.vault.doors import Signer
from gateway.exchange.form_rules import get_priority
from gateway.exchange.page_contexts import parse_context_token
from gateway.exchange.public_report import PublicReport, is_flagged, is_from_grown_up
from partner_sdk.errors import FormatError
from partner_sdk.report import SealedIndustryReport, list_missing_fields, measure_completeness
from partner_sdk.wire.canonical import REFERENCE_RANDOM_BYTES, format_time, make_reference, parse_time
from partner_sdk.wire.receipts import IntakeStatement
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

# The channel of a report from a file that was brought.
BY_FILE: Final = "file"


@dataclass(frozen=True, slots=True)
class NewCase:
    """A verified report on its way to a case. `content` is in memory only."""

    clear: ClearFields
    content: SealedContent
    reference: str
    received_at: str
    door: str
    placement: str | None
    channel: str


def to_report_values(row: VerifiedRow, *, collected_at: str, closed: bytes) -> dict[str, object]:
    """Return the columns stored for a verified row beside its case; `closed` is its envelope under the case's key."""
    return {
        **to_statement_values(row.intake),
        "collected_at": collected_at,
        "intake_sha256": row.intake_sha256,
        "intake": row.intake_raw,
        "submission": row.submission_raw,
        "envelope": closed,
    }


def to_statement_values(intake: IntakeStatement) -> dict[str, object]:
    """Return the columns of a report that repeat its intake statement."""
    clear = intake.clear
    return {
        "environment": clear.environment,
        "partner": clear.partner,
        "report_id": clear.report_id,
        "door": intake.door,
        "kind": clear.kind,
        "priority": clear.priority,
        "earlier_reference": clear.earlier_reference,
        "schema_version": clear.schema_version,
        "reference": intake.reference,
        "instance": intake.instance,
        "epoch": intake.epoch,
        "sequence": intake.sequence,
        "received_at": intake.received_at,
        "envelope_sha256": bytes.fromhex(intake.envelope_sha256),
    }


def to_new_case(row: VerifiedRow) -> NewCase:
    """Return the new case for a row of the feed."""
    intake = row.intake
    return NewCase(
        clear=intake.clear,
        content=row.content,
        reference=intake.reference,
        received_at=intake.received_at,
        door=intake.door,
        placement=intake.placement,
        channel=BY_GATEWAY,
    )


def store_verified(connection: Connection, rows: Sequence[VerifiedRow], *, desk: Desk, actor: str) -> int:
    """Store these rows and return how many became cases: a report that came as a file already has one."""
    if not rows:
        return 0
    now, signer = desk.clock(), desk.load_signer()
    imported = list_imported(connection, {row.intake.clear.report_id for row in rows})
    fresh, by_file = list[VerifiedRow](), list[VerifiedRow]()
    for row in rows:
        is_known = (row.intake.clear.partner, row.intake.clear.report_id) in imported
        (by_file if is_known else fresh).append(row)
    case_ids = [desk.make_id() for _ in fresh]
    keys = make_keys(signer, connection, case_ids)
    known = [find_report_key(connection, row.intake.clear) for row in by_file]
    closed = close_reports(
        signer,
        [
            (key, row.intake.clear.report_id, row.envelope_raw)
            for row, key in zip([*fresh, *by_file], [*keys, *known], strict=True)
        ],
        kind="report",
    )
    moment = format_time(now)
    values = [
        to_report_values(row, collected_at=moment, closed=box)
        for row, box in zip([*fresh, *by_file], closed, strict=True)
    ]
    connection.execute(insert(REPORTS), values)
    for row in by_file:
        link_to_case(connection, row, actor=actor, now=now)
    file_cases(connection, [to_new_case(row) for row in fresh], case_ids=case_ids, signer=signer, now=now, keys=keys)
    return len(fresh)


def file_cases(
    connection: Connection,
    rows: Sequence[NewCase],
    *,
    case_ids: Sequence[str],
    signer: Signer,
    now: datetime,
    keys: Sequence[CaseKey] = (),
) -> None:
    """Make a case for each verified report, index its identifiers, and queue its note and its alert.

    All in the transaction that stores the reports. `keys` are those of the new cases (keyring/delegation.py).
    """
    owners = list_owners(connection, [row.placement for row in rows if row.placement is not None])
    # The partners that report about others, e.g. a police force.
    agencies = frozenset(connection.execute(select(PARTNERS.c.partner).where(PARTNERS.c.type != "service")).scalars())
    values: list[dict[str, object]] = []
    numbers = {key.case_id: key.number for key in keys}
    for row, case_id in zip(rows, case_ids, strict=True):
        case = _make_case(row, case_id=case_id, owners=owners, agencies=agencies, now=now)
        case["answers_request"] = find_request(connection, row.clear, row.content)
        case["key_number"] = numbers.get(case_id)
        values.append(case)
    if not values:
        return
    contents = dict(zip(case_ids, (row.content for row in rows), strict=True))
    index = make_rows(signer, contents)
    connection.execute(insert(CASES), [case | {"index_version": index.version} for case in values])
    add_rows(connection, index)
    join_cases(connection, values, now=now)
    for partner in sorted({row.clear.partner for row in rows}):
        apply_share(connection, partner=partner)
    _queue_unanswering(connection, values, now=now)
    _note_named_evidence(connection, rows)
    public = {case: report for case, report in contents.items() if isinstance(report, PublicReport)}
    contexts = [_to_context(case_id, one.context) for case_id, one in public.items() if one.context is not None]
    if contexts:
        connection.execute(insert(PAGE_CONTEXTS), contexts)
    queue_notes(connection, public, now=now)
    # From the table: every report joined to a crisis case is in the lane too, including the one that put it there. A
    # case and its additions count once.
    firsts = func.count(func.coalesce(CASES.c.joined_to, CASES.c.case_id).distinct())
    crises = connection.execute(select(firsts).where(CASES.c.case_id.in_(case_ids), CASES.c.crisis)).scalar_one()
    queue_alert(connection, count=int(crises), now=now)


def make_own_reference(desk: Desk, connection: Connection) -> str:
    """Return a reference that no case of this desk has yet, for a report that no gateway named."""
    while True:
        reference = make_reference(desk.config.environment, random=desk.random(REFERENCE_RANDOM_BYTES))
        named = or_(CASES.c.reference == reference, CASES.c.other_reference == reference)
        if connection.execute(select(CASES.c.case_id).where(named)).first() is None:
            return reference


def _queue_unanswering(connection: Connection, filed: Sequence[Mapping[str, object]], *, now: datetime) -> None:
    """Queue the stage that informs a partner that its response answers nothing; sending it writes the message."""
    for values in filed:
        if values["report_kind"] == RESPONSE and values["answers_request"] is None:
            queue_stage(
                connection,
                partner=str(values["partner"]),
                report_id=str(values["report_id"]),
                stage=COLLECTED,
                set_aside_reason=NO_OPEN_REQUEST,
                now=now,
            )


def _note_named_evidence(connection: Connection, rows: Sequence[NewCase]) -> None:
    """Record the evidence that these reports name, with the sealed digest: only that is fetched."""
    named = []
    for row in rows:
        sealed = row.content.evidence if isinstance(row.content, SealedIndustryReport) else ()
        digests = {one.evidence_id: one.digest for one in sealed if one.digest is not None}
        for evidence_id in row.clear.evidence_ids:
            digest = digests.get(evidence_id)
            named.append(
                {
                    "partner": row.clear.partner,
                    "evidence_id": evidence_id,
                    "report_id": row.clear.report_id,
                    "digest": None if digest is None else bytes.fromhex(digest),
                }
            )
    if named:
        connection.execute(insert_new(NAMED_EVIDENCE, *named[0]), named)


def _make_case(
    row: NewCase, *, case_id: str, owners: Mapping[str, str], agencies: Collection[str], now: datetime
) -> dict[str, object]:
    clear, content = row.clear, row.content
    public = content if isinstance(content, PublicReport) else None
    reply_key = None if public is None else public.reply_key
    risk = assess(content, received_at=parse_time(row.received_at))
    return {
        "case_id": case_id,
        "environment": clear.environment,
        "partner": clear.partner,
        "about": _find_about(row, owners=owners, agencies=agencies),
        "report_id": clear.report_id,
        "reference": row.reference,
        "door": row.door,
        "placement": row.placement,
        # What a phone states in clear is proved by nothing: its answers count, if they are more urgent.
        "priority": clear.priority if public is None else min(clear.priority, get_priority(public)),
        "received_at": row.received_at,
        "collected_at": format_time(now),
        "factors": risk.text,
        "crisis": risk.crisis,
        "score": risk.score,
        "crisis_since": format_time(now) if risk.crisis else None,
        "tier": get_tier(risk, partner=clear.partner, priority=clear.priority),  # until it is in the table: apply_share
        "reply_owed": public is not None and not is_from_grown_up(public),
        "synthetic": False,
        "reply_by": None if public is None else public.reply_by,
        "region": (public.region or None) if public is not None else None,
        "country": (public.country or None) if public is not None else None,
        "has_reply_key": reply_key is not None,
        "flagged": public is not None and is_flagged(public),
        "adds_to": clear.earlier_reference,
        # A hash of a public key reveals nothing: it is there to be compared (docs/decisions/0016).
        "reply_key_sha256": None if reply_key is None else hashlib.sha256(reply_key.encode()).hexdigest(),
        "channel": row.channel,
        "report_kind": clear.kind,
        "kind": get_filed_kind(content, risk),
        "stated_kind": content.report.category if isinstance(content, SealedIndustryReport) else None,
        **_measure(content, kind=clear.kind),
        "joined_to": None,  # until it is in the table: join_cases
    }


def _measure(content: SealedContent, *, kind: str) -> dict[str, object]:
    """Return the completeness of a partner's first report by this desk's count, and the useful fields that it lacks."""
    if not isinstance(content, SealedIndustryReport) or kind != "initial":
        return {"completeness": None, "missing_fields": None}
    # Now, because it is open: a digest would have to open every report again.
    counted = measure_completeness(content.report)
    return {"completeness": counted.score, "missing_fields": " ".join(list_missing_fields(counted))}


def _find_about(row: NewCase, *, owners: Mapping[str, str], agencies: Collection[str]) -> str | None:
    """Return the service that a report is about, as known at filing: an analyst may set another."""
    if row.clear.partner != PUBLIC_SENDER:
        return None if row.clear.partner in agencies else row.clear.partner
    # As the register has it now: an id that was never registered has no owner.
    return None if row.placement is None else owners.get(row.placement)


def _to_context(case_id: str, token: str) -> dict[str, object]:
    try:
        named = parse_context_token(token)
    except FormatError:
        named = None
    return {
        "case_id": case_id,
        "token_sha256": hashlib.sha256(token.encode()).digest(),
        "partner": None if named is None else named.partner,
        "context_id": None if named is None else named.context_id,
    }


@dataclass(frozen=True, slots=True)
class ImportedReport:
    """The record of a report from another channel: its clear fields and the digest of its box, for any signing key."""

    clear: ClearFields
    envelope_sha256: bytes


ByReport = Mapping[tuple[str, str], ImportedReport]


def list_imported(connection: Connection, report_ids: Collection[str]) -> ByReport:
    """Return those of these reports that came by another channel than the gateway, by partner and report id."""
    columns = (IMPORTED_REPORTS.c.clear, IMPORTED_REPORTS.c.envelope_sha256)
    rows = connection.execute(
        select(IMPORTED_REPORTS.c.partner, IMPORTED_REPORTS.c.report_id, *columns).where(
            IMPORTED_REPORTS.c.report_id.in_(report_ids)
        )
    )
    return {
        (row.partner, row.report_id): ImportedReport(
            clear=parse_clear_fields(row.clear),
            envelope_sha256=bytes(row.envelope_sha256),
        )
        for row in rows
    }


def list_imported_references(connection: Connection, references: Collection[str]) -> frozenset[str]:
    """Return those of these references that belong to a report from another channel than the gateway."""
    rows = connection.execute(select(IMPORTED_REPORTS.c.reference).where(IMPORTED_REPORTS.c.reference.in_(references)))
    return frozenset(rows.scalars())


def is_another(row: VerifiedRow, *, imported: ByReport) -> bool:
    """Return whether a file brought a different report under this row's id.

    The same box with the same clear fields is the same report. Its signature may differ: a partner that changed its key
    signs the reports in its spool again. Both signatures were checked, each with a key of the partner.
    """
    clear = row.intake.clear
    held = imported.get((clear.partner, clear.report_id))
    return held is not None and held != ImportedReport(clear, bytes.fromhex(row.intake.envelope_sha256))


def link_to_case(connection: Connection, row: VerifiedRow, *, actor: str, now: datetime) -> None:
    """Note on a case from a file that its report has now come through the gateway too, with a second reference.

    Earlier stages of the case did not reach the gateway, which did not know the report: they are sent again. Reports
    that were added under that reference in the meantime now join the case.
    """
    clear, reference = row.intake.clear, row.intake.reference
    case = (
        (CASES.c.environment == clear.environment)
        & (CASES.c.partner == clear.partner)
        & (CASES.c.report_id == clear.report_id)
    )
    connection.execute(update(CASES).where(case, CASES.c.reference != reference).values(other_reference=reference))
    queue_stage_again(connection, partner=clear.partner, report_id=clear.report_id, now=now)
    case_id = connection.execute(select(CASES.c.case_id).where(case)).scalar_one()
    raised = join_case(connection, case_id, now=now)
    queue_alert(connection, count=len(raised), now=now)
    audit.append_entry(connection, "came-through-gateway-too", case_id, at=now, actor=actor, **{"as": reference})
