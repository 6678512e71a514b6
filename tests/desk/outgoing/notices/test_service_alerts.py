"""Alerts to services: signed by two, or by the duty officer alone in a crisis; each recipient reads its own thread."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions.ledger import (
    MOST_OPENED_ENTRIES,
    EntryText,
    add_entry,
    change_state,
    list_entries,
    open_body,
    open_entries,
)
from gateway.desk.cases.actions.model import Action, ActionError, get_action
from gateway.desk.cases.actions.sending import FAILED, write_action_messages
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.watch import ALERT_UNREVIEWED, list_concerns
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.releases import ReleaseError
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.service_alerts import (
    AUDIENCES,
    LASTS,
    AlertDraft,
    ServiceAlertRow,
    close_alert,
    describe_alert,
    draft_alert,
    get_alert,
    list_alerts,
    list_audience,
    post_entry,
    release_alert,
    release_alone,
)
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import AUDIT, CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.mailbox import ServiceAlert, parse_body
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.notice_builders import MARKER, SERVICES, add_referable, add_service
from tests.desk.view_builders import Browser, Clock, add_sealed_case

DRAFT = AlertDraft(
    pattern="Adults pose as talent scouts and ask for a video call on another app.",
    advice="Warn before a link to another app is opened.",
    audience="messages",
    lasts="7",
    services=SERVICES,
)


@pytest.fixture(autouse=True)
def others(desk: Desk) -> None:
    add_service(desk, "other-chat")
    add_service(desk, "third-game", name="Third Game")


def write(desk: Desk, *, actor: str = ACTOR, **changes: object) -> ServiceAlertRow:
    alert_id = draft_alert(desk, replace(DRAFT, **changes), actor=actor)  # type: ignore[arg-type]  # any of its fields
    return reread(desk, alert_id)


def reread(desk: Desk, alert_id: str) -> ServiceAlertRow:
    with desk.store.read() as connection:
        return get_alert(connection, alert_id)


def refuse(desk: Desk, **changes: object) -> str:
    with pytest.raises((ActionError, CaseError)) as caught:
        write(desk, **changes)
    return caught.value.reason


def sign(desk: Desk, alert: ServiceAlertRow, *, person: str = "b-second") -> None:
    """Sign an alert with a passkey at the desk's page."""
    browser = Browser(desk).sign_in(person)
    assert alert.release is not None
    answer = browser.step_up(f"/releases/{alert.release.id}/begin", f"/service-alerts/{alert.alert_id}/release")
    assert answer.status_code == 303, answer.text


def send_all(desk: Desk, alert: ServiceAlertRow) -> ServiceAlertRow:
    """Bring every action of an alert into the state of a sent one."""
    with desk.store.write() as connection:
        for one in alert.actions:
            change_state(
                desk, connection, get_action(connection, one.action_id), "sent", actor=ACTOR, act="send-action"
            )
    return reread(desk, alert.alert_id)


def hear(desk: Desk, alert: ServiceAlertRow, service: str, text: str, *, by: str = "Robin Moderator") -> None:
    """Take an entry of one recipient, as the inbox does."""
    action = next(one for one in alert.actions if one.recipient == service)
    with desk.store.write() as connection:
        words = EntryText(text=text, by=by)
        add_entry(desk, connection, action, direction="in", kind="note", text=words, actor=service)


def read_thread(desk: Desk, action: Action) -> list[str]:
    """Return the texts of the thread with one recipient."""
    with desk.store.read() as connection:
        entries = list_entries(connection, action.action_id)
    texts = open_entries(desk, action, entries, actor=ACTOR)
    return [texts[one.entry_id].text for one in entries]


def test_each_recipient_gets_the_same_alert_as_an_action_of_its_own(desk: Desk, clock: Clock) -> None:
    alert = write(desk)
    assert [one.recipient for one in alert.actions] == list(SERVICES)
    assert len({one.action_id for one in alert.actions}) == 3
    bodies = {open_body(desk, one, actor=ACTOR) for one in alert.actions}
    (body,) = (parse_body(raw, body=ServiceAlert) for raw in bodies)
    assert (body.pattern, body.advice) == (DRAFT.pattern, DRAFT.advice)
    assert body.audience == "Services with messages between people"
    assert body.expires_at == alert.first.expires_at == f"{clock() + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
    # No recipient learns of another.
    assert not any(name in str(body) for name in ("Other Chat", "other-chat", "Third Game"))
    with desk.store.read() as connection:
        assert [one.alert_id for one in list_alerts(connection)] == [alert.alert_id]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pattern": " "}, "no-text"),
        ({"advice": "a" * 4_001}, "too-long"),
        ({"pattern": "a\u0007b"}, "unprintable"),
        ({"audience": "everybody"}, "bad-code"),
        ({"lasts": "365"}, "bad-code"),
        ({"services": ()}, "no-recipient"),
        ({"services": ("unknown-chat",)}, "recipient-suspended"),
        ({"pattern": "They leave Other Chat for another app."}, "names-service"),
        ({"advice": "Do as third-game did."}, "names-service"),
        ({"case": "no such case"}, "unknown-case"),
    ],
    ids=str,
)
def test_wrong_draft_is_refused(desk: Desk, changes: dict[str, object], reason: str) -> None:
    assert refuse(desk, **changes) == reason


def test_suspended_service_is_no_audience(desk: Desk) -> None:
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).where(PARTNERS.c.partner == "other-chat").values(state="suspended"))
        assert list(list_audience(connection, environment="live")) == [PARTNER, "third-game"]
    assert refuse(desk) == "recipient-suspended"


def test_text_about_a_case_shows_nobody_who_reported(desk: Desk) -> None:
    case_id = add_referable(desk)
    assert refuse(desk, case=case_id, pattern=f"A child called {MARKER} was asked.") == "shows-reporter"
    assert refuse(desk, case=case_id, advice="Someone asks me to write elsewhere.") == "shows-reporter"
    assert write(desk, case=case_id).first.case_id == case_id
    assert refuse(desk, case=add_sealed_case(desk, marker="")) == "not-opened"


def test_alert_leaves_with_the_signature_of_a_second_person_alone(desk: Desk) -> None:
    alert = write(desk)
    with pytest.raises(ReleaseError) as caught:
        release_alert(desk, alert.alert_id, actor="b-second")
    assert caught.value.reason == "not-signed"
    assert not reread(desk, alert.alert_id).is_released
    sign(desk, alert)
    released = reread(desk, alert.alert_id)
    assert {one.state for one in released.actions} == {"released"}
    assert {one.released_by for one in released.actions} == {"b-second"}
    assert not released.is_unreviewed
    assert release_alert(desk, alert.alert_id, actor="c-third").actions == released.actions


def test_signature_is_for_these_recipients_and_this_text(desk: Desk) -> None:
    one, other = write(desk), write(desk, services=(PARTNER,))
    with desk.store.read() as connection:
        assert describe_alert(connection, one.alert_id) != describe_alert(connection, other.alert_id)
        assert PARTNER.encode() in describe_alert(connection, one.alert_id)


def test_recipient_suspended_after_the_draft_fails_alone_and_loudly(desk: Desk) -> None:
    alert = write(desk)
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).where(PARTNERS.c.partner == "other-chat").values(state="suspended"))
    sign(desk, alert)
    states = {one.recipient: (one.state, one.failed_because) for one in reread(desk, alert.alert_id).actions}
    assert states == {
        PARTNER: ("released", None),
        "other-chat": ("failed", "recipient-suspended"),
        "third-game": ("released", None),
    }
    with desk.store.read() as connection:
        assert [one.kind for one in list_alarms(connection)] == [FAILED]
    page, path = Browser(desk).sign_in("b-second"), f"/service-alerts/{alert.alert_id}"
    assert "Send it to them" in page.get(path).text
    assert page.post(f"{path}/release").status_code == 303
    assert reread(desk, alert.alert_id).count("failed") == 1
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).where(PARTNERS.c.partner == "other-chat").values(state="active"))
    assert page.post(f"{path}/release").status_code == 303
    assert {one.state for one in reread(desk, alert.alert_id).actions} == {"released"}
    assert "Send it to them" not in page.get(path).text


def test_duty_officer_alone_releases_in_a_crisis_and_a_second_person_reviews(desk: Desk) -> None:
    case_id = add_referable(desk)
    alert = write(desk, case=case_id, actor="d-duty")
    with pytest.raises(ActionError) as caught:
        release_alone(desk, alert.alert_id, actor="d-duty")
    assert caught.value.reason == "not-crisis"
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(crisis=True))
    released = release_alone(desk, alert.alert_id, actor="d-duty")
    assert {one.released_by for one in released.actions} == {"d-duty"}
    assert released.is_unreviewed
    release_alone(desk, alert.alert_id, actor="d-duty")
    with desk.store.read() as connection:
        acts = connection.execute(select(AUDIT.c.actor).where(AUDIT.c.action == "release-alert-alone")).scalars().all()
        concerns = list_concerns(connection, desk=desk)
    assert acts == ["d-duty"]
    assert [(one.code, one.count) for one in concerns if one.code == ALERT_UNREVIEWED] == [(ALERT_UNREVIEWED, 1)]
    sign(desk, released)
    assert not reread(desk, alert.alert_id).is_unreviewed
    with desk.store.read() as connection:
        assert ALERT_UNREVIEWED not in {one.code for one in list_concerns(connection, desk=desk)}


def test_alert_that_expired_unsent_fails_loudly(desk: Desk, clock: Clock) -> None:
    drafted, signed, later = write(desk, lasts="1"), write(desk, lasts="1"), write(desk, lasts="3")
    sign(desk, signed)
    clock.now += timedelta(days=1)
    for _ in range(2):
        assert write_action_messages(desk) == 0
    for one in (drafted, signed):
        states = {(each.state, each.failed_because) for each in reread(desk, one.alert_id).actions}
        assert states == {("failed", "expired")}
    assert {one.state for one in reread(desk, later.alert_id).actions} == {"drafted"}
    with desk.store.read() as connection:
        assert [one.kind for one in list_alarms(connection)] == [FAILED] * 6


def test_expired_alert_is_not_released(desk: Desk, clock: Clock) -> None:
    alert = write(desk, lasts="1", case=add_referable(desk))
    with desk.store.write() as connection:
        connection.execute(update(CASES).values(crisis=True))
    clock.now += timedelta(days=1)
    with pytest.raises(ActionError) as caught:
        release_alone(desk, alert.alert_id, actor="d-duty")
    assert caught.value.reason == "expired"


def test_entry_of_one_recipient_reaches_another_in_the_desks_own_words_alone(desk: Desk, clock: Clock) -> None:
    alert = send_all(desk, write(desk))
    said = "We saw eleven accounts that use the same picture of a dancer."
    hear(desk, alert, "other-chat", said)
    clock.now += timedelta(seconds=1)

    def post(text: str, *services: str) -> str:
        try:
            post_entry(desk, alert.alert_id, services=services, text=text, actor=ACTOR)
        except ReportAbuseError as error:
            return error.reason
        return ""

    assert post("One service saw eleven accounts that use the same picture.", PARTNER) == "own-words"
    assert post("Robin Moderator told us more.", PARTNER) == "own-words"
    assert post("Other Chat told us more.", PARTNER) == "names-service"
    assert post("Look for one profile picture that many new accounts share.", PARTNER) == ""
    # To the service that wrote it, its own words are no news.
    assert post("Do the eleven accounts that use the same picture of a dancer write first?", "other-chat") == ""
    texts = {one.recipient: read_thread(desk, one) for one in alert.actions}
    assert texts == {
        PARTNER: ["Look for one profile picture that many new accounts share."],
        "other-chat": [said, "Do the eleven accounts that use the same picture of a dancer write first?"],
        "third-game": [],
    }


def test_no_words_of_an_earlier_entry_pass(desk: Desk, clock: Clock) -> None:
    alert = send_all(desk, write(desk))
    first = "We saw eleven accounts that use the same picture of a dancer."
    for text in (first, *(f"Note {number}." for number in range(MOST_OPENED_ENTRIES))):
        clock.now += timedelta(seconds=1)
        hear(desk, alert, "other-chat", text)
    with pytest.raises(ActionError) as caught:
        post_entry(desk, alert.alert_id, services=[PARTNER], text=f"One service: {first}", actor=ACTOR)
    assert caught.value.reason == "own-words"


def test_entry_goes_to_the_services_that_the_alert_has_reached(desk: Desk) -> None:
    alert = write(desk)
    with pytest.raises(ActionError) as caught:
        post_entry(desk, alert.alert_id, services=SERVICES, text="More.", actor=ACTOR)
    assert caught.value.reason == "no-recipient"
    alert = send_all(desk, alert)
    assert post_entry(desk, alert.alert_id, services=SERVICES, text="More.", actor=ACTOR) == 3


def test_close_ends_every_thread_and_withdraws_the_rest(desk: Desk) -> None:
    alert = write(desk)
    first = alert.actions[0]
    with desk.store.write() as connection:
        change_state(desk, connection, first, "sent", actor=ACTOR, act="send-action")
    closed = close_alert(desk, alert.alert_id, text="It is over. Thank you.", actor=ACTOR)
    assert [one.state for one in closed.actions] == ["ended", "withdrawn", "withdrawn"]
    assert closed.is_closed
    with desk.store.read() as connection:
        entries = list_entries(connection, closed.actions[0].action_id)
    assert [(one.direction, one.kind) for one in entries] == [("out", "close")]
    with pytest.raises(ActionError) as caught:
        close_alert(desk, alert.alert_id, text="Again.", actor=ACTOR)
    assert caught.value.reason == "not-open"


def test_choices_are_distinct() -> None:
    assert len(dict(AUDIENCES)) == len(AUDIENCES) == 6
    assert [int(days) for days, _ in LASTS] == [1, 3, 7, 14, 30]


def test_each_recipient_has_a_thread_that_a_person_opens_by_name(desk: Desk) -> None:
    alert = send_all(desk, write(desk))
    hear(desk, alert, "other-chat", "We saw eleven such accounts.")
    browser, address = Browser(desk).sign_in(ACTOR), f"/service-alerts/{alert.alert_id}"
    # To check the words that it writes, the desk reads the threads itself: nobody has read them.
    post_entry(desk, alert.alert_id, services=(PARTNER,), text="Look at new accounts.", actor=ACTOR)
    closed = browser.get(address).text
    assert ("1 new to read" in closed, "eleven" in closed) == (True, False)
    theirs = next(f"/actions/{one.action_id}" for one in alert.actions if one.recipient == "other-chat")
    assert theirs in closed
    assert address in browser.get(theirs).text
    assert "We saw eleven such accounts." in browser.post(f"{theirs}/read").text
    assert "new to read" not in browser.get(address).text
    said = "Did the eleven such accounts write first?"
    assert browser.post(f"{theirs}/write", entry_kind="question", entry_text=said).status_code == 303
    others = next(f"/actions/{one.action_id}" for one in alert.actions if one.recipient == PARTNER)
    quoted = "One saw: We saw eleven such accounts."
    refused = browser.post(f"{others}/write", entry_kind="note", entry_text=quoted)
    assert (refused.status_code, "in your own words" in refused.text) == (409, True)
    for act in ("release", "withdraw"):
        assert browser.post(f"{others}/{act}", withdraw_reason="No.").status_code == 409


def test_duty_officer_writes_about_cases_of_the_crisis_lane_alone(desk: Desk) -> None:
    browser = Browser(desk).sign_in("d-duty", [Role.DUTY_OFFICER])
    browser.get("/service-alerts/new")
    calm, urgent = add_referable(desk), add_referable(desk, crisis=True)
    form = {"pattern": DRAFT.pattern, "advice": DRAFT.advice, "audience": "all", "lasts": "1", "services": PARTNER}
    assert browser.post("/service-alerts", **form, case=calm).status_code == 403
    blank = browser.post("/service-alerts").text
    assert re.findall(r'<li><a href="#([\w-]+)">', blank) == ["pattern", "advice", "audience", "lasts", "services"]
    unknown = browser.post("/service-alerts", **form, case="NO-SUCH-CASE")
    assert (unknown.status_code, 'href="#case"' in unknown.text) == (409, True)
    made = browser.post("/service-alerts", **form, case=urgent)
    assert made.status_code == 303
    assert "Send it alone" in browser.get(made.location).text
    assert browser.post(f"{made.location}/release").status_code == 403
    assert browser.post(f"{made.location}/alone").status_code == 303
    assert "sent it alone, in a crisis" in browser.get(made.location).text
