"""The process that sends actions is killed at each step, again and again: nothing goes twice, nothing is forgotten.

Each round releases a package and forks a process that sends and is killed at one step of the outbox.
"""

import itertools
import os
import pkgutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.desk.cases.actions.ledger import write_entry
from gateway.desk.cases.actions.model import list_where
from gateway.desk.cases.outbox_run import send_due
from gateway.desk.office.wiring import open_desk
from gateway.desk.store.schema import CASE_ACTIONS
from partner_sdk.wire.mailbox import FIRST_PREVIOUS
from tests.desk.action_builders import add_assessed, draft, make_package, release, release_package, reread
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import read_mailbox
from tests.desk.loop_model import copy_loop

ROUNDS: Final = 64  # each place twice
# Longer than the claim of a killed run counts.
BETWEEN_SECONDS: Final = 180
MOST_RUNS: Final = 20
# From the release to the mark that the gateway has it; each is a place to die, before it or after.
STEPS: Final = (
    "gateway.desk.cases.actions.sending.get_action",
    "gateway.desk.cases.actions.sending.store_message",
    "gateway.desk.cases.actions.sending.change_state",
    "gateway.desk.outbox.queue.list_due",
    "gateway.desk.outbox.queue.claim",
    "gateway.desk.office.feed_client.FeedClient.put_items",
    "gateway.desk.outbox.queue.note",
    "gateway.databases.database.SqliteFile.commit",
)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    loop = copy_loop(tmp_path)
    # The model keeps its database open beside the tests; here each process opens it alone, and repairs its log.
    loop.desk = open_desk(loop.desk.paths.state, clock=loop.clock, session=loop.desk.session)
    return loop


def kill_at(step: str, *, is_done: bool, call: int) -> None:
    """Have this process killed at one call of a step, before it or once it is done."""
    path, _, name = step.rpartition(".")
    owner = pkgutil.resolve_name(path)
    real, calls = getattr(owner, name), itertools.count(1)

    def die(*values: Any, **settings: Any) -> Any:
        is_last = next(calls) == call
        if is_last and not is_done:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*values, **settings)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, die)


def send_and_die(loop: Loop, step: str, *, is_done: bool, call: int) -> bool:
    """Send in a process that is killed at this step; return whether it was, or had ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            loop.restart_gateway()  # its writer's thread does not come with the fork
            kill_at(step, is_done=is_done, call=call)
            send_due(loop.desk, only={"message"})
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def describe(loop: Loop) -> set[str]:
    """Return how far each package came: its state here, whether the gateway has it, and whether that is known here."""
    with loop.gateway.store.read() as connection:
        query = "SELECT item_id FROM items WHERE kind = 'mailbox-message'"
        there = set(connection.exec_driver_sql(query).scalars())
    with loop.desk.store.read() as connection:
        found = list_where(connection, CASE_ACTIONS.c.action_id.is_not(None))
    return {
        f"{one.state}{', at the gateway' * (one.action_id in there)}{', known' * (one.posted_at is not None)}"
        for one in found
    }


def test_sender_that_is_killed_at_any_step_sends_nothing_twice_and_forgets_nothing(loop: Loop) -> None:
    case_id, seen, killed, entries = add_assessed(loop.desk), Counter[str](), Counter[str](), set[str]()
    actions = [release_package(loop, case_id)]
    send_due(loop.desk, only={"message"})
    places = itertools.cycle(itertools.product(STEPS, (False, True), (1, 2)))
    for number, (step, is_done, call) in zip(range(ROUNDS), places, strict=False):
        loop.clock.advance(seconds=BETWEEN_SECONDS)
        actions.append(release(loop.desk, draft(loop.desk, case_id, body=make_package(), way="mailbox")))
        if number % 5 == 0:
            with loop.desk.store.write() as connection:
                first = reread(loop.desk, actions[0])
                entries.add(write_entry(loop.desk, connection, first, kind="note", text="A word.", actor=ACTOR))
        killed[step] += send_and_die(loop, step, is_done=is_done, call=call)
        seen.update(describe(loop))
    for _ in range(MOST_RUNS):
        loop.clock.advance(seconds=BETWEEN_SECONDS)
        send_due(loop.desk, only={"message"})
    sys.stdout.write(f"killed: {dict(killed)}, {dict(seen)}\n")
    assert min(killed[step] for step in STEPS) >= ROUNDS // len(STEPS) // 3
    assert {"released", "sent", "sent, at the gateway", "sent, at the gateway, known"} == set(seen)
    messages = read_mailbox(loop)
    assert Counter(one.message_id for one in messages) == Counter({*(one.action_id for one in actions), *entries})
    assert sorted(one.number for one in messages) == list(range(1, len(messages) + 1))
    assert min(messages, key=lambda one: one.number).previous == FIRST_PREVIOUS
    assert len({one.previous for one in messages}) == len(messages), "one chain without a fork"
    with loop.desk.store.read() as connection:
        stored = list_where(connection, CASE_ACTIONS.c.action_id.is_not(None))
    assert {(one.state, one.posted_at is not None) for one in stored} == {("sent", True)}
