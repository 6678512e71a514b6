"""Chasing: one reminder into the mailbox, and everything overdue named until it is answered."""

from datetime import timedelta

import pytest

from gateway.desk.actions.ledger import change_state, record_sent
from gateway.desk.actions.model import Action
from gateway.desk.outbox_run import send_due
from gateway.desk.watch import OVERDUE, list_concerns, settle_alarms
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.mailbox import ThreadMessage, parse_body
from tests.desk.action_builders import (
    collect_threads,
    draft,
    make_entry,
    make_package,
    post_entry,
    release_package,
    reread,
)
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import read_mailbox
from tests.desk.outbox_builders import alarms


def list_reminders(loop: Loop) -> list[str]:
    messages = [one for one in read_mailbox(loop) if one.kind == "thread-message"]
    bodies = [parse_body(parse_base64url(one.body), body=ThreadMessage) for one in messages]
    return [one.about for one in bodies if one.kind == "reminder"]


def make_late(loop: Loop, **changes: str) -> Action:
    one = release_package(loop, due_at=loop.clock() + timedelta(hours=3), **changes)
    send_due(loop.desk, only={"message"})
    return one


def is_overdue(loop: Loop) -> bool:
    settle_alarms(loop.desk)
    with loop.desk.store.read() as connection:
        return OVERDUE in {one.code for one in list_concerns(connection, desk=loop.desk)}


def test_late_acknowledgement_is_reminded_of_once_and_named_until_it_came(loop: Loop) -> None:
    one = make_late(loop)
    assert (list_reminders(loop), is_overdue(loop)) == ([], False)
    loop.clock.advance(seconds=3 * 3600 + 60)
    for _ in range(3):
        send_due(loop.desk, only={"message"})
    assert list_reminders(loop) == [one.action_id]
    assert reread(loop.desk, one).reminded_at is not None
    assert is_overdue(loop)
    assert len(alarms(loop.desk, OVERDUE)) == 1
    assert post_entry(loop, make_entry(loop, one.action_id)) == 202
    collect_threads(loop)
    assert not is_overdue(loop)
    assert alarms(loop.desk, OVERDUE) == []


def test_request_is_reminded_of_a_day_before_its_time(loop: Loop) -> None:
    ask = {"kind": "information-request", "recipient": loop.partner.partner}
    one = release_package(loop, due_at=loop.clock() + timedelta(days=2), **ask)
    send_due(loop.desk, only={"message"})
    assert list_reminders(loop) == []
    loop.clock.advance(seconds=24 * 3600)
    loop.publish()
    send_due(loop.desk, only={"message"})
    assert list_reminders(loop) == [one.action_id]
    assert not is_overdue(loop)


@pytest.mark.parametrize("way", ["letter", "sealed-file"])
def test_body_without_a_mailbox_is_reminded_by_a_person(loop: Loop, way: str) -> None:
    one = release_package(loop, way=way, due_at=loop.clock() + timedelta(hours=3))
    with loop.desk.store.write() as connection:
        record_sent(loop.desk, connection, one.action_id, actor="a-person")
    loop.clock.advance(seconds=4 * 3600)
    send_due(loop.desk, only={"message"})
    assert list_reminders(loop) == []
    assert is_overdue(loop)


def test_nobody_is_reminded_of_what_needs_no_answer(loop: Loop) -> None:
    release_package(loop)  # without a due time
    referral = draft(
        loop.desk,
        release_package(loop).case_id,
        kind="terms-referral",
        recipient=loop.partner.partner,
        way="mailbox",
        body=make_package(),
        due_at=loop.clock() + timedelta(hours=1),
    )
    with loop.desk.store.write() as connection:
        change_state(loop.desk, connection, referral, "sent", actor=ACTOR, act="send-action")
    send_due(loop.desk, only={"message"})
    loop.clock.advance(seconds=2 * 3600)
    send_due(loop.desk, only={"message"})
    assert list_reminders(loop) == []
    assert not is_overdue(loop)
