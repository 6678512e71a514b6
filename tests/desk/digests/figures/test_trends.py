"""The desk's own trend of closed cases: exact, by quarter, on the page of figures."""

import re
from pathlib import Path

from gateway.desk.digests.figures import make_trends
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.office.people.permissions import Role
from tests.desk.digests.digest_builders import add_case, add_cases, make_store
from tests.desk.view_builders import Browser, Clock, make_test_desk

LAST = Quarter(2026, 4)


def test_cases_count_in_the_quarter_of_their_closing_and_made_up_ones_do_not(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    add_cases(store, 3, closed_at="2026-09-30T23:59:59Z", weakness_1="weak_age_check", weakness_2="slow_response")
    add_case(store, closed_at="2026-10-01T00:00:00Z", kind=None, weakness_1=None)
    add_case(store, closed_at="2026-10-01T00:00:00Z", synthetic=True)
    add_case(store, closed_at=None)
    with store.read() as connection:
        trends = make_trends(connection, last=LAST, quarters=2)
    assert {trend.quarters for trend in trends} == {("2026-Q3", "2026-Q4")}
    found = {trend.title: {row.title: row.counts for row in trend.rows} for trend in trends}
    assert found["Cases closed"] == {"All": (3, 1)}
    assert found["Main kind of report"] == {"Grooming": (3, 0), "Not stated": (0, 1)}
    assert list(found["Weaknesses (a case may name two)"].values()) == [(3, 0), (3, 0)]
    assert trends[0].rows[0].change == 0  # the newest quarter still runs
    with store.read() as connection:
        rows = make_trends(connection, last=LAST, quarters=3)[0].rows
    assert (rows[0].counts, rows[0].change) == ((0, 3, 1), 3)


def test_analyst_finds_the_page_in_the_menu_and_no_link_to_the_digests(tmp_path: Path) -> None:
    desk = make_test_desk(tmp_path / "desk", Clock())
    text = Browser(desk).sign_in("a-analyst", roles=(Role.ANALYST,)).get("/figures?show=trends").text
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', text) == ["/figures", "/figures?show=trends"]
    assert 'href="/digests"' not in text


def test_page_shows_the_trend_of_six_quarters(tmp_path: Path) -> None:
    desk = make_test_desk(tmp_path / "desk", Clock())
    add_cases(desk.store, 4, closed_at="2026-08-02T08:00:00Z")
    page = Browser(desk).sign_in().get("/figures?show=trends").text
    assert "Grooming" in page
    assert re.findall(r'<th scope="col">(20\d\d-Q\d)', page)[:6] == [
        *("2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4")
    ]
