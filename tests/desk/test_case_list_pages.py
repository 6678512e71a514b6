"""The list of cases has pages: a flood of reports hides none behind it."""

import re
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.desk.store.schema import CASES
from gateway.desk.views.list_pages import MOST_LISTED
from gateway.desk.wiring import Desk
from tests.desk.view_builders import Browser, Clock, make_test_desk

COUNT = 2 * MOST_LISTED + 3


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = make_test_desk(tmp_path / "desk", Clock())
    rows = [
        {
            "case_id": f"case-{number:04d}",
            "environment": "live",
            "partner": "public",
            "report_id": f"report-{number}",
            "reference": f"REF-{number:04d}",
            "door": "public",
            "priority": "P3",
            "received_at": f"2026-11-25T09:{number // 60:02d}:{number % 60:02d}Z",
            "collected_at": "2026-11-25T09:30:00Z",
            "reply_owed": False,
            "synthetic": False,
        }
        for number in range(COUNT)
    ]
    with desk.store.write() as connection:
        connection.execute(insert(CASES), rows)
    return desk


def list_shown(page: str) -> list[int]:
    return [int(number) for number in re.findall(r">REF-(\d{4})</a>", page)]


def test_every_case_is_on_one_page_and_each_page_leads_to_the_next(desk: Desk) -> None:
    browser = Browser(desk).sign_in()
    path, shown = "/", []
    for number in (1, 2, 3):
        page = browser.get(path).text
        shown += list_shown(page)
        assert f"Page {number} of 3, {COUNT} cases" in page
        found = re.search(r'href="([^"]+)" rel="next"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    assert path == ""
    assert shown == list(range(COUNT))


@pytest.mark.parametrize(
    ("asked", "first"), [("0", 0), ("-1", 0), ("x", 0), ("2", MOST_LISTED), ("99", 2 * MOST_LISTED), ("9" * 40, 0)]
)
def test_page_that_is_none_is_the_first_or_the_last(desk: Desk, asked: str, first: int) -> None:
    assert list_shown(Browser(desk).sign_in().get(f"/?page={asked}").text)[0] == first


def test_short_list_names_no_pages(tmp_path: Path) -> None:
    browser = Browser(make_test_desk(tmp_path / "desk", Clock())).sign_in()
    assert "Pages of the list" not in browser.get("/").text
