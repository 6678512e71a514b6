"""The pages of referrals, alerts and invitations: written without script, clean for axe on each width and scheme."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from gateway.desk.actions.ledger import EntryText, add_entry, change_state
from gateway.desk.actions.model import get_action
from gateway.desk.digests.making import BatchOrder, make_all
from gateway.desk.notices.invitations import draft_invitation
from gateway.desk.notices.referrals import Referral, draft_referral
from gateway.desk.notices.service_alerts import AlertDraft, draft_alert, get_alert
from gateway.desk.wiring import Desk
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import QUARTER, add_cases, seed_noise
from tests.desk.notice_builders import SERVICES, add_referable, add_service, make_reachable
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page

MANY = "many-reports"
WORDS = AlertDraft(
    pattern="Adults pose as talent scouts, praise a dance and ask for a video call on another app within a day.",
    advice="Warn before a link to another app is opened.\nSlow down first messages of new accounts.",
    audience="messages",
    lasts="7",
    services=SERVICES,
)

MARKUP = """document.querySelector('main').outerHTML.replace(/name="csrf_token" value="[^"]*"/g, '')"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    seed_noise(monkeypatch)
    desk = make_reachable(make_test_desk(tmp_path / "desk", Clock()))
    for service in SERVICES[1:]:
        add_service(desk, service)
    add_cases(desk.store, 200, about=MANY)
    make_all(desk.store, BatchOrder(quarter=QUARTER, environment="live", made_by=ACTOR), clock=desk.clock)
    return desk


def fill(desk: Desk) -> dict[str, str]:
    """Write one notice of each kind, an alert with a thread, and return the paths of their pages."""
    case_id = add_referable(desk)
    referral = draft_referral(desk, case_id, Referral("username", "Night_Owl7", "pressure"), actor=ACTOR)
    alert_id = draft_alert(desk, WORDS, actor=ACTOR)
    with desk.store.write() as connection:
        for one in get_alert(connection, alert_id).actions[:2]:
            action = get_action(connection, one.action_id)
            action = change_state(desk, connection, action, "released", actor="d-duty", act="release-action")
            action = change_state(desk, connection, action, "sent", actor="desk", act="send-action")
            text = EntryText(text="We saw eleven such accounts.\nThey are gone.", by="Robin Moderator")
            add_entry(desk, connection, action, direction="in", kind="answer", text=text, actor=one.recipient)
    letter = draft_invitation(desk, MANY, channel="letter", to="Many Ltd\n1 Example Street", actor=ACTOR)
    return {
        "case": f"/cases/{case_id}",
        "referral form": f"/cases/{add_referable(desk)}/referral",
        "referral refused": f"/cases/{case_id}/referral",
        "referral": f"/referrals/{referral.action_id}",
        "alerts": "/service-alerts",
        "alert form": "/service-alerts/new",
        "alert": f"/service-alerts/{alert_id}",
        "invitations": "/invitations",
        "invitation": f"/invitations/{letter.action_id}",
    }


def take_picture(page: Page, name: str) -> None:
    folder = os.environ.get("NOTICE_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_axe_finds_nothing_on_the_pages_of_notices(browser: Chromium, desk: Desk) -> None:
    paths, found, looked_at = fill(desk), [], set()
    for person in (ACTOR, "b-second"):
        page = open_desk_page(browser, Browser(desk).sign_in(person))
        for name, path in paths.items():
            page.goto(f"{ORIGIN}{path}")
            take_picture(page, f"{person}-{name}")
            shown = page.evaluate(MARKUP)
            if shown not in looked_at:  # some pages are the same for both
                looked_at.add(shown)
                found += list_page_faults(page, f"{name} as {person}")
        page.goto(f"{ORIGIN}{paths['alert']}")
        page.get_by_role("button", name="Open the threads").click()
        take_picture(page, f"{person}-threads")
        found += list_page_faults(page, f"threads as {person}")
    assert found == []
    assert len(looked_at) == 14


@pytest.mark.parametrize("has_script", [True, False])
def test_notices_are_written_with_and_without_script(browser: Chromium, desk: Desk, has_script: bool) -> None:
    case_id = add_referable(desk)
    page = open_desk_page(browser, Browser(desk).sign_in(ACTOR), has_script=has_script)
    page.goto(f"{ORIGIN}/cases/{case_id}")
    page.get_by_role("link", name="Refer an account to it").click()
    page.get_by_role("textbox", name="The account").fill("Night Owl")
    page.get_by_role("button", name="Write the referral").click()
    expect(page.get_by_role("heading", name="Nothing was written yet")).to_be_visible()
    page.get_by_role("textbox", name="The account").fill("Night_Owl7")
    page.get_by_label("The rule that it may break").select_option("pressure")
    page.get_by_role("button", name="Write the referral").click()
    expect(page.get_by_text("You prepared this.")).to_be_visible()
    page.goto(f"{ORIGIN}/service-alerts/new")
    page.get_by_label("What happens?").fill("They ask for money, as Other Chat knows.")
    page.get_by_label("What helps against it?").fill(WORDS.advice)
    page.get_by_label("Kind of service").select_option("all")
    page.get_by_label("Valid for").select_option("3")
    page.get_by_label("Third Game").check()
    page.get_by_role("button", name="Write the warning").click()
    expect(page.get_by_role("link", name="No service may learn about another.")).to_be_visible()
    assert page.get_by_label("Third Game").is_checked()
    page.get_by_label("What happens?").fill(WORDS.pattern)
    page.get_by_role("button", name="Write the warning").click()
    expect(page.get_by_role("heading", name="Third Game")).to_be_visible()
    page.goto(f"{ORIGIN}/invitations")
    page.locator("summary").first.click()
    page.get_by_label("To", exact=True).fill("safety@many.example")
    page.get_by_role("button", name="Write the invitation").click()
    expect(page.get_by_role("heading", name="Invitation to")).to_be_visible()
