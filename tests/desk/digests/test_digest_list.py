"""The desk's list of digests: one period at a time, in pages, with the overview beside the services."""

import re
from pathlib import Path

import pytest

from gateway.desk.digests import noise
from gateway.desk.digests.ledger import get_record, mark_released
from gateway.desk.digests.making import DigestOrder, make_all
from gateway.desk.digests.overview import OverviewOrder, make_overview
from gateway.desk.digests.pages import describe_files
from gateway.desk.keyring.key_set import Year, parse_period
from gateway.desk.office.people.releases import PUBLICATION
from gateway.desk.office.wiring import Desk
from partner_sdk.console.digests.view import parse_overview
from tests.desk.digests.digest_builders import add_cases, clock
from tests.desk.office.people.step_up_builders import release_by_two
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
        make_all(desk.store, DigestOrder(quarter=period, environment="live", made_by="M"), clock=clock)
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


def test_digests_of_all_services_and_an_overview_are_made_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))
    desk = make_test_desk(tmp_path / "desk", Clock())
    add_cases(desk.store, 80, about="one-app", closed_at="2025-02-01T00:00:00Z")
    browser = Browser(desk).sign_in()
    page = browser.get("/digests").text
    for period in ("2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2025"):
        assert f'<option value="{period}"' in page
        page = browser.post("/digests", partner="all.services", quarter=period).text
        assert "A second person releases each digest." in page
    assert "to be invited on the page" in page
    words = {"patterns": "First contact moves to voice chat.\n\n Second. ", "changes": ""}
    refused = browser.post("/digests/overview", year="2025-Q1", **words)
    assert (refused.status_code, "First contact moves to voice chat." in refused.text) == (409, True)
    too_long = browser.post("/digests/overview", year="2025", patterns="x" * 5000, changes="")
    assert (too_long.status_code, "at most" in too_long.text) == (409, True)
    made = browser.post("/digests/overview", year="2025", **words)
    assert made.location == "/digests/2025.all.services"
    with desk.store.read() as connection:
        body = get_record(connection, "2025.all.services").body
    assert body is not None
    assert list(parse_overview(body).patterns) == ["First contact moves to voice chat.", "Second."]
    assert browser.post("/digests/2025.all.services/public-file", file="page").status_code == 409


def test_files_of_a_published_overview_are_handed_out(desk: Desk) -> None:
    digest_id, browser = "2025.all.services", Browser(desk).sign_in()
    with desk.store.write() as connection:
        mark_released(connection, digest_id, by="s", message_id="m", now=desk.clock())
        files = describe_files(get_record(connection, digest_id))
        release_by_two(connection, kind=PUBLICATION, subject=digest_id, body=files, now=desk.clock())
    assert "Download the page" in browser.get(f"/digests/{digest_id}").text
    for file, kind in (("page", "text/html; charset=utf-8"), ("data", "application/json")):
        answer = browser.post(f"/digests/{digest_id}/public-file", file=file)
        assert (answer.status_code, answer.content_type) == (200, kind)
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="overview-2025.')
        assert b"one-app" not in answer.data
