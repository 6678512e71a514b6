"""Cases for lists, in the order of the queue, and the steps of each: every act on it, with its person, time and codes.

Never opens a report (opening.py does). Promised days are days of the United Kingdom: they were printed on a page
there, and end at midnight there.

Steps are only ever added. Everything typed, e.g. the reason of a move, is sealed to the desk's own key and lies under
the key of the case: it opens with the report, and is lost with the key. The audit log holds the hash of the box.
"""

import hashlib
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import msgspec
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from gateway.desk.cases import choices
from gateway.desk.collection.joining import LinkReason
from gateway.desk.keyring.case_boxes import close_box, get_box
from gateway.desk.keyring.key_set import make_copy_context, seal_own_copy
from gateway.desk.office.uk_times import UkTimeReason
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.schema import CASE_STEPS, CASES, IMPORTED_REPORTS, REPORTS, CaseColumns, Tier
from gateway.desk.store.schema import MANUAL_CHANNELS as MANUAL_CHANNELS
from gateway.desk.store.schema import REPLIED_BY_RETURN_CODE as REPLIED_BY_RETURN_CODE
from gateway.desk.vault import Reason
from gateway.guidance.agency import Agency
from gateway.guidance.risk import Combination, Factor, combine, list_reasons
from partner_sdk.errors import FormatError, OpeningError, RefusalError
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time
from partner_sdk.wire.signing import Environment
from partner_sdk.wire.submission import PUBLIC_SENDER

CaseState = Literal["open", "closed", "all"]
# Written as in ix_cases_queue, brackets included: SQLite uses an index only for an expression written alike.
IS_OPEN: Final[ColumnElement[bool]] = literal_column("(closed_at IS NULL)", Boolean)
_LATER: Final = CASES.alias("later")
# A partner's later report joined to a read case is unread on its own, e.g. a supplement that a child is in danger.
IS_UNREAD: Final = or_(
    CASES.c.opened_at.is_(None),
    select(_LATER.c.case_id)
    .where(_LATER.c.joined_to == CASES.c.case_id, _LATER.c.opened_at.is_(None), _LATER.c.closed_at.is_(None))
    .exists(),
)
# The only order of the queue: the crisis lane by its tiers, the score, then the longest wait. In lists of open and
# closed cases, the open ones come first.
QUEUE_ORDER: Final = (
    CASES.c.crisis.desc(),
    CASES.c.tier,
    CASES.c.score.desc(),
    CASES.c.received_at,
    CASES.c.case_id,
)
WHOLE_ORDER: Final = (IS_OPEN.desc(), *QUEUE_ORDER)
# Made once, as nearly every page asks.
_BY_NAME: Final = select(CASES).where(
    (CASES.c.case_id == bindparam("wanted")) | (CASES.c.reference == bindparam("wanted"))
)
_BY_OTHER_NAME: Final = select(CASES).where(CASES.c.other_reference == bindparam("wanted"))
KINDS: Final = tuple(code for code, _ in choices.KINDS)
AGE_BANDS: Final = tuple(code for code, _ in choices.AGE_BANDS)
OUTCOMES: Final = tuple(code for code, _ in choices.OUTCOMES)
WEAKNESSES: Final = tuple(code for code, _ in choices.WEAKNESSES)
MOST_WEAKNESSES: Final = choices.MOST_WEAKNESSES
YES_NO: Final = ("yes", "no")
BEST_PLACED: Final = tuple(code for code, _ in choices.BEST_PLACED)
NO_SAFE_CONTACT: Final = "no_safe_contact"
REPLY_CODES: Final = tuple(code for code, _ in choices.REPLIES)
OUT_OF_REMIT: Final = "out_of_remit"
REDIRECTS: Final = tuple(code for code, _ in choices.REDIRECTS)
_KEPT_CONTROLS: Final = frozenset("\n\t")
# Not from the locale: the desk is in English, and a server may have any locale.
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


CaseReason = (
    UkTimeReason
    | LinkReason
    | Literal["account-named", "already-closed", "assessed-since", "assessment-stale", "bad-account", "bad-channel"]
    | Literal["bad-code", "bad-factor", "bad-lane", "bad-number", "bad-preserve-day", "bad-score", "bad-service"]
    | Literal["bad-spoke-to", "changed", "contact-owed", "contact-undecided", "destroyed", "draft-waits"]
    | Literal["entered-already", "entry-unread", "form-refused", "has-keys", "has-placements", "held", "later-open"]
    | Literal["lowered-unread", "merged-already", "no-account", "no-address", "no-authority", "no-ground", "no-hold"]
    | Literal["no-identifier-key", "no-law", "no-number", "no-package-owed", "no-recipient", "no-redirect"]
    | Literal["no-reply-unsigned", "no-request", "no-sealed-reply", "no-service", "none-chosen", "not-assessed"]
    | Literal["not-by-code", "not-checked", "not-closed", "not-crisis", "not-from-public", "not-merged", "not-moved"]
    | Literal["not-opened", "not-own-duplicate", "not-sent", "not-yours", "note-missing", "note-too-long"]
    | Literal["note-unprintable", "nothing-waits", "outcome-not-recorded", "outcome-recorded", "outcome-unrecorded"]
    | Literal["outcome-waits", "own-person", "own-report", "package-owed", "package-unread", "public-report"]
    | Literal["question-open", "reason-missing", "reason-too-long", "reason-unread", "reply-owed"]
    | Literal["reporters-account", "request-open", "retired-destination", "return-code-reason-missing"]
    | Literal["said-missing", "same-service", "service-known", "shows-reporter", "spoke-to-missing", "synthetic"]
    | Literal["takes-none", "time-ahead", "time-before", "time-too-old", "too-many", "unknown-action", "unknown-case"]
    | Literal["unknown-destination", "unknown-nickname", "unknown-service", "unprintable", "view-lowers"]
    | Literal["way-not-open"]
)


class CaseError(RefusalError[CaseReason]):
    """The case does not exist, or this change is refused; the message gives the reason."""


class CaseRow(CaseColumns):
    """One case for lists."""

    __slots__ = ()

    @property
    def came_by(self) -> str:
        """The way of a person's own report: `phone`, `letter` or `visit`, or else its door."""
        return self.channel if self.channel in MANUAL_CHANNELS else self.door

    @property
    def reasons(self) -> Sequence[Factor | Combination]:
        """Its factors with their reasons, the strongest first."""
        return list_reasons(self.factors, is_read=self.opened_at is not None)

    @property
    def is_behind(self) -> bool:
        """Whether it is behind the rest of the lane because its sender has too many unread there."""
        return self.tier == Tier.OVER_SHARE

    @property
    def first_id(self) -> str:
        """The case id of the first report of the case, to which a partner's later reports are joined."""
        return self.joined_to or self.case_id


def list_cases(connection: Connection, *, state: CaseState = "open") -> list[CaseRow]:
    """Return cases in the order of the queue, one line per report; queue.py leaves joined ones to their case."""
    query: Select[Any] = select(CASES)
    query = query.order_by(*(WHOLE_ORDER if state == "all" else QUEUE_ORDER))
    if state != "all":
        query = query.where(IS_OPEN.is_(state == "open"))
    return [to_case(row) for row in connection.execute(query)]


def get_case(connection: Connection, wanted: str) -> CaseRow:
    """Return the case with this case id or reference, or raise `CaseError` (`unknown-case`)."""
    names = {"wanted": wanted}
    row = connection.execute(_BY_NAME, names).first() or connection.execute(_BY_OTHER_NAME, names).first()
    if row is None:
        raise CaseError("No case has that id or reference.", reason="unknown-case")
    return to_case(row)


def list_firsts(connection: Connection, cases: Collection[CaseRow]) -> dict[str, str]:
    """Return, by the case id of each addition, the case id of the same sender's report that it adds to."""
    wanted = {case.adds_to for case in cases if case.adds_to is not None}
    if not wanted:
        return {}  # a database would read every case to find none
    rows = connection.execute(
        select(CASES.c.environment, CASES.c.partner, CASES.c.reference, CASES.c.other_reference, CASES.c.case_id).where(
            CASES.c.reference.in_(wanted) | CASES.c.other_reference.in_(wanted)
        )
    ).all()
    known = {(row.environment, row.partner, row.other_reference): row.case_id for row in rows}
    known.update({(row.environment, row.partner, row.reference): row.case_id for row in rows})
    found = {case.case_id: known.get((case.environment, case.partner, case.adds_to)) for case in cases}
    return {case_id: first for case_id, first in found.items() if first is not None}


def list_cases_of(connection: Connection, *, partner: str, report_ids: Collection[str]) -> list[CaseRow]:
    """Return the cases of these reports of one sender, the newest first."""
    rows = connection.execute(
        select(CASES)
        # Both environments are named so that SQLite uses the index that begins with it.
        .where(
            CASES.c.environment.in_(get_args(Environment)),
            CASES.c.partner == partner,
            CASES.c.report_id.in_(report_ids),
        )
        .order_by(CASES.c.received_at.desc(), CASES.c.case_id.desc())
    )
    return [to_case(row) for row in rows]


def to_case(row: Row[Any]) -> CaseRow:
    """Return one row of the table as a `CaseRow`."""
    return CaseRow._make(row)


def check_open(found: CaseRow) -> None:
    """Raise `CaseError` for a closed case."""
    if found.closed_at is not None:
        raise CaseError("This case is already closed. Nothing was changed.", reason="already-closed")


def check_read(found: CaseRow) -> None:
    """Raise `CaseError` for an unread report."""
    if found.opened_at is None:
        raise CaseError("This report is still unread. Open it first.", reason="not-opened")


def check_code(name: str, code: str, codes: tuple[str, ...]) -> None:
    """Raise `CaseError` for a code outside the list."""
    if code not in codes:
        raise CaseError("One of the answers is not on the list. Choose it again.", reason="bad-code")


def has_control_characters(text: str) -> bool:
    """Return whether a text contains control characters other than line ends and tabs."""
    return any(unicodedata.category(one) == "Cc" and one not in _KEPT_CONTROLS for one in text)


def normalise(text: str) -> str:
    """Return the text with LF line ends (forms send CR LF) and no outer spaces."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def parse_day(text: str) -> date:
    """Return a day typed as e.g. 2026-12-24."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CaseError("Write the date like this: 2026-12-24.", reason="bad-day") from None


def is_waiting(case: CaseRow) -> bool:
    """Return whether a reply is owed and none is recorded."""
    return case.reply_owed and case.reply_code is None and case.closed_at is None


def find_promised_day(case: CaseRow) -> date | None:
    """Return the day promised to the person, or None if no day was named."""
    return None if case.reply_by is None else date.fromisoformat(case.reply_by)


def find_read_by(case: CaseRow, agency: Agency) -> datetime | None:
    """Return the time by which a public report must be read, or None for any other.

    Worked out as the form does it, with this desk's hours. A report raised later must be read as soon as a crisis from
    then on, and never later than first promised.
    """
    if case.partner != PUBLIC_SENDER or case.synthetic:
        return None
    risk = combine(case.factors)
    is_raised = case.crisis_since is not None and (case.crisis_since != case.collected_at or not risk.crisis)
    read_by = agency.get_read_by(parse_time(case.received_at), urgency="other" if is_raised else risk.urgency)
    if case.crisis_since is None or not is_raised:
        return read_by
    return min(read_by, agency.get_read_by(parse_time(case.crisis_since), urgency="crisis"))


def format_read_by(case: CaseRow, agency: Agency, *, now: datetime) -> str:
    """Return the time as text, e.g. `18:05 on Friday 27 November, which has passed`; empty if none was promised."""
    read_by = find_read_by(case, agency)
    if read_by is None:
        return ""
    is_past = case.opened_at is None and case.closed_at is None and now > read_by
    local = read_by.astimezone(agency.zone)
    return f"{local:%H:%M} on {format_day(local.date())}{', which has passed' if is_past else ''}"


def count_days_late(case: CaseRow, *, today: date) -> int:
    """Return the days by which an owed reply is late; 0 if it is not."""
    promised = find_promised_day(case)
    return 0 if promised is None or not is_waiting(case) else max(0, (today - promised).days)


def format_day(day: date) -> str:
    """Return a day as on the page for the person, e.g. `Friday 27 November`."""
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def format_lateness(days: int) -> str:
    """Return how late a reply is, e.g. `2 days late`."""
    return "1 day late" if days == 1 else f"{days} days late"


def list_sealed_sizes(
    connection: Connection, *, environment: str, partner: str, report_ids: Collection[str]
) -> dict[str, int]:
    """Return the envelope sizes in bytes, by report id; unknown reports are left out."""
    sizes: dict[str, int] = {}
    for table in (IMPORTED_REPORTS, REPORTS):
        rows = connection.execute(
            select(table.c.report_id, func.length(table.c.envelope).label("size")).where(
                table.c.environment == environment, table.c.partner == partner, table.c.report_id.in_(report_ids)
            )
        )
        sizes |= {row.report_id: row.size for row in rows}
    return sizes


# The audit log has each as e.g. `move-case`.
StepKind = Literal[
    "manual-entry",
    "move",
    "claim",
    "take-over",
    "release",
    "hand-over",
    "assess",
    "advise",
    "pass-on",
    "ask-service",
    "exempt",
    "child-outcome",
    "choose-body",
    "reply",
    "close",
    "reopen",
    "link",
    "unlink",
    "keep-apart",
    "set-service",
    "name-account",
    "legal-hold",
    "lift-hold",
    "request",
    "answer-request",
]
REPLY_STEP: Final[StepKind] = "reply"
# By these its holder has acted on a case, so that it stands below unread ones of the crisis lane.
_ACTS: Final[frozenset[StepKind]] = frozenset(
    {"assess", "pass-on", "ask-service", "child-outcome", "choose-body", "reply"}
)
_HANDLE: Final = (
    update(CASES)
    .where(CASES.c.case_id == bindparam("of"), CASES.c.holder == bindparam("by"), CASES.c.crisis, ~IS_UNREAD)
    .values(tier=Tier.HANDLED)
)
MAX_REASON_CHARACTERS: Final = 300
# As a reply: the reasons of an assessment, and the note that goes with a case to another person.
MAX_NOTE_CHARACTERS: Final = 4_000
# A reason beside each factor of a case, and a note: each character takes up to four bytes, escaped up to six.
_MOST_TEXT_BYTES: Final = 256 * 1024
# More than a person reads at once: the texts of older steps stay closed on the page.
MOST_OPENED_STEPS: Final = 60
_BOX_KIND: Final = "case-step"
# The steps of a case and of the reports joined to it, the newest first; made once, as every page of a case asks often.
_OF_CASE: Final = (
    select(*(CASE_STEPS.c[name] for name in ("id", "step_id", "case_id", "at", "by", "kind", "detail", "box")))
    .where(
        or_(
            CASE_STEPS.c.case_id == bindparam("case_id"),
            CASE_STEPS.c.case_id == bindparam("first_id"),
            CASE_STEPS.c.case_id.in_(select(CASES.c.case_id).where(CASES.c.joined_to == bindparam("case_id"))),
        )
    )
    .order_by(CASE_STEPS.c.id.desc())
)
# The act of the audit log.
READ_STEPS: Final = "read-case-steps"


class StepText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything typed in one step. `factors` gives the reason for each risk factor that was judged, by its code.

    `form` is a whole form as JSON, which another one may start from; the timeline does not show it.
    """

    reason: str = ""
    note: str = ""
    factors: dict[str, str] = {}
    form: str = ""


@dataclass(frozen=True, slots=True)
class CaseStep:
    """One step. `number` gives the order: the clock may have been set back. `box` is its sealed text, if any."""

    number: int
    step_id: str
    case_id: str
    at: str
    by: str
    kind: StepKind
    detail: dict[str, Any]
    box: bytes | None


def add_step(
    desk: Desk,
    connection: Connection,
    case_id: str,
    kind: StepKind,
    *,
    actor: str,
    text: StepText | None = None,
    codes: Mapping[str, audit.Detail] = MappingProxyType({}),
) -> None:
    """Record a step in the caller's transaction. Raises `LocalStateError` (`no-sealing-key`) if it has a text."""
    now, step_id, box, detail = desk.clock(), desk.make_id(), None, dict(codes)
    if text is not None:
        sealed = seal_own_copy(desk, connection, encode(text), purpose="mailbox", message_id=step_id, kind=_BOX_KIND)
        box = close_box(desk.load_signer(), connection, case_id, sealed, kind="step", row_id=step_id)
        detail["box_sha256"] = hashlib.sha256(box).hexdigest()
    connection.execute(
        insert(CASE_STEPS).values(
            step_id=step_id,
            case_id=case_id,
            at=format_time(now),
            by=actor,
            kind=kind,
            detail=encode(detail).decode(),
            box=box,
        )
    )
    if kind in _ACTS:
        connection.execute(_HANDLE, {"of": case_id, "by": actor})
    audit.append_entry(connection, f"{kind}-case", case_id, at=now, actor=actor, **detail)


def list_steps(connection: Connection, case: CaseRow, *, kinds: Collection[StepKind] = ()) -> list[CaseStep]:
    """Return the steps of a case and of all its reports, the newest first: all of them, or those of some kinds."""
    query = _OF_CASE.where(CASE_STEPS.c.kind.in_(kinds)) if kinds else _OF_CASE
    return [_read(row) for row in connection.execute(query, {"case_id": case.case_id, "first_id": case.first_id})]


def list_steps_since(connection: Connection, kind: StepKind, *, since: str) -> list[CaseStep]:
    """Return the steps of one kind of all cases since a time, the oldest first."""
    wanted = (CASE_STEPS.c.kind == kind) & (CASE_STEPS.c.at >= since)
    return [_read(row) for row in connection.execute(select(CASE_STEPS).where(wanted).order_by(CASE_STEPS.c.id))]


def _read(row: Row[Any]) -> CaseStep:
    box = None if row.box is None else bytes(row.box)
    return CaseStep(row.id, row.step_id, row.case_id, row.at, row.by, row.kind, json.loads(row.detail), box)


def open_texts(
    desk: Desk, case: CaseRow, steps: Sequence[CaseStep], *, actor: str, reason: Reason = "read"
) -> dict[str, StepText]:
    """Return the texts of the newest steps, by step id; a reading is recorded. Unopened texts are left out.

    A key is destroyed at the end of its time, and a box that is not the one of its step does not open.
    """
    sealed = [step for step in steps if step.box is not None][:MOST_OPENED_STEPS]
    if not sealed:
        return {}
    vault, texts = desk.load_vault(actor=actor, reason=reason), dict[str, StepText]()
    with desk.store.read() as connection:
        boxes = [
            get_box(connection, step.case_id, step.box or b"", kind="step", row_id=step.step_id) for step in sealed
        ]
    for step, box in zip(sealed, boxes, strict=True):
        context = make_copy_context(desk, purpose="mailbox", message_id=step.step_id, kind=_BOX_KIND)
        try:
            if step.detail.get("box_sha256") == hashlib.sha256(box.closed).hexdigest():
                plain = vault.open_message_copy(box, context=context)
                texts[step.step_id] = parse_exact(plain, kind=StepText, max_bytes=_MOST_TEXT_BYTES)
        except (OpeningError, FormatError):
            continue
    if reason == "read":
        with desk.store.write() as connection:
            audit.append_entry(connection, READ_STEPS, case.case_id, at=desk.clock(), actor=actor)
    return texts


def get_clean_reason(reason: str) -> str:
    """Return a person's reason for a change. Raises `CaseError` if it is missing, too long or unprintable."""
    reason = reason.strip()
    if not reason:
        raise CaseError("Give the reason.", reason="reason-missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason can have up to {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    if not reason.isprintable():
        raise CaseError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return reason


def get_clean_note(note: str, *, most: int = MAX_NOTE_CHARACTERS) -> str:
    """Return a text of several lines."""
    note = normalise(note)
    if not note:
        raise CaseError("Write this part: the next person needs it.", reason="note-missing")
    if len(note) > most:
        raise CaseError(f"This text can have up to {most:,} characters.", reason="note-too-long")
    if has_control_characters(note):
        raise CaseError("The text contains characters that a page cannot show. Remove them.", reason="note-unprintable")
    return note
