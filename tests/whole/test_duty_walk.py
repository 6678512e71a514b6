"""A night on a phone: an alert is escalated and taken, the case read, assessed and handed over to the day team."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from gateway.desk.actions.destinations import load_register
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.outbox_run import send_due
from gateway.desk.people.permissions import Role
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from tests.desk.duty.duty_builders import HOLIDAY_NIGHT, NIGHT_OFFICER, OPENING, get_path, make_night_escalation
from tests.desk.mail_server import Posts, run_receiver
from tests.desk.view_builders import add_sealed_case
from tests.whole.desk_browser import Colleague, ServedDesk, serve_desk
from tests.whole.desk_door import list_page_faults

ANALYST = "a-okafor"
PACKAGE = {
    "why": "The child's town.",
    "title": "A stranger in a game",
    "summary": "A stranger asks to meet tonight. Please find the child.",
    "necessity": "The meeting is soon.",
    "officer_telephone": "01632 960124",
}
# An agreed number of the body that is on duty while the desk is closed.
OWN = """[crimestoppers]
contact = "01632 960123"
channel = "letter"
checked_on = 2026-11-28
source = "a letter of the body"

[crimestoppers.protocol]
version = "1"
agreed_on = 2026-11-28
review_on = 2027-11-28
may_pass = ["a child in danger"]
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedDesk]:
    with serve_desk(tmp_path) as served:
        served.clock.now = HOLIDAY_NIGHT
        served.add(NIGHT_OFFICER, Role.DUTY_OFFICER)
        served.add(ANALYST, Role.ANALYST)
        yield served


def send(desk: Desk) -> None:
    assert send_due(desk, only={"alert"}).of("alert").sent == 1


def check_looks(page: Page, state: str) -> None:
    """Look at a page at two widths, light and dark; and at the size of what a thumb presses."""
    page.set_viewport_size({"width": 390, "height": 780})
    assert list_page_faults(page, state, widths=(320, 390)) == []
    for target in page.locator(
        "button.main-action:visible, .jump a:visible, .duty-case:visible, a.duty-link:visible"
    ).all():
        box: Any = target.bounding_box()
        assert box["height"] >= 44, state
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = false")


def test_night_from_the_alert_to_the_hand_over(browser: Chromium, served: ServedDesk) -> None:
    served.desk.paths.destinations.write_text(OWN, "utf-8")
    load_register.cache_clear()  # as a restart of `serve` does
    officer = Colleague(browser, served, NIGHT_OFFICER, color_scheme="dark", has_touch=True).register("night phone")
    officer.page.set_viewport_size({"width": 390, "height": 780})
    officer.press("Sign out")
    case_id = add_sealed_case(
        served.desk,
        marker="x",
        under_18="yes",
        crisis=True,
        crisis_since=format_time(HOLIDAY_NIGHT),
        factors="in_danger",
        region="england",
    )
    with served.desk.store.write() as connection:
        queue_alert(connection, count=1, now=served.clock())
    config = msgspec.structs.replace(served.desk.config, pages_origin=served.origin)
    with run_receiver() as first, run_receiver() as second:
        desk = replace(served.desk, config=config, escalation=make_night_escalation(first, second))
        send(desk)
        served.clock.now += timedelta(minutes=5, seconds=1)
        send(desk)  # the first one does not answer
        acknowledge_on_the_phone(officer, second)
        served.clock.now += timedelta(minutes=10)
        assert send_due(desk, only={"alert"}).of("alert").sent == 0
    read_and_assess(officer, case_id)
    send_the_package(officer)
    hand_over(officer, case_id)
    served.clock.now = OPENING
    take_over(Colleague(browser, served, ANALYST).register())
    assert [one for one in officer.errors if "401" not in one and "409" not in one] == []


def acknowledge_on_the_phone(officer: Colleague, posts: Posts) -> None:
    path = get_path(posts, origin=officer.served.origin)
    officer.open(path)
    officer.press("Sign in with your passkey")
    officer.page.wait_for_url(f"**{path}")
    expect(officer.page.get_by_role("heading", name="1 urgent case")).to_be_visible()
    check_looks(officer.page, "alert")
    officer.press("I am dealing with it")
    officer.page.wait_for_url("**/duty")
    assert "Nobody has it" in officer.read()
    check_looks(officer.page, "duty")
    officer.open(path)
    assert "Somebody has it" in officer.read()
    officer.open("/duty")


def read_and_assess(officer: Colleague, case_id: str) -> None:
    page = officer.page
    page.locator(".duty-case").click()
    page.wait_for_url(f"**/cases/{case_id}**")
    officer.press("Take this case")
    officer.press("Open the report")
    expect(page.get_by_role("heading", name="Before you contact anyone")).to_be_in_viewport()
    check_looks(page, "case")
    page.set_viewport_size({"width": 390, "height": 780})
    call = page.get_by_role("link", name=re.compile("^Call Crimestoppers"))
    assert call.get_attribute("href") == "tel:01632960123"
    page.get_by_role("navigation", name="This case", exact=True).get_by_role("link", name="Assess").click()
    expect(page.get_by_role("heading", name="Assessment", exact=True)).to_be_in_viewport()
    page.locator("[name=urgency][value=yes-yes-yes]").check()
    page.locator("[name=best_placed][value=local_police]").check()
    page.locator("#priority").select_option("P1")
    page.locator("#kind").select_option("grooming")
    page.locator("#age_band").select_option("13_15")
    page.locator("#assess_reasons").fill("A meeting tonight.")
    officer.press("Record the assessment")
    expect(page.locator("main")).to_contain_text("A child is at immediate risk")
    page.get_by_role("navigation", name="This case", exact=True).get_by_role("link", name="Send").click()
    expect(page.get_by_role("heading", name="Who can help")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Make a package")).to_be_visible()


def send_the_package(officer: Colleague) -> None:
    page = officer.page
    officer.press("Make a package")
    expect(page.get_by_role("heading", name="To whom")).to_be_visible()
    check_looks(page, "package")
    page.locator("#destination").select_option("kent")
    for name, text in PACKAGE.items():
        page.locator(f"#{name}").fill(text)
    for name in ("legal", "handling"):
        page.locator(f"[name={name}]").first.check()
    page.locator("[name=reporter][value=named]").check()
    page.locator("#officer").select_option(NIGHT_OFFICER)
    officer.press("Preview the page")
    expect(page.get_by_role("heading", name="This is the page that the officer reads")).to_be_visible()
    check_looks(page, "preview")
    officer.press("Keep it for a second person to sign")
    check_looks(page, "draft")
    officer.press("Send it now, alone")
    officer.press("Touch and go on")
    expect(page.locator("main")).to_contain_text("a second person has not reviewed it")
    check_looks(page, "sent alone")
    officer.open("/duty")
    expect(page.locator(".duty-case")).to_contain_text("Package to Kent Police: ")
    check_looks(page, "duty with a package")


def hand_over(officer: Colleague, case_id: str) -> None:
    page = officer.page
    officer.open(f"/cases/{case_id}")
    page.get_by_role("navigation", name="This case", exact=True).get_by_role("link", name="Hand over").click()
    page.wait_for_url("**/duty/hand-over")
    assert "took the case" not in officer.read(), "the acts are folded"
    page.get_by_text("What the night did", exact=False).click()
    shown = officer.read()
    for words in ("took the case", "opened the report", "assessed the case", "A second person reviews it."):
        assert words in shown
    check_looks(page, "hand-over")
    officer.press("Hand over with this note")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was handed over yet")
    check_looks(page, "hand-over with a fault")
    page.locator("textarea").fill("Called the duty desk; they ring back at ten.")
    officer.press("Hand over with this note")
    expect(page.locator(".night-case")).to_contain_text("Note by")


def take_over(analyst: Colleague) -> None:
    analyst.open("/")
    assert "Nobody of the day team has taken over a crisis case of the night" in analyst.read()
    analyst.open("/duty/hand-over")
    analyst.press("Take this case over")
    expect(analyst.page.locator("main")).to_contain_text("No crisis case of the night is left to take over.")
    assert analyst.errors == []
