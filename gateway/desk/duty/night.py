"""The night's work and its hand-over: the crisis cases of the closed hours, the acts on them, and all that is open.

A case stays with its holder until a person of the day takes it over by name. The note for it is a step of the case: it
is sealed, opens with the report, and is lost with the key of the case.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.actions.model import KIND_TITLES, Action, list_actions_of, name_recipients
from gateway.desk.acts import ON_CASE
from gateway.desk.cases.closing import list_open
from gateway.desk.cases.holding import hand_to_day_team, take_from_night
from gateway.desk.cases.model import CaseError, CaseRow, CaseStep, StepKind, get_case, list_steps
from gateway.desk.cases.reading.case_work import describe_acts, format_owed
from gateway.desk.people.permissions import CaseScope, Permission, Role, check_permission
from gateway.desk.people.register import format_person
from gateway.desk.watch import list_unreviewed_actions, list_untaken
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time

_MOST_ACTS: Final = 30  # of one case, in one night
_NOTED: Final[StepKind] = "hand-over"


@dataclass(frozen=True, slots=True)
class NightAct:
    """One act of the night as the history of a case words it, e.g. "took the case"."""

    at: str
    name: str
    done: str


@dataclass(frozen=True, slots=True)
class NightCase:
    """One case of the night: its acts, its packages and other actions, everything open, and the newest note for it."""

    case: CaseRow
    holder: str
    is_mine: bool
    factors: Sequence[str]
    acts: Sequence[NightAct]
    actions: Sequence[tuple[str, Action]]
    unreviewed: Collection[str]  # ids of the packages and alerts that one person alone sent
    matters: Sequence[str]
    note: CaseStep | None


@dataclass(frozen=True, slots=True)
class Night:
    """The closed hours and their cases; `is_over` once the desk is open."""

    began_at: str
    ends_at: str
    is_over: bool
    cases: Sequence[NightCase]


class _RefusedError(Exception):
    """One note of several was refused."""


def make_night(desk: Desk, *, person: str) -> Night:
    """Return the night for its page: the present one, or the one before the desk opened."""
    now = desk.clock()
    began_at, ends_at = desk.agency.get_night(now)
    with desk.store.read() as connection:
        cases = [
            _describe(desk, connection, get_case(connection, case_id), person=person, since=began_at)
            for case_id in list_untaken(connection, agency=desk.agency, now=max(now, ends_at))
        ]
    return Night(format_time(began_at), format_time(ends_at), desk.agency.is_in_hours(now), cases)


def hand_over_night(desk: Desk, notes: Mapping[str, str], *, actor: str) -> dict[str, CaseError]:
    """Write the note for each of this person's cases, or none if one is refused; return the refusals by case."""
    refused = dict[str, CaseError]()
    with contextlib.suppress(_RefusedError), desk.store.write() as connection:
        for case_id, note in notes.items():
            try:
                hand_to_day_team(desk, connection, case_id, note=note, actor=actor)
            except CaseError as error:
                refused[case_id] = error
        if refused:
            raise _RefusedError  # which undoes the others
    return refused


def take_night_over(desk: Desk, wanted: Collection[str], *, actor: str, roles: Collection[Role]) -> int:
    """Take these cases of the night over, and return their number; one that a colleague took before stays theirs.

    Raises `NotPermittedError` for a duty officer: the cases go to a person of the day.
    """
    with desk.store.write() as connection:
        untaken = list_untaken(connection, agency=desk.agency, now=desk.clock())
        taken = [case_id for case_id in untaken if case_id in wanted]
        if taken:
            check_permission(roles, Permission.TAKE_CASES, case=CaseScope(is_crisis=False, is_held=True))
        for case_id in taken:
            take_from_night(desk, connection, case_id, actor=actor)
    return len(taken)


def _describe(desk: Desk, connection: Connection, case: CaseRow, *, person: str, since: datetime) -> NightCase:
    acts = audit.list_acts(connection, subjects=[case.case_id], actions=tuple(ON_CASE), most=_MOST_ACTS)
    notes = (one for one in list_steps(connection, case, kinds=(_NOTED,)) if one.detail.get("team") == "day")
    note = next((one for one in notes if one.at >= (case.held_since or case.received_at)), None)
    actions = list_actions_of(connection, [case.case_id])
    recipients = name_recipients(desk, connection, actions)
    return NightCase(
        case=case,
        holder="" if case.holder is None else format_person(connection, case.holder),
        is_mine=case.holder == person,
        factors=[one.reason for one in case.reasons[:2]],
        acts=[
            NightAct(line.at, line.name, line.done)
            for line in describe_acts(desk, case, acts, actions)
            if line.at >= format_time(since)
        ],
        actions=[(f"{KIND_TITLES[one.kind]} to {recipients[one.action_id]}", one) for one in actions],
        unreviewed=list_unreviewed_actions(connection, [case.case_id]),
        matters=[format_owed(one) for one in list_open(desk, connection, case)],
        note=note,
    )
