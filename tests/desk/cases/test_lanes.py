"""Lanes, filters and sorts of the queue: each is an address, and every address of a case keeps it."""

import json
import re
from datetime import date
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.queue import LANES, QueueView, count_lanes, count_view, find_next, list_queue, read_view
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main
from gateway.desk.store.schema import CASES as CASE_TABLE
from tests.desk.view_builders import Browser, add_sealed_case

TODAY = date(2026, 11, 25)
CASES = (
    {"score": 90, "crisis": True, "region": "wales", "kind": "grooming", "factors": "self_harm under_13"},
    {"score": 50, "opened_at": "2026-11-25T09:30:00Z", "region": "wales", "about": None, "holder": "kim"},
    {
        "score": 10,
        "closed_at": "2026-11-25T09:30:00Z",
        "kind": "grooming",
        "age_band": "12_or_under",
        "factors": "teenager",
        "holder": "kim",
    },
    {"score": 5, "reply_owed": True, "reply_by": "2026-11-20", "door": "industry", "faculty": "operations"},
    {"score": 4, "reply_owed": True, "reply_by": "2026-11-25", "kind": "untold", "factors": "teenager"},
)
RECEIVED = ("25T08:00", "24T08:00", "25T08:10", "25T08:20", "25T08:30")


@pytest.fixture
def cases(desk: Desk) -> list[str]:
    return [
        add_sealed_case(desk, marker="x", under_18="no", received_at=f"2026-11-{at}:00Z", **changes)
        for changes, at in zip(CASES, RECEIVED, strict=True)
    ]


def change(desk: Desk, case_id: str, **values: Any) -> None:
    with desk.store.write() as connection:
        connection.execute(update(CASE_TABLE).where(CASE_TABLE.c.case_id == case_id).values(**values))


def find(desk: Desk, cases: list[str], **arguments: str) -> list[int]:
    """Return the numbers of the cases in a view, in its order; its count is the same."""
    with desk.store.read() as connection:
        view = read_view(arguments, person="kim")
        found = [cases.index(case.case_id) for case in list_queue(connection, view, today=TODAY)]
        lanes = count_lanes(connection, today=TODAY, person="kim")
        assert count_view(connection, view, today=TODAY, lanes=lanes) == len(found)
        return found


@pytest.mark.databases("sqlite", "postgresql")
def test_each_lane_filter_and_sort_chooses_and_counts_its_cases(desk: Desk, cases: list[str]) -> None:
    expected: dict[str, list[int]] = {
        "": [0, 1, 3, 4],
        "lane=crisis": [0],
        "lane=mine": [1],
        "lane=unclaimed": [0, 3, 4],
        "lane=operations": [3],
        "lane=intelligence": [],
        "lane=harm_reduction": [],
        "lane=unread": [0, 3, 4],
        "lane=owed": [3, 4],
        "lane=overdue": [3],
        "lane=waiting": [],
        "lane=unsigned": [],
        "lane=closed": [2],
        "lane=all": [0, 1, 3, 4, 2],
        "sort=oldest": [1, 0, 3, 4],
        "sort=newest": [4, 3, 0, 1],
        "sort=due": [3, 4, 0, 1],
        "kind=grooming": [0],
        "lane=all&sort=newest": [4, 3, 2, 0, 1],
        "lane=all&sort=due": [0, 1, 3, 4, 2],
        "lane=all&kind=grooming": [0, 2],
        "age=12_or_under": [0],
        "age=13_15": [1, 3, 4],
        "lane=all&age=12_or_under": [0, 2],
        "lane=all&age=13_15": [1, 3, 4],
        "lane=all&kind=untold": [4],
        "region=wales": [0, 1],
        "region=wales&lane=unread": [0],
        "door=industry": [3],
        "about=example-chat": [0, 3, 4],
    }
    asked = {text: dict(part.split("=") for part in text.split("&") if part) for text in expected}
    assert {text: find(desk, cases, **arguments) for text, arguments in asked.items()} == expected
    assert {lane.code for lane in LANES} <= {"open", *(one.get("lane", "") for one in asked.values())}


def add_later(desk: Desk, first: str, **changes: Any) -> str:
    return add_sealed_case(
        desk, marker="x", partner="example-chat", joined_to=first, report_kind="supplement", score=1, **changes
    )


def next_of(desk: Desk, **settings: str) -> str | None:
    with desk.store.read() as connection:
        found = find_next(connection, **settings)
    return None if found is None else found.case_id


@pytest.mark.databases("sqlite", "postgresql")
def test_unread_later_report_makes_its_read_case_the_next_to_read(desk: Desk, cases: list[str]) -> None:
    """A supplement may name a child in danger: the case stands at the top of the crisis lane, and is read."""
    read = add_sealed_case(desk, marker="x", opened_at="2026-11-25T09:00:00Z", crisis=True, score=200)
    assert next_of(desk) == cases[0]
    later = add_later(desk, read)
    every = [*cases, read, later]
    assert (next_of(desk), find(desk, every, lane="unread")) == (read, [5, 0, 3, 4])
    assert next_of(desk, after=read) == cases[0]
    change(desk, later, opened_at="2026-11-25T09:10:00Z")
    assert (next_of(desk), find(desk, every, lane="unread")) == (cases[0], [0, 3, 4])
    change(desk, later, opened_at=None, closed_at="2026-11-25T09:10:00Z")
    assert next_of(desk) == cases[0]


@pytest.mark.databases("sqlite", "postgresql")
def test_open_addition_to_a_closed_case_has_its_line_among_open_and_closed(desk: Desk, cases: list[str]) -> None:
    """So has an addition closed on its own, once its case was reopened. One of the same state has none."""
    every = [*cases, *(add_later(desk, cases[number]) for number in (2, 0))]
    assert find(desk, every, lane="all") == [0, 1, 3, 4, 5, 2]
    change(desk, every[6], closed_at="2026-11-25T09:00:00Z")
    change(desk, every[5], closed_at="2026-11-25T09:00:00Z")
    assert sorted(find(desk, every, lane="all")) == [0, 1, 2, 3, 4, 6]


def test_list_of_all_cases_prints_an_open_addition_to_a_closed_case(
    desk: Desk, cases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    later = add_later(desk, cases[2])
    state = str(desk.paths.state)
    for given in ((), ("--all",)):
        capsys.readouterr()
        assert main(["case", "list", "--json", "--state", state, *given]) == 0
        assert later in [one["case_id"] for one in json.loads(capsys.readouterr().out)["cases"]]


@pytest.mark.parametrize(
    "text",
    [
        *("lane=x", "sort=x", "kind=x", "kind=" + "x" * 81, "age=12", "region=Wales", "door=x"),
        *("about=x y", "about=" + "x" * 65, "other=1"),
    ],
)
def test_unknown_codes_of_an_address_are_left_out(text: str) -> None:
    assert read_view(dict([text.split("=")])) == QueueView()


def test_every_count_is_a_link_and_keeps_the_filter(desk: Desk, cases: list[str]) -> None:
    page = Browser(desk).sign_in().get("/?region=wales").text
    lanes = page[page.index('<nav class="lanes"') : page.index("</nav>", page.index('<nav class="lanes"'))]
    found = dict(re.findall(r'href="([^"]+)"[^>]*>[^<]*<b>(\d+)</b>', lanes))
    assert found["/?region=wales"] == "4"
    assert found["/?lane=crisis&amp;region=wales"] == "1"
    assert found["/?lane=overdue&amp;region=wales"] == "1"


def test_case_keeps_the_view_that_it_was_opened_from(desk: Desk, cases: list[str]) -> None:
    browser = Browser(desk).sign_in()
    path = f"/cases/{cases[1]}?region=wales"
    assert f'href="{path}"' in browser.get("/?region=wales").text
    page = browser.get(path).text
    shown = page[page.index('class="rows"') : page.index("</ol>", page.index('class="rows"'))]
    assert [cases.index(one) for one in re.findall(r"/cases/([\w-]+)\?region=wales", shown)] == [0, 1]
    assert f'action="/cases/{cases[1]}/move?region=wales"' in page
    moved = browser.post(f"/cases/{cases[1]}/move?region=wales", lane="crisis", move_reason="A teacher rang")
    assert moved.headers["Location"].startswith(path)
    assert "region" not in browser.get(f"/cases/{cases[1]}").text.split('<details class="filter"')[0]
