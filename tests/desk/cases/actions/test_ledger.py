"""The ledger of actions: a draft stays as it was, each state is reached in order, and nothing lies readable.

Actions and their threads die with the key of their case, and an action that waits keeps its case.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions.ledger import (
    MAX_BODY_BYTES,
    EntryText,
    Unsigned,
    draft_action,
    draft_signature,
    end_action,
    get_signing,
    list_entries,
    open_body,
    open_entries,
    record_entry,
    record_sent,
    release_action,
    withdraw_action,
)
from gateway.desk.cases.actions.model import ActionError, find_action, list_actions, list_waiting
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.office.people.releases import ReleaseError
from gateway.desk.office.wiring import Desk
from gateway.desk.retention.lists import DUE, RetentionError, draft_destruction
from gateway.desk.store.agency_tables import OUTBOX, PARTNERS
from gateway.desk.store.audit import check_chain
from gateway.desk.store.schema import AUDIT, CASE_ACTIONS, CASES, THREAD_ENTRIES
from gateway.exchange.desk_statements import SIGNED_CERTIFICATE
from partner_sdk.errors import OpeningError
from tests.desk.action_builders import BODY, MARKER, add_assessed, draft, put_away, release, reread
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.retention_builders import A_YEAR, FIRST, close_all, destroy, list_files_with
from tests.desk.view_builders import Browser, Clock, add_sealed_case


@pytest.fixture
def case_id(desk: Desk) -> str:
    return add_assessed(desk)


def act(desk: Desk, call: Callable[..., Any], action_id: str, **changes: Any) -> Any:
    with desk.store.write() as connection:
        return call(desk, connection, action_id, actor=ACTOR, **changes)


def refuse(call: Callable[[], object]) -> str:
    with pytest.raises(ActionError) as caught:
        call()
    return caught.value.reason


def list_events(desk: Desk, subject: str) -> list[str]:
    query = select(AUDIT.c.action).where(AUDIT.c.subject == subject, AUDIT.c.detail.contains("action_id"))
    with desk.store.read() as connection:
        check_chain(connection)
        return list(connection.execute(query.order_by(AUDIT.c.id)).scalars())


def test_action_goes_from_draft_to_its_end_and_each_act_is_recorded(desk: Desk, case_id: str, clock: Clock) -> None:
    drafted = draft(desk, case_id, actor="a-drafter", due_at=clock() + timedelta(days=7))
    assert (drafted.state, drafted.drafted_by, drafted.covers) == ("drafted", "a-drafter", 1)
    released = release(desk, drafted, actor="b-releaser")
    assert (released.state, released.released_by) == ("released", "b-releaser")
    assert act(desk, record_sent, drafted.action_id).state == "sent"
    ended = act(desk, end_action, drafted.action_id)
    assert (ended.state, ended.ended_by, ended.body_sha256) == ("ended", ACTOR, drafted.body_sha256)
    assert open_body(desk, ended, actor=ACTOR) == BODY
    assert list_events(desk, case_id) == ["draft-action", "release-action", "send-action", "end-action", "read-action"]
    with desk.store.read() as connection:
        assert list_waiting(connection) == []
        assert list_actions(connection, case_id=case_id) == [ended]


def test_content_lies_sealed_alone(desk: Desk, case_id: str) -> None:
    one = draft(desk, case_id)
    act(desk, withdraw_action, one.action_id, reason=f"Reason {MARKER}")
    alert = draft(desk, None, kind="alert", recipient=PARTNER, way="letter")
    assert list_files_with(desk.paths.state, MARKER.encode()) == []
    with desk.store.read() as connection:
        for table in (CASE_ACTIONS, THREAD_ENTRIES, AUDIT):
            rows = connection.execute(select(table)).all()
            assert rows
            assert MARKER.encode() not in b"".join(bytes(one) for row in rows for one in row if isinstance(one, bytes))
            assert MARKER not in str(rows)
    assert open_body(desk, alert, actor=ACTOR) == BODY
    assert list_events(desk, alert.action_id) == ["draft-action", "read-action"]


def test_box_of_one_action_does_not_pass_for_another(desk: Desk, case_id: str) -> None:
    one, other = draft(desk, case_id), draft(desk, case_id)
    with desk.store.write() as connection:
        box = select(CASE_ACTIONS.c.box).where(CASE_ACTIONS.c.action_id == one.action_id).scalar_subquery()
        connection.execute(update(CASE_ACTIONS).where(CASE_ACTIONS.c.action_id == other.action_id).values(box=box))
    with pytest.raises(OpeningError):
        open_body(desk, other, actor=ACTOR)
    with desk.store.write() as connection:
        mine = CASE_ACTIONS.c.action_id == one.action_id
        connection.execute(update(CASE_ACTIONS).where(mine).values(body_sha256="0" * 64))
    with pytest.raises(OpeningError, match="not the one"):
        open_body(desk, reread(desk, one), actor=ACTOR)


def test_draft_that_is_withdrawn_keeps_its_reason_and_sends_nothing(desk: Desk, case_id: str) -> None:
    one = draft(desk, case_id)
    assert refuse(lambda: act(desk, withdraw_action, one.action_id, reason=" ")) == "reason-missing"
    assert refuse(lambda: act(desk, withdraw_action, one.action_id, reason="x" * 301)) == "reason-too-long"
    withdrawn = act(desk, withdraw_action, one.action_id, reason="The place was wrong.")
    assert (withdrawn.state, withdrawn.withdrawn_by) == ("withdrawn", ACTOR)
    with desk.store.read() as connection:
        (entry,) = list_entries(connection, one.action_id)
    assert (entry.direction, entry.kind) == ("kept", "recall")
    assert open_entries(desk, one, [entry], actor=ACTOR)[entry.entry_id].text == "The place was wrong."
    assert refuse(lambda: act(desk, withdraw_action, one.action_id, reason="Again.")) == "not-open"
    assert refuse(lambda: release(desk, one)) == "not-drafted"


def test_states_are_not_skipped(desk: Desk, case_id: str, clock: Clock) -> None:
    one = draft(desk, case_id)
    assert refuse(lambda: act(desk, record_sent, one.action_id)) == "not-released"
    assert refuse(lambda: act(desk, end_action, one.action_id)) == "not-sent"
    release(desk, one, not_before=clock() + timedelta(days=3))
    assert refuse(lambda: release(desk, one)) == "not-drafted"
    assert refuse(lambda: act(desk, record_sent, one.action_id)) == "too-early"
    assert refuse(lambda: act(desk, end_action, "no-such-action")) == "unknown-action"
    clock.now += timedelta(days=3)
    assert act(desk, record_sent, one.action_id).state == "sent"


def test_action_that_expired_is_neither_released_nor_sent(desk: Desk, case_id: str, clock: Clock) -> None:
    soon = clock() + timedelta(hours=1)
    one, other = draft(desk, case_id, expires_at=soon), draft(desk, case_id, expires_at=soon)
    release(desk, other)
    clock.now = soon
    assert refuse(lambda: release(desk, one)) == "expired"
    assert refuse(lambda: act(desk, record_sent, other.action_id)) == "expired"
    assert refuse(lambda: draft(desk, case_id, expires_at=soon)) == "expired"


def test_nothing_leaves_about_a_case_that_is_unknown_unassessed_or_too_large(desk: Desk, case_id: str) -> None:
    assert refuse(lambda: draft(desk, add_sealed_case(desk, marker=""))) == "not-assessed"
    assert refuse(lambda: draft(desk, "no-case", covers=1)) == "unknown-case"
    assert refuse(lambda: draft(desk, case_id, body=bytes(MAX_BODY_BYTES + 1))) == "too-large"
    with pytest.raises(ValueError, match="about a case"):
        draft(desk, None, covers=1)
    with pytest.raises(ValueError, match="covers"), desk.store.write() as connection:
        draft_action(
            desk,
            connection,
            kind="package",
            case_id=case_id,
            recipient="kent",
            way="letter",
            body=BODY,
            actor=ACTOR,
        )


def test_body_that_retired_after_the_draft_gets_nothing(desk: Desk, case_id: str, clock: Clock) -> None:
    one = draft(desk, case_id)
    put_away(desk, "kent", on=clock())
    assert refuse(lambda: release(desk, one)) == "recipient-gone"
    assert refuse(lambda: draft(desk, case_id)) == "recipient-gone"
    assert refuse(lambda: draft(desk, case_id, recipient="atlantis")) == "recipient-gone"


def test_mailbox_takes_only_a_partner_with_working_keys(desk: Desk, case_id: str) -> None:
    ask: dict[str, Any] = {"kind": "information-request", "way": "mailbox"}
    assert refuse(lambda: draft(desk, case_id, recipient="nobody", **ask)) == "recipient-gone"
    assert refuse(lambda: draft(desk, case_id, recipient="", **ask)) == "recipient-gone"
    assert refuse(lambda: draft(desk, case_id, way="mailbox")) == "recipient-gone"  # Kent has no keys here
    one = draft(desk, case_id, recipient=PARTNER, **ask)
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(state="suspended"))
    assert refuse(lambda: release(desk, one)) == "recipient-suspended"


def test_actions_of_a_joined_report_are_told_with_its_case(desk: Desk, case_id: str) -> None:
    other = add_assessed(desk)
    mine, joined = draft(desk, case_id), draft(desk, other)
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == other).values(joined_to=case_id))
        assert {one.action_id for one in list_actions(connection, case_id=case_id)} == {
            mine.action_id,
            joined.action_id,
        }
        assert [one.action_id for one in list_waiting(connection, kinds=("package",))] == sorted(
            [mine.action_id, joined.action_id]
        )
        assert list_waiting(connection, kinds=("alert",)) == []
        assert find_action(connection, "no-such-action") is None


def test_release_needs_the_signature_of_this_draft_or_an_exception_of_its_kind(desk: Desk, case_id: str) -> None:
    """A caller that forgets the second person cannot release anything."""
    signed, other = (draft(desk, case_id, kind="terms-referral", recipient=PARTNER, way="letter") for _ in range(2))
    with desk.store.write() as connection:
        for one in (signed, other):
            draft_signature(connection, one, by=ACTOR, now=desk.clock())
        mine, unsigned = (get_signing(connection, one).release for one in (signed, other))
    assert mine is not None
    assert unsigned is not None
    browser = Browser(desk).sign_in("b-second")
    browser.post(f"/actions/{signed.action_id}/read")
    browser.step_up(f"/releases/{mine.id}/begin", f"/actions/{signed.action_id}/release")
    for signature in (unsigned, mine):
        with pytest.raises(ReleaseError) as caught, desk.store.write() as connection:
            release_action(desk, connection, other.action_id, signature=signature, actor=ACTOR)
        assert caught.value.reason == "not-signed"
    exceptions: tuple[Unsigned, ...] = ("one-person", "sent-alone", "example")
    for exception in exceptions:
        with pytest.raises(ValueError, match="needs a second person's signature"), desk.store.write() as connection:
            release_action(desk, connection, other.action_id, signature=exception, actor=ACTOR)
    assert reread(desk, other).state == "drafted"
    assert reread(desk, signed).state == "released"


def end_case(desk: Desk, clock: Clock) -> None:
    with desk.store.write() as connection:
        connection.execute(update(OUTBOX).values(state="sent", done_at="2026-11-25T10:00:00Z"))
    close_all(desk)
    clock.now += A_YEAR
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=desk.clock())


@pytest.mark.databases("sqlite", "postgresql")
def test_actions_and_threads_are_destroyed_with_their_case(desk: Desk, clock: Clock) -> None:
    case_id = add_assessed(desk)
    one, drafted = release(desk, draft(desk, case_id)), draft(desk, case_id)
    with desk.store.write() as connection:
        record_sent(desk, connection, one.action_id, actor=ACTOR)
        officer = EntryText(by="DC Example")
        record_entry(desk, connection, one.action_id, kind="acknowledge", text=officer, actor=ACTOR)
        entries = list_entries(connection, one.action_id)
        boxes = [
            bytes(connection.execute(select(table.c.box).limit(1)).scalar_one())
            for table in (CASE_ACTIONS, THREAD_ENTRIES)
        ]
    end_case(desk, clock)
    (gone,) = SIGNED_CERTIFICATE.peek(destroy(desk, [case_id])).destroyed
    assert gone.rows == 5  # a report, an assessment, two actions and an entry
    for box in boxes:
        assert list_files_with(desk.paths.state, box[2000:2064]) == []
    for action in (one, drafted):
        with pytest.raises(OpeningError, match="destroyed"):
            open_body(desk, reread(desk, action), actor=ACTOR)
    assert open_entries(desk, one, entries, actor=ACTOR) == {}
    with desk.store.read() as connection:
        assert list_waiting(connection) == []


def test_action_that_waits_keeps_its_case(desk: Desk, clock: Clock) -> None:
    case_id = add_assessed(desk)
    one = release(desk, draft(desk, case_id))
    end_case(desk, clock)
    with pytest.raises(RetentionError, match="an action on it waits"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    with desk.store.write() as connection:
        withdraw_action(desk, connection, one.action_id, reason="No longer needed.", actor=ACTOR)
    assert draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)


def test_question_keeps_its_case_until_its_day(desk: Desk, clock: Clock) -> None:
    case_id = add_assessed(desk)
    due_at = clock() + A_YEAR + timedelta(days=7)
    one = release(
        desk, draft(desk, case_id, kind="information-request", recipient=PARTNER, way="letter", due_at=due_at)
    )
    with desk.store.write() as connection:
        record_sent(desk, connection, one.action_id, actor=ACTOR)
    end_case(desk, clock)
    with pytest.raises(RetentionError, match="waits for the answer"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    clock.now += timedelta(days=8)
    assert draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
