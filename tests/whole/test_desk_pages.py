"""The desk's pages in a real browser: axe on a phone and a wide screen, by day and by night, and no sideways scrolling.

They are made without a browser, as a person's browser gets them. What their scripts do: test_desk_workbench.py.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page
from werkzeug.test import TestResponse

from gateway.desk.cases.actions.ledger import EntryText, add_entry, change_state, record_entry, record_sent
from gateway.desk.cases.actions.model import get_action
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.digests.invitations import draft_invitation
from gateway.desk.digests.making import DigestOrder, make_all
from gateway.desk.keyring.anchoring import check_audit, note_check
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_content import Redaction, redact, render_html
from gateway.desk.outgoing.referrals import Referral, draft_referral
from gateway.desk.outgoing.service_alerts import AlertDraft, draft_alert, get_alert
from gateway.desk.partners.placement_checks import take_checks
from gateway.desk.running.app import read_sheet
from tests.builders import make_industry_report
from tests.desk.action_builders import add_assessed, release
from tests.desk.action_builders import draft as draft_action
from tests.desk.adoption_builders import CALLED, add_waiting
from tests.desk.asking_builders import ask, make_stranger
from tests.desk.cases.test_whole_case_files import make_cover, send_cover, send_first
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER, QUARTER, add_cases, seed_noise
from tests.desk.digests.figures.test_page import add_waited
from tests.desk.evidence_builders import make_film
from tests.desk.industry_builders import file, make_full_report
from tests.desk.loop_model import copy_loop
from tests.desk.mail_server import run_receiver
from tests.desk.notice_builders import SERVICES, add_referable, add_service, make_reachable
from tests.desk.outbox_builders import file_urgent
from tests.desk.outgoing.notices.test_asking import read_public
from tests.desk.outgoing.packages.package_builders import make_content
from tests.desk.outgoing.packages.package_forms import DUTY, FORM, SECOND, add_urgent, sign
from tests.desk.outgoing.packages.package_forms import draft as draft_package
from tests.desk.outgoing.packages.package_forms import post as post_form
from tests.desk.outgoing.test_manual_entry import CALL
from tests.desk.people_builders import ensure_person
from tests.desk.placement_builders import LINK_ID, agree, make_check, make_finding, make_post
from tests.desk.retention.rights.test_requests import add as add_right
from tests.desk.retention.rights.test_requests import record
from tests.desk.running.duty.duty_builders import NIGHT_OFFICER, send_and_get_path, set_night
from tests.desk.view_builders import (
    Browser,
    Clock,
    add_sealed_case,
    make_code_key,
    make_code_seed,
    make_test_desk,
)
from tests.public_report_builders import make_contact
from tests.whole.browser_walk import list_layout_faults
from tests.whole.desk_door import OPEN_ALL, list_page_faults

LONG_NAME = "IMG_20261102_a-rather-long-name-of-a-file-without-a-blank.mp4"
LONG_ADDRESS = "https://chat.example/" + "a-rather-long-part-of-a-path-without-a-blank" * 6
HIDING = Redaction(hides_reporter=True, reason="He asked not to be named.")
WIDER_THAN_ITS_BOX = "one => one.scrollWidth - one.clientWidth"
WIDTHS = (320, 800, 1280)
Pages = dict[str, str]
MANY = "many-reports"
ALERT = AlertDraft(
    pattern="Adults pose as talent scouts, praise a dance and ask for a video call on another app within a day.",
    advice="Warn before a link to another app is opened.\nSlow down first messages of new accounts.",
    audience="messages",
    lasts="7",
    services=SERVICES,
)


def take(answer: TestResponse, status: int = 200) -> str:
    """Return a page that has this status."""
    assert answer.status_code == status, answer.text
    return answer.text


def make_queue_pages(folder: Path) -> Pages:
    """Return the list of cases and one case, assigned and read, with the fault of an empty reply."""
    desk = make_test_desk(folder, Clock())
    with desk.store.write() as connection:
        ensure_person(connection, "b-analyst")
    report = {"reply_key": make_code_key(make_code_seed("lamp")), "reply_by": "2026-11-27", "contact": make_contact()}
    columns = {"kind": "grooming", "report": report | {"kinds": ("extra_nice",)}}
    first, *_ = [add_sealed_case(desk, marker="x", under_18="yes", score=score, **columns) for score in (90, 50, 10)]
    browser = Browser(desk).sign_in()
    found = {path: take(browser.get(path)) for path in ("/", "/?lane=closed", "/?kind=grooming", f"/cases/{first}")}
    found["nothing assigned"] = take(browser.post("/assign", case=[first], assign_person="", assign_reason=""), 409)
    found["assigned"] = take(
        browser.post("/assign", case=[first], assign_person="b-analyst", assign_reason="Her shift begins.")
    )
    found["opened"] = take(browser.post(f"/cases/{first}/read"))
    found["fault"] = take(browser.post(f"/cases/{first}/reply/preview", reply_text=""), 409)
    return found


def make_action_pages(folder: Path) -> Pages:
    """Return lists of actions, one that is late, and its open thread."""
    clock = Clock()
    desk = make_test_desk(folder, clock)
    case_id = add_assessed(desk)
    draft_action(desk, case_id, recipient="essex")
    one = release(desk, draft_action(desk, case_id, due_at=clock() + timedelta(hours=1)))
    with desk.store.write() as connection:
        record_sent(desk, connection, one.action_id, actor=ACTOR)
        text = EntryText(by="DC Example", text=f"Which {'town' * 40}?")
        record_entry(desk, connection, one.action_id, kind="question", text=text, actor=ACTOR)
    clock.now += timedelta(hours=2)
    browser = Browser(desk).sign_in()
    paths = ("actions", "actions?stage=acknowledge", "actions?stage=failed", f"actions/{one.action_id}")
    found = {path: take(browser.get(f"/{path}")) for path in paths}
    return found | {"open": take(browser.post(f"/actions/{one.action_id}/read"))}


def make_service_request_pages(folder: Path) -> Pages:
    """Return the form of a request to a service, blank and refused, and a request closed and open."""
    loop = copy_loop(folder)
    reference = read_public(loop)
    action = ask(loop, reference, make_stranger(loop))
    browser = Browser(loop.desk).sign_in()
    found = {"form": take(browser.get(f"/cases/{reference}/ask"))}
    found["fault"] = take(browser.post(f"/cases/{reference}/ask", request_id=loop.desk.make_id()), 409)
    found["request"] = take(browser.get(f"/actions/{action.action_id}"))
    found["opened"] = take(browser.post(f"/actions/{action.action_id}/read"))
    assert "night_owl7" in found["opened"]
    return found


def make_auditor_pages(folder: Path) -> Pages:
    """Return the audit log and the figures."""
    desk = make_test_desk(folder, Clock())
    add_waited(desk, 6, crisis=True)
    note_check(desk, check_audit(desk))
    browser = Browser(desk).sign_in("u-auditor", [Role.AUDITOR])
    paths = ("audit", "audit?action=openings&last_day=2026-01-01", "audit?case=none", "figures", "figures?show=trends")
    return {path: take(browser.get(f"/{path}"), 409 if path.endswith("none") else 200) for path in paths}


def make_call_pages(folder: Path) -> Pages:
    """Return the form of a call, blank and refused, and the page after it."""
    browser = Browser(make_test_desk(folder, Clock())).sign_in()
    found = {"blank": take(browser.get("/manual-entry"))}
    (report_id,) = re.findall(r'name="report_id" value="([^"]+)"', found["blank"])
    found["faults"] = take(browser.post("/manual-entry", report_id=report_id), 409)
    answer = browser.post("/manual-entry", **CALL, report_id=report_id)
    assert answer.status_code == 303, answer.text
    return found | {"filed": take(browser.get(answer.location))}


def make_notice_pages(folder: Path) -> Pages:
    """Return the pages of referrals, alerts and invitations, for two people where they differ."""
    with pytest.MonkeyPatch.context() as patch:
        seed_noise(patch)
        desk = make_reachable(make_test_desk(folder, Clock()))
        for service in SERVICES[1:]:
            add_service(desk, service)
        add_cases(desk.store, 200, about=MANY)
        order = DigestOrder(quarter=QUARTER, environment="live", made_by=ACTOR)
        make_all(desk.store, order, clock=desk.clock)
        paths = fill_with_notices(desk)
        found = {}
        for person in (ACTOR, "b-second"):
            browser = Browser(desk).sign_in(person)
            pages = {name: take(browser.get(path)) for name, path in paths.items()}
            pages |= {f"{name}, open": take(browser.post(f"{paths[name]}/read")) for name in ("referral", "invitation")}
            seen = set(map(read_main, found.values()))  # some pages are the same for both
            found |= {f"{name} as {person}": page for name, page in pages.items() if read_main(page) not in seen}
    return found


def read_main(page: str) -> str:
    main = page[page.index("<main") : page.index("</main>")]
    return re.sub(r'value="[^"]*"', "", main)


def fill_with_notices(desk: Desk) -> dict[str, str]:
    """Write one notice of each kind, an alert with a thread, and return the paths of their pages."""
    case_id = add_referable(desk)
    referral = draft_referral(desk, case_id, Referral("username", "Night_Owl7", "pressure"), actor=ACTOR)
    alert_id = draft_alert(desk, ALERT, actor=ACTOR)
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
        "referral": f"/actions/{referral.action_id}",
        "alerts": "/service-alerts",
        "alert form": "/service-alerts/new",
        "alert": f"/service-alerts/{alert_id}",
        "invitations": "/invitations",
        "invitation": f"/actions/{letter.action_id}",
    }


def make_package_pages(folder: Path) -> Pages:
    """Return every page of a package: built, previewed, drafted, read, sent alone, and signed by a second person."""
    desk = make_test_desk(folder, Clock())
    case_id = add_urgent(desk, actor=DUTY, roles=[Role.DUTY_OFFICER])
    duty = Browser(desk).sign_in(DUTY)
    found = {"form": take(duty.post(f"/cases/{case_id}/package/start"))}
    found["fault"] = take(duty.post(f"/cases/{case_id}/package/preview", why=FORM["why"]), 409)
    found["preview"] = take(post_form(duty, case_id, "preview", officer=DUTY))
    action = draft_package(desk, duty, case_id, officer=DUTY)
    path = f"/actions/{action.action_id}"
    found["draft"] = take(duty.get(path))
    found["read"] = take(duty.post(f"{path}/read"))
    assert duty.post(f"{path}/alone").status_code == 303
    found["sent alone"] = take(duty.get(path))
    later = add_sealed_case(desk, marker="", adds_to=find_reference(desk, case_id))
    open_case(desk, later, actor=DUTY)
    found["kept"] = take(post_form(duty, case_id, "preview", officer=DUTY), 409)
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    found["list"] = take(second.get("/actions?stage=review"))
    found["to sign"] = take(second.post(f"{path}/read"))
    assert sign(second, action).status_code == 303
    return found | {"to save": take(second.get(path))}


def find_reference(desk: Desk, case_id: str) -> str:
    with desk.store.read() as connection:
        return get_case(connection, case_id).reference


def make_rights_pages(folder: Path) -> Pages:
    """Return the requests to see, correct or wipe: the list, one case's, a refusal and the words for a person."""
    desk = make_test_desk(folder, Clock())
    case_id = add_right(desk)
    record(desk, case_id)
    record(desk, case_id, "see", date(2026, 10, 20))
    browser = Browser(desk).sign_in()
    found = {"list": take(browser.get("/requests")), "requests": take(browser.get(f"/cases/{case_id}/requests"))}
    found["fault"] = take(browser.post(f"/cases/{case_id}/requests/answer"), 409)
    return found | {"export": take(browser.post(f"/cases/{case_id}/requests/export"))}


def make_duty_pages(folder: Path) -> Pages:
    """Return the pages of a night on duty: the link of an alert, the crisis cases, one of them, and the hand-over."""
    loop = copy_loop(folder)
    with run_receiver() as first, run_receiver() as second:
        set_night(loop, first, second)
        file_urgent(loop)
        duty = Browser(loop.desk).sign_in(NIGHT_OFFICER, {Role.DUTY_OFFICER})
        alert = send_and_get_path(loop, first)
    found = {"alert": take(duty.get(alert)), "duty": take(duty.get("/duty"))}
    duty.post(alert)
    found["taken alert"] = take(duty.get(alert))
    (case,) = set(re.findall(r'class="duty-case[^"]*" href="([^"?]+)', found["duty"]))
    duty.post(f"{case}/claim")
    found["case"] = take(duty.post(f"{case}/read"))
    found["hand-over"] = take(duty.get("/duty/hand-over"))
    note = case.removeprefix("/cases/")
    return found | {"no note": take(duty.post("/duty/hand-over", **{f"note-{note}": ""}), 409)}


# Each maker, and how many pages it makes: none is left out unseen.
MAKERS: dict[Callable[[Path], Pages], int] = {
    make_queue_pages: 8,
    make_action_pages: 5,
    make_service_request_pages: 4,
    make_auditor_pages: 5,
    make_call_pages: 3,
    make_notice_pages: 18,
    make_package_pages: 10,
    make_rights_pages: 4,
    make_duty_pages: 6,
}


@pytest.fixture(scope="module")
def window(browser: Chromium) -> Iterator[Page]:
    """A window with the desk's styles."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield page
    page.close()


def show(page: Page, html: str) -> None:
    """Show a page with its style sheet and everything unfolded."""
    html, count = re.subn(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{read_sheet()}</style>", html)
    assert count == 1
    page.set_content(html)
    page.evaluate(OPEN_ALL)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_axe_finds_nothing_on_any_page(window: Page, tmp_path: Path, make: Callable[[Path], Pages]) -> None:
    pages, faults = make(tmp_path / "desk"), []
    assert len(pages) == MAKERS[make]
    for name, html in pages.items():
        show(window, html)
        faults += list_page_faults(window, name)
    assert faults == []


def test_page_on_duty_is_pressed_with_a_thumb(window: Page, tmp_path: Path) -> None:
    window.set_viewport_size({"width": 390, "height": 780})
    heights = []
    for html in make_duty_pages(tmp_path / "desk").values():
        show(window, html)
        targets = window.locator("button.main-action, .jump a, .duty-case, a.duty-link").all()
        heights += [box["height"] for one in targets if (box := one.bounding_box()) is not None]
    assert len(heights) > 5
    assert min(heights) >= 44


def make_case_pages(folder: Path) -> Pages:
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
    assert "1 report is in quarantine" in found["alarms"]
    found["set aside"] = browser.post("/quarantine/1/open").text
    assert "It cannot be decrypted" in found["set aside"]
    return found


def make_placement_pages(folder: Path) -> Pages:
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


def make_request_pages(folder: Path) -> Pages:
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
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Every page that is looked at here, by its name."""
    found: Pages = {}
    for make in (make_case_pages, make_placement_pages, make_request_pages):
        found |= make(tmp_path_factory.mktemp("desk"))
    return found


def test_no_page_scrolls_sideways(window: Page, pages: Pages) -> None:
    assert len(pages) == 16
    for name, html in pages.items():
        assert ("All files handed over" in html) is (name == "changed")
        show(window, html)
        for width in WIDTHS:
            window.set_viewport_size({"width": width, "height": 900})
            assert window.evaluate("document.documentElement.scrollWidth") == width, name


@pytest.mark.parametrize("width", WIDTHS)
def test_table_of_differences_fits_and_each_column_keeps_its_share(window: Page, pages: Pages, width: int) -> None:
    show(window, pages["full"])
    window.set_viewport_size({"width": width, "height": 900})
    box = window.get_by_role("group", name="Differences from the first report")
    assert box.evaluate(WIDER_THAN_ITS_BOX) <= 0
    cells = box.locator("tbody tr").first.locator("th, td")
    widths = [cell.bounding_box() for cell in cells.all()]
    assert len(widths) == 3
    whole = box.bounding_box()
    assert whole is not None
    assert all(one is not None and one["width"] > whole["width"] / 5 for one in widths)


def test_button_that_opens_a_file_is_one_line(window: Page, pages: Pages) -> None:
    show(window, pages["changed"])
    box = window.locator("#files button").bounding_box()
    assert box is not None
    assert box["height"] < 50


def test_page_of_a_package_has_no_fault_and_asks_nothing_of_a_network(browser: Chromium, tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_bytes(render_html(redact(make_content(redaction=HIDING, title="An adult " + "wants" * 60))))
    page = browser.new_page()
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(place.as_uri())
    # The style of the file is in force, in spite of the policy that allows no other.
    assert page.evaluate("getComputedStyle(document.querySelector('.notice')).borderInlineStartWidth") == "4px"
    for width in (320, 390, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert list_layout_faults(page) == [], width
    assert list_page_faults(page, "package") == []
    assert (asked, refused) == ([place.as_uri()], [])
    page.close()
