"""An assessed case, ready for the actions that need one."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.desk.cases.assessing import Assessment, assess_case, find_assessment, pass_on
from gateway.desk.cases.closing import Closing, close_case
from gateway.desk.cases.holding import get_lead, take_over
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.cases.replies import GivenReply
from gateway.desk.office.uk_times import format_typed_time
from gateway.desk.office.wiring import Desk
from partner_sdk.errors import ReportAbuseError
from tests.desk.desk_loop import ACTOR
from tests.desk.people_builders import ensure_person

# Mild and synthetic; `contact` counts only for a report by an adult.
ASSESSMENT = Assessment(
    immediate_risk="no",
    urgent="no",
    urgent_dissemination="no",
    best_placed="nobody",
    priority="P3",
    kind="grooming",
    age_band="13_15",
    reasons="Reasons-Marker: a stranger asks for pictures in a game.",
    contact="no",
)
# The same as a form sends it.
ANSWERS = {
    **{name: getattr(ASSESSMENT, name) for name in ("immediate_risk", "urgent", "urgent_dissemination", "best_placed")},
    **{name: getattr(ASSESSMENT, name) for name in ("priority", "kind", "age_band", "contact")},
    "assess_reasons": ASSESSMENT.reasons,
}


@contextmanager
def refused(reason: str, kind: type[ReportAbuseError] = CaseError) -> Iterator[pytest.ExceptionInfo[ReportAbuseError]]:
    """Expect a refusal of this kind with this reason."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.reason == reason


def get(desk: Desk, wanted: str) -> CaseRow:
    """Return a case as the desk has it."""
    with desk.store.read() as connection:
        return get_case(connection, wanted)


def make_talk(desk: Desk, *, code: str = "replied_by_call", said: str = "We told them what comes next.") -> GivenReply:
    """Return the record of a reply that was given this minute."""
    day, clock = format_typed_time(desk.clock())
    return GivenReply(code, day=day, clock=clock, spoke_to="the child", said=said)


def make_talk_form(desk: Desk, *, code: str = "replied_by_call") -> dict[str, str]:
    """Return the same as its form sends it."""
    made = make_talk(desk, code=code)
    return {"code": code, "said_day": made.day, "said_clock": made.clock, "spoke_to": made.spoke_to, "said": made.said}


def assess(desk: Desk, case: str, *, actor: str = ACTOR, **changes: Any) -> CaseRow:
    """Assess an opened case by its id or reference; the person is added with an authority if there is none."""
    with desk.store.write() as connection:
        ensure_person(connection, actor)
    return assess_case(desk, case, dataclasses.replace(ASSESSMENT, **changes), actor=actor)


def pass_case_on(desk: Desk, case: str, *, actor: str = ACTOR, **changes: str) -> CaseRow:
    """Record that the police of Kent took an assessed case."""
    settings = {
        "destination": "kent",
        "means": "phoned",
        "taken_by": "DC Example, log 12",
        "reason": "The child's town.",
    }
    return pass_on(desk, case, **(settings | changes), actor=actor)


def make_ready(desk: Desk, case: str, *, actor: str = ACTOR, **changes: Any) -> None:
    """Let this person have an open, read case, and assess it unless that was done; leave any other case as it is."""
    with desk.store.read() as connection:
        lead = get_lead(connection, case)
        current = find_assessment(connection, lead)
    if lead.closed_at is not None or lead.opened_at is None:
        return
    if lead.holder not in {None, actor}:
        take_over(desk, case, from_person=lead.holder, reason="Another shift.", actor=actor)
    if current is None or current.is_stale or changes:
        assess(desk, case, actor=actor, **changes)


def assess_and_close(desk: Desk, case: str, closing: Closing, *, actor: str = ACTOR) -> CaseRow:
    """Assess a case if it needs that, and close it."""
    make_ready(desk, case, actor=actor)
    return close_case(desk, case, closing, actor=actor)
