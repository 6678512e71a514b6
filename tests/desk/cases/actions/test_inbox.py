"""Entries from the gateway: proven to be the partner's, kept once, and none is lost or passes for another's."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions import ledger
from gateway.desk.cases.actions.ledger import (
    REFUSED,
    count_refused,
    end_action,
    list_entries,
    open_entries,
    withdraw_action,
)
from gateway.desk.cases.actions.model import Action, list_waiting
from gateway.desk.store.schema import AUDIT, CASES, REFUSED_ENTRIES, THREAD_ENTRIES
from gateway.desk.vault import VaultError
from partner_sdk.wire.mailbox import ThreadEntry
from tests.builders import Partner
from tests.desk.action_builders import (
    MARKER,
    collect_threads,
    make_entry,
    post_entry,
    put_entry,
    release_package,
    reread,
)
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import set_partner
from tests.desk.outbox_builders import alarms, send_out
from tests.desk.retention_builders import list_files_with

OTHER = Partner("second-service")


def send(loop: Loop, **changes: Any) -> Action:
    one = release_package(loop, **changes)
    send_out(loop.desk, "message")
    return reread(loop.desk, one)


def list_kinds(loop: Loop, action: Action) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        return [(entry.direction, entry.kind) for entry in list_entries(connection, action.action_id)]


def list_reasons(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return list(connection.execute(select(REFUSED_ENTRIES.c.reason)).scalars())


def test_officer_acknowledges_asks_and_tells_the_outcome(loop: Loop) -> None:
    one = send(loop)
    assert post_entry(loop, make_entry(loop, one.action_id)) == 202
    assert collect_threads(loop) == ledger.EntriesTaken(taken=1, refused=0)
    taken = reread(loop.desk, one)
    assert (taken.state, taken.acknowledged_by) == ("acknowledged", "example-chat")
    question = make_entry(loop, one.action_id, kind="question", text=f"Which town? {MARKER}")
    outcome = make_entry(loop, one.action_id, kind="outcome", outcome="safeguarded")
    for entry in (question, outcome):
        assert post_entry(loop, entry) == 202
    assert collect_threads(loop).taken == 2
    assert reread(loop.desk, one).state == "answered"
    assert sorted(list_kinds(loop, one)) == [("in", "acknowledge"), ("in", "outcome"), ("in", "question")]
    assert list_files_with(loop.desk.paths.state, MARKER.encode()) == []
    with loop.desk.store.read() as connection:
        opened = open_entries(loop.desk, one, list_entries(connection, one.action_id), actor=ACTOR)
    assert {(text.by, text.text, text.outcome) for text in opened.values()} == {
        ("DC Example", "", None),
        ("DC Example", f"Which town? {MARKER}", None),
        ("DC Example", "", "safeguarded"),
    }


def test_replayed_acknowledgement_changes_nothing(loop: Loop) -> None:
    one = send(loop)
    entry = make_entry(loop, one.action_id)
    assert post_entry(loop, entry) == 202
    collect_threads(loop)
    first = reread(loop.desk, one)
    loop.gateway_sql("DELETE FROM items WHERE kind = 'thread-entry'")  # e.g. a gateway from an older copy
    loop.clock.advance(seconds=60)
    put_entry(loop, entry, address=loop.partner.partner)
    assert collect_threads(loop) == ledger.NO_ENTRIES
    assert reread(loop.desk, one) == first
    assert list_kinds(loop, one) == [("in", "acknowledge")]


def enrol_other(loop: Loop) -> None:
    loop.enrol(partner=OTHER)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("another's message", "another-partners-message"),
        ("no message", "unknown-message"),
        ("another's key", "unknown-key"),
        ("another's name", "does-not-open"),
        ("unknown partner", "unknown-key"),
        ("rubbish", "truncated"),
    ],
)
def test_entry_that_does_not_hold_is_kept_with_its_reason_and_changes_no_action(
    loop: Loop, fault: str, reason: str
) -> None:
    one = send(loop)
    enrol_other(loop)
    entry, address, key = make_entry(loop, one.action_id), loop.partner.partner, None
    if fault == "another's message":
        entry, address, key = make_entry(loop, one.action_id, partner=OTHER), OTHER.partner, OTHER.submission_key
    elif fault == "no message":
        entry = make_entry(loop, loop.desk.make_id())
    elif fault == "another's key":
        key = OTHER.submission_key
    elif fault == "another's name":
        address = OTHER.partner
    elif fault == "unknown partner":
        entry, address = make_entry(loop, one.action_id, partner=Partner("third-service")), "third-service"
    put_entry(loop, entry, address=address, key=key)
    if fault == "rubbish":
        loop.gateway_sql("UPDATE items SET envelope = x'01' WHERE kind = 'thread-entry'")
    assert collect_threads(loop) == ledger.EntriesTaken(taken=0, refused=1)
    assert collect_threads(loop) == ledger.NO_ENTRIES
    assert (list_reasons(loop), list_kinds(loop, one), reread(loop.desk, one).state) == ([reason], [], "sent")
    assert alarms(loop.desk, REFUSED) == [f"{address}: {reason} on 2026-11-25"]


def test_forged_entry_does_not_keep_out_the_genuine_one_of_its_id(loop: Loop) -> None:
    one = send(loop)
    entry = make_entry(loop, one.action_id)
    enrol_other(loop)
    put_entry(loop, entry, address=loop.partner.partner, key=OTHER.submission_key)
    assert collect_threads(loop).refused == 1
    loop.gateway_sql("DELETE FROM items WHERE kind = 'thread-entry'")
    put_entry(loop, entry, address=loop.partner.partner)
    assert collect_threads(loop).taken == 1
    assert reread(loop.desk, one).state == "acknowledged"


def test_two_partners_may_choose_one_id(loop: Loop) -> None:
    one = send(loop)
    enrol_other(loop)
    alert = release_package(loop, kind="alert", recipient=OTHER.partner)
    send_out(loop.desk, "message")
    entry_id = loop.desk.make_id()
    assert post_entry(loop, make_entry(loop, one.action_id, entry_id=entry_id)) == 202
    theirs = make_entry(loop, alert.action_id, partner=OTHER, entry_id=entry_id)
    assert post_entry(loop, theirs, partner=OTHER) == 202
    assert collect_threads(loop).taken == 2
    assert {reread(loop.desk, action).state for action in (one, alert)} == {"acknowledged"}


def test_key_that_ended_signs_nothing_more(loop: Loop) -> None:
    one = send(loop)
    entry = make_entry(loop, one.action_id)
    put_entry(loop, entry, address=loop.partner.partner)
    moment = "2026-11-25T08:00:00Z"
    set_partner(loop.desk, state="revoked", suspended_at=moment, revoked_at=moment)
    assert collect_threads(loop).refused == 1
    assert list_reasons(loop) == ["unknown-key"]


@pytest.mark.parametrize("end", [withdraw_action, end_action])
def test_answer_to_an_action_that_was_withdrawn_or_ended_is_kept_in_its_thread(loop: Loop, end: Any) -> None:
    one = send(loop)
    with loop.desk.store.write() as connection:
        settings = {"reason": "Sent in error."} if end is withdraw_action else {}
        ended = end(loop.desk, connection, one.action_id, actor=ACTOR, **settings)
    answer = make_entry(loop, one.action_id, kind="answer", text="The account is in Kent.")
    assert post_entry(loop, answer) == 202
    assert collect_threads(loop).taken == 1
    assert reread(loop.desk, one).state == ended.state
    assert ("in", "answer") in list_kinds(loop, one)


def test_nothing_of_a_destroyed_case_is_kept_again(loop: Loop) -> None:
    one = send(loop)
    with loop.desk.store.write() as connection:
        connection.execute(update(CASES).values(destroyed_at="2026-11-25T08:00:00Z"))
    assert post_entry(loop, make_entry(loop, one.action_id)) == 202
    assert collect_threads(loop) == ledger.NO_ENTRIES
    with loop.desk.store.read() as connection:
        assert connection.execute(select(THREAD_ENTRIES)).first() is None
        assert "drop-thread-entry" in connection.execute(select(AUDIT.c.action)).scalars().all()


def test_vault_that_does_not_answer_leaves_the_entry_at_the_gateway(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = send(loop)
    post_entry(loop, make_entry(loop, one.action_id))

    def fail(*_: Any, **__: Any) -> None:
        raise VaultError("Locked.", reason="locked")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.vault.doors.Vault.open_entry", fail)
        with pytest.raises(VaultError):
            collect_threads(loop)
    assert collect_threads(loop).taken == 1


@pytest.mark.parametrize("limit", ["MOST_REFUSED", "MOST_REFUSED_OF_ONE"])
def test_refused_entries_fill_no_disk_and_hold_back_no_other(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    one = send(loop)
    monkeypatch.setattr(ledger, limit, 1)
    for _ in range(3):
        put_entry(loop, make_entry(loop, loop.desk.make_id()), address=loop.partner.partner)
        collect_threads(loop)
    with loop.desk.store.read() as connection:
        assert count_refused(connection) == 1
    assert post_entry(loop, make_entry(loop, one.action_id)) == 202
    assert collect_threads(loop).taken == 1
    assert reread(loop.desk, one).state == "acknowledged"


def test_entry_that_waited_is_taken_after_the_partner_changed_its_keys(loop: Loop) -> None:
    """Its former key counts for a while, so that nothing written before the change is lost."""
    one = send(loop)
    entry: ThreadEntry = make_entry(loop, one.action_id)
    assert post_entry(loop, entry) == 202
    ended_at = loop.clock() + timedelta(minutes=1)
    set_partner(loop.desk, suspended_at=ended_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert collect_threads(loop).taken == 1
    with loop.desk.store.read() as connection:
        assert [action.state for action in list_waiting(connection)] == ["acknowledged"]
