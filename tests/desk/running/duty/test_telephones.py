"""The numbers beside a case: only of suggested bodies, and only those that were agreed and are current."""

from datetime import date
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.actions.destinations import Destination, Protocol, load_register
from gateway.desk.cases.assessing import ShownSuggestion, list_telephones
from gateway.desk.office.wiring import Desk

AGREED: dict[str, Any] = {
    "contact": "+44 1632 960123",
    "channel": "letter",
    "protocol": Protocol(version="1", agreed_on=date(2026, 1, 1), review_on=date(2027, 1, 1), may_pass=("a child",)),
}


def list_numbers(desk: Desk, **changes: Any) -> list[tuple[str, str]]:
    body: Destination = msgspec.structs.replace(load_register()["kent"], **(AGREED | changes))
    one = ShownSuggestion("It serves the place.", (("kent", body),), 1, "police", False, ())
    return [(found.written, found.dialled) for found in list_telephones(desk, [one, one])]


def test_agreed_number_is_dialled_without_its_blanks_and_shown_once(desk: Desk) -> None:
    assert list_numbers(desk) == [("+44 1632 960123", "+441632960123")]
    assert list_numbers(desk, contact="(01632) 960-123") == [("(01632) 960-123", "01632960123")]
    assert list_numbers(desk, contact="101") == [("101", "101")]


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": None},
        {"protocol": msgspec.structs.replace(AGREED["protocol"], review_on=date(2026, 11, 24))},
        {"channel": "none"},
        {"retired_on": date(2026, 11, 25)},
        {"contact": None},
        {"contact": "duty@force.example"},
        {"contact": "javascript:alert(1)"},
        {"contact": "01632 960123;ext=1"},
    ],
)
def test_number_that_was_not_agreed_or_is_none_is_not_shown(desk: Desk, changes: dict[str, Any]) -> None:
    assert list_numbers(desk, **changes) == []
