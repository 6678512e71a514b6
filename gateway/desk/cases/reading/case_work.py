"""The work on a case, for its page and the terminal: its holder, assessment and steps, and all it still owes.

Holds typed texts only if the report is open beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.desk.cases.assessing import Standing, find_standing, is_grown_up
from gateway.desk.cases.child_outcome import CHILD_OUTCOMES, ChildOutcome, list_child_outcomes
from gateway.desk.cases.guards import list_open, list_owed
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.indexing import NAMED
from gateway.desk.cases.model import KINDS, CaseError, CaseRow, get_case
from gateway.desk.cases.passing_on import MEANS
from gateway.desk.cases.queue import Later, list_later
from gateway.desk.cases.reading.timeline import Event, describe_act
from gateway.desk.cases.steps import CaseStep, StepText, list_steps, open_texts
from gateway.desk.destinations.register import Register, load_register
from gateway.desk.partners.outcomes import OutcomeSignal, find_released
from gateway.desk.people.register import format_person
from gateway.desk.wiring import Desk
from gateway.guidance.risk import Combination, Factor, list_reasons

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
    standing: Standing | None
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
        """The reasons of the standing assessment, if they are open here."""
        text = None if self.standing is None else self.texts.get(self.standing.step.step_id)
        return "" if text is None else text.note


def make_case_work(desk: Desk, case: CaseRow, *, actor: str, is_open: bool) -> CaseWork:
    """Return the work on a case as this person sees it. `is_open` opens the typed texts, which is recorded."""
    with desk.store.read() as connection:
        lead = get_lead(connection, case.case_id)
        steps = list_steps(connection, lead)
        standing = find_standing(connection, lead)
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
        standing=standing,
        assessor="" if standing is None else names[standing.step.by],
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
    done = describe_act(f"{step.kind}-case", step.detail, names=known)
    line = Event(step.at, names[step.by], done, is_sealed=step.box is not None)
    if text is None:
        return line
    titles = {one.code: one.reason for one in list_reasons(" ".join(text.factors))}
    factors = [(_format_judgement(step, code, titles[code]), reason) for code, reason in text.factors.items()]
    return replace(line, reason=text.reason, note=text.note, factors=factors, is_sealed=False)


def _format_judgement(step: CaseStep, code: str, title: str) -> str:
    return f"{'Struck out' if code in str(step.detail.get('struck')).split() else 'Agreed'}: {title}"
