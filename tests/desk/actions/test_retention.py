"""Actions and their threads die with the key of their case, and an action that waits keeps its case."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.desk.actions.ledger import (
    EntryText,
    list_entries,
    open_body,
    open_entries,
    record_entry,
    record_sent,
    withdraw_action,
)
from gateway.desk.actions.model import list_waiting
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.retention.lists import DUE, RetentionError, draft_destruction
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.schema import CASE_ACTIONS, THREAD_ENTRIES
from gateway.desk.wiring import Desk
from gateway.guidance.destruction import peek_certificate
from partner_sdk.errors import OpeningError
from tests.desk.action_builders import add_assessed, draft, release, reread
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.retention_builders import A_YEAR, FIRST, close_all, destroy, list_files_with
from tests.desk.view_builders import Clock

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def end_case(desk: Desk, clock: Clock) -> None:
    with desk.store.write() as connection:
        connection.execute(update(OUTBOX).values(state="sent", done_at="2026-11-25T10:00:00Z"))
    close_all(desk)
    clock.now += A_YEAR
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=desk.clock())


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
    (gone,) = peek_certificate(destroy(desk, [case_id])).destroyed
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
