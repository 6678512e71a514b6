"""The form's promise follows the desk's newest statement: a night without an answer, and a desk that stops."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.desk.office.terminal import Call
from gateway.desk.outbox.alerts import acknowledge_alert, find_open
from gateway.desk.running.commands import collecting
from gateway.guidance.agency import HOLDS_FOR
from tests.builders import NOW
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop
from tests.desk.mail_server import Posts, run_receiver
from tests.desk.outbox_builders import make_level, set_escalation
from tests.gateway.public.person import SHORT_ANSWERS, Person

# Wednesday; the desk opens at nine.
NIGHT = NOW.replace(hour=22, minute=0)
IN_DANGER = SHORT_ANSWERS | {"/3": {"danger": "yes"}, "/3a": {"called": "cannot_call"}}
NOBODY = "No one is here to read it right now. Our team is next here at 09:00 UK time on Thursday 26 November."
CALL = "Do not wait for us if you do not feel safe. Call 999."


@pytest.fixture
def levels() -> Iterator[list[Posts]]:
    with ExitStack() as stack:
        yield [stack.enter_context(run_receiver()) for _ in range(2)]


@pytest.fixture
def loop(tmp_path: Path, levels: list[Posts]) -> Loop:
    loop = copy_loop(tmp_path, is_enrolled=False)
    set_escalation(loop, *(make_level(f"Level {number}", one.url) for number, one in enumerate(levels)), now=NIGHT)
    return loop


@pytest.fixture
def call(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(collecting, "open_desk", lambda _state: loop.desk)
    return Call(loop.desk.paths.state, as_json=False, actor=ACTOR)


@pytest.fixture
def collect(call: Call) -> Callable[[], None]:
    """Run a round of `collect --every 60`, and the turn of the alerts beside it."""

    def run() -> None:
        collecting._collect_once(call, every=60.0, is_reconciled=False)
        collecting._send_alerts(call)

    return run


def read_next_child(loop: Loop) -> list[str]:
    """Let the next child send a report at the real form, and return the next steps of its thank-you page."""
    text = Person(loop.open_app("public")).start().walk_to("/14", IN_DANGER).send().text()
    (listed,) = re.findall(r"<h2>What happens now</h2>\s*<ul.*?</ul>", text, re.DOTALL)
    return [html.unescape(line) for line in re.findall(r"<li>(.*?)</li>", listed)]


def acknowledge(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        alert = find_open(connection)
        assert alert is not None
        acknowledge_alert(connection, alert.id, actor=ACTOR, now=loop.clock(), seen=alert.count)


def test_escalation_that_nobody_answers_withdraws_the_promise_of_the_night_until_a_person_does(
    loop: Loop, collect: Callable[[], None], levels: list[Posts]
) -> None:
    collect()
    assert "will read it today, by 23:00 UK time." in read_next_child(loop)[0]
    for minutes, called in ((1, (1, 0)), (5, (1, 1))):
        loop.clock.advance(minutes=minutes)
        collect()
        assert tuple(len(one.taken) for one in levels) == called
        assert "will read it today" in read_next_child(loop)[0], "a person may still answer"
        collect()
    loop.clock.advance(minutes=4, seconds=59)
    collect()
    assert "will read it today" in read_next_child(loop)[0]
    loop.clock.advance(seconds=2)
    # The desk has not even noticed yet.
    assert read_next_child(loop)[:2] == [NOBODY, CALL]
    collect()
    by_hours = "A person trained to keep children safe will read it by 10:00 UK time on Thursday 26 November."
    assert read_next_child(loop)[:3] == [NOBODY, by_hours, CALL]
    for _ in range(2):
        loop.clock.advance(seconds=10)
        collect()
    assert read_next_child(loop)[0] == NOBODY, "news to a level that was called a moment ago gives it no new time"
    acknowledge(loop)
    collect()
    assert "will read it today, by 23:" in read_next_child(loop)[0]


def test_desk_that_stops_takes_its_promise_along(loop: Loop, collect: Callable[[], None]) -> None:
    collect()
    loop.clock.now = NIGHT + HOLDS_FOR
    assert read_next_child(loop) == [
        NOBODY,
        CALL,
        "Our answer comes by Monday 30 November at the latest, in the way you picked.",
        "We may tell other police or a social worker. We will try to ask you first.",
    ]


def test_collector_that_stops_beside_its_alerts_withdraws_the_promise(
    loop: Loop, collect: Callable[[], None], call: Call
) -> None:
    collect()
    loop.clock.advance(minutes=3)
    collecting._send_alerts(call)
    assert "will read it today" in read_next_child(loop)[0]
    loop.clock.advance(seconds=1)
    collecting._send_alerts(call)
    assert read_next_child(loop)[0] == NOBODY
    collect()
    assert "will read it today" in read_next_child(loop)[0]


def test_one_round_by_hand_renews_the_promise(loop: Loop, call: Call) -> None:
    collecting._collect_once(call, every=None, is_reconciled=False)
    assert "will read it today" in read_next_child(loop)[0]


def test_night_without_an_escalation_is_promised_the_next_opening(loop: Loop, collect: Callable[[], None]) -> None:
    set_escalation(loop)
    collect()
    assert read_next_child(loop)[0] == NOBODY
