"""The desk's pages of placements in a real browser: no page scrolls sideways, on a phone or a wide screen."""

import re

import pytest
from playwright.sync_api import Browser as Chromium

from gateway.desk.app import STYLE_FILE
from gateway.desk.placements.checks import take_checks
from tests.desk.placement_builders import LINK_ID, agree, make_check, make_finding, make_post
from tests.desk.view_builders import Browser, Clock, add_sealed_case, make_test_desk

OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"
LONG = "https://chat.example/" + "a-rather-long-part-of-a-path-without-a-blank" * 6
NAMES = ("list", "placement", "form", "mend", "case")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The list, one placement with findings, the form empty and with faults, and a case that came from a placement."""
    desk = make_test_desk(tmp_path_factory.mktemp("desk") / "desk", Clock())
    agree(desk)
    agree(desk, link_id="long", address=LONG, look_at=None, service="A" * 80, position="b" * 200)
    findings = (make_finding(), make_finding(severity="advice", what="c" * 600, where="line 7"))
    checks = (
        make_check(checked_at="2026-11-20T07:00:00Z", result="unreachable", placement=None),
        make_check(result="faults", findings=findings, placement="long"),
    )
    assert take_checks(desk, make_post(*checks), channel="runner", actor="runner").taken == 2
    case = add_sealed_case(desk, marker="x", placement=LINK_ID)
    browser = Browser(desk).sign_in()
    addresses = {
        "list": "/placements",
        "placement": f"/placement/{LINK_ID}",
        "form": "/placements/new",
        "case": f"/cases/{case}",
    }
    found = {name: browser.get(address).text for name, address in addresses.items()}
    found["mend"] = browser.post("/placements/new", owner="example-chat", surface="chat", service="x", address="y").text
    return found


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_page_of_placements_does_not_scroll_sideways(
    browser: Chromium, pages: dict[str, str], name: str, width: int
) -> None:
    style = f"<style>{STYLE_FILE.read_text()}</style>"
    html, count = re.subn(r'<link rel="stylesheet"[^>]*>', lambda _: style, pages[name])
    assert count == 1
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(html)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()
