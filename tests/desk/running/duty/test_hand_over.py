"""The hand-over of the night: notes, taking over by name, and the alarm for a case that nobody took."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.desk.cases.actions.ledger import EntryText, record_entry, record_sent, withdraw_action
from gateway.desk.cases.model import get_case, list_cases
from gateway.desk.cases.watch import list_concerns
from gateway.desk.office.people.permissions import Role
from gateway.desk.outgoing.service_alerts import AlertDraft, draft_alert, release_alone
from tests.desk.action_builders import draft, release
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import file_urgent
from tests.desk.running.duty.duty_builders import HOLIDAY_NIGHT, NIGHT_OFFICER, set_night
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess

ANALYST = "a-okafor"
OPENING = datetime(2026, 12, 29, 9, 0, tzinfo=UTC)
MARKER = "quetzal"


@pytest.fixture
def night(loop: Loop, desk_pager: Posts, other_pager: Posts) -> Loop:
    """A crisis case that the duty officer has read and holds, at ten past two."""
    set_night(loop, desk_pager, other_pager)
    file_urgent(loop)
    browser = sign_in(loop, NIGHT_OFFICER, Role.DUTY_OFFICER)
    case_id = get_case_id(loop)
    browser.get(f"/cases/{case_id}")
    assert browser.post(f"/cases/{case_id}/read").status_code == 200
    assert browser.post(f"/cases/{case_id}/claim").status_code == 303
    return loop


def sign_in(loop: Loop, person: str, *roles: Role) -> Browser:
    return Browser(loop.desk).sign_in(person, roles)


def get_case_id(loop: Loop) -> str:
    with loop.desk.store.read() as connection:
        return list_cases(connection)[0].case_id


def untaken(loop: Loop) -> list[tuple[datetime, int]]:
    with loop.desk.store.read() as connection:
        concerns = list_concerns(connection, desk=loop.desk)
    return [(one.since, one.count) for one in concerns if one.code == "night-not-taken-over"]


@pytest.mark.databases("sqlite", "postgresql")
def test_case_of_the_night_is_chased_from_the_opening_until_a_person_of_the_day_takes_it(night: Loop) -> None:
    for moment in (HOLIDAY_NIGHT, HOLIDAY_NIGHT + timedelta(hours=10), OPENING - timedelta(seconds=1)):
        night.clock.now = moment  # the day after is a bank holiday too: the desk is closed
        assert untaken(night) == []
    night.clock.now = OPENING
    assert untaken(night) == [(OPENING, 1)]
    analyst = sign_in(night, ANALYST, Role.ANALYST)
    page = analyst.get("/duty/hand-over").text
    assert "N Night (n-night)" in page
    assert "No note yet." in page
    assert "look on your duty rota" in page
    case_id = get_case_id(night)
    assert analyst.post("/duty/hand-over/take", case=case_id).status_code == 303
    assert untaken(night) == []
    with night.desk.store.read() as connection:
        assert get_case(connection, case_id).holder == ANALYST
    assert "No crisis case of the night" in analyst.get("/duty/hand-over").text
    # The next evening it is the day's case still.
    night.clock.now = OPENING + timedelta(days=1)
    assert untaken(night) == []


def test_note_is_sealed_in_the_case_and_read_by_the_person_who_takes_it(night: Loop) -> None:
    case_id = get_case_id(night)
    assess(night.desk, case_id, actor=NIGHT_OFFICER, urgent="yes", urgent_dissemination="yes")
    night.clock.now = OPENING - timedelta(hours=1)
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    page = officer.get("/duty/hand-over").text
    for words in ("took the case", "opened the report", "assessed the case", "Answer the person who reported"):
        assert words in page
    assert "send a package that they acknowledge, or record who took it" in page
    parts = [
        "What is open",
        f'<textarea id="note-{case_id}"',
        "<summary>What the night did (3)</summary>",
        "took the case",
    ]
    assert sorted(parts, key=page.index) == parts
    assert "over</button>" not in page
    refused = officer.post("/duty/hand-over", **{f"note-{case_id}": "  "})
    assert refused.status_code == 409
    assert f'<a href="#note-{case_id}">Write the note for the day team first.</a>' in refused.text
    note = f"Called the school.\n{MARKER}"
    assert officer.post("/duty/hand-over", **{f"note-{case_id}": note}).status_code == 303
    page = officer.get("/duty/hand-over").text
    assert "Note by" in page
    assert MARKER not in page
    night.clock.now = OPENING
    assert untaken(night) == [(OPENING, 1)]  # a note alone takes nothing over
    analyst = sign_in(night, ANALYST, Role.ANALYST)
    analyst.get("/duty/hand-over")
    analyst.post("/duty/hand-over/take", case=case_id)
    read = analyst.post(f"/cases/{case_id}/read").text
    assert MARKER in read
    assert "handed the case over to the day team" in read
    assert not any(MARKER.encode() in path.read_bytes() for path in night.desk.paths.state.rglob("*") if path.is_file())


def test_alert_that_the_duty_officer_sent_alone_is_handed_over_for_review(night: Loop) -> None:
    assess(night.desk, get_case_id(night), actor=NIGHT_OFFICER)
    draft = AlertDraft(
        pattern="Adults ask for a dance on video.",
        advice="Warn people.",
        audience="all",
        lasts="7",
        services=("example-chat",),
        case=get_case_id(night),
    )
    alert_id = draft_alert(night.desk, draft, actor=NIGHT_OFFICER)
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    page = officer.get("/duty/hand-over").text
    assert ">Draft</span>" in page
    assert "What has not left the house" in page
    assert "<h3>What left the house" not in page
    assert "A second person reviews it." not in page
    release_alone(night.desk, alert_id, actor=NIGHT_OFFICER)
    page = officer.get("/duty/hand-over").text
    assert page.count(">Released</span>") == 1
    assert "released by" not in page, "said once"
    assert ": released" not in page
    assert page.count("A second person reviews it.") == 1


def test_pages_of_the_night_show_what_became_of_a_package_and_who_released_it(night: Loop) -> None:
    case_id, desk = get_case_id(night), night.desk
    assess(desk, case_id, actor=NIGHT_OFFICER)
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    assert "Package to" not in officer.get("/duty").text
    package = release(desk, draft(desk, case_id, actor=NIGHT_OFFICER), actor=NIGHT_OFFICER)
    assert "Package to <bdi>Kent Police</bdi>: <span" in officer.get("/duty").text
    page = officer.get("/duty/hand-over").text
    assert "<bdi>Package to Kent Police</bdi> by <bdi>N Night (n-night)</bdi>: <span" in page
    assert page.partition("<details")[0].count("eleased") == 1  # the state alone
    with desk.store.write() as connection:
        record_sent(desk, connection, package.action_id, actor=NIGHT_OFFICER)
    assert ">Sent</span>" in officer.get("/duty").text
    with desk.store.write() as connection:
        withdraw_action(desk, connection, package.action_id, reason="The wrong town.", actor=NIGHT_OFFICER)
    page = officer.get("/duty").text
    assert ">Recalled</span>" in page
    assert ">Sent</span>" not in page


def test_question_of_the_police_is_open_on_every_page_until_it_is_answered(night: Loop) -> None:
    """The package was answered before they asked "Which school, tonight?"."""
    case_id, desk = get_case_id(night), night.desk
    assess(desk, case_id, actor=NIGHT_OFFICER)
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    package = release(desk, draft(desk, case_id, actor=NIGHT_OFFICER), actor=NIGHT_OFFICER)
    said = EntryText(text="Which school, tonight?", by="DC Example")
    with desk.store.write() as connection:
        record_sent(desk, connection, package.action_id, actor=NIGHT_OFFICER)
        for kind in ("acknowledge", "answer", "question"):
            record_entry(desk, connection, package.action_id, kind=kind, text=said, actor=NIGHT_OFFICER)
    addresses = ("/duty", "/duty/hand-over", f"/cases/{case_id}")
    for page in (officer.get(address).text for address in addresses):
        assert "Kent Police asked something and has no answer yet." in page
        assert ">Waits for our answer</span>" in page
        assert ">Answered</span>" not in page
    night.clock.now += timedelta(seconds=1)
    officer.post(f"/actions/{package.action_id}/write", entry_kind="answer", entry_text="Mx Kite's.")
    for page in (officer.get(address).text for address in addresses):
        assert "asked something" not in page
        assert ">Answered</span>" in page


def test_duty_officer_takes_no_case_over_for_the_day(night: Loop) -> None:
    night.clock.now = OPENING
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    assert "over</button>" not in officer.get("/duty/hand-over").text
    case_id = get_case_id(night)
    assert officer.post("/duty/hand-over/take", case=case_id).status_code == 403
    assert untaken(night) == [(OPENING, 1)]


def test_analyst_who_was_on_call_takes_their_own_case_into_the_day(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_night(loop, desk_pager, other_pager)
    file_urgent(loop)
    analyst, case_id = sign_in(loop, ANALYST, Role.ANALYST), get_case_id(loop)
    analyst.get(f"/cases/{case_id}")
    analyst.post(f"/cases/{case_id}/claim")
    loop.clock.now = OPENING
    assert untaken(loop) == [(OPENING, 1)]
    analyst = sign_in(loop, ANALYST, Role.ANALYST)
    analyst.get("/duty/hand-over")
    analyst.post("/duty/hand-over/take", case=case_id)
    assert untaken(loop) == []


def test_second_person_who_takes_the_night_over_leaves_the_first_one_their_cases(night: Loop) -> None:
    night.clock.now = OPENING
    case_id = get_case_id(night)
    for person in (ANALYST, "b-singh"):
        browser = sign_in(night, person, Role.ANALYST)
        browser.get("/duty/hand-over")
        assert browser.post("/duty/hand-over/take", case=case_id).status_code == 303
    with night.desk.store.read() as connection:
        assert get_case(connection, case_id).holder == ANALYST


@pytest.mark.databases("sqlite", "postgresql")
def test_note_for_a_case_of_another_person_is_refused_and_none_of_the_others_is_kept(night: Loop) -> None:
    case_id = get_case_id(night)
    file_urgent(night)
    with night.desk.store.read() as connection:
        other = next(one.case_id for one in list_cases(connection) if one.case_id != case_id)
    officer = sign_in(night, NIGHT_OFFICER, Role.DUTY_OFFICER)
    officer.get("/duty/hand-over")
    refused = officer.post("/duty/hand-over", **{f"note-{case_id}": "Done.", f"note-{other}": "Done."})
    assert refused.status_code == 409
    assert "Note by" not in officer.get("/duty/hand-over").text
