"""The assessment of a case, made again and again: the newest stands (R15, R16, B10). Then the bodies that can help.

A safeguarding adviser's view (R17) is based on the current assessment and can only raise it. An immediate risk brings
the case into the crisis lane, and the gravest priority is kept; neither answer lowers a case. After a later addition
is read, the assessment is out of date: the case does not close before the next one.

That a body took the case is recorded with the way, the officer's name and the reason (R18, R52), for the reports read
by then; the desk sends nothing here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, or_, select, update

from gateway.desk.cases.actions.destinations import (
    GROUP_TITLES,
    PROTECTING,
    Circumstances,
    Destination,
    PublicWay,
    Register,
    load_register,
    make_public_ways,
    suggest_destinations,
)
from gateway.desk.cases.holding import FACULTIES, get_lead, hand_to_best_placed, hold
from gateway.desk.cases.model import (
    AGE_BANDS,
    BEST_PLACED,
    KINDS,
    YES_NO,
    CaseError,
    CaseRow,
    CaseStep,
    StepText,
    add_step,
    check_code,
    check_open,
    check_read,
    get_case,
    get_clean_note,
    get_clean_reason,
    list_steps,
)
from gateway.desk.collection.joining import list_added
from gateway.desk.collection.row_checks import PRIORITIES, SealedContent
from gateway.desk.office.people.register import PersonError, check_authority
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.store import audit
from gateway.desk.store.schema import CASES, Tier
from gateway.exchange.public_report import PublicReport
from gateway.guidance.risk import list_codes
from partner_sdk.report.model import NotHeld
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.submission import PUBLIC_SENDER

YES, NO = YES_NO
QUESTIONS: Final = ("immediate_risk", "urgent", "urgent_dissemination")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One assessment: its answers, and the reasons for them.

    `agreed` and `struck` are risk factors that the assessor agrees with or strikes out, each with a reason; `contact`
    is the decision whether to contact an adult reporting, and empty for everyone else (R59).
    """

    immediate_risk: str
    urgent: str
    urgent_dissemination: str
    best_placed: str
    priority: str
    kind: str
    age_band: str
    reasons: str
    contact: str = ""
    agreed: Mapping[str, str] = field(default_factory=dict)
    struck: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A safeguarding adviser's view: each answer is that of the current assessment, or raised."""

    immediate_risk: str
    urgent: str
    urgent_dissemination: str
    priority: str
    reasons: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentAssessment:
    """The assessment in force: the newest one or the newest view. `agreed` and `struck` are codes of risk factors.

    `read` counts the reports of the case that had been read when it was made.
    """

    step: CaseStep
    immediate_risk: str
    urgent: str
    urgent_dissemination: str
    best_placed: str
    priority: str
    kind: str
    age_band: str
    contact: str
    agreed: tuple[str, ...]
    struck: tuple[str, ...]
    read: int
    is_stale: bool = False

    @property
    def is_view(self) -> bool:
        """Whether it is the view of a safeguarding adviser."""
        return self.step.kind == "advise"


# The codes of a step; the reasons are in its sealed text.
_CODES: Final = tuple(one.name for one in fields(CurrentAssessment) if one.name not in {"step", "is_stale"})
_LISTS: Final = frozenset({"agreed", "struck"})


def assess_case(
    desk: Desk,
    wanted: str,
    assessment: Assessment,
    *,
    actor: str,
    seen: int | None = None,
    hands_over: bool = True,
) -> CaseRow:
    """Record an assessment by the holder of the case, raise the case by its answers, and hand it to a faculty.

    The faculty is the one that is best placed to act, if it is one; without `hands_over` the case is about to close.

    `seen` is the number of the newest assessment that the assessor has read: a newer one is not passed over unread.
    """
    cleaned = clean_assessment(assessment)
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.opened_at is None and found.closed_at is None:
            raise CaseError("This report is still unread. Open it first.", reason="not-opened")
        _check_trained(desk, connection, actor)
        found = hold(desk, connection, found, actor=actor)
        judged = [*cleaned.agreed, *cleaned.struck]
        if len(set(judged)) != len(judged) or not set(judged) <= list_codes() | set(found.factors.split()):
            raise CaseError(
                "One of the risk factors is not of this case. Judge those of the list.", reason="bad-factor"
            )
        if not is_grown_up(found):
            cleaned = replace(cleaned, contact="")  # a child is owed a reply in any case, and a partner is asked
        elif not cleaned.contact:
            raise CaseError("Decide whether to contact the adult who reported: yes or no.", reason="contact-undecided")
        before = find_assessment(connection, found)
        if seen is not None and before is not None and before.step.number > seen:
            raise CaseError(
                "This case was assessed again while you wrote. Read that, change yours if you need to, and record it.",
                reason="assessed-since",
            )
        text = StepText(note=cleaned.reasons, factors={**cleaned.agreed, **cleaned.struck})
        codes = {name: getattr(cleaned, name) for name in _CODES if name != "read"}
        codes |= {name: " ".join(codes[name]) for name in _LISTS} | {"read": count_read(connection, found)}
        add_step(desk, connection, found.case_id, "assess", actor=actor, text=text, codes=codes)
        same = CASES.c.case_id == found.case_id
        connection.execute(update(CASES).where(same).values(kind=cleaned.kind, age_band=cleaned.age_band))
        raised = _raise(desk, connection, found, before, cleaned.immediate_risk, cleaned.priority)
        if hands_over and cleaned.best_placed in FACULTIES and cleaned.best_placed != raised.faculty:
            return hand_to_best_placed(desk, connection, raised, cleaned.best_placed, actor=actor)
        return raised


def advise(desk: Desk, wanted: str, view: View, *, actor: str) -> CaseRow:
    """Record a safeguarding adviser's view, which raises the current assessment or agrees with it."""
    for name in QUESTIONS:
        check_code(name, getattr(view, name), YES_NO)
    check_code("priority", view.priority, PRIORITIES)
    reasons = get_clean_note(view.reasons)
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        _check_trained(desk, connection, actor)
        before = get_assessment(connection, found)
        if any(getattr(view, name) == NO and getattr(before, name) == YES for name in QUESTIONS) or (
            PRIORITIES.index(view.priority) > PRIORITIES.index(before.priority)
        ):
            raise CaseError(
                "A view can only raise an answer. Ask the assessor to assess the case again.", reason="view-lowers"
            )
        codes = {name: before.step.detail[name] for name in _CODES}
        codes |= {name: getattr(view, name) for name in (*QUESTIONS, "priority")}
        add_step(desk, connection, found.case_id, "advise", actor=actor, text=StepText(note=reasons), codes=codes)
        return _raise(desk, connection, found, before, view.immediate_risk, view.priority)


def _check_trained(desk: Desk, connection: Connection, person: str) -> None:
    """Raise `CaseError` unless the person is trained and authorised to assess risk today (R55)."""
    try:
        check_authority(connection, person, desk.clock())
    except PersonError as error:
        raise CaseError(str(error), reason="no-authority") from None


def clean_assessment(assessment: Assessment) -> Assessment:
    """Return the assessment with clean texts. Raises `CaseError` for a missing answer or an unknown code."""
    for name in QUESTIONS:
        check_code(name, getattr(assessment, name), YES_NO)
    check_code("best_placed", assessment.best_placed, BEST_PLACED)
    check_code("priority", assessment.priority, PRIORITIES)
    check_code("kind", assessment.kind, KINDS)
    check_code("age_band", assessment.age_band, AGE_BANDS)
    check_code("contact", assessment.contact, ("", *YES_NO))
    return replace(
        assessment,
        reasons=get_clean_note(assessment.reasons),
        agreed={code: get_clean_reason(reason) for code, reason in assessment.agreed.items()},
        struck={code: get_clean_reason(reason) for code, reason in assessment.struck.items()},
    )


def find_assessment(connection: Connection, case: CaseRow) -> CurrentAssessment | None:
    """Return the current assessment of a case, or None if there is none yet."""
    steps = [
        step
        for step in list_steps(connection, case, kinds=("assess", "advise", "reopen"))
        # A report that is worked on by itself has an assessment of its own.
        if step.case_id == case.case_id
    ]
    newest = next((step for step in steps if step.kind != "reopen"), None)
    if newest is None:
        return None
    codes = {name: newest.detail[name] for name in _CODES}
    current = CurrentAssessment(step=newest, **codes | {name: tuple(codes[name].split()) for name in _LISTS})
    assessed = next(step for step in steps if step.kind == "assess")
    was_reopened = any(step.kind == "reopen" and step.number > assessed.number for step in steps)
    return replace(current, is_stale=was_reopened or count_read(connection, case) > current.read)


def get_assessment(connection: Connection, case: CaseRow) -> CurrentAssessment:
    """Return the current assessment, without which there is no action."""
    current = find_assessment(connection, case)
    if current is None:
        raise CaseError(
            "Assess the case first. Nothing leaves the desk and nothing closes before it is assessed.",
            reason="not-assessed",
        )
    return current


def count_read(connection: Connection, case: CaseRow) -> int:
    """Return how many reports of a case have been read: the first, those joined to it, and a person's additions.

    It only grows, and needs no clock: a report that was read once stays read.
    """
    own = or_(CASES.c.case_id == case.case_id, CASES.c.joined_to == case.case_id)
    joined = select(func.count()).select_from(CASES).where(own, CASES.c.opened_at.is_not(None))
    count = int(connection.execute(joined).scalar_one())
    if case.partner == PUBLIC_SENDER:
        count += sum(one.opened_at is not None for one in list_added(connection, case))
    return count


def is_grown_up(case: CaseRow) -> bool:
    """Return whether an adult sent this report: the agency decides whether to contact them (R59)."""
    return case.partner == PUBLIC_SENDER and not case.reply_owed and not case.synthetic


def enter_lane(connection: Connection, found: CaseRow, *, now: datetime) -> None:
    """Bring a case into the crisis lane by a person's decision, with an alert, in the caller's transaction."""
    # Later than its reading, also within one second, or `count_unread` drops its alert.
    after = now if found.opened_at is None else max(now, parse_time(found.opened_at) + timedelta(seconds=1))
    values = {"crisis": True, "crisis_since": format_time(after), "tier": Tier.FIRST}
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(**values))
    queue_alert(connection, count=1, now=now)


def _raise(
    desk: Desk,
    connection: Connection,
    found: CaseRow,
    before: CurrentAssessment | None,
    immediate_risk: str,
    priority: str,
) -> CaseRow:
    """Raise the priority, and bring a case that is newly at immediate risk into the crisis lane."""
    highest = min(found.priority, priority, key=PRIORITIES.index)
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(priority=highest))
    # A person may have moved it out of the lane since: the same answer again does not bring it back, unless something
    # new was read or the case was reopened meanwhile.
    was_at_risk = before is not None and not before.is_stale and before.immediate_risk == YES
    if immediate_risk == YES and not was_at_risk and not found.crisis:
        enter_lane(connection, found, now=desk.clock())
    return get_case(connection, found.case_id)


MEANS: Final = (
    ("phoned", "By phone"),
    ("met", "In person"),
    ("their_system", "In their own system"),
    ("posted", "By letter"),
)


def pass_on(
    desk: Desk, wanted: str, *, destination: str, means: str, taken_by: str, reason: str, actor: str
) -> CaseRow:
    """Record that a destination took the case: `taken_by` names the person there and their own reference.

    `reason` is for this body. Both are sealed.
    """
    check_code("means", means, tuple(dict(MEANS)))
    body = load_register(desk.paths.destinations).get(destination)
    if body is None:
        raise CaseError("Choose the body that took it.", reason="unknown-destination")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise CaseError(f"{body.name} takes nothing more. Choose another body.", reason="retired-destination")
    text = StepText(reason=get_clean_reason(reason), note=get_clean_note(taken_by))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        check_read(found)
        get_assessment(connection, found)
        found = hold(desk, connection, found, actor=actor)
        codes: dict[str, audit.Detail] = {
            "destination": destination,
            "means": means,
            "protects": body.group in PROTECTING,
            "read": count_read(connection, found),
        }
        add_step(desk, connection, found.case_id, "pass-on", actor=actor, text=text, codes=codes)
        return found


# More than this many bodies are one choice that nothing narrows, e.g. every force of England.
MOST_NAMED = 6
# A number as a register writes it, e.g. `+44 1632 960123`, `101`.
_TELEPHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()-]{1,24}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownSuggestion:
    """One reason and the bodies that it suggests by name; with too many to name, `count` and their `group` alone.

    `to_call`: the public ways to them, each once, where nothing can be sent to any of them.
    """

    reason: str
    named: tuple[tuple[str, Destination], ...]
    count: int
    group: str
    is_as_assessed: bool
    to_call: tuple[PublicWay, ...]


def list_who_can_help(
    desk: Desk, case: CaseRow, current: CurrentAssessment | None, contents: Iterable[SealedContent | None]
) -> list[ShownSuggestion]:
    """Return the suggestions for a case, those of its assessment first."""
    now = desk.clock()
    today = desk.agency.get_day(now)
    register = load_register(desk.paths.destinations)
    wanted = Circumstances(
        kind=(current.kind if current is not None else case.kind) or "",
        region=case.region or "",
        country=case.country or "",
        place=" / ".join(place for content in contents if content is not None for place in _list_places(content)),
        is_urgent=case.crisis if current is None else YES in (current.immediate_risk, current.urgent_dissemination),
        is_desk_open=desk.agency.is_in_hours(now),
        best_placed="" if current is None else current.best_placed,
    )
    return [
        ShownSuggestion(
            reason=one.reason,
            named=tuple((key, register[key]) for key in one.keys) if len(one.keys) <= MOST_NAMED else (),
            count=len(one.keys),
            group=register[one.keys[0]].group,
            is_as_assessed=one.is_as_assessed,
            to_call=_list_public_ways(register, one.keys),
        )
        for one in suggest_destinations(register, wanted, today=today)
    ]


def _list_public_ways(register: Register, keys: Iterable[str]) -> tuple[PublicWay, ...]:
    bodies = {key: register[key] for key in keys}
    if any(one.channel != "none" for one in bodies.values()):
        return ()
    return tuple(dict.fromkeys(make_public_ways(bodies).values()))


@dataclass(frozen=True, slots=True)
class Telephone:
    """The agreed number of a suggested body: as the register writes it, and as a phone dials it."""

    name: str
    written: str
    dialled: str


def list_telephones(desk: Desk, suggested: Iterable[ShownSuggestion]) -> list[Telephone]:
    """Return the numbers of the suggested bodies with a current protocol, once each; a contact may be no number."""
    today = desk.agency.get_day(desk.clock())
    bodies = {key: body for one in suggested for key, body in one.named}
    return [
        Telephone(body.name, body.contact, re.sub(r"[^0-9+]", "", body.contact))
        for body in bodies.values()
        if body.contact and body.is_agreed(today) and _TELEPHONE.fullmatch(body.contact)
    ]


def list_choices(desk: Desk, suggested: Iterable[ShownSuggestion]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every body that takes something today, by group and under the keys of a form; suggested ones first."""
    today = desk.agency.get_day(desk.clock())
    register = load_register(desk.paths.destinations)
    groups = [
        (title, [(key, one.name) for key, one in register.items() if one.group == code and not one.is_retired(today)])
        for code, title in GROUP_TITLES.items()
    ]
    named = {key: one.name for suggestion in suggested for key, one in suggestion.named}
    return [("Suggested", list(named.items())), *groups] if named else groups


def _list_places(content: SealedContent) -> Iterator[str]:
    if isinstance(content, PublicReport):
        yield from filter(None, (content.child.place, content.meeting.place))
        return
    children = content.report.children
    for child in () if isinstance(children, NotHeld) else children:
        locations = () if isinstance(child.locations, NotHeld) else child.locations
        yield from (location.place for location in locations if isinstance(location.place, str))
