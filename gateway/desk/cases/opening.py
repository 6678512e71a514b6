"""Opens the report of a case for a person to read, or all of a partner's reports in one case, and records the reader.

Announces the first reading to those entitled to know. Never keeps the content: it goes to the caller and stays in its
envelope here. Never hides one report behind another: a correction is shown beside the first report, which stays whole.

Never takes an addition as the first person's because it names their reference: the gateway's operator knows every
reference. The return code's key is sealed in both reports, and only the sender of the first can repeat it.

A page context is a partner's claim. It never raises for hostile input, and unsigned content is never shown as a
partner's: it must not stop an analyst from reading a report (WIRE.md §8.2).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, func, select, update

from gateway.desk.cases.model import CaseError, CaseRow, get_case, list_sealed_sizes, to_case
from gateway.desk.collection.joining import RESPONSE, UNHELD, apply_share, find_named, list_added, list_joined
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.keyring.case_boxes import find_sealed_report
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import queue_stage
from gateway.desk.outbox.replies import Recipient, queue_read_note
from gateway.desk.partners.placement_register import find_placement
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS, PARTNERS
from gateway.desk.store.schema import CASES, PAGE_CONTEXTS, of_sender
from gateway.desk.vault import Reason, VaultError
from gateway.exchange.page_contexts import parse_context_token, verify_page_context
from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL
from gateway.exchange.public_report import PublicReport, parse_public_report
from gateway.web.logs import format_exception
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.report import SealedIndustryReport, list_given, parse_sealed_report
from partner_sdk.wire.button import PageContext, SealedPageContext, context_seal_context
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.signing import key_id_of, parse_statement
from partner_sdk.wire.submission import PUBLIC_SENDER, report_context

# In a case with more reports, the others are opened one by one, on their own pages.
MOST_OPENED: Final = 20
# Limit of sealed bytes beside the first report: opening and laying out two megabytes takes about half a second.
MOST_OPENED_BYTES: Final = 2 * 1024 * 1024
_LATER_KINDS: Final = frozenset({"supplement", "correction", "retraction"})


def find_earlier(connection: Connection, found: CaseRow) -> CaseRow | None:
    """Return the case that an addition adds to, if the same sender sent it, or None."""
    row = None if found.adds_to is None else find_named(connection, found)
    return None if row is None else to_case(row)


def list_additions(connection: Connection, found: CaseRow) -> Sequence[CaseRow]:
    """Return the cases that add to this one, the oldest first."""
    return [to_case(row) for row in list_added(connection, found)]


def has_nothing_to_repeat(earlier: CaseRow | None) -> bool:
    """Return whether a first report came without a return code, so that its sender can never be proven.

    The person may still have added to it, in the same visit; so may the gateway's operator.
    """
    return earlier is not None and earlier.adds_to is None and earlier.reply_key_sha256 is None


def is_proven(found: CaseRow, *, earlier: CaseRow | None) -> bool:
    """Return whether a case is a first report, or an addition by the sender of the first one.

    A partner signs its additions. A public addition must contain the key of the first report's return code, and the
    first one must be known here and not itself be an addition: otherwise a chain of forged ones would prove the last.
    """
    if found.adds_to is None or found.partner != PUBLIC_SENDER:
        return True
    return (
        earlier is not None
        and earlier.adds_to is None
        and found.reply_key_sha256 is not None
        and found.reply_key_sha256 == earlier.reply_key_sha256
    )


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with its content. The content is for the eyes of the reader: never store or log it."""

    case: CaseRow
    content: SealedContent


@dataclass(frozen=True, slots=True)
class FirstReport:
    """The report that an addition adds to. `content` is None if it is still unread or does not open."""

    case: CaseRow
    content: PublicReport | None
    is_proven: bool


def open_case(desk: Desk, wanted: str, *, actor: str) -> OpenedCase:
    """Open the envelope of a case for a person to read; the first reading is recorded and announced.

    Raises `CaseError`, and `OpeningError` if its key is gone.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    content = open_report(desk, found, actor=actor)
    with desk.store.write() as connection:
        first_time = connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id, CASES.c.opened_at.is_(None))
            .values(opened_at=format_time(now), tier=UNHELD)
        ).rowcount
        audit.append_entry(connection, "open-case", found.case_id, at=now, actor=actor)
        if first_time:
            apply_share(connection, partner=found.partner)
            queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=None, now=now)
            # Reading an addition reveals nothing about the report that it adds to.
            recipient = find_recipient(found, content) if found.adds_to is None else None
            if recipient is not None:
                queue_read_note(desk, connection, recipient, actor=actor, now=now)
        return OpenedCase(case=get_case(connection, found.case_id), content=content)


def open_report(desk: Desk, found: CaseRow, *, actor: str, reason: Reason = "read") -> SealedContent:
    """Open the envelope of a case without an entry of the audit log: the caller must write it.

    Raises `CaseError`, and `OpeningError` if its key is gone.
    """
    with desk.store.read() as connection:
        sealed = find_sealed_report(connection, found.case_id)
    if sealed is None:
        raise CaseError("This is a made-up case. It has no report to read.", reason="synthetic")
    vault = desk.load_vault(actor=actor, reason=reason)
    plain = vault.open_report(sealed.box, context=report_context(sealed.clear))
    return parse_public_report(plain) if found.partner == PUBLIC_SENDER else parse_sealed_report(plain)


def find_first_report(desk: Desk, found: CaseRow, *, actor: str, is_read: bool = True) -> FirstReport | None:
    """Return the report that a public addition adds to, with its content if it has been read before.

    It explains how to reach the person safely. The audit log records the reader; with `is_read` False it is opened to
    be checked, and shown to no person. None if it adds to no known report.
    """
    with desk.store.read() as connection:
        earlier = find_earlier(connection, found)
    if earlier is None or earlier.partner != PUBLIC_SENDER:
        return None
    content = (
        None
        if earlier.opened_at is None
        else _find_content(desk, earlier, actor=actor, reason="read" if is_read else "check")
    )
    if content is not None and is_read:
        with desk.store.write() as connection:
            audit.append_entry(connection, "open-case", earlier.case_id, at=desk.clock(), actor=actor)
    return FirstReport(earlier, content, is_proven(found, earlier=earlier))


def find_recipient(found: CaseRow, content: SealedContent, *, first: FirstReport | None = None) -> Recipient | None:
    """Return the recipient of replies through the return code, or None if the report has none.

    An addition carries the first report's code: the person comes back with the first report's reference. An unproven
    addition has no recipient: any sender could have chosen its key (docs/decisions/0016).
    """
    if not isinstance(content, PublicReport) or content.reply_key is None:
        return None
    reference = found.reference
    if found.adds_to is not None:
        if first is None or not first.is_proven:
            return None
        reference = first.case.reference
    return Recipient(case_id=found.case_id, reference=reference, reply_key=content.reply_key)


def _find_content(desk: Desk, found: CaseRow, *, actor: str, reason: Reason) -> PublicReport | None:
    try:
        content = open_report(desk, found, actor=actor, reason=reason)
    except (OpeningError, FormatError):
        return None  # its key was destroyed at the end of its time
    return content if isinstance(content, PublicReport) else None


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """One report of a case. `content` is None if it does not open; `fault` gives the reason."""

    case: CaseRow
    content: SealedIndustryReport | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The sender of a case: the partner's type as registered at this desk, its name, and an agency's country."""

    type: str
    name: str
    country: str | None


@dataclass(frozen=True, slots=True)
class OwnReport:
    """Another report of the sender's own, named by its reference, with its case here."""

    reference: str
    case_id: str | None


def list_reports(connection: Connection, first_id: str) -> list[CaseRow]:
    """Return every report of a case, the first one first, then by time of receipt; none if the case is unknown."""
    return [to_case(row) for row in list_joined(connection, first_id)]


def open_whole_case(desk: Desk, found: CaseRow, content: SealedIndustryReport, *, actor: str) -> list[OpenedReport]:
    """Open the sender's additions to a case whose first report is open, for a person to read; each is recorded.

    For an addition, only that one. Reports that do not open are returned with the reason; of very many or very large
    ones, the largest stay closed.
    """
    with desk.store.read() as connection:
        later = [one for one in list_reports(connection, found.case_id) if one.joined_to == found.case_id]
        sizes = list_sealed_sizes(
            connection,
            environment=found.environment,
            partner=found.partner,
            report_ids=[one.report_id for one in later],
        )
    later = later[: MOST_OPENED - 1]
    chosen = _choose_small(later, sizes)
    opened = (_open(desk, one, actor=actor) for one in later if one.case_id in chosen)
    return [OpenedReport(found, content), *opened]


def _choose_small(reports: Sequence[CaseRow], sizes: Mapping[str, int]) -> set[str]:
    # The smallest first: a large one must not displace a retraction.
    chosen, left = set(), MOST_OPENED_BYTES
    for one in sorted(reports, key=lambda one: sizes.get(one.report_id, 0)):
        left -= sizes.get(one.report_id, 0)
        if left < 0:
            break
        chosen.add(one.case_id)
    return chosen


def list_case_doubts(found: CaseRow, reports: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return doubts about the reports of a partner's case, based on their clear fields alone."""
    if found.partner == PUBLIC_SENDER or found.synthetic:
        return []
    doubts = []
    for report in reports:
        if report.adds_to is not None and report.joined_to is None:
            doubts.append(
                (
                    f"{report.adds_to} is not at this desk.",
                    (
                        f"{report.reference} names it as the sender's earlier report, so this report is a case of "
                        "its own."
                    ),
                )
            )
        elif report.report_kind in _LATER_KINDS and report.joined_to is None:
            doubts.append((f"This {report.report_kind} names no earlier report.", "It is a case of its own."))
        if report.report_kind == RESPONSE and report.answers_request is None:
            doubts.append(
                (
                    f"{report.reference} is a response, but names no open question about this report.",
                    "No question is marked as answered. Read it, then ask the partner which question it answers.",
                )
            )
    return doubts


def list_unopened(opened: Sequence[OpenedReport]) -> list[tuple[str, str]]:
    """Return the reports that did not open, with the reasons."""
    return [(f"{one.case.reference} does not open.", one.fault) for one in opened if one.fault]


def list_own_reports(connection: Connection, found: CaseRow, references: Collection[str]) -> list[OwnReport]:
    """Return the sender's own reports with these references, each with its case if known here."""
    rows = connection.execute(
        select(CASES.c.case_id, CASES.c.reference, CASES.c.other_reference).where(
            *of_sender(found.environment, found.partner),
            CASES.c.reference.in_(references) | CASES.c.other_reference.in_(references),
        )
    ).all()
    known = {name: row.case_id for row in rows for name in (row.other_reference, row.reference)}
    return [OwnReport(reference, known.get(reference)) for reference in references]


def list_linked(opened: Sequence[OpenedReport]) -> list[str]:
    """Return the references to other reports of the sender in opened reports, each once."""
    contents = (one.content for one in opened if one.content is not None)
    named = (reference for content in contents for reference in list_given(content.report.linked_reports))
    return list(dict.fromkeys(named))


def list_sources(connection: Connection, cases: Collection[CaseRow]) -> dict[str, Source]:
    """Return the senders of these cases, by partner; the public is not a partner."""
    wanted = {case.partner for case in cases}
    columns = (PARTNERS.c.partner, PARTNERS.c.type, PARTNERS.c.name, PARTNERS.c.country)
    rows = connection.execute(select(*columns).where(PARTNERS.c.partner.in_(wanted)))
    return {row.partner: Source(row.type, row.name, row.country) for row in rows}


def _open(desk: Desk, report: CaseRow, *, actor: str) -> OpenedReport:
    try:
        opened = open_case(desk, report.case_id, actor=actor)
    except (CaseError, OpeningError, FormatError) as error:
        return OpenedReport(report, None, str(error))
    content = opened.content
    return OpenedReport(opened.case, content if isinstance(content, SealedIndustryReport) else None)


_log = logging.getLogger(__name__)

# The clocks of a service and of the gateway differ by minutes at most.
CLOCK_SKEW: Final = timedelta(minutes=5)

# `holds`; `expired` (signed, but for another time); `elsewhere` (signed, but for another placement than the report's);
# `key-ended` (by a key that had ended or was reported stolen); `forged` (by no key of the partner it names);
# `unreadable` (does not open, or is malformed); `refused` (the form could not attach it).
ContextOutcome = Literal["holds", "expired", "elsewhere", "key-ended", "forged", "unreadable", "refused"]
MOST_REFERENCES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class OtherReports:
    """How many other reports came with the same context, and the first few references."""

    count: int
    references: tuple[str, ...]


NO_OTHERS: Final = OtherReports(0, ())


@dataclass(frozen=True, slots=True)
class JudgedContext:
    """The verdict on a context. `claim` is set only if a valid key of `partner` signed it.

    `partner` is the partner that the token names, or empty. `others` are reports with the same context.
    """

    outcome: ContextOutcome
    partner: str = ""
    claim: PageContext | None = None
    others: OtherReports = NO_OTHERS


@dataclass(frozen=True, slots=True)
class _ContextKey:
    public_key: bytes
    ended_at: datetime | None
    is_revoked: bool

    def covers(self, moment: datetime) -> bool:
        return not self.is_revoked and (self.ended_at is None or moment < self.ended_at)


def find_page_context(desk: Desk, found: CaseRow, content: SealedContent, *, actor: str) -> JudgedContext | None:
    """Open and judge the context of an opened report; None if there is none."""
    if not isinstance(content, PublicReport):
        return None
    if content.context is None:
        return JudgedContext("refused") if CONTEXT_REFUSED_SIGNAL in content.signals else None
    with desk.store.read() as connection:
        others = get_other_reports(connection, found.case_id)
        try:
            token = parse_context_token(content.context)
        except ReportAbuseError:
            return JudgedContext("unreadable", others=others)
        keys = _list_keys(connection, token.partner)
        # The owner of the button, whatever service an analyst has found the report to be about.
        placement = find_placement(connection, found.placement)
    try:
        outcome, claim = _judge(
            desk, found, token, actor=actor, owner=None if placement is None else placement.owner, keys=keys
        )
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a claim holds, the child's report beside it is read
        _log.error("Could not judge the context of a page: %s", format_exception(error))
        outcome, claim = "unreadable", None
    return JudgedContext(outcome, token.partner, claim, others)


def _judge(
    desk: Desk,
    found: CaseRow,
    token: SealedPageContext,
    *,
    actor: str,
    owner: str | None,
    keys: Mapping[str, _ContextKey],
) -> tuple[ContextOutcome, PageContext | None]:
    bound = context_seal_context(environment=found.environment, partner=token.partner, context_id=token.context_id)
    received_at = parse_time(found.received_at)
    try:
        raw = desk.load_vault(actor=actor, reason="read").open_context(token.envelope, context=bound)
        claim = verify_page_context(
            raw,
            keys={key_id: key.public_key for key_id, key in keys.items()},
            partner=token.partner,
            context_id=token.context_id,
            environment=found.environment,
        )
        (signature,) = parse_statement(raw).signatures
    except OpeningError:
        return "unreadable", None
    except VaultError:
        raise
    except ReportAbuseError:
        return "forged", None
    if not keys[signature.keyid].covers(received_at):
        return "key-ended", None
    if owner != claim.partner or found.placement != claim.placement:
        return "elsewhere", claim
    issued_at, expires_at = parse_time(claim.issued_at), parse_time(claim.expires_at)
    # By difference, because a sum can overflow the calendar: the times are unverified.
    if issued_at - received_at > CLOCK_SKEW or received_at - expires_at >= CLOCK_SKEW:
        return "expired", claim
    return "holds", claim


def _list_keys(connection: Connection, partner: str) -> dict[str, _ContextKey]:
    """Return the context keys of a partner by id: the current one and the former ones."""
    found: dict[str, _ContextKey] = {}
    for table, end, revoked in (
        (FORMER_PARTNER_KEYS, FORMER_PARTNER_KEYS.c.ended_at, FORMER_PARTNER_KEYS.c.revoked),
        (PARTNERS, PARTNERS.c.suspended_at, PARTNERS.c.revoked_at.is_not(None)),
    ):
        query = select(table.c.context_key, end.label("end"), revoked.label("revoked"))
        for row in connection.execute(query.where(table.c.partner == partner, table.c.context_key.is_not(None))):
            public_key = bytes(row.context_key)
            ended_at = None if row.end is None else parse_time(row.end)
            found[key_id_of(public_key)] = _ContextKey(public_key, ended_at, bool(row.revoked))
    return found


def get_other_reports(connection: Connection, case_id: str) -> OtherReports:
    """Return the other reports that came with the same context as a case.

    A person with the page open may report twice; no other sender can make the same bytes.
    """
    own = select(PAGE_CONTEXTS.c.token_sha256).where(PAGE_CONTEXTS.c.case_id == case_id).scalar_subquery()
    same = (PAGE_CONTEXTS.c.token_sha256 == own, PAGE_CONTEXTS.c.case_id != case_id)
    count: int = connection.execute(select(func.count()).select_from(PAGE_CONTEXTS).where(*same)).scalar_one()
    references = connection.execute(
        select(CASES.c.reference)
        .join(PAGE_CONTEXTS, PAGE_CONTEXTS.c.case_id == CASES.c.case_id)
        .where(*same)
        .order_by(CASES.c.received_at, CASES.c.case_id)
        .limit(MOST_REFERENCES_SHOWN)
    )
    return OtherReports(count, tuple(references.scalars()))
