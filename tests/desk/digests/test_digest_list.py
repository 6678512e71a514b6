"""The desk's list of digests: one period at a time, in pages, with the overview beside the services."""

import re
from pathlib import Path

import pytest

from gateway.desk.digests import noise
from gateway.desk.digests.batch import BatchOrder, make_all
from gateway.desk.digests.overview import OverviewOrder, make_overview
from gateway.desk.keyring.quarters import Year, parse_period
from gateway.desk.wiring import Desk
from tests.desk.digests.digest_builders import add_cases, clock
from tests.desk.view_builders import Browser, Clock, make_test_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with the digests of a year about two services, and their overview."""
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))
    desk, year = make_test_desk(tmp_path / "desk", Clock()), parse_period("2025")
    assert isinstance(year, Year)
    for service in ("one-app", "two-app"):
        add_cases(desk.store, 80, about=service, closed_at="2025-02-01T00:00:00Z")
    for period in (*year.quarters, year):
        make_all(desk.store, BatchOrder(quarter=period, environment="live", made_by="M"), clock=clock)
    make_overview(desk.store, OverviewOrder(year=year, environment="live", made_by="M"), clock=clock)
    return desk


def list_rows(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/digests/([^"]+)">', page)


def test_list_shows_one_period_at_a_time_the_newest_first(desk: Desk) -> None:
    browser = Browser(desk).sign_in()
    newest = browser.get("/digests").text
    assert {one.partition(".")[0] for one in list_rows(newest)} == {"2025-Q4"}
    tabs = re.findall(r'href="/digests\?period=([^"]+)"', newest)
    assert tabs == ["2025-Q4", "2025-Q3", "2025-Q2", "2025-Q1", "2025"]
    assert "2025-Q1.one-app" in list_rows(browser.get("/digests?period=2025-Q1").text)
    assert list_rows(browser.get("/digests?period=nonsense").text) == list_rows(newest)


def test_overview_stands_in_the_list_and_is_not_to_be_invited(desk: Desk) -> None:
    page = Browser(desk).sign_in().get("/digests?period=2025").text
    row = page[page.index("2025.all.services") :].partition("</tr>")[0]
    assert "All services together" in row
    assert "invite" not in row
    assert "invite it" in page  # the services without keys
