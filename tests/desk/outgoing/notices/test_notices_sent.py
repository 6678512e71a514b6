"""Notices on their way: sealed into mailboxes, answered in their threads, stopped by an embargo at the last moment."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.ledger import EntryText, take_entry, withdraw_action
from gateway.desk.cases.actions.model import Action
from gateway.desk.cases.actions.sending import FAILED
from gateway.desk.outgoing.referrals import LONGEST_WAIT, SHORTEST_WAIT, Referral, draft_referral
from gateway.desk.outgoing.service_alerts import (
    AlertDraft,
    close_alert,
    draft_alert,
    get_alert,
    post_entry,
    release_alone,
)
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.mailbox import ServiceAlert, TermsReferral, ThreadMessage, parse_body
from tests.desk.action_builders import draft, reread
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import read_mailbox
from tests.desk.notice_builders import MARKER, add_referable, make_reachable
from tests.desk.outbox_builders import send_out
from tests.desk.outgoing.notices.test_referrals import release
from tests.desk.view_builders import Browser


@pytest.fixture
def reachable(loop: Loop) -> Loop:
    loop.desk = make_reachable(loop.desk)
    return loop


def list_bodies(loop: Loop, kind: str, body: type[Any]) -> list[Any]:
    messages = [one for one in read_mailbox(loop) if one.kind == kind]
    return [parse_body(parse_base64url(one.body), body=body) for one in messages]


def refer(loop: Loop, case_id: str) -> Action:
    referral = Referral(account_kind="username", account="Night_Owl7", rule="pressure")
    action = draft_referral(loop.desk, case_id, referral, actor=ACTOR)
    return release(loop.desk, action)[0]


def pass_days(loop: Loop, days: timedelta) -> None:
    loop.clock.now += days
    loop.publish()
    send_out(loop.desk, "message")


def test_referral_is_sent_after_its_wait_and_answered_in_its_thread(reachable: Loop) -> None:
    case_id = add_referable(reachable.desk, about=reachable.partner.partner)
    action = refer(reachable, case_id)
    pass_days(reachable, SHORTEST_WAIT - timedelta(seconds=1))
    assert read_mailbox(reachable) == []
    pass_days(reachable, LONGEST_WAIT)
    (body,) = list_bodies(reachable, "terms-referral", TermsReferral)
    assert body.account.value == "Night_Owl7"
    with reachable.desk.store.write() as connection:
        text = EntryText(text="We ended the account.", by="Robin Moderator")
        sent = reread(reachable.desk, action)
        take_entry(reachable.desk, connection, sent, kind="answer", text=text, actor=reachable.partner.partner)
    assert reread(reachable.desk, action).state == "answered"
    browser = Browser(reachable.desk).sign_in(ACTOR)
    assert browser.get(f"/actions/{action.action_id}").status_code == 200
    page = f"/actions/{action.action_id}"
    refused = browser.post(f"{page}/write", entry_kind="note", entry_text=f"Sam {MARKER} thanks you.")
    assert (refused.status_code, "Nothing here may show who reported." in refused.text) == (409, True)
    assert browser.post(f"{page}/write", entry_kind="note", entry_text="Thank you.").status_code == 303
    assert browser.post(f"{page}/end").status_code == 303
    send_out(reachable.desk, "message")
    entries = list_bodies(reachable, "thread-message", ThreadMessage)
    assert [(one.kind, one.text) for one in entries] == [("note", "Thank you."), ("close", "")]
    assert browser.post(f"{page}/write", entry_kind="note", entry_text="More.").status_code == 409


def test_embargo_that_came_after_the_release_stops_a_referral_and_says_why(reachable: Loop) -> None:
    case_id = add_referable(reachable.desk, about=reachable.partner.partner)
    action = refer(reachable, case_id)
    package = draft(reachable.desk, case_id)
    pass_days(reachable, LONGEST_WAIT)
    assert read_mailbox(reachable) == []
    stopped = reread(reachable.desk, action)
    assert (stopped.state, stopped.failed_because) == ("failed", "package-open")
    with reachable.desk.store.read() as connection:
        assert [(one.kind, one.subject) for one in list_alarms(connection) if one.kind == FAILED] == [
            (FAILED, f"terms-referral {action.action_id}: package-open")
        ]
    # Once the cause is gone it is released again, with the signature that it has and another random wait.
    with reachable.desk.store.write() as connection:
        withdraw_action(reachable.desk, connection, package.action_id, reason="No crime.", actor=ACTOR)
    again, _ = release(reachable.desk, stopped)
    assert (again.state, again.failed_because) == ("released", None)
    assert again.not_before is not None
    assert again.not_before > format_time(reachable.clock() + SHORTEST_WAIT - timedelta(seconds=1))


def test_alert_and_its_thread_reach_the_mailbox(reachable: Loop) -> None:
    case_id = add_referable(reachable.desk, about=reachable.partner.partner)
    with reachable.desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(crisis=True))
    words = AlertDraft(
        pattern="Adults pose as talent scouts.",
        advice="Warn before a link is opened.",
        audience="all",
        lasts="7",
        services=(reachable.partner.partner,),
        case=case_id,
    )
    alert_id = draft_alert(reachable.desk, words, actor=ACTOR)
    release_alone(reachable.desk, alert_id, actor=ACTOR)
    send_out(reachable.desk, "message")
    (body,) = list_bodies(reachable, "alert", ServiceAlert)
    assert (body.pattern, body.advice, body.audience) == (words.pattern, words.advice, "Every kind of service")
    post_entry(reachable.desk, alert_id, services=words.services, text="Look for one picture.", actor=ACTOR)
    close_alert(reachable.desk, alert_id, text="It is over.", actor=ACTOR)
    send_out(reachable.desk, "message")
    entries = list_bodies(reachable, "thread-message", ThreadMessage)
    with reachable.desk.store.read() as connection:
        (action,) = get_alert(connection, alert_id).actions
    assert [(one.about, one.kind, one.text) for one in entries] == [
        (action.action_id, "note", "Look for one picture."),
        (action.action_id, "close", "It is over."),
    ]
    assert action.state == "ended"
