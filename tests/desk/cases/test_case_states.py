"""No order of steps closes a case that owes: two people, any clock, judged by a model that is written apart."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.desk.cases.assessing import View, advise
from gateway.desk.cases.closing import Closing, close_case, exempt_case, reopen_case
from gateway.desk.cases.holding import claim_case, hand_over, release_case, take_over
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import record_reply
from gateway.desk.office.wiring import Desk
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Clock, add_sealed_case
from tests.desk.work_builders import assess, get, make_talk, pass_case_on

PEOPLE = ("a-analyst", "b-analyst")
WHY = "Because of the school."


@dataclass
class Model:
    """The state of one case by the sentences of docs/casework.md, without the desk's own rules.

    Each step is a method that returns whether the sentences allow it.
    """

    is_child: bool
    holder: str | None = None
    is_read: bool = False
    additions: int = 0
    is_open: bool = True
    is_assessed: bool = False
    # Additions that were read when it was assessed; less than none after a reopening.
    covered: int = 0
    wants_package: bool = False
    is_exempt: bool = False
    # Additions that were read when a body took the case; less than none before.
    passed: int = -1
    wants_contact: bool = False
    is_answered: bool = False

    @property
    def owes(self) -> bool:
        """Whether anything stands against closing, for either person."""
        answer = (self.is_child or self.wants_contact) and not self.is_answered
        package = self.wants_package and not self.is_exempt and self.passed < self.additions
        return not self.is_assessed or self.covered < self.additions or answer or package

    def _take(self, person: str, *, is_allowed: bool = True) -> bool:
        if not self.is_open or self.holder not in {None, person} or not is_allowed:
            return False
        self.holder = person
        return True

    def read(self, _person: str, _yes: bool) -> bool:
        self.is_read = True
        return True

    def add(self, _person: str, _yes: bool) -> bool:
        self.additions += 1
        return True

    def assess(self, person: str, yes: bool) -> bool:
        if not self._take(person, is_allowed=self.is_read):
            return False
        self.is_assessed, self.covered, self.wants_package, self.is_exempt = True, self.additions, False, False
        self.wants_contact = yes and not self.is_child
        return True

    def assess_urgent(self, person: str, yes: bool) -> bool:
        is_done = self.assess(person, yes)
        self.wants_package |= is_done
        return is_done

    def advise(self, _person: str, yes: bool) -> bool:
        if not self.is_open or not self.is_assessed or (self.wants_package and not yes):
            return False
        self.wants_package, self.is_exempt = yes, False
        return True

    def exempt(self, _person: str, _yes: bool) -> bool:
        self.is_exempt |= (is_done := self.is_open and self.is_assessed and self.wants_package)
        return is_done

    def pass_on(self, person: str, _yes: bool) -> bool:
        if not self._take(person, is_allowed=self.is_read and self.is_assessed):
            return False
        self.passed = self.additions
        return True

    def claim(self, person: str, _yes: bool) -> bool:
        return self._take(person)

    def take_over(self, person: str, _yes: bool) -> bool:
        self.holder = person if self.is_open else None
        return self.is_open

    def release(self, person: str, _yes: bool) -> bool:
        if not self.is_open or self.holder != person:
            return False
        self.holder = None
        return True

    def hand_over(self, person: str, _yes: bool) -> bool:
        if not self.is_open or self.holder != person:
            return False
        self.holder = get_other(person)
        return True

    def reply(self, person: str, _yes: bool) -> bool:
        is_done = not self.is_open or self._take(person)
        self.is_answered |= is_done
        return is_done

    def close(self, person: str, _yes: bool) -> bool:
        if not self.is_open or self.holder not in {None, person} or not self.is_read or self.owes:
            return False
        self.is_open, self.holder = False, None
        return True

    def reopen(self, person: str, _yes: bool) -> bool:
        if self.is_open:
            return False
        self.is_open, self.covered, self.holder = True, -1, person
        return True


def get_other(person: str) -> str:
    return PEOPLE[1 - PEOPLE.index(person)]


def read_addition(desk: Desk, case: CaseRow, person: str) -> None:
    added = add_sealed_case(desk, marker="", adds_to=case.reference, reply_owed=False)
    open_case(desk, added, actor=person)


def assess_it(desk: Desk, case: CaseRow, person: str, *, is_urgent: bool, contact: bool) -> None:
    answers = {"urgent_dissemination": _spell(is_urgent), "contact": _spell(contact)}
    assess(desk, case.case_id, actor=person, **answers)


def give_view(desk: Desk, case: CaseRow, person: str, *, is_urgent: bool) -> None:
    said = _spell(is_urgent)
    view = View(immediate_risk="no", urgent="yes", urgent_dissemination=said, priority="P1", reasons=WHY)
    advise(desk, case.case_id, view, actor=person)


def _spell(is_yes: bool) -> str:
    return "yes" if is_yes else "no"


# The same steps at the desk: whatever it refuses raises `CaseError`.
ACTS: dict[str, Callable[[Desk, CaseRow, str, bool], object]] = {
    "read": lambda desk, case, person, _: open_case(desk, case.case_id, actor=person),
    "add": lambda desk, case, person, _: read_addition(desk, case, person),
    "assess": lambda desk, case, person, yes: assess_it(desk, case, person, is_urgent=False, contact=yes),
    "assess_urgent": lambda desk, case, person, yes: assess_it(desk, case, person, is_urgent=True, contact=yes),
    "advise": lambda desk, case, person, yes: give_view(desk, case, person, is_urgent=yes),
    "exempt": lambda desk, case, person, _: exempt_case(desk, case.case_id, reason=WHY, actor=person),
    "pass_on": lambda desk, case, person, _: pass_case_on(desk, case.case_id, actor=person),
    "claim": lambda desk, case, person, _: claim_case(desk, case.case_id, actor=person),
    "take_over": lambda desk, case, person, _: take_over(
        desk, case.case_id, from_person=get(desk, case.case_id).holder or person, reason=WHY, actor=person
    ),
    "release": lambda desk, case, person, _: release_case(desk, case.case_id, actor=person),
    "hand_over": lambda desk, case, person, _: hand_over(
        desk, case.case_id, reason=WHY, note=WHY, person=get_other(person), actor=person
    ),
    "reply": lambda desk, case, person, _: record_reply(desk, case.case_id, make_talk(desk), actor=person),
    "close": lambda desk, case, person, _: close_case(desk, case.case_id, Closing("used"), actor=person),
    "reopen": lambda desk, case, person, _: reopen_case(desk, case.case_id, reason=WHY, actor=person),
}
# Each walk begins near a case that may close, and tries to close it often: few random walks come there by themselves.
_OFTEN = ("close",) * 8 + ("reopen",) * 3 + ("assess", "assess_urgent") * 2
STEPS = st.lists(
    st.tuples(st.sampled_from([*ACTS, *_OFTEN, "clock"]), st.sampled_from(PEOPLE), st.booleans()),
    min_size=6,
    max_size=30,
)
BEGINNINGS = (
    ("read",),
    ("read", "assess"),
    ("read", "assess", "reply", "close"),
    ("read", "assess_urgent", "reply", "exempt"),
    ("read", "assess_urgent", "reply", "pass_on"),
)


@pytest.mark.parametrize("under_18", ["yes", "no"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(beginning=st.sampled_from(BEGINNINGS), steps=STEPS)
def test_no_order_of_steps_closes_a_case_that_owes(
    desk: Desk, clock: Clock, under_18: str, beginning: tuple[str, ...], steps: Any
) -> None:
    now = clock.now
    with desk.store.write() as connection:
        for person in PEOPLE:
            ensure_person(connection, person)
    case = get(desk, add_sealed_case(desk, marker="", under_18=under_18))
    model = Model(is_child=under_18 == "yes")
    try:
        for name, person, is_yes in [*((one, PEOPLE[0], False) for one in beginning), *steps]:
            if name == "clock":
                # Within the time of the desk's key: without one, nothing typed can be kept.
                moved = clock.now + timedelta(days=3 if is_yes else -3)
                clock.now = max(now, min(now + timedelta(days=9), moved))
                continue
            was_owing = model.owes
            is_allowed = getattr(model, name)(person, is_yes)
            try:
                ACTS[name](desk, case, person, is_yes)
                is_done = True
            except CaseError:
                is_done = False
            assert is_done == is_allowed, (name, person, model)
            after = get(desk, case.case_id)
            assert (after.closed_at is None, after.holder) == (model.is_open, model.holder)
            assert not (name == "close" and is_done and was_owing)
    finally:
        clock.now = now
