"""Lanes, filters and sorts of the queue: each is an address, and every address of a case keeps it."""

import re
from datetime import date

import pytest

from gateway.desk.cases.lanes import LANES, QueueView, count_lanes, count_view, list_queue, read_view
from gateway.desk.wiring import Desk
from tests.desk.view_builders import Browser, add_sealed_case

TODAY = date(2026, 11, 25)
CASES = (
    {"score": 90, "crisis": True, "region": "wales", "stated_kind": "grooming", "factors": "self_harm under_13"},
    {"score": 50, "opened_at": "2026-11-25T09:30:00Z", "region": "wales", "about": None, "holder": "kim"},
    {"score": 10, "closed_at": "2026-11-25T09:30:00Z", "kind": "grooming", "age_band": "12_or_under", "holder": "kim"},
    {"score": 5, "reply_owed": True, "reply_by": "2026-11-20", "door": "industry", "faculty": "operations"},
    {"score": 4, "reply_owed": True, "reply_by": "2026-11-26", "factors": "grooming teenager"},
)
RECEIVED = ("25T08:00", "24T08:00", "25T08:10", "25T08:20", "25T08:30")


@pytest.fixture
def cases(desk: Desk) -> list[str]:
    return [
        add_sealed_case(desk, marker="x", under_18="no", received_at=f"2026-11-{at}:00Z", **changes)
        for changes, at in zip(CASES, RECEIVED, strict=True)
    ]


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
        "region=wales": [0, 1],
        "region=wales&lane=unread": [0],
        "door=industry": [3],
        "about=example-chat": [0, 3, 4],
    }
    asked = {text: dict(part.split("=") for part in text.split("&") if part) for text in expected}
    assert {text: find(desk, cases, **arguments) for text, arguments in asked.items()} == expected
    assert {lane.code for lane in LANES} <= {"open", *(one.get("lane", "") for one in asked.values())}


@pytest.mark.parametrize("text", ["lane=x", "sort=x", "kind=" + "x" * 81, "other=1"])
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
