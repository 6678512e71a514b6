"""The desk's pages in a real browser: no page scrolls sideways, on a phone or a wide screen, and tables fit."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from gateway.desk.app import read_sheet
from gateway.desk.placements.checks import take_checks
from tests.builders import make_industry_report
from tests.desk.adoption_builders import CALLED, add_waiting
from tests.desk.cases.test_whole_case_files import make_cover, send_cover, send_first
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.evidence_builders import make_film
from tests.desk.industry_builders import file, make_full_report
from tests.desk.loop_model import copy_loop
from tests.desk.placement_builders import LINK_ID, agree, make_check, make_finding, make_post
from tests.desk.view_builders import Browser, Clock, add_sealed_case, make_test_desk

LONG_NAME = "IMG_20261102_a-rather-long-name-of-a-file-without-a-blank.mp4"
LONG_ADDRESS = "https://chat.example/" + "a-rather-long-part-of-a-path-without-a-blank" * 6
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"
WIDER_THAN_ITS_BOX = "one => one.scrollWidth - one.clientWidth"
WIDTHS = (320, 800, 1280)
CASE_PAGES = ("cases", "changed", "full", "alarms", "set aside")
PLACEMENT_PAGES = ("placements", "placement", "new placement", "refused placement", "case of a placement")
REQUEST_PAGES = ("requests", "open request", "invited service")
PARTNER_PAGES = ("partners", "invited partner", "partner")


def make_case_pages(folder: Path) -> dict[str, str]:
    """Return the case list, a case with a file that changed, and one with a supplement that differs in many fields."""
    loop = copy_loop(folder)
    changed = send_first(loop, make_film(b"before"), name=LONG_NAME)
    new = make_film(b"after")
    send_cover(loop, new, earlier=changed.reference, report=make_cover(new, is_changed=True))
    full = file(loop, make_full_report(), priority="P1")
    file(loop, make_industry_report(), kind="supplement", earlier_reference=full.reference)
    loop.send_public(danger="yes")
    loop.collect()
    browser = Browser(loop.desk).sign_in()
    found = {"cases": browser.get("/").text}
    for name, case in (("changed", changed), ("full", full)):
        browser.get(f"/cases/{case.case_id}")
        found[name] = browser.post(f"/cases/{case.case_id}/read").text
    loop.send_industry()
    loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE acknowledged_at IS NULL")
    loop.collect()
    loop.clock.advance(minutes=9)
    found["alarms"] = browser.get("/").text
    assert "Something has stopped" in found["alarms"]
    assert "1 report is set aside" in found["alarms"]
    found["set aside"] = browser.post("/set-aside/1/open").text
    assert "It cannot be decrypted" in found["set aside"]
    return found


def make_placement_pages(folder: Path) -> dict[str, str]:
    """Return the list, a placement with findings, the form empty and refused, and a case that came from a placement."""
    desk = make_test_desk(folder / "desk", Clock())
    agree(desk)
    agree(desk, link_id="long", address=LONG_ADDRESS, look_at=None, service="A" * 80, position="b" * 200)
    findings = (make_finding(), make_finding(severity="advice", what="c" * 600, where="line 7"))
    checks = (
        make_check(checked_at="2026-11-20T07:00:00Z", result="unreachable", placement=None),
        make_check(result="faults", findings=findings, placement="long"),
    )
    assert take_checks(desk, make_post(*checks), channel="runner", actor="runner").taken == 2
    case = add_sealed_case(desk, marker="x", placement=LINK_ID)
    browser = Browser(desk).sign_in()
    refused = browser.post("/placements/new", owner="example-chat", surface="chat", service="x", address="y").text
    return {
        "placements": browser.get("/placements").text,
        "placement": browser.get(f"/placement/{LINK_ID}").text,
        "new placement": browser.get("/placements/new").text,
        "refused placement": refused,
        "case of a placement": browser.get(f"/cases/{case}").text,
    }


def make_request_pages(folder: Path) -> dict[str, str]:
    """Return the list of requests, and one that is open, is invited; and the pages of the partners."""
    desk = make_test_desk(folder / "desk", Clock())
    request_id = add_waiting(desk)
    browser = Browser(desk).sign_in()
    found = {"requests": browser.get("/adoption").text}
    browser.get(f"/adoption/{request_id}")
    found["open request"] = browser.post(f"/adoption/{request_id}/open").text
    found["invited service"] = browser.post(f"/adoption/{request_id}/invite", owner=CALLED, with_keys="yes").text
    browser.get("/partners")
    found["partners"] = browser.post("/partners", name="Example Forum", partner="example-forum").text
    found["invited partner"] = browser.get("/partners/example-forum").text
    found["partner"] = browser.get(f"/partners/{PARTNER}").text
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every page that is looked at here, by its name."""
    found: dict[str, str] = {}
    for make in (make_case_pages, make_placement_pages, make_request_pages):
        found |= make(tmp_path_factory.mktemp("desk"))
    return found


def show(browser: Chromium, html: str, *, width: int) -> Page:
    style = f"<style>{read_sheet()}</style>"
    html, count = re.subn(r'<link rel="stylesheet"[^>]*>', lambda _: style, html)
    assert count == 1
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(html)
    page.evaluate(OPEN_ALL)
    return page


@pytest.mark.parametrize("name", [*CASE_PAGES, *PLACEMENT_PAGES, *REQUEST_PAGES, *PARTNER_PAGES])
def test_page_of_the_desk_does_not_scroll_sideways(browser: Chromium, pages: dict[str, str], name: str) -> None:
    assert ("All files handed over" in pages[name]) is (name == "changed")
    page = show(browser, pages[name], width=WIDTHS[0])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_table_of_differences_fits_and_each_column_keeps_its_share(
    browser: Chromium, pages: dict[str, str], width: int
) -> None:
    page = show(browser, pages["full"], width=width)
    box = page.get_by_role("group", name="Differences from the first report")
    assert box.evaluate(WIDER_THAN_ITS_BOX) <= 0
    cells = box.locator("tbody tr").first.locator("th, td")
    widths = [cell.bounding_box() for cell in cells.all()]
    assert len(widths) == 3
    whole = box.bounding_box()
    assert whole is not None
    assert all(one is not None and one["width"] > whole["width"] / 5 for one in widths)
    page.close()


def test_button_that_opens_a_file_is_one_line(browser: Chromium, pages: dict[str, str]) -> None:
    page = show(browser, pages["changed"], width=1280)
    box = page.locator("#files button").bounding_box()
    assert box is not None
    assert box["height"] < 50
    page.close()
