"""Sending of actions: once, sealed to the key of that moment, and a fault is named on the action and as an alarm.

Chasing: one reminder into the mailbox, and everything overdue named until it is answered.
"""

from datetime import timedelta
from typing import Any

import pytest

from gateway.desk.cases.actions import sending
from gateway.desk.cases.actions.ledger import (
    change_state,
    end_action,
    list_entries,
    record_sent,
    withdraw_action,
    write_entry,
)
from gateway.desk.cases.actions.model import Action
from gateway.desk.cases.actions.sending import FAILED
from gateway.desk.cases.outbox_run import send_again, send_due
from gateway.desk.cases.watch import OVERDUE, list_concerns, update_alarms
from gateway.desk.outbox.queue import GAVE_UP, STUCK
from gateway.desk.partners.mailbox import seal_messages_again
from partner_sdk.errors import LocalStateError, TransportError
from partner_sdk.key_files import KeyFile, KeyRole
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.mailbox import Package, ThreadMessage, parse_body
from tests.builders import Partner
from tests.desk.action_builders import (
    MARKER,
    collect_threads,
    draft,
    make_entry,
    make_package,
    post_entry,
    put_away,
    release,
    release_package,
    reread,
)
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import read_mailbox, set_partner
from tests.desk.outbox_builders import alarms, fail_with, list_outbox, refuse, send_out
from tests.desk.retention_builders import list_files_with


class _OtherKeys(Partner):
    """The same partner after it enrolled again."""

    def key(self, role: KeyRole) -> KeyFile:
        """Return a key that it did not have before."""
        return Partner("other-keys").key(role)


def list_threads(loop: Loop) -> list[tuple[str, str, str]]:
    """Return the agency's entries in the partner's mailbox."""
    bodies = [parse_base64url(one.body) for one in read_mailbox(loop) if one.kind == "thread-message"]
    return [(one.about, one.kind, one.text) for raw in bodies if (one := parse_body(raw, body=ThreadMessage))]


def test_released_package_is_in_the_mailbox_once_and_under_its_own_id(loop: Loop) -> None:
    one = release_package(loop)
    assert read_mailbox(loop) == []
    for _ in range(3):
        send_out(loop.desk, "message")
    (message,) = read_mailbox(loop)
    assert (message.message_id, message.kind) == (one.action_id, "package")
    assert parse_body(parse_base64url(message.body), body=Package).read_archive() == MARKER.encode()
    sent = reread(loop.desk, one)
    assert (sent.state, sent.sent_by) == ("sent", "desk")
    assert sent.posted_at is not None


def test_draft_is_not_sent_and_a_day_is_kept(loop: Loop) -> None:
    later = loop.clock() + timedelta(days=3)
    one = release_package(loop, not_before=later)
    draft(loop.desk, one.case_id, way="mailbox", body=make_package())
    send_out(loop.desk, "message")
    assert read_mailbox(loop) == []
    loop.clock.now = later
    loop.publish()
    send_out(loop.desk, "message")
    assert [message.message_id for message in read_mailbox(loop)] == [one.action_id]


def test_words_of_an_action_lie_nowhere_on_this_disk(loop: Loop) -> None:
    one = release_package(loop)
    alert = draft(loop.desk, None, kind="alert", recipient=loop.partner.partner, way="mailbox", body=make_package())
    release(loop.desk, alert)
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        write_entry(loop.desk, connection, reread(loop.desk, one), kind="note", text=MARKER, actor=ACTOR)
    assert sorted(message.kind for message in read_mailbox(loop)) == ["alert", "package"]
    assert list_files_with(loop.desk.paths.state, MARKER.encode()) == []
    assert list_files_with(loop.desk.paths.state, b"UXVldHphbGNvYXRsdX") == []  # the same in base64


def test_action_is_sealed_to_the_key_of_its_sending(loop: Loop) -> None:
    release_package(loop)
    other = _OtherKeys(loop.partner.partner)
    set_partner(loop.desk, mailbox_key=parse_base64url(other.key(KeyRole.MAILBOX).public_key))
    send_out(loop.desk, "message")
    assert len(read_mailbox(loop, partner=other)) == 1


def test_messages_of_actions_are_sealed_again_for_a_partner_that_lost_its_keys(loop: Loop) -> None:
    release_package(loop)
    release(
        loop.desk,
        draft(loop.desk, None, kind="alert", recipient=loop.partner.partner, way="mailbox", body=make_package()),
    )
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        assert seal_messages_again(loop.desk, connection, partner=loop.partner.partner, actor=ACTOR) == 2
    send_out(loop.desk, "message")
    assert sorted(message.kind for message in read_mailbox(loop)) == ["alert", "package"]


@pytest.mark.parametrize("fault", ["expired", "recipient-suspended", "recipient-gone", "does-not-open"])
def test_action_that_cannot_go_fails_with_a_code_an_alarm_and_holds_back_no_other(loop: Loop, fault: str) -> None:
    soon = loop.clock() + timedelta(hours=1)
    one = release_package(loop, expires_at=soon if fault == "expired" else None)
    other = release(
        loop.desk,
        draft(loop.desk, None, kind="alert", recipient=loop.partner.partner, way="mailbox", body=make_package()),
    )
    if fault == "expired":
        loop.clock.now = soon
    elif fault == "recipient-suspended":
        set_partner(loop.desk, state="suspended")
    elif fault == "recipient-gone":
        put_away(loop.desk, "kent", on=loop.clock())
    else:
        with loop.desk.store.write() as connection:
            connection.exec_driver_sql(f"UPDATE case_actions SET body_sha256 = '' WHERE action_id = '{one.action_id}'")  # noqa: S608 - our own id
    send_out(loop.desk, "message")
    failed = reread(loop.desk, one)
    assert (failed.state, failed.failed_because, failed.sent_at) == ("failed", fault, None)
    assert f"package {one.action_id}: {fault}" in alarms(loop.desk, FAILED)
    assert reread(loop.desk, other).state == ("failed" if fault == "recipient-suspended" else "sent")


def test_action_with_the_id_of_an_earlier_message_fails_and_holds_back_no_other(loop: Loop) -> None:
    first = release_package(loop)
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        note = write_entry(loop.desk, connection, first, kind="note", text="A note.", actor=ACTOR)
    wrong, right = (release_package(loop, first.case_id, action_id=one) for one in (note, None))
    send_out(loop.desk, "message")
    assert (reread(loop.desk, wrong).state, reread(loop.desk, wrong).failed_because) == ("failed", "written-already")
    assert reread(loop.desk, right).state == "sent"


def test_without_a_signing_key_everything_stays_released(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    one = release_package(loop)

    def fail(*_: Any, **__: Any) -> None:
        raise LocalStateError("The key is missing.", reason="no-key-file")

    with monkeypatch.context() as patch:
        patch.setattr(sending, "store_message", fail)
        with pytest.raises(LocalStateError):
            send_out(loop.desk, "message")
    assert reread(loop.desk, one).state == "released"
    send_out(loop.desk, "message")
    assert len(read_mailbox(loop)) == 1


@pytest.mark.parametrize(
    "fault",
    [TransportError("No answer.", reason="no-answer"), fail_with(503)],
    ids=["silent", "full"],
)
def test_gateway_that_takes_nothing_for_a_day_loses_and_doubles_nothing_and_an_alarm_names_it(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    one = release_package(loop)

    def answer_nothing(*_: Any) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.office.feed_client.FeedClient.put_items", answer_nothing)
        for _ in range(24):
            send_due(loop.desk, only={"message"})
            loop.clock.advance(seconds=3600)
    assert (reread(loop.desk, one).state, reread(loop.desk, one).posted_at) == ("sent", None)
    assert len(alarms(loop.desk, STUCK)) == 1
    loop.publish()
    send_out(loop.desk, "message")
    assert reread(loop.desk, one).posted_at is not None
    assert len(read_mailbox(loop)) == 1


def test_message_that_the_gateway_refuses_for_good_fails_its_action_and_may_go_later(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = release_package(loop)

    def refuse_it(*_: Any) -> None:
        raise refuse("conflict")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.office.feed_client.FeedClient.put_items", refuse_it)
        send_due(loop.desk, only={"message"})
    failed = reread(loop.desk, one)
    assert (failed.state, failed.failed_because) == ("failed", "conflicting-message")
    assert len(alarms(loop.desk, GAVE_UP)) == 1
    (entry,) = list_outbox(loop.desk, "message")
    send_again(loop.desk, entry["id"], actor=ACTOR)
    send_out(loop.desk, "message")
    sent = reread(loop.desk, one)
    assert (sent.state, sent.failed_because) == ("sent", None)
    assert len(read_mailbox(loop)) == 1


def test_recall_note_and_close_go_into_the_mailbox_of_the_action(loop: Loop) -> None:
    one, other = release_package(loop), release_package(loop)
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        write_entry(
            loop.desk, connection, reread(loop.desk, one), kind="note", text="A second look helps.", actor=ACTOR
        )
        withdraw_action(loop.desk, connection, one.action_id, reason="Sent in error.", actor=ACTOR)
        end_action(loop.desk, connection, other.action_id, actor=ACTOR)
    send_out(loop.desk, "message")
    assert list_threads(loop) == [
        (one.action_id, "note", "A second look helps."),
        (one.action_id, "recall", "Sent in error."),
        (other.action_id, "close", ""),
    ]


def test_action_that_was_withdrawn_before_it_went_sends_nothing(loop: Loop) -> None:
    one = release_package(loop)
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, one.action_id, reason="The wrong force.", actor=ACTOR)
    send_out(loop.desk, "message")
    assert read_mailbox(loop) == []
    with loop.desk.store.read() as connection:
        assert [entry.direction for entry in list_entries(connection, one.action_id)] == ["kept"]


def test_service_never_reads_why_an_action_was_withdrawn(loop: Loop) -> None:
    one = release_package(loop, kind="information-request", recipient=loop.partner.partner)
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, one.action_id, reason=f"Sam {MARKER} asked for it.", actor=ACTOR)
        kept = list_entries(connection, one.action_id)
    send_out(loop.desk, "message")
    assert list_threads(loop) == [(one.action_id, "recall", "")]
    assert sorted(entry.direction for entry in kept) == ["kept", "out"]


def list_reminders(loop: Loop) -> list[str]:
    messages = [one for one in read_mailbox(loop) if one.kind == "thread-message"]
    bodies = [parse_body(parse_base64url(one.body), body=ThreadMessage) for one in messages]
    return [one.about for one in bodies if one.kind == "reminder"]


def make_late(loop: Loop, **changes: str) -> Action:
    one = release_package(loop, due_at=loop.clock() + timedelta(hours=3), **changes)
    send_due(loop.desk, only={"message"})
    return one


def is_overdue(loop: Loop) -> bool:
    update_alarms(loop.desk)
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
