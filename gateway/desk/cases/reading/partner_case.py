"""A case page's timeline, holder, assessment, steps and debts, and the reports and outcomes of a partner's case.

The timeline is made from the audit log, from the steps with their sealed reasons, and from the times at which reports
came and messages left. Holds typed or reported text only if the report is open beside it.

A page is built whole before it is sent: a sender must not stop the desk with a case of forty megabytes. The first of
everything stays, and each report states how much was left out.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import structs

from gateway.desk.cases.actions.destinations import Register, load_register
from gateway.desk.cases.actions.model import KIND_TITLES, Action, format_failure, list_actions, name_recipient
from gateway.desk.cases.assessing import MEANS, CurrentAssessment, find_assessment, is_grown_up
from gateway.desk.cases.closing import (
    CHILD_OUTCOMES,
    ChildOutcome,
    list_child_outcomes,
    list_open,
    list_owed,
    list_submitter_doubts,
)
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import (
    KINDS,
    CaseError,
    CaseRow,
    CaseStep,
    StepKind,
    StepText,
    get_case,
    list_steps,
    open_texts,
)
from gateway.desk.cases.opening import (
    OpenedReport,
    OwnReport,
    Source,
    list_additions,
    list_case_doubts,
    list_linked,
    list_own_reports,
    list_reports,
    list_sources,
    list_unopened,
)
from gateway.desk.cases.queue import Later, list_later
from gateway.desk.cases.reading.industry_report import (
    MOST_CHANGES,
    Block,
    Change,
    Counted,
    Fact,
    ReportSection,
    Value,
    count_completeness,
    list_changes,
    make_report_sections,
    make_urgency,
    name_people,
)
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.cases.search import NAMED
from gateway.desk.cases.stages import OutcomeSignal, find_released, list_signals
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.people.register import find_person, format_person
from gateway.desk.office.people.releases import KINDS as RELEASE_KINDS
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import READ, REPLY, WrittenReply, list_written
from gateway.desk.store import audit
from gateway.desk.store.audit import FROM_RECIPIENT, ON_ACTION, ON_CASE, TO_RECIPIENT, AuditEvent, format_event
from gateway.guidance.risk import Combination, Factor, list_reasons
from partner_sdk.report import IndustryReport, list_given
from partner_sdk.report.model import SealedIndustryReport
from partner_sdk.report.reading import NARRATIVE, NEW_IDS, make_evidence_cover

# HTML bytes for all reports of a case together; the rest of a page is small.
PAGE_BYTES: Final = 1_400_000
# Roughly the size of the template's own HTML around one value, and around one change.
_VALUE_BYTES: Final = 60
_CHANGE_BYTES: Final = 160
# A text without room keeps this many characters. In HTML a character has at most six bytes, as `&#x27;`.
_SHORT_TEXT: Final = 200
_MOST_CHARACTER_BYTES: Final = 6
# Why a report is urgent begins with its priority, and the reason for it.
_FIRST_FACTS: Final = 2

T = TypeVar("T")


@dataclass(slots=True)
class PageBudget:
    """The number of bytes of HTML that a page has left for reports, and of entries that it left out."""

    left: int = PAGE_BYTES
    left_out: Counter[str] = field(default_factory=Counter)  # by their field, e.g. `messages`

    @contextmanager
    def half(self) -> Iterator["PageBudget"]:
        """Yield a budget of half of the remaining bytes, so that an equal part is left for the rest."""
        inner = PageBudget(self.left // 2, self.left_out)
        given = inner.left
        yield inner
        self.left -= given - inner.left

    def take(self, things: Sequence[T], measure: Callable[[T], int]) -> tuple[T, ...]:
        """Return the first items that fit, and take their bytes from the budget."""
        taken = []
        for one in things:
            size = measure(one)
            if size > self.left:
                break
            self.left -= size
            taken.append(one)
        return tuple(taken)

    def cut_report(self, report: IndustryReport) -> IndustryReport:
        """Return a report with the first entries of its lists; no field takes more than half of the rest."""
        cut = {}
        for name in report.__struct_fields__:
            with self.half() as inner:
                cut[name] = inner.cut(name, getattr(report, name))
        return msgspec.structs.replace(report, **cut)

    def cut(self, name: str, value: Any) -> Any:
        """Return a field's value with the first entries of its lists, and always one: none would mean a blank field.

        A text that does not fit is shortened.
        """
        if isinstance(value, msgspec.Struct):
            parts = {part: self.cut(part, getattr(value, part)) for part in value.__struct_fields__}
            return msgspec.structs.replace(value, **parts)
        if isinstance(value, tuple):
            kept = list[Any]()
            for one in value:
                if kept and self.left <= 0:
                    break
                kept.append(self.cut(name, one))
            self.left_out[name] += len(value) - len(kept)
            return tuple(kept)
        if isinstance(value, str) and len(value) > max(most := self.left // _MOST_CHARACTER_BYTES, _SHORT_TEXT):
            value = f"{value[: max(most, _SHORT_TEXT)]} …"
            self.left_out[name] += 1
        self.left -= 0 if value is None else _VALUE_BYTES + _measure(str(value))
        return value

    def cut_block(self, name: str, block: Block) -> Block:
        """Return a block with the first of its facts, rows and inner blocks, and its first facts in any case."""
        first, more = block.facts[:_FIRST_FACTS], block.facts[_FIRST_FACTS:]
        self.left -= sum(_measure_fact(one) for one in first)
        facts = (*first, *self.take(more, _measure_fact))
        grids = tuple(
            replace(one, rows=self.take(one.rows, lambda row: sum(_VALUE_BYTES + _measure(cell) for cell in row)))
            for one in block.grids
        )
        blocks = tuple(self.cut_block(name, one) for one in self.take(block.blocks, lambda _: _VALUE_BYTES))
        self.left_out[name] += len(block.facts) - len(facts) + len(block.blocks) - len(blocks)
        self.left_out[name] += sum(len(one.rows) for one in block.grids) - sum(len(one.rows) for one in grids)
        return replace(block, facts=facts, grids=grids, blocks=blocks)


def _measure_fact(fact: Fact) -> int:
    return _VALUE_BYTES + _measure(fact.title, fact.value)


def _measure(*words: str | Value) -> int:
    return sum(len(escape(one if isinstance(one, str) else one.text).encode()) for one in words)


# Roughly the size of the template's own HTML around one.
_FINGERPRINT_BYTES = 60
_WITH_CHANGES = frozenset({"correction", "supplement", "response"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file that was handed over: the sender's name or id for it, and its sealed SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ShownReport:
    """One opened report. `reason` is the sender's reason for a correction or retraction, `own_reference` its number.

    `left_out` counts what the page has no room for, and the shortened texts, by their field. `fingerprints` is the
    whole content of a supplement that brings only files (`is_cover`).
    """

    case: CaseRow
    sections: Sequence[ReportSection] = ()
    counted: Counted | None = None
    reason: str = ""
    own_reference: str = ""
    changes: Sequence[Change] = ()
    more_changes: bool = False
    fault: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    fingerprints: Sequence[Fingerprint] = ()
    fingerprints_left: int = 0


@dataclass(frozen=True, slots=True)
class PartnerCase:
    """The partner's part of the page. `first` is the case that outcomes belong to."""

    first: CaseRow
    timeline: Sequence[CaseRow]
    shown: Sequence[ShownReport]
    left_closed: Sequence[CaseRow]
    doubts: Sequence[tuple[str, str]]
    linked: Sequence[OwnReport]
    signals: Sequence[OutcomeSignal]
    source: Source | None

    @property
    def waiting_signal(self) -> OutcomeSignal | None:
        """The outcome that can still be taken back."""
        return next((one for one in self.signals if one.waits), None)

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reasons of opened corrections and retractions, by case id."""
        return {one.case.case_id: one.reason for one in self.shown if one.reason}


def make_partner_case(
    desk: Desk, case: CaseRow, opened: Sequence[OpenedReport], *, actor: str, budget: PageBudget
) -> PartnerCase:
    """Return the content for the page of a partner's case; `opened` is empty on an unopened page."""
    with desk.store.read() as connection:
        timeline = list_reports(connection, case.first_id)
        first = timeline[0]
        signals = list_signals(connection, case_id=first.case_id)
        linked = list_own_reports(connection, case, list_linked(opened))
        source = list_sources(connection, [case]).get(case.partner)
        strangers = list_submitter_doubts(connection, opened)
    open_ids = {one.case.case_id for one in opened}
    content = next((one.content for one in opened if one.case.case_id == first.case_id), None)
    first_report = None if content is None else content.report
    about = timeline if case.case_id == first.case_id else [case]
    return PartnerCase(
        first=first,
        timeline=timeline,
        shown=[_show(one, first=first_report, budget=budget) for one in opened],
        left_closed=[one for one in about if one.case_id not in open_ids] if opened else (),
        doubts=[*list_case_doubts(case, about), *strangers, *list_unopened(opened)],
        linked=linked,
        signals=signals,
        source=source,
    )


def _show(one: OpenedReport, *, first: IndustryReport | None, budget: PageBudget) -> ShownReport:
    if one.content is None:
        return ShownReport(one.case, fault=one.fault)
    report = one.content.report
    # A report takes half of the page's remaining room at most, so that later ones fit.
    with budget.half() as room:
        if is_cover(one.content):
            named = () if first is None else list_given(first.files)
            names = {file.file_id: file.name for file in named if isinstance(file.name, str)}
            brought = [Fingerprint(names.get(file.file_id, file.file_id), file.sha256) for file in one.content.evidence]
            prints = room.take(brought, lambda one: _FINGERPRINT_BYTES + _measure(one.name) + len(one.sha256))
            return ShownReport(one.case, fingerprints=prints, fingerprints_left=len(brought) - len(prints))
        changes, more_changes = tuple[Change, ...](), False
        if first is not None and one.case.joined_to is not None and one.case.report_kind in _WITH_CHANGES:
            found = list_changes(first, report, is_addition=one.case.report_kind != "correction")
            with room.half() as inner:
                changes = inner.take(
                    found, lambda change: _CHANGE_BYTES + _measure(change.title, change.before, change.after)
                )
            more_changes = len(found) == MOST_CHANGES or len(changes) < len(found)
        counted = count_completeness(one.content)
        missing = room.take(counted.missing, lambda words: _VALUE_BYTES + _measure(words))
        room.left_out = Counter()
        with room.half() as inner:
            urgency = make_urgency(one.content.clear.priority, report)
            blocks = tuple(inner.cut_block("why_it_is_urgent", each) for each in urgency.blocks)
            urgency = replace(urgency, blocks=blocks)
        cut = msgspec.structs.replace(one.content, report=room.cut_report(report))
    own = report.reporter.own_reference
    sections = make_report_sections(cut, people=name_people(report), whole=report)
    return ShownReport(
        one.case,
        sections=[urgency if each.name == urgency.name else each for each in sections],
        counted=replace(counted, missing=missing, missing_left=len(counted.missing) - len(missing)),
        reason=report.change_reason or "",
        own_reference=own if isinstance(own, str) else "",
        changes=changes,
        more_changes=more_changes,
        left_out=+room.left_out,
    )


# More than a person reads: the oldest events are left out of the page, never of the audit log.
MOST_EVENTS: Final = 200
_READ: Final = "open-case"
# The events on the page that are no steps: those come with their reasons.
_NO_STEPS: Final = tuple(event for event in ON_CASE if event.removesuffix("-case") not in get_args(StepKind))
# The codes that `names` may have, e.g. ids of people and destinations; and those with a label of the page.
_NAMED: Final = {"before", "destination", "holder", "means", "other", "outcome", "person", "recipient"}
_TITLED: Final = {"channel", "code", "faculty", "lane", "lane_before", "outcome", "was", "way"}
# The labels of this list alone.
_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "decision": {"granted": "granted", "refused": "refused", "erase": "to be erased, once two people have signed"},
    "holds": {"True": "", "False": "as taken back"},
    "kind": {
        REPLY: "a reply",
        READ: "a note that the report was read",
        **{kind: name for kind, (name, _) in RELEASE_KINDS.items()},
        **{kind: title.lower() for kind, title in KIND_TITLES.items()},
    },
    "request": {"see": "to see the report", "correct": "to correct it", "wipe": "to wipe it"},
    "service": {"": "none is named"},
    "team": {"day": "the day team"},
    "taken_back": {"True": "the outcome that waited for the partner was taken back", "False": ""},
}
# Codes that stand inside a sentence.
_LOWER: Final = {"channel", "lane", "lane_before", "means", "way"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line: `name` is a person or the sender, `done` the rest of the sentence, and `to` a case that it names.

    `is_sealed` means that something was typed that is not open here. `times` and `until` count readings by one person
    without another event between them.
    """

    at: str
    name: str
    done: str
    to: CaseRow | None = None
    reason: str = ""
    note: str = ""
    factors: Sequence[tuple[str, str]] = ()
    is_sealed: bool = False
    is_hot: bool = False
    times: int = 1
    until: str = ""


def make_timeline(
    desk: Desk, lead: CaseRow, steps: Sequence[Event], *, sender: str, reasons: Mapping[str, str] = MappingProxyType({})
) -> list[Event]:
    """Return the events of a case, the oldest first. `steps` are those of the case, the newest first.

    `reasons` are the sender's, by case id, of opened reports.
    """
    with desk.store.read() as connection:
        reports = list_reports(connection, lead.first_id)
        ids = [one.case_id for one in reports]
        added = [one for one in list_additions(connection, lead) if one.case_id not in ids]
        events = audit.list_events(connection, subjects=ids, actions=_NO_STEPS, most=MOST_EVENTS)
        replies = list_written(connection, case_id=lead.case_id)
        actions = list_actions(connection, case_id=lead.case_id)
    lines = describe_events(desk, lead, events, actions)
    all_lines = [
        *(_receive(one, lead, sender=sender, reason=reasons.get(one.case_id, "")) for one in (*reports, *added)),
        *lines,
        *reversed(steps),
        *_list_messages(replies, actions),
    ]
    # Stable: events of one moment keep the order above.
    return _join_readings(sorted(all_lines, key=lambda one: one.at))


def describe_events(desk: Desk, case: CaseRow, events: Sequence[AuditEvent], actions: Sequence[Action]) -> list[Event]:
    """Return the lines of a case's events, e.g. "Kent Police took the package"; two of one meaning are one line.

    `actions` are those of the case.
    """
    known = {one.action_id: one for one in actions}
    actors = {event.actor for event in events}
    with desk.store.read() as connection:
        chosen = {str(step.detail["action_id"]) for step in list_steps(connection, case, kinds={"choose-body"})}
        holders = {str(event.detail["holder"]) for event in events if "holder" in event.detail}
        names = {one: format_person(connection, one) for one in actors | holders}
        people = {BY_THE_DESK, *(one for one in actors if find_person(connection, one) is not None)}
        names |= {one: name_recipient(desk, connection, one) for one in actors - people}
        recipients = {
            one.action_id: name_recipient(desk, connection, one.recipient, kind=one.kind) for one in known.values()
        }
    said = {(event.action, event.detail.get("action_id"), event.detail.get("kind")) for event in events}
    lines = list[Event]()
    for event in events:
        action = known.get(str(event.detail.get("action_id")))
        if action is None:
            lines.append(Event(event.at, names[event.actor], describe_event(event.action, event.detail, names=names)))
        elif not _is_said_twice(event, action, said=said, chosen=chosen):
            done = _describe_on_action(
                event, action, recipient=recipients[action.action_id], is_own=event.actor in people
            )
            lines.append(Event(event.at, names[event.actor], done))
    return lines


def _is_said_twice(
    event: AuditEvent, action: Action, *, said: Collection[tuple[str, object, object]], chosen: Collection[str]
) -> bool:
    """Return whether another line has this: a choice of a body is a draft, and an entry names its effect."""
    answers = {"acknowledge-action": ("acknowledge",), "answer-action": ("answer", "outcome", "decline")}
    if event.action in answers:
        return any(("take-thread-entry", action.action_id, kind) in said for kind in answers[event.action])
    return (
        (event.action == "draft-action" and action.action_id in chosen)
        or (event.action == "withdraw-action" and ("write-thread-entry", action.action_id, "recall") in said)
        or (event.action == "write-thread-entry" and event.detail["kind"] == "close")
    )


def _describe_on_action(event: AuditEvent, action: Action, *, recipient: str, is_own: bool) -> str:
    """Return an event on an action as a sentence; `is_own`: a person of this desk did it, or wrote it down."""
    kind = KIND_TITLES[action.kind].lower()
    failure = format_failure(str(event.detail.get("code", "")))
    words = {
        "a_kind": _add_article(kind),
        "destination": recipient,
        "failure": failure[0].lower() + failure.removesuffix(".")[1:],
        "kind": kind,
        "recipient": recipient,
    }
    if event.action == "write-thread-entry":
        return TO_RECIPIENT[event.detail["kind"]].format_map(words)
    if event.action in ON_ACTION:
        return ON_ACTION[event.action].format_map(words)
    if event.action != "take-thread-entry":
        return describe_event(event.action, event.detail)
    done = FROM_RECIPIENT[event.detail["kind"]].format_map(words)
    return f"recorded that {recipient} {done}" if is_own else done


def describe_event(action: str, codes: Mapping[str, Any], *, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return an event as a sentence, e.g. "took the case over from B Analyst"; `names` has the ids among its codes."""

    def format_code(name: str) -> str:
        if name == "a_kind":
            kind = format_code("kind")
            return _add_article(kind) if kind else ""
        if name not in codes:
            return ""
        code = "" if codes[name] is None else str(codes[name])
        labels = names if name in _NAMED else _LABELS.get(name, {})
        words = labels.get(code, title_of(code) if name in _TITLED else code)
        return words.lower() if name in _LOWER else words

    return format_event(action, format_code)


def _add_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _receive(report: CaseRow, first: CaseRow, *, sender: str, reason: str) -> Event:
    kind = title_of(report.report_kind).lower() if report.report_kind else "report" if report == first else "addition"
    done = f"sent {_add_article(kind)}, {report.priority}"
    return Event(
        report.received_at,
        sender,
        f"{done}, crisis:" if report.crisis and report != first else f"{done}:",
        to=report,
        reason=reason,
        is_hot=report.opened_at is None and report.closed_at is None,
    )


def _list_messages(replies: Iterable[WrittenReply], actions: Iterable[Action]) -> Iterator[Event]:
    for reply in replies:
        what = "reply" if reply.kind == "reply" else "note that the report was read"
        if reply.posted_at:
            yield Event(reply.posted_at, "The gateway", f"took the {what}")
        if reply.no_place_at:
            yield Event(reply.no_place_at, "The gateway", f"refused the {what}: its return code is gone")
    for action in actions:
        if action.posted_at:
            yield Event(action.posted_at, "The gateway", f"took the {KIND_TITLES[action.kind].lower()}")


def _join_readings(events: Iterable[Event]) -> list[Event]:
    joined = list[Event]()
    for one in events:
        last = joined[-1] if joined else None
        if last is not None and one.done == ON_CASE[_READ] and (last.name, last.done) == (one.name, one.done):
            joined[-1] = replace(last, times=last.times + 1, until=one.at)
        else:
            joined.append(one)
    return joined


# The things that a case still owes before it closes, on its page; the rules' own text is for the command line.
_OWED: Final = {
    "not-opened": "Read the report.",
    "not-assessed": "Assess the case.",
    "assessment-stale": "Assess the case again: more was read, or it was reopened.",
    "package-owed": (
        "Police or child protection must take it: send a package that they acknowledge, or record who took it. "
        "Otherwise a supervisor writes why not."
    ),
    "reply-owed": "Answer the person who reported, and record it.",
    "contact-owed": "Contact the adult who reported, as the assessment says, and record it.",
}
# One choice for the three answers: the sentences that fit nearly every case, each with its answers in words.
URGENCIES: Final = (
    ("no-no-no", "Not urgent: no child at immediate risk, and nothing that others need urgently"),
    ("no-yes-no", "Urgent for this desk: no immediate risk, and nothing that others need urgently"),
    ("no-yes-yes", "Urgent: police or child protection need it urgently, and no child is at immediate risk"),
    ("yes-yes-yes", "A child is at immediate risk: urgent, and police or child protection need it urgently"),
    ("each", "None of these: answer each question on its own"),
)
# The age that a report's factors suggest; others suggest none.
_SUGGESTED_AGES: Final = (("12_or_under", {"under_13"}), ("13_15", {"teenager"}))


def format_owed(owed: CaseError) -> str:
    """Return a reason why a case may not close, in the words of its page."""
    return _OWED.get(owed.reason, str(owed))


def suggest_kind_and_age(case: CaseRow) -> tuple[str, str]:
    """Return the kind and age that a first assessment starts from, for a person to check; blank if unknown."""
    factors = set(case.factors.split())
    kind = case.kind if case.kind in KINDS else ""
    return kind or "", next((age for age, codes in _SUGGESTED_AGES if codes & factors), "")


@dataclass(frozen=True, slots=True)
class CaseWork:
    """The work on one case, held by `lead`: all that is open (`matters`), and why it may not close yet (`owed`)."""

    lead: CaseRow
    holder: str | None
    is_mine: bool
    assessment: CurrentAssessment | None
    assessor: str
    factors: Sequence[Factor | Combination]
    unread: Sequence[str]
    matters: Sequence[str]
    owed: Mapping[str, str]
    lines: Sequence[Event]
    told: OutcomeSignal | None
    is_grown_up: bool
    child_outcomes: Sequence[ChildOutcome] = ()
    texts: Mapping[str, StepText] = field(default_factory=dict)
    accounts: Sequence[str] = ()  # named from the words of a report

    @property
    def reasons(self) -> str:
        """The reasons of the current assessment, if they are open here."""
        text = None if self.assessment is None else self.texts.get(self.assessment.step.step_id)
        return "" if text is None else text.note


def make_case_work(desk: Desk, case: CaseRow, *, actor: str, is_open: bool) -> CaseWork:
    """Return the work on a case as this person sees it. `is_open` opens the typed texts, which is recorded."""
    with desk.store.read() as connection:
        lead = get_lead(connection, case.case_id)
        steps = list_steps(connection, lead)
        current = find_assessment(connection, lead)
        matters = list_open(desk, connection, lead)
        owed = list_owed(connection, lead, matters, actor=actor)
        later = list_later(connection, [lead]).get(lead.case_id, Later(0, (), is_taken_back=False))
        told = find_released(connection, case_id=lead.first_id)
        people = {step.by for step in steps} | _list_named(steps, "person") | _list_named(steps, "before")
        names = {one: format_person(connection, one) for one in people}
        names |= {one: get_case(connection, one).reference for one in _list_named(steps, "other")}
        holder = None if lead.holder is None else format_person(connection, lead.holder)
    texts = open_texts(desk, lead, steps, actor=actor) if is_open else {}
    bodies = load_register(desk.paths.destinations)
    return CaseWork(
        lead=lead,
        holder=holder,
        is_mine=lead.holder == actor,
        assessment=current,
        assessor="" if current is None else names[current.step.by],
        factors=lead.reasons,
        unread=later.unread,
        matters=[format_owed(one) for one in matters],
        owed={one.reason: format_owed(one) for one in owed},
        lines=[_make_line(step, texts.get(step.step_id), names=names, bodies=bodies) for step in steps],
        told=told,
        is_grown_up=is_grown_up(lead),
        child_outcomes=list_child_outcomes(steps),
        texts=texts,
        accounts=[texts[one.step_id].note for one in steps if one.kind == NAMED and one.step_id in texts],
    )


def _list_named(steps: Sequence[CaseStep], code: str) -> set[str]:
    return {str(step.detail[code]) for step in steps if step.detail.get(code) is not None}


def _make_line(step: CaseStep, text: StepText | None, *, names: Mapping[str, str], bodies: Register) -> Event:
    key = str(step.detail.get("destination"))
    known = {**names, **dict(MEANS)} | ({key: bodies[key].name} if key in bodies else {})
    known |= CHILD_OUTCOMES if step.kind == "child-outcome" else {}
    done = describe_event(f"{step.kind}-case", step.detail, names=known)
    line = Event(step.at, names[step.by], done, is_sealed=step.box is not None)
    if text is None:
        return line
    titles = {one.code: one.reason for one in list_reasons(" ".join(text.factors))}
    struck = str(step.detail.get("struck")).split()
    factors = [
        (f"{'Struck out' if code in struck else 'Agreed'}: {titles[code]}", reason)
        for code, reason in text.factors.items()
    ]
    return replace(line, reason=text.reason, note=text.note, factors=factors, is_sealed=False)


def is_cover(content: SealedIndustryReport) -> bool:
    """Return whether an opened report is such a supplement: it brings evidence and fills only a cover."""
    report = content.report
    if content.clear.kind != "supplement" or not content.evidence:
        return False
    narrative = report.incident.narrative
    if narrative != NARRATIVE and not narrative.startswith(NARRATIVE + NEW_IDS):
        return False
    # A word anywhere else may be about a person: then it is a report like any other.
    cover = make_evidence_cover(report, file_ids={file.file_id for file in list_given(report.files)})
    return report == structs.replace(cover, incident=structs.replace(cover.incident, narrative=narrative))
