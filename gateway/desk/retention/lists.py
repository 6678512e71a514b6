"""Which cases may be destroyed and why the others may not, legal holds, what is kept of a case, and the lists to sign.

Judged by codes alone, nothing is opened. A case is destroyed whole: the first report with every report that is joined
to it. A person's additions are cases of their own; none of their reports goes while another of them still has work to
do, because its reply needs the first. A hold lasts until a supervisor lifts it: its day never lifts it.

One person drafts and signs a list, another signs it too, and only then it begins. It names each case with its day and
the digests of its reports, so that a case that changed since shows. A new table with boxes, rows or files of a case
gets its line in `BOXES` or `ROWS` (tests/desk/retention/test_contents.py).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, insert, or_, select, update

from gateway.desk.cases.actions.model import end_open_actions, list_actions_of
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, StepText, add_step, get_case, get_clean_reason, to_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.collection.joining import find_named, list_added
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.people.releases import (
    DESTRUCTION,
    DESTRUCTION_DRAFT,
    Release,
    ReleaseError,
    check_may_sign,
    draft_release,
    find_release,
)
from gateway.desk.office.uk_times import add_months, get_uk_day, get_uk_day_of
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import IS_OPEN, drop
from gateway.desk.retention.rights_requests import WIPE, list_reports_of_person, list_requests
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, NOTES, OUTBOX, OUTCOME_SIGNALS, REPLY_MESSAGES
from gateway.desk.store.schema import (
    CASE_ACTIONS,
    CASE_IDENTIFIERS,
    CASE_STEPS,
    CASES,
    DESTRUCTIONS,
    EVIDENCE,
    IMPORTED_REPORTS,
    NAMED_EVIDENCE,
    PAGE_CONTEXTS,
    QUARANTINE,
    REPORTS,
    THREAD_ENTRIES,
)
from gateway.exchange.desk_statements import MOST_CASES, DestructionList, DestructionReason, ListedCase, ListedReport
from gateway.guidance.signposts import Source
from gateway.web.settings import read_settings
from partner_sdk.errors import RefusalError
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.signing import MAX_LIST_BYTES
from partner_sdk.wire.submission import PUBLIC_SENDER

CLASSES_FILE: Final = Path(__file__).with_name("classes.toml")
OWN_CLASSES: Final = "retention.toml"
ClassCode = Literal["content", "public"]


class RetentionClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class; `to_prove` describes the proof that is missing."""

    title: str
    months: Annotated[int, Meta(ge=1, le=1200)]
    checked_on: date
    source: Source
    to_prove: str | None = None


class RetentionClasses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All classes."""

    content: RetentionClass
    public: RetentionClass
    reference: RetentionClass


def load_classes(state: Path) -> RetentionClasses:
    """Return the classes of a desk: its own file, or the one of the release. Raises `SettingsError`."""
    own = state / OWN_CLASSES
    return read_settings(own if own.is_file() else CLASSES_FILE, kind=RetentionClasses)


def get_due_day(classes: RetentionClasses, code: ClassCode, *, closed_at: str) -> date:
    """Return the day in the United Kingdom from which a case that was closed then may be destroyed."""
    found: RetentionClass = getattr(classes, code)
    return add_months(get_uk_day_of(closed_at), found.months)


# A hold is looked at at least once a year: a court's own order is renewed no less often.
MOST_DAYS_TO_REVIEW: Final = 366


def place_hold(desk: Desk, wanted: str, *, reason: str, review: date, actor: str) -> CaseRow:
    """Hold a case, open or closed, or give a held one another day and reason."""
    text, today = StepText(reason=get_clean_reason(reason)), get_uk_day(desk.clock())
    if not 0 < (review - today).days <= MOST_DAYS_TO_REVIEW:
        raise CaseError("Look at a hold again on a future date within a year.", reason="bad-day")
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.destroyed_at is not None:
            raise CaseError(
                "This case was destroyed, or will be: stop that on the page Retention to hold it.", reason="destroyed"
            )
        codes = {"review": review.isoformat()}
        add_step(desk, connection, found.case_id, "legal-hold", actor=actor, text=text, codes=codes)
        return _set(connection, found, review.isoformat())


def lift_hold(desk: Desk, wanted: str, *, reason: str, actor: str) -> CaseRow:
    """Lift the hold of a case."""
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.hold_review is None:
            raise CaseError("No legal hold is on this case.", reason="no-hold")
        add_step(desk, connection, found.case_id, "lift-hold", actor=actor, text=text)
        return _set(connection, found, None)


def list_holds(connection: Connection) -> Sequence[CaseRow]:
    """Return the held cases, the one to be looked at first at the head."""
    held = select(CASES).where(CASES.c.hold_review.is_not(None)).order_by(CASES.c.hold_review, CASES.c.case_id)
    return [to_case(row) for row in connection.execute(held)]


def count_past_review(connection: Connection, *, today: date) -> int:
    """Return the number of holds whose day to look again has passed."""
    past = select(func.count()).select_from(CASES).where(CASES.c.hold_review < today.isoformat())
    return int(connection.execute(past).scalar_one())


def _set(connection: Connection, found: CaseRow, review: str | None) -> CaseRow:
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(hold_review=review))
    return get_case(connection, found.case_id)


# Counting stops here: a desk with so many overdue cases has another trouble.
MOST_COUNTED: Final = 1000
# Why a case may not be destroyed, as a page has it.
REFUSALS: Final = {
    "destroyed": "it was destroyed",
    "synthetic": "it is a synthetic case",
    "open": "a report of it is open",
    "owed": "a reply is owed",
    "held": "a legal hold is on it",
    "sending": "an entry of the outbox waits",
    "asked": "a question to a service waits for the answer",
    "action": "an action on it waits to be sent",
    "addition": "another report of the same person still has work",
    "requested": "the person asked to see, correct or wipe it",
    "not-due": "its time is not over",
}


@dataclass(frozen=True, slots=True)
class DueCase:
    """A closed case with the day from which it may go. `refusal` is a code of `REFUSALS`, None if it may go now."""

    case: CaseRow
    code: ClassCode
    closed_at: str
    due: date
    refusal: str | None


def list_due(desk: Desk, connection: Connection, *, most: int) -> list[DueCase]:
    """Return cases whose time is over, the one due first at the head, each with the reason if it may not go yet.

    At most so many that may go, and as many that stay: old cases that are held hide none that may go.
    """
    classes, now = load_classes(desk.paths.state), desk.clock()
    first = CASES.alias("first")
    is_open = select(first.c.case_id).where(first.c.joined_to == CASES.c.case_id, first.c.closed_at.is_(None)).exists()
    query = (
        select(CASES)
        .where(
            CASES.c.closed_at < format_time(now),
            CASES.c.joined_to.is_(None),
            CASES.c.destroyed_at.is_(None),
            ~CASES.c.synthetic,
            ~is_open,
        )
        .order_by(CASES.c.closed_at, CASES.c.case_id)
    )
    found: list[DueCase] = []
    staying = 0
    for row in connection.execute(query):
        one = judge(desk, connection, to_case(row), classes=classes)
        if one.refusal is None or (one.refusal != "not-due" and staying < most):
            found.append(one)
            staying += one.refusal is not None
        # A case that is too young for every class has only younger ones behind it.
        days = (get_due_day(classes, code, closed_at=row.closed_at) for code in ("content", "public"))
        if len(found) - staying == most or all(day > get_uk_day(now) for day in days):
            break
    return found


def list_free(due: Iterable[DueCase], drafted: Collection[str]) -> list[DueCase]:
    """Return the due cases that may go now and stand on no list yet; `drafted` are the ids of those that do."""
    return [one for one in due if one.refusal is None and one.case.case_id not in drafted]


def judge(
    desk: Desk, connection: Connection, case: CaseRow, *, classes: RetentionClasses, is_early: bool = False
) -> DueCase:
    """Return whether the case of a first report may be destroyed; `is_early` does not wait for its day."""
    reports = list_reports(connection, case.case_id)
    closed_at = max((one.closed_at or "" for one in reports), default="")
    code: ClassCode = "public" if case.partner == PUBLIC_SENDER else "content"
    due = get_due_day(classes, code, closed_at=closed_at) if closed_at else date.max
    now = desk.clock()
    refusal = next(_list_refusals(connection, case, reports, now=format_time(now)), None)
    if refusal is None and not is_early and any(one.requests for one in reports):
        refusal = "requested"
    if refusal is None and not is_early and due > get_uk_day(now):
        refusal = "not-due"
    return DueCase(case, code, closed_at, due, refusal)


def _list_refusals(connection: Connection, case: CaseRow, reports: Sequence[CaseRow], *, now: str) -> Iterator[str]:
    if case.destroyed_at is not None:
        yield "destroyed"
    if case.synthetic:
        yield "synthetic"
    if any(one.closed_at is None for one in reports):
        yield "open"
    if any(_is_owed(one) for one in reports):
        yield "owed"
    if case.hold_review is not None:
        yield "held"
    if _has_waiting(connection, reports):
        yield "sending"
    actions = list_actions_of(connection, [one.case_id for one in reports])
    if any(one.state == "released" for one in actions):
        yield "action"
    if any(one.awaits_answer and (one.due_at or now) >= now for one in actions):
        yield "asked"
    if case.partner == PUBLIC_SENDER and _has_work_beside(connection, case):
        yield "addition"


def _is_owed(case: Any) -> bool:
    # Also on a closed case: the gateway may have refused a reply that counted.
    return bool(case.reply_owed and case.reply_code is None)


def _has_waiting(connection: Connection, reports: Sequence[CaseRow]) -> bool:
    ids = [one.case_id for one in reports]
    stages = [f"{one.partner} {one.report_id}" for one in reports]
    replies = select(REPLY_MESSAGES.c.message_id).where(REPLY_MESSAGES.c.case_id.in_(ids))
    # With them the messages of actions and of their threads, which go under the case.
    questions = select(MAILBOX_MESSAGES.c.message_id).where(MAILBOX_MESSAGES.c.case_id.in_(ids))
    outcomes = select(OUTCOME_SIGNALS.c.message_id).where(OUTCOME_SIGNALS.c.case_id.in_(ids))
    entry = or_(
        (OUTBOX.c.kind == "note") & OUTBOX.c.subject.in_(ids),
        (OUTBOX.c.kind == "stage") & OUTBOX.c.subject.in_(stages),
        (OUTBOX.c.kind == "reply") & OUTBOX.c.subject.in_(replies),
        (OUTBOX.c.kind == "message") & or_(OUTBOX.c.subject.in_(questions), OUTBOX.c.subject.in_(outcomes)),
    )
    waits = (
        OUTCOME_SIGNALS.c.case_id.in_(ids),
        OUTCOME_SIGNALS.c.released_at.is_(None),
        OUTCOME_SIGNALS.c.taken_back_at.is_(None),
    )
    return (
        connection.execute(select(OUTBOX.c.id).where(IS_OPEN, entry).limit(1)).first() is not None
        or connection.execute(select(OUTCOME_SIGNALS.c.signal_id).where(*waits).limit(1)).first() is not None
    )


def _has_work_beside(connection: Connection, case: CaseRow) -> bool:
    earlier = find_named(connection, case)
    first = case if earlier is None else earlier
    family = [first, *list_added(connection, first)]
    return any(
        one.case_id != case.case_id and one.destroyed_at is None and (one.closed_at is None or _is_owed(one))
        for one in family
    )


# The columns of a case that say more about a person than codes do.
_FORGOTTEN: Final = {"reply_key_sha256": None, "has_reply_key": False, "holder": None}
# A request to wipe it is done by this.
_ANSWERED: Final = {"requests": "", "request_due": None}


@dataclass(frozen=True, slots=True)
class Boxes:
    """Sealed columns of a table, each with its value once it is emptied; `of_report` picks the rows of one report."""

    table: Table
    of_report: Callable[[CaseRow], ColumnElement[bool]]
    emptied: Mapping[str, bytes | None]
    is_emptied: bool = True


def _of_report(table: Table) -> Callable[[CaseRow], ColumnElement[bool]]:
    names = ("environment", "partner", "report_id")
    return lambda report: and_(*(table.c[name] == getattr(report, name) for name in names))


def _of_case(table: Table) -> Callable[[CaseRow], ColumnElement[bool]]:
    return lambda report: table.c.case_id == report.case_id


def _of_aside(report: CaseRow) -> ColumnElement[bool]:
    """Return the condition of rows in quarantine as this report and resolved since: its bytes once more."""
    return and_(
        QUARANTINE.c.claimed_partner == report.partner,
        QUARANTINE.c.claimed_report_id == report.report_id,
        QUARANTINE.c.resolved_at.is_not(None),
    )


def _of_thread(report: CaseRow) -> ColumnElement[bool]:
    of_case = CASE_ACTIONS.c.case_id == report.case_id
    return THREAD_ENTRIES.c.action_id.in_(select(CASE_ACTIONS.c.action_id).where(of_case))


BOXES: Final = (
    Boxes(REPORTS, _of_report(REPORTS), {"envelope": b""}),
    Boxes(IMPORTED_REPORTS, _of_report(IMPORTED_REPORTS), {"envelope": b""}),
    Boxes(QUARANTINE, _of_aside, {"row": b""}),
    # Steps are only ever added; the vault's key was the only way into these boxes.
    Boxes(CASE_STEPS, _of_case(CASE_STEPS), {"box": None}, is_emptied=False),
    Boxes(REPLY_MESSAGES, _of_case(REPLY_MESSAGES), {"envelope": b"", "desk_copy": None}),
    Boxes(MAILBOX_MESSAGES, _of_case(MAILBOX_MESSAGES), {"envelope": b"", "desk_copy": None}),
    Boxes(CASE_ACTIONS, _of_case(CASE_ACTIONS), {"box": b""}),
    Boxes(THREAD_ENTRIES, _of_thread, {"box": b""}),
)
# Rows that go whole.
ROWS: Final = (CASE_IDENTIFIERS, PAGE_CONTEXTS, NOTES)


def count_contents(connection: Connection, reports: Sequence[CaseRow]) -> dict[str, int]:
    """Return how many boxes, rows and files these reports have, and the bytes of boxes and files."""
    rows = row_bytes = 0
    for boxes in BOXES:
        mine = or_(*(boxes.of_report(report) for report in reports))
        for name in boxes.emptied:
            column = boxes.table.c[name]
            counted = select(func.count(column), func.coalesce(func.sum(func.length(column)), 0)).where(mine)
            count, size = connection.execute(counted).one()
            rows, row_bytes = rows + count, row_bytes + size
    for table in ROWS:
        of_cases = table.c.case_id.in_([report.case_id for report in reports])
        rows += connection.execute(select(func.count()).select_from(table).where(of_cases)).scalar_one()
    files = file_bytes = 0
    for partner, evidence_id in list_files(connection, reports):
        held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
        size = connection.execute(select(EVIDENCE.c.size_bytes).where(held)).scalar()
        files, file_bytes = files + (size is not None), file_bytes + (size or 0)
    return {"rows": int(rows), "row_bytes": int(row_bytes), "files": files, "file_bytes": int(file_bytes)}


def empty_report(connection: Connection, report: CaseRow, *, at: str) -> None:
    """Take the content of one report, and all that hangs on it, out of the database; what waits to be sent ends."""
    for boxes in BOXES:
        if boxes.is_emptied:
            connection.execute(update(boxes.table).where(boxes.of_report(report)).values(**boxes.emptied))
    for table in ROWS:
        connection.execute(delete(table).where(table.c.case_id == report.case_id))
    end_open_actions(connection, report.case_id, at=at)
    drop(connection, "note", [report.case_id])
    values = {"destroyed_at": at, **_FORGOTTEN, **_ANSWERED}
    connection.execute(update(CASES).where(CASES.c.case_id == report.case_id).values(**values))


def list_digests(connection: Connection, reports: Sequence[CaseRow]) -> tuple[str, ...]:
    """Return the digests of the reports' envelopes, each once and sorted."""
    found = set()
    for table in (REPORTS, IMPORTED_REPORTS):
        for report in reports:
            digests = select(table.c.envelope_sha256).where(_of_report(table)(report))
            found |= {bytes(one).hex() for one in connection.execute(digests).scalars()}
    return tuple(sorted(found))


def list_files(connection: Connection, reports: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return the files that these reports name and no other case with content does, by partner and id."""
    mine = {one.case_id for one in reports}
    other = NAMED_EVIDENCE.alias("other")
    of_case = and_(CASES.c.partner == other.c.partner, CASES.c.report_id == other.c.report_id)
    files = []
    for report in reports:
        named = select(NAMED_EVIDENCE.c.evidence_id).where(
            NAMED_EVIDENCE.c.partner == report.partner, NAMED_EVIDENCE.c.report_id == report.report_id
        )
        for evidence_id in connection.execute(named).scalars().all():
            others = (
                select(CASES.c.case_id)
                .select_from(other.join(CASES, of_case))
                .where(
                    other.c.partner == report.partner,
                    other.c.evidence_id == evidence_id,
                    CASES.c.destroyed_at.is_(None),
                    CASES.c.case_id.not_in(mine),
                )
            )
            if connection.execute(others.limit(1)).first() is None:
                files.append((report.partner, evidence_id))
    return list(dict.fromkeys(files))


def forget_files(connection: Connection, reports: Sequence[CaseRow]) -> None:
    """Forget the names of the files that went with these reports."""
    for partner, evidence_id in list_files(connection, reports):
        held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
        connection.execute(delete(EVIDENCE).where(held))
    for report in reports:
        named = (NAMED_EVIDENCE.c.partner == report.partner) & (NAMED_EVIDENCE.c.report_id == report.report_id)
        connection.execute(delete(NAMED_EVIDENCE).where(named))


DUE: Final[DestructionReason] = "due"


class RetentionError(
    RefusalError[
        Literal["busy", "changed", "in-draft", "key-left", "not-decided", "not-destroyable", "other-requests"]
        | Literal["signed-before", "too-many", "unknown-list"]
    ]
):
    """A case cannot be destroyed now; the message names it and the reason."""


def draft_destruction(desk: Desk, case_ids: Collection[str], *, reason: DestructionReason, actor: str) -> Release:
    """Draft a list of cases for a second person to sign: cases that are `due`, or for an `erasure` before their time.

    Each is named by its id or reference, and goes with every report that is joined to it. Raises `CaseError` (`unknown-
    case`), `RetentionError`.
    """
    if not 0 < len(case_ids) <= MOST_CASES:
        raise RetentionError(f"A list has 1 to {MOST_CASES} cases.", reason="too-many")
    now = desk.clock()
    with desk.store.write() as connection:
        leads = {lead.case_id: lead for lead in (get_lead(connection, one) for one in case_ids)}
        drafted = list_drafted(connection)
        if drafted & leads.keys():
            taken = leads[min(drafted & leads.keys())].reference
            raise RetentionError(f"{taken} is on another list, which waits for its signature.", reason="in-draft")
        wanted = DestructionList(
            cases=tuple(make_listed(desk, connection, leads[case_id], reason=reason) for case_id in sorted(leads)),
            destruction_id=desk.make_id(),
            environment=desk.config.environment,
            reason=reason,
        )
        body = encode(wanted)
        connection.execute(
            insert(DESTRUCTIONS).values(
                destruction_id=wanted.destruction_id, body=body, drafted_at=format_time(now), drafted_by=actor
            )
        )
        subject = wanted.destruction_id
        # Its author signs this one, so its draft is the desk's.
        draft_release(connection, kind=DESTRUCTION_DRAFT, subject=subject, body=body, by=BY_THE_DESK, now=now)
        return draft_release(connection, kind=DESTRUCTION, subject=subject, body=body, by=actor, now=now)


def draft_erasure(desk: Desk, wanted: str, *, actor: str) -> Release:
    """Draft the list for a case whose request was decided as "erase": one list with every report of this person.

    Raises `CaseError` (`unknown-case`) and `RetentionError`: `not-decided`, `other-requests`, those of a draft.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        cases = list_reports_of_person(connection, found)
        requests = [(case, one) for case in cases for one in list_requests(connection, case)]
    if not any(one.to_erase_by for case, one in requests if case.case_id == found.case_id):
        raise RetentionError("Nobody has decided to erase this report.", reason="not-decided")
    if any(one.kind != WIPE for _, one in requests):
        raise RetentionError(
            "Answer this person's other requests first: nothing of them can be shown or corrected afterwards.",
            reason="other-requests",
        )
    return draft_destruction(desk, [case.case_id for case in cases], reason="erasure", actor=actor)


def withdraw_draft(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Give up an unsigned list. Raises `RetentionError`."""
    with desk.store.write() as connection:
        row = get_destruction(connection, destruction_id)
        release = find_release(connection, kind=DESTRUCTION, subject=destruction_id, body=bytes(row.body))
        if release is not None and release.signed_by is not None:
            raise RetentionError("This list was signed: it is carried out.", reason="signed-before")
        connection.execute(delete(DESTRUCTIONS).where(DESTRUCTIONS.c.destruction_id == destruction_id))
        audit.append_entry(connection, "withdraw-destruction", destruction_id, at=desk.clock(), actor=actor)


def get_destruction(connection: Connection, destruction_id: str) -> Row[Any]:
    """Return the row of a list. Raises `RetentionError`."""
    mine = DESTRUCTIONS.c.destruction_id == destruction_id
    row = connection.execute(select(DESTRUCTIONS).where(mine)).first()
    if row is None:
        raise RetentionError("There is no such list: it was withdrawn, or never drafted.", reason="unknown-list")
    return row


def list_unfinished(connection: Connection) -> list[str]:
    """Return the ids of lists without a certificate, signed or not, the oldest first."""
    waiting = select(DESTRUCTIONS.c.destruction_id).where(DESTRUCTIONS.c.certificate.is_(None))
    return list(connection.execute(waiting.order_by(DESTRUCTIONS.c.destruction_id)).scalars())


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list as two people sign it: its bytes, and the signature of each as far as it is there."""

    row: Row[Any]
    listed: DestructionList
    author: Release
    second: Release

    @property
    def next(self) -> Release:
        """The signature that is missing, or the second one."""
        return self.second if self.author.signed_by else self.author


def get_signatures(connection: Connection, destruction_id: str) -> SignedList:
    """Return a list with its signatures, unverified. Raises `RetentionError`."""
    row = get_destruction(connection, destruction_id)
    body = bytes(row.body)
    author, second = (
        find_release(connection, kind=kind, subject=destruction_id, body=body)
        for kind in (DESTRUCTION_DRAFT, DESTRUCTION)
    )
    if author is None or second is None:
        raise RetentionError("This list was changed since it was drafted.", reason="unknown-list")
    return SignedList(row, parse_list(body), author, second)


def sign_next(found: SignedList, *, by: str) -> Release:
    """Return the signature that this person gives now. Raises `ReleaseError`."""
    if not found.author.signed_by and by != found.second.drafted_by:
        raise ReleaseError("Its author signs a list first, with their own passkey.", reason="not-signed")
    check_may_sign(found.next, by=by)
    return found.next


def list_drafts(connection: Connection) -> list[SignedList]:
    """Return the lists that were not begun, the oldest first."""
    waiting = select(DESTRUCTIONS.c.destruction_id).where(DESTRUCTIONS.c.begun_at.is_(None))
    ids = connection.execute(
        waiting.where(DESTRUCTIONS.c.certificate.is_(None)).order_by(DESTRUCTIONS.c.destruction_id)
    )
    return [get_signatures(connection, destruction_id) for destruction_id in ids.scalars().all()]


def parse_list(raw: bytes) -> DestructionList:
    """Return a stored list."""
    return parse_exact(raw, kind=DestructionList, max_bytes=MAX_LIST_BYTES)


def list_drafted(connection: Connection) -> set[str]:
    """Return the cases that are on a list without a certificate."""
    rows = connection.execute(select(DESTRUCTIONS.c.body).where(DESTRUCTIONS.c.certificate.is_(None)))
    return {case.case_id for raw in rows.scalars() for case in parse_list(bytes(raw)).cases}


def make_listed(desk: Desk, connection: Connection, case: CaseRow, *, reason: DestructionReason) -> ListedCase:
    """Return a case as a list has it now. Raises `RetentionError`."""
    classes = load_classes(desk.paths.state)
    found = judge(desk, connection, case, classes=classes, is_early=reason != DUE)
    if found.refusal is not None:
        raise RetentionError(f"{case.reference} stays: {REFUSALS[found.refusal]}.", reason="not-destroyable")
    return _describe(connection, found)


def _describe(connection: Connection, found: DueCase) -> ListedCase:
    reports = list_reports(connection, found.case.case_id)
    return ListedCase(
        case_id=found.case.case_id,
        closed_at=found.closed_at,
        due_on=found.due.isoformat(),
        reference=found.case.reference,
        report_sha256=list_digests(connection, reports),
        reports=tuple(
            ListedReport(**{name: getattr(one, name) for name in ListedReport.__struct_fields__}) for one in reports
        ),
        retention_class=found.code,
    )
