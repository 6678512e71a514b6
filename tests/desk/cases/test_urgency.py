"""One choice answers the three questions of urgency, and never against an answer of its own."""

import pytest

from gateway.desk.cases.reading.labels import ASSESSMENT
from gateway.desk.cases.reading.partner_case import URGENCIES
from gateway.desk.cases.work_pages import list_urgency_faults, spread_urgency
from gateway.desk.office.views.page import Typed

NAMES = [name for name, _ in ASSESSMENT]


@pytest.mark.parametrize("code", [code for code, _ in URGENCIES if code != "each"])
def test_sentence_gives_its_three_answers(code: str) -> None:
    typed = Typed({"urgency": code})
    assert "-".join(spread_urgency(typed)[name] for name in NAMES) == code
    assert list_urgency_faults(typed) == []


@pytest.mark.parametrize("code", ["", "each", "yes-no-yes", "x"])
def test_other_choices_leave_the_answers_as_they_are(code: str) -> None:
    typed = Typed({"urgency": code, "immediate_risk": "yes", "urgent": "no"})
    assert spread_urgency(typed) == typed
    assert list_urgency_faults(typed) == []


def test_answer_that_differs_from_the_sentence_is_asked_about_and_never_overridden() -> None:
    (fault,) = list_urgency_faults(Typed({"urgency": "no-no-no", "immediate_risk": "yes"}))
    assert fault.field == "urgency"
    assert list_urgency_faults(Typed({"urgency": "no-no-no", "immediate_risk": "no"})) == []
