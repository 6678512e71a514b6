"""The holder of a case: one person at a time, and the only one to assess, answer and close it.

An unclaimed case goes to the first person to act on it. Another person takes it over with a reason, or gets it handed
over with a written note. A faculty gets it the same way, unclaimed until one of its people takes it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    StepText,
    add_step,
    check_open,
    get_case,
    get_clean_note,
    get_clean_reason,
)
from gateway.desk.collection.joining import get_unhandled_tier
from gateway.desk.office.people.permissions import FACULTY_OF, CaseScope, Permission, is_allowed
from gateway.desk.office.people.register import find_person, format_person, list_roles, list_with_role
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time

FACULTIES: Final = ("intelligence", "operations", "harm_reduction")
MOST_ASSIGNED: Final = 100  # one page of the list


def get_lead(connection: Connection, wanted: str) -> CaseRow:
    """Return the case in which a report is worked on: its first report's while that is open, else its own."""
    found = get_case(connection, wanted)
    if found.joined_to is None:
        return found
    first = get_case(connection, found.joined_to)
    # A report that arrived after its case was closed is worked on by itself.
    return first if first.closed_at is None else found


def make_scope(connection: Connection, found: CaseRow, *, person: str) -> CaseScope:
    """Return the facts that decide whether a person's roles reach a case: those of the case that it is worked in."""
    lead = get_lead(connection, found.case_id)
    return CaseScope(lead.crisis, lead.faculty, is_held=lead.holder == person)


def claim_case(desk: Desk, wanted: str, *, actor: str) -> CaseRow:
    """Give an unclaimed case to this person."""
    with desk.store.write() as connection:
        return hold(desk, connection, get_lead(connection, wanted), actor=actor)


def hold(desk: Desk, connection: Connection, found: CaseRow, *, actor: str) -> CaseRow:
    """Return the case as this person's, in the caller's transaction: it is theirs already, or was unclaimed.

    Called by everything that only the holder may do.
    """
    check_open(found)
    if found.holder == actor:
        return found
    check_not_held(connection, found, actor=actor)
    add_step(desk, connection, found.case_id, "claim", actor=actor)
    return _give(desk, connection, found, holder=actor)


def hold_unless_closed(desk: Desk, connection: Connection, found: CaseRow, *, actor: str) -> None:
    """Hold an open case. A closed one has no holder: a reply that was lost can still be written again."""
    if found.closed_at is None:
        hold(desk, connection, found, actor=actor)


def check_not_held(connection: Connection, found: CaseRow, *, actor: str) -> None:
    """Raise `CaseError`, which names the person and the time, if another person has the case."""
    if found.holder is None or found.holder == actor:
        return
    since = found.held_since or found.received_at
    raise CaseError(
        (
            f"{format_person(connection, found.holder)} has had this case since {format_uk_time(since)}. "
            "Ask them, or take it over with a reason."
        ),
        reason="held",
    )


def take_over(desk: Desk, wanted: str, *, from_person: str, reason: str, actor: str) -> CaseRow:
    """Take a case from `from_person`, with a reason that they can read."""
    reason = get_clean_reason(reason)
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        if found.holder == actor:
            return found
        if found.holder != from_person:
            # It changed hands after the page was drawn: the reason was meant for another person.
            return hold(desk, connection, found, actor=actor)
        text = StepText(reason=reason)
        add_step(desk, connection, found.case_id, "take-over", actor=actor, text=text, codes={"before": from_person})
        return _give(desk, connection, found, holder=actor)


def hand_to_day_team(desk: Desk, connection: Connection, wanted: str, *, note: str, actor: str) -> None:
    """Write the note of the night for a case of this person, who keeps it until a person of the day takes it over."""
    found = _get_own(connection, wanted, actor=actor)
    text = StepText(note=get_clean_note(note))
    add_step(desk, connection, found.case_id, "hand-over", actor=actor, text=text, codes={"team": "day"})


def take_from_night(desk: Desk, connection: Connection, wanted: str, *, actor: str) -> CaseRow:
    """Take a case over from the night, also an own one: its time with this person begins anew."""
    found = get_lead(connection, wanted)
    check_open(found)
    if found.holder in {None, actor}:
        add_step(desk, connection, found.case_id, "claim", actor=actor)
    else:
        codes = {"before": found.holder}
        add_step(desk, connection, found.case_id, "take-over", actor=actor, codes=codes)
    return _give(desk, connection, found, holder=actor)


def release_case(desk: Desk, wanted: str, *, actor: str) -> CaseRow:
    """Give a case back, unclaimed."""
    with desk.store.write() as connection:
        found = _get_own(connection, wanted, actor=actor)
        add_step(desk, connection, found.case_id, "release", actor=actor)
        return _give(desk, connection, found, holder=None)


def hand_over(
    desk: Desk,
    wanted: str,
    *,
    reason: str,
    note: str,
    actor: str,
    person: str | None = None,
    faculty: str | None = None,
) -> CaseRow:
    """Hand a case to a person, or to a faculty, unclaimed until one of its people takes it."""
    person = (person or "").strip() or None
    if (person is None) == (faculty is None) or (faculty is not None and faculty not in FACULTIES):
        raise CaseError(
            "Choose one faculty, or one person who works on cases of this lane, by the handle.", reason="no-recipient"
        )
    _check_other(person, actor=actor)
    text = StepText(reason=get_clean_reason(reason), note=get_clean_note(note))
    with desk.store.write() as connection:
        found = _get_own(connection, wanted, actor=actor)
        return _hand(desk, connection, found, person=person, faculty=faculty, text=text, actor=actor)


@dataclass(frozen=True, slots=True)
class Assigned:
    """The cases that were assigned, and the reference of each that was not, with the reason."""

    cases: Sequence[CaseRow]
    refused: Sequence[tuple[str, CaseError]]


def hand_to_best_placed(desk: Desk, connection: Connection, found: CaseRow, faculty: str, *, actor: str) -> CaseRow:
    """Hand a case to the faculty that its assessment calls best placed; one of its own officers keeps it."""
    is_own = any(FACULTY_OF.get(role) == faculty for role in list_roles(connection, actor))
    add_step(desk, connection, found.case_id, "hand-over", actor=actor, codes={"person": None, "faculty": faculty})
    return _give(desk, connection, found, holder=actor if is_own else None, faculty=faculty)


def assign_cases(desk: Desk, wanted: Sequence[str], *, person: str, reason: str, actor: str) -> Assigned:
    """Hand many cases to one person: unclaimed ones, or the actor's own. No case is taken from its holder.

    Each is checked as a single hand-over is, and one that is refused stops no other. Raises `CaseError` for a fault of
    all of them: `none-chosen`, `too-many`, `no-recipient`, `own-person`, and those of a reason.
    """
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise CaseError("Tick the cases in the list first.", reason="none-chosen")
    if len(wanted) > MOST_ASSIGNED:
        raise CaseError(f"Choose at most {MOST_ASSIGNED} cases at once.", reason="too-many")
    _check_other(person, actor=actor)
    text = StepText(reason=get_clean_reason(reason))
    handed, refused = dict[str, CaseRow](), list[tuple[str, CaseError]]()
    with desk.store.write() as connection:
        _check_recipient(connection, person, is_crisis=True)
        for one in wanted:
            name = one
            try:
                name, found = get_case(connection, one).reference, get_lead(connection, one)
                if found.case_id in handed:
                    continue  # a report of a case that was chosen too
                check_open(found)
                check_not_held(connection, found, actor=actor)
                handed[found.case_id] = _hand(desk, connection, found, person=person, text=text, actor=actor)
            except CaseError as error:
                refused.append((name, error))
    return Assigned(list(handed.values()), refused)


def _hand(
    desk: Desk,
    connection: Connection,
    found: CaseRow,
    *,
    person: str | None,
    faculty: str | None = None,
    text: StepText,
    actor: str,
) -> CaseRow:
    """Give a case that was checked to a person or a faculty."""
    if person is not None:
        _check_recipient(connection, person, is_crisis=found.crisis)
    codes = {"person": person, "faculty": faculty}
    add_step(desk, connection, found.case_id, "hand-over", actor=actor, text=text, codes=codes)
    return _give(desk, connection, found, holder=person, faculty=faculty or found.faculty)


def _check_other(person: str | None, *, actor: str) -> None:
    if person == actor:
        raise CaseError("Choose another person. To have a case yourself, take it on its page.", reason="own-person")


def list_workers(connection: Connection) -> list[tuple[str, str, int]]:
    """Return the people with work on cases, by name: handle, name, and the number of their open cases."""
    # Counted here: a database would sort all open cases by holder.
    held = select(CASES.c.holder).where(CASES.c.closed_at.is_(None), CASES.c.holder.is_not(None))
    counts = Counter(connection.execute(held).scalars())
    able = list_with_role(connection, *Permission.TAKE_CASES.roles)
    names = sorted((format_person(connection, person), person) for person in able)
    return [(person, name, counts[person]) for name, person in names]


def release_if_unable(desk: Desk, connection: Connection, found: CaseRow, *, actor: str) -> None:
    """Give a case that left the crisis lane back, unclaimed, if its holder may work on it in that lane alone."""
    if found.holder is not None and not _is_able(connection, found.holder, is_crisis=False):
        codes = {"before": found.holder}
        add_step(desk, connection, found.case_id, "release", actor=actor, codes=codes)
        _give(desk, connection, found, holder=None)


def _check_recipient(connection: Connection, person: str, *, is_crisis: bool) -> None:
    found = find_person(connection, person)
    if found is None or found.ended_at is not None or not _is_able(connection, person, is_crisis=is_crisis):
        raise CaseError("Nobody with this handle works on cases of this lane.", reason="no-recipient")


def _is_able(connection: Connection, person: str, *, is_crisis: bool) -> bool:
    case = CaseScope(is_crisis, is_held=True)
    return is_allowed(list_roles(connection, person), Permission.TAKE_CASES, case=case)


def _get_own(connection: Connection, wanted: str, *, actor: str) -> CaseRow:
    found = get_lead(connection, wanted)
    check_open(found)
    check_not_held(connection, found, actor=actor)
    if found.holder is None:
        raise CaseError("Nobody has this case. Take it first.", reason="not-yours")
    return found


def _give(
    desk: Desk, connection: Connection, found: CaseRow, *, holder: str | None, faculty: str | None = None
) -> CaseRow:
    since = None if holder is None else format_time(desk.clock())
    tier = get_unhandled_tier(found) if holder is None else found.tier
    values = {"holder": holder, "held_since": since, "faculty": faculty or found.faculty, "tier": tier}
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(**values))
    return get_case(connection, found.case_id)
