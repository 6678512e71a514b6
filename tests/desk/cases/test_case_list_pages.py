"""The list of cases has pages: a flood of reports hides none behind it."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlalchemy.dialects import sqlite

from gateway.desk.collection import joining
from gateway.desk.office.views.page import MOST_LISTED
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
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


@pytest.mark.databases("sqlite", "postgresql")
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


def list_plans(desk: Desk, path: str) -> list[tuple[str, str]]:
    """Return each question about cases that a page asks, with a line of its query plan."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    browser = Browser(desk).sign_in()
    event.listen(desk.store.database.engine, "before_cursor_execute", note)
    assert browser.get(path).status_code == 200
    event.remove(desk.store.database.engine, "before_cursor_execute", note)
    plans = []
    with desk.store.read() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT") and " cases" in statement:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [(statement, row.detail) for row in rows]
    return plans


@pytest.mark.parametrize("path", ["/", "/?page=2", "/?lane=closed", "/?lane=all", "/?lane=overdue"])
def test_list_reads_its_page_and_its_counts_from_indexes_and_sorts_nothing(desk: Desk, path: str) -> None:
    plans = list_plans(desk, path)
    assert len(plans) >= 8
    assert [plan for _, plan in plans if re.match("SCAN cases", plan) and "USING" not in plan] == []
    # Late replies are found by their day and then put into the order of the queue; what was added to the cases of one
    # page is put into its own order.
    sorted_ones = [plan for asked, plan in plans if "TEMP B-TREE" in plan and "joined_to IN" not in asked]
    assert len(sorted_ones) == (1 if "overdue" in path else 0)
    of_the_page = [plan for statement, plan in plans if "ORDER BY" in statement and "cases.case_id" in statement]
    assert [plan for asked, plan in plans if "joined_to >" in asked and plan.startswith("SCAN")] == []
    assert any(plan.startswith("SEARCH later USING INDEX ix_cases_joined_to") for _, plan in plans)
    assert any(("ix_cases_owed" if "overdue" in path else "ix_cases_queue") in plan for plan in of_the_page)


def test_case_is_found_by_its_reference_from_an_index(desk: Desk) -> None:
    plans = [plan for _, plan in list_plans(desk, "/cases/case-0001")]
    assert any("ix_cases_reference" in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN cases") and "USING" not in plan] == []


def test_page_loads_no_more_cases_than_it_shows(desk: Desk) -> None:
    loaded = []

    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if re.match(r"SELECT cases\.case_id, cases\.environment", statement):
            loaded.append(statement)

    browser = Browser(desk).sign_in()
    event.listen(desk.store.database.engine, "before_cursor_execute", note)
    browser.get("/")
    event.remove(desk.store.database.engine, "before_cursor_execute", note)
    assert len(loaded) >= 2
    assert [one for one in loaded if "LIMIT" not in one and "joined_to IN" not in one] == []


def test_addition_finds_its_report_without_reading_every_report_of_its_sender(desk: Desk) -> None:
    with desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE cases SET adds_to = 'REF-0001' WHERE case_id = 'case-0002'")
    for path in ("/cases/case-0001", "/cases/case-0002"):
        plans = [plan for _, plan in list_plans(desk, path)]
        assert [plan for plan in plans if "(environment=? AND partner=?)" in plan] == []
        assert [plan for plan in plans if plan.startswith("SCAN cases")] == []
        wanted = {"ix_cases_adds_to", "ix_cases_reference"} if "0002" in path else {"ix_cases_adds_to"}
        assert [name for name in wanted if not any(name in plan for plan in plans)] == []


def test_joining_prepares_questions_that_indexes_answer(desk: Desk) -> None:
    asked = {
        joining._NAMED_BY_REFERENCE: "ix_cases_reference",
        joining._ADDITIONS: "ix_cases_adds_to",
        joining._NAMED: "ix_cases_adds_to",
    }
    values: dict[str, Any] = {"environment": "live", "partner": "public", "case_id": "x", "name": "y"}
    values |= {"names": ["a", "b"], "references": ["a"]}
    for query, index in asked.items():
        bound = query.params(**values).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        with desk.store.read() as connection:
            plans = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {bound}")]
        assert any(index in plan for plan in plans), plans
        assert [plan for plan in plans if "(environment=? AND partner=?)" in plan] == []
