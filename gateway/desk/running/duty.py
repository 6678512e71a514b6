"""Routes for the people on duty: the crisis cases at a glance, an alert's link, and the hand-over of the night.

Sized for a phone, and complete without a script. Never acknowledges anything by a link alone. In the hand-over a case
stays with its holder until a person of the day takes it over by name; the note for it is a sealed step of the case.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from gateway.desk.cases.actions.model import KIND_TITLES, TO_DESTINATIONS, Action, list_actions_of, name_recipients
from gateway.desk.cases.closing import list_open, list_open_outside
from gateway.desk.cases.holding import hand_to_day_team, take_from_night
from gateway.desk.cases.model import CaseError, CaseRow, CaseStep, StepKind, get_case, list_steps
from gateway.desk.cases.queue import CRISIS
from gateway.desk.cases.queue_page import make_queue_pane
from gateway.desk.cases.reading.partner_case import describe_events, format_owed
from gateway.desk.cases.watch import describe_concern, list_concerns, list_unreviewed_actions, list_untaken
from gateway.desk.office.people.permissions import CaseScope, Permission, Role, check_permission
from gateway.desk.office.people.register import format_person
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    is_permitted,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import (
    AlertCall,
    AlertError,
    AlertRow,
    acknowledge_alert,
    count_danger_today,
    find_call_by_link,
    find_unacknowledged,
)
from gateway.desk.store import audit
from gateway.desk.store.audit import ON_CASE
from gateway.web.rules import not_found
from partner_sdk.wire.canonical import format_time

_MOST_EVENTS: Final = 30  # of one case, in one night
_NOTED: Final[StepKind] = "hand-over"


@dataclass(frozen=True, slots=True)
class NightEvent:
    """One event of the night as the history of a case words it, e.g. "took the case"."""

    at: str
    name: str
    done: str


@dataclass(frozen=True, slots=True)
class NightCase:
    """One case of the night: its events, its packages and other actions, its open matters, and the newest note."""

    case: CaseRow
    holder: str
    is_mine: bool
    factors: Sequence[str]
    events: Sequence[NightEvent]
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
    events = audit.list_events(connection, subjects=[case.case_id], actions=tuple(ON_CASE), most=_MOST_EVENTS)
    notes = (one for one in list_steps(connection, case, kinds=(_NOTED,)) if one.detail.get("team") == "day")
    note = next((one for one in notes if one.at >= (case.held_since or case.received_at)), None)
    actions = list_actions_of(connection, [case.case_id])
    recipients = name_recipients(desk, connection, actions)
    return NightCase(
        case=case,
        holder="" if case.holder is None else format_person(connection, case.holder),
        is_mine=case.holder == person,
        factors=[one.reason for one in case.reasons[:2]],
        events=[
            NightEvent(line.at, line.name, line.done)
            for line in describe_events(desk, case, events, actions)
            if line.at >= format_time(since)
        ],
        actions=[(f"{KIND_TITLES[one.kind]} to {recipients[one.action_id]}", one) for one in actions],
        unreviewed=list_unreviewed_actions(connection, [case.case_id]),
        matters=[format_owed(one) for one in list_open(desk, connection, case)],
        note=note,
    )


blueprint = Blueprint("duty", __name__)
_NOTE: Final = "note-"


@blueprint.get("/duty")
@staff_rule(Permission.TAKE_ALERTS)
def show_all() -> ResponseReturnValue:
    """Show the crisis cases, each with its waiting time, its holder and the state of its packages."""
    desk = get_desk()
    pane = make_queue_pane(desk, lane=CRISIS)
    with desk.store.read() as connection:
        listed = list_actions_of(connection, [row.case.case_id for row in pane.rows])
        matters = list_open_outside(desk, connection, [row.case for row in pane.rows])
        packages = [one for one in listed if one.kind in TO_DESTINATIONS]
        recipients = name_recipients(desk, connection, packages)
        alert = find_unacknowledged(connection)
        concerns = [describe_concern(one, now=desk.clock()) for one in list_concerns(connection, desk=desk)]
    return show_page(
        "duty.html",
        pane=pane,
        alert=alert,
        concerns=concerns,
        packages=packages,
        matters={case_id: [str(one) for one in found] for case_id, found in matters.items()},
        recipients=recipients,
        action_kinds=KIND_TITLES,
    )


@blueprint.get("/duty/alerts/<secret>")
@staff_rule(Permission.TAKE_ALERTS)
def show_alert(secret: str) -> ResponseReturnValue:
    """Show the alert of a notice and the button that acknowledges it; following the link changes nothing."""
    alert, call = _get_call(secret)
    with get_desk().store.read() as connection:
        danger_today = count_danger_today(connection, since=alert.first_at)
    return show_page("duty_alert.html", alert=alert, call=call, secret=secret, danger_today=danger_today)


@blueprint.post("/duty/alerts/<secret>")
@staff_rule(Permission.TAKE_ALERTS, body_bytes=FORM_BYTES)
def post_alert(secret: str) -> ResponseReturnValue:
    """Acknowledge the cases of this notice by the signed-in person's name, once."""
    desk, (alert, call) = get_desk(), _get_call(secret)
    try:
        with desk.store.write() as connection:
            acknowledge_alert(connection, alert.id, actor=get_name(), now=desk.clock(), seen=call.count)
    except AlertError:
        return show_page("duty_alert.html", status=HTTPStatus.CONFLICT, alert=_get_call(secret)[0], call=call)
    return go_to("duty.show_all")


def _get_call(secret: str) -> tuple[AlertRow, AlertCall]:
    with get_desk().store.read() as connection:
        found = find_call_by_link(connection, secret)
    if found is None:
        not_found()
    return found


@blueprint.get("/duty/hand-over")
@staff_rule(Permission.TAKE_CASES)
def show_hand_over() -> ResponseReturnValue:
    """Show the night's cases: the open duties of each, the note for the day team, and the events."""
    return _show_hand_over()


@blueprint.post("/duty/hand-over")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_hand_over() -> ResponseReturnValue:
    """Write the notes for the signed-in person's cases of the night."""
    typed, desk = read_typed(), get_desk()
    notes = {name.removeprefix(_NOTE): text for name, text in typed.items() if name.startswith(_NOTE)}
    refused = hand_over_night(desk, notes, actor=get_name())
    if refused:
        return _show_hand_over([_make_fault(case_id, error) for case_id, error in refused.items()])
    return go_to("duty.show_hand_over")


@blueprint.post("/duty/hand-over/take")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_take() -> ResponseReturnValue:
    """Take the shown cases of the night over, by the signed-in person's name."""
    take_night_over(get_desk(), request.form.getlist("case"), actor=get_name(), roles=get_signed_in().roles)
    return go_to("duty.show_hand_over")


def _make_fault(case_id: str, error: CaseError) -> Fault:
    is_empty = error.reason == "note-missing"
    return Fault(f"{_NOTE}{case_id}", "Write the note for the day team first." if is_empty else str(error))


def _show_hand_over(faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    may_take = is_permitted(Permission.TAKE_CASES, case=CaseScope(is_crisis=False, is_held=True))
    night = make_night(get_desk(), person=get_name())
    return show_page("hand_over.html", night=night, faults=faults, typed=read_typed(), may_take=may_take)
