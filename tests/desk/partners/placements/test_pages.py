"""The desk's pages of placements: the list, one placement, the forms; and the placement in words on a case."""

import re
from html import unescape

import pytest

from gateway.desk.office.views import page as page_base
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_agreeing import end_placement, suspend_placement
from gateway.desk.partners.placement_checks import take_checks
from gateway.desk.partners.placement_register import list_placements
from partner_sdk.console.findings import ButtonCheck
from tests.desk.placement_builders import (
    ADDRESS,
    LINK_ID,
    PAGE,
    POSITION,
    TERMS,
    agree,
    get,
    make_check,
    make_finding,
    make_post,
)
from tests.desk.view_builders import Browser, add_sealed_case, has_fault_read_with


def take(desk: Desk, *checks: ButtonCheck) -> None:
    assert take_checks(desk, make_post(*checks), channel="runner", actor="runner").taken == len(checks)


def count(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(list_placements(connection))


def test_list_says_in_words_how_each_placement_stands(desk: Desk, browser: Browser) -> None:
    assert "No placement is agreed yet" in browser.get("/placements").text
    agree(desk)
    agree(desk, owner="small-forum", new_owner="Small Forum CIC", service="A Forum")
    faults = (make_finding(), make_finding())
    take(desk, make_check(result="faults", findings=faults, checked_at="2026-11-22T07:00:00Z"))
    page = browser.get("/placements").text
    assert page.index("A Forum") < page.index("Example Chat")
    assert "Not checked yet" in page
    assert "2 faults" in page
    assert "3 days ago" in page
    assert f"Profile page: {POSITION}" in page
    assert "<td>Small Forum CIC</td>" in page


def test_list_is_told_apart_by_what_needs_a_person_and_what_has_ended(desk: Desk, browser: Browser) -> None:
    for name in ("fine-one", "bad-one", "old-one"):
        agree(desk, link_id=name, address=f"https://chat.example/{name}", look_at=None)
    end_placement(desk, "old-one", reason="gone", actor="test")
    take(
        desk,
        make_check(address="https://chat.example/fine-one", placement="fine-one"),
        make_check(address="https://chat.example/bad-one", placement=None, result="unreachable"),
    )
    shown = {
        show: [name for name in ("fine-one", "bad-one", "old-one") if f"/placement/{name}" in page]
        for show in ("now", "see-to", "ended", "nonsense")
        if (page := browser.get(f"/placements?show={show}").text)
    }
    assert shown["now"] == shown["nonsense"] == ["fine-one", "bad-one"]
    assert (shown["see-to"], shown["ended"]) == (["bad-one"], ["old-one"])


def test_long_list_has_pages(desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_base, "MOST_LISTED", 2)
    for name in ("one", "two", "six"):
        agree(desk, link_id=name)
    assert "Page 1 of 2, 3 placements" in browser.get("/placements").text
    last = browser.get("/placements?page=9").text
    assert "Page 2 of 2" in last
    assert last.count("/placement/") == 1


def test_page_of_a_placement_shows_fault_reason_and_fix(desk: Desk, browser: Browser) -> None:
    agree(desk)
    add_sealed_case(desk, marker="x", placement=LINK_ID)
    take(
        desk,
        make_check(checked_at="2026-11-24T07:00:00Z"),
        make_check(result="faults", findings=(make_finding(what="<b>Small</b>"),)),
    )
    page = browser.get(f"/placement/{LINK_ID}").text
    for words in ("Not as agreed", "line 12", "A small target is missed", "Make it 44 pixels or more.", ADDRESS, PAGE):
        assert words in page
    assert "&lt;b&gt;Small" in page
    assert "<b>Small" not in page
    assert "Earlier checks" in page
    assert "<dd>1 <span" in page
    assert "The gateway does not have the newest register" in page


def test_page_of_an_unknown_placement_is_not_there(browser: Browser) -> None:
    assert browser.get("/placement/nobody").status_code == 404
    browser.get("/placements/new")
    for deed in ("change", "suspend", "resume", "end"):
        assert browser.post(f"/placement/nobody/{deed}", reason="x", **TERMS).status_code == 404


def test_form_agrees_a_placement_under_the_name_of_who_is_signed_in(desk: Desk, browser: Browser) -> None:
    assert "Example Chat (example-chat)" in browser.get("/placements/new").text
    answer = browser.post("/placements/new", **TERMS)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/placement/{LINK_ID}")
    row = get(desk, LINK_ID)
    assert (row.agreed_by, row.agreed_on, row.look_at, row.address) == ("a-assessor", "2026-11-25", PAGE, ADDRESS)


def test_form_takes_a_new_organisation_without_keys(desk: Desk, browser: Browser) -> None:
    browser.get("/placements/new")
    new = {**TERMS, "owner": "", "new_owner": "small-forum", "new_owner_name": "Small Forum CIC"}
    assert browser.post("/placements/new", **new).status_code == 303
    assert get(desk, "small-forum-profile").owner == "small-forum"
    page = browser.get("/placement/small-forum-profile").text
    assert "Small Forum CIC (small-forum)" in page


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"owner": ""}, "owner", "Choose the owner of the service"),
        ({"new_owner": "small-forum"}, "new_owner_name", "give the id and name"),
        ({"new_owner_name": "Small Forum"}, "new_owner", "A partner id has 1 to 64"),
        ({"surface": ""}, "surface", "Choose the kind of place"),
        ({"service": ""}, "service", "The name of the service must be one line"),
        ({"position": "x" * 201}, "position", "The agreed position must be one line"),
        ({"address": "chat.example"}, "address", "Write the address like https"),
        ({"look_at": "https://elsewhere.example/"}, "look_at", "is not at the agreed address"),
        ({"link_id": "<script>"}, "link_id", "A link id has"),
        ({"agreed_on": "soon"}, "agreed_on", "Write the date like"),
    ],
)
def test_form_comes_back_with_every_answer_and_the_faulty_field(
    desk: Desk, browser: Browser, changes: dict[str, str], field: str, words: str
) -> None:
    browser.get("/placements/new")
    sent = {**TERMS, **changes}
    answer = browser.post("/placements/new", **sent)
    assert answer.status_code == 409
    page = unescape(answer.text)
    assert words in page
    assert has_fault_read_with(answer.text, field)
    assert all(f'value="{text}"' in page for name, text in sent.items() if text)
    assert "<script>" not in answer.text
    assert count(desk) == 0


def test_placement_is_changed_suspended_agreed_again_and_ended(desk: Desk, browser: Browser) -> None:
    agree(desk)
    assert f'value="{POSITION}"' in browser.get(f"/placement/{LINK_ID}").text
    assert browser.post(f"/placement/{LINK_ID}/change", **{**TERMS, "position": "In the menu"}).status_code == 303
    assert get(desk, LINK_ID).position == "In the menu"
    assert browser.post(f"/placement/{LINK_ID}/suspend", reason="Behind a menu").status_code == 303
    assert "Suspended since 2026-11-25: Behind a menu." in browser.get(f"/placement/{LINK_ID}").text
    assert browser.post(f"/placement/{LINK_ID}/resume").status_code == 303
    assert get(desk, LINK_ID).state == "agreed"
    assert browser.post(f"/placement/{LINK_ID}/end", reason="The page is gone").status_code == 303
    page = browser.get(f"/placement/{LINK_ID}").text
    assert "This link id is never used again." in page
    assert page.count("<form") == 2  # signing out, publishing
    assert get(desk, LINK_ID).state_by == "a-assessor"


@pytest.mark.parametrize(("deed", "field"), [("suspend", "reason"), ("end", "end_reason")])
def test_state_needs_a_reason_and_the_page_says_where(desk: Desk, browser: Browser, deed: str, field: str) -> None:
    agree(desk)
    browser.get(f"/placement/{LINK_ID}")
    answer = browser.post(f"/placement/{LINK_ID}/{deed}", reason="")
    assert answer.status_code == 409
    assert f'<a href="#{field}">' in answer.text
    assert f'<input id="{field}" name="reason"' in answer.text
    assert get(desk, LINK_ID).state == "agreed"


def test_change_that_is_refused_keeps_what_was_typed(desk: Desk, browser: Browser) -> None:
    agree(desk)
    browser.get(f"/placement/{LINK_ID}")
    answer = browser.post(f"/placement/{LINK_ID}/change", **{**TERMS, "address": "nowhere"})
    assert answer.status_code == 409
    assert 'value="nowhere"' in answer.text
    assert get(desk, LINK_ID).address == ADDRESS


def test_case_shows_its_placement_in_words_with_a_link(desk: Desk, browser: Browser) -> None:
    agree(desk)
    suspend_placement(desk, LINK_ID, reason="x", actor="test")
    case = add_sealed_case(desk, marker="x", placement=LINK_ID)
    link = f'<a href="/placement/{LINK_ID}">Example Chat, profile page: {POSITION}</a>'
    assert link in browser.get(f"/cases/{case}").text
    stray = add_sealed_case(desk, marker="x", placement="never-agreed")
    assert "never-agreed, which no agreement covers" in browser.get(f"/cases/{stray}").text
    assert "<dt>Button</dt>" not in browser.get(f"/cases/{add_sealed_case(desk, marker='x')}").text


def test_digest_form_says_who_carries_the_button(desk: Desk, browser: Browser) -> None:
    assert ", carries the button</option>" not in browser.get("/digests").text
    agree(desk)
    assert "Example Chat (example-chat), carries the button</option>" in browser.get("/digests").text


def test_empty_form_names_everything_that_is_missing_the_first_field_first(desk: Desk, browser: Browser) -> None:
    browser.get("/placements/new")
    page = unescape(browser.post("/placements/new", **dict.fromkeys(TERMS, "")).text)
    fields = re.findall(r'<li><a href="#(\w+)">', page)
    assert fields == ["owner", "service", "surface", "position", "address"]
    new = unescape(browser.post("/placements/new", new_owner="small-forum").text)
    assert '<a href="#new_owner_name">Give the name of the organisation.' in new
    assert '<a href="#new_owner">' not in new
    assert count(desk) == 0


def test_history_says_what_a_change_changed_and_nothing_that_stayed(desk: Desk, browser: Browser) -> None:
    agree(desk)
    browser.get("/placements")
    browser.post(f"/placement/{LINK_ID}/change", **(TERMS | {"position": "In the menu", "surface": "chat"}))
    page = unescape(browser.get(f"/placement/{LINK_ID}").text)
    (line,) = re.findall(r"<b>Changed</b>.*?</li>", page)
    assert "kind of page: Chat; position: In the menu" in line
    assert ADDRESS not in line
