"""The figures of the desk: times from received to read, replies by the day that was promised, and nothing else."""

import json
from datetime import date
from typing import Any

import pytest

from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.cli import main
from gateway.desk.figures.reading_times import make_figures
from gateway.desk.wiring import Desk
from tests.desk.digests.digest_builders import add_case

TODAY = date(2026, 11, 25)
RECEIVED = "2026-11-20T09:00:00Z"


def add(desk: Desk, **changes: Any) -> None:
    add_case(desk.store, **{"received_at": RECEIVED, "opened_at": None, "closed_at": None, **changes})


def get_cases(desk: Desk) -> list[CaseRow]:
    with desk.store.read() as connection:
        return list_cases(connection, state="all")


def test_times_to_the_first_reading_are_real_waiting_times(desk: Desk) -> None:
    for hour in range(10, 20):
        add(desk, opened_at=f"2026-11-20T{hour}:00:00Z")
    add(desk, opened_at="2026-11-21T00:30:00Z")
    add(desk)
    reading = make_figures(get_cases(desk), today=TODAY).public_reading
    assert (reading.read, reading.unread, reading.same_day) == (11, 1, 10)
    assert (reading.median_seconds, reading.p90_seconds) == (6 * 3600, 10 * 3600)


def test_day_is_that_of_the_united_kingdom(desk: Desk) -> None:
    # Summer time: 23:30 UTC is the next day there.
    add(desk, received_at="2026-07-01T22:00:00Z", opened_at="2026-07-01T23:30:00Z")
    assert make_figures(get_cases(desk), today=TODAY).public_reading.same_day == 0


def test_replies_are_judged_by_the_day_that_was_promised(desk: Desk) -> None:
    owed = {"reply_owed": True, "reply_by": "2026-11-24"}
    add(desk, **owed, reply_code="replied_by_call", reply_recorded_at="2026-11-24T23:59:59Z")
    add(desk, **owed, reply_code="replied_by_return_code", reply_recorded_at="2026-11-25T00:00:00Z")
    add(desk, **owed, reply_code="no_safe_contact", reply_recorded_at="2026-11-21T00:00:00Z")
    add(desk, **owed)
    add(desk, reply_owed=True, reply_by="2026-11-25")
    add(desk, reply_owed=True, reply_by=None)
    add(desk)
    replies = make_figures(get_cases(desk), today=TODAY).replies
    assert replies.owed == 6
    parts = (replies.in_time, replies.late, replies.no_safe_contact)
    assert (*parts, replies.overdue, replies.not_due_yet, replies.no_day_named) == (1, 1, 1, 1, 1, 1)


def test_made_up_cases_are_no_figures(desk: Desk) -> None:
    add(desk, synthetic=True)
    add(desk, door="industry", partner="example-chat", opened_at="2026-11-20T10:00:00Z")
    figures = make_figures(get_cases(desk), today=TODAY)
    assert (figures.cases, figures.by_door, figures.by_priority) == (1, {"industry": 1}, {"P3": 1})
    assert figures.public_reading.median_seconds is None
    assert figures.industry_reading.median_seconds == 3600


def test_command_prints_counts_and_times_alone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(desk.paths.state)
    add(desk)
    assert main(["figures", "--state", state, "--json", "--days", "36500"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["figures"]["cases"] == 1
    assert set(printed) == {"figures", "since", "until"}
    assert main(["figures", "--state", state, "--days", "36500"]) == 0
    assert "Replies promised: 0" in capsys.readouterr().out
    assert main(["figures", "--state", state, "--days", "0"]) == 2
