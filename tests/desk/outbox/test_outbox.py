"""The loop that sends: each kind retries, backs off, gives up with an alarm and sends nothing twice, killed or not."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.desk.cases.outbox_run import KINDS
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import (
    STUCK,
    DeliveryError,
    Hold,
    OutboxError,
    OutboxKind,
    Outcome,
    Run,
    get_wait,
    try_again,
)
from partner_sdk.errors import (
    ConflictError,
    LocalStateError,
    NotAuthorisedError,
    RateLimitedError,
    TransportError,
)
from partner_sdk.wire.canonical import parse_time
from tests.desk.outbox_builders import Taker, alarms, fail_with, list_outbox, put, refuse, run, states
from tests.desk.view_builders import Clock

BY_NAME = {kind.name: kind for kind in KINDS}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
# An alert is never given up, a message goes to the gateway in a lane, and a note is sent once.
THREE_KINDS = pytest.mark.parametrize(
    "kind", [BY_NAME[name] for name in ("alert", "message", "note")], ids=lambda kind: kind.name
)
TO_GATEWAY = pytest.mark.parametrize("kind", [BY_NAME["stage"], BY_NAME["message"]], ids=lambda kind: kind.name)


@pytest.fixture
def taker() -> Taker:
    return Taker()


@EVERY_KIND
def test_entry_is_sent_once_in_the_order_of_the_queue(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, "a", "b", "c")
    assert run(desk, kind, taker) == Outcome(sent=3)
    assert run(desk, kind, taker) == Outcome()
    assert (taker.taken, taker.noted, states(desk, kind)) == (["a", "b", "c"], ["a", "b", "c"], ["sent"] * 3)
    assert all(len(call) <= kind.most_at_once for call in taker.calls)


@THREE_KINDS
def test_failed_entry_waits_ever_longer_and_then_goes(desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, "a")
    taker.faults["a"] = refuse("a-code") if kind.is_for_gateway else DeliveryError(reason="a-code")
    waits = []
    for tries in range(1, 9):
        assert run(desk, kind, taker).problems == {"a-code": 1}
        (row,) = list_outbox(desk, kind.name)
        assert (row["state"], row["tries"], row["last_error"]) == ("waiting", tries, "a-code")
        waits.append(parse_time(row["next_try_at"]) - clock.now)
        clock.now = parse_time(row["next_try_at"]) - timedelta(seconds=1)
        before = len(taker.calls)
        assert run(desk, kind, taker).problems == {}
        assert len(taker.calls) == before
        clock.now += timedelta(seconds=1)
    # Doubling from a minute, with up to a quarter more by chance, up to the longest pause of the kind.
    for number, wait in enumerate(waits):
        least = min(timedelta(minutes=2**number), kind.longest_wait)
        assert least - timedelta(seconds=1) <= wait <= least * 1.25
    taker.faults.clear()
    assert run(desk, kind, taker).sent == 1


@EVERY_KIND
def test_entry_that_never_goes_is_given_up_with_one_alarm_for_its_cause_or_tried_for_ever(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, "a", "b")
    taker.faults |= dict.fromkeys("ab", refuse("a-code") if kind.is_for_gateway else DeliveryError(reason="a-code"))
    given_up = 0
    for _ in range(60):
        given_up += run(desk, kind, taker).given_up
        clock.now += timedelta(hours=8)
        if given_up == 2:
            break
    if kind.name == "alert":
        assert (given_up, taker.lost, alarms(desk), states(desk, kind)) == (0, [], [], ["waiting"] * 2)
        return
    assert (given_up, taker.lost) == (2, [("a", "a-code"), ("b", "a-code")])
    assert states(desk, kind) == ["given_up"] * 2
    (alarm,) = alarms(desk)
    assert alarm.startswith(f"{kind.name} a-code, first at 20")
    if kind.most_tries is not None:
        assert [row["tries"] for row in list_outbox(desk, kind.name)] == [kind.most_tries] * 2
    # A person may let it be sent after all; nothing else does.
    number = list_outbox(desk, kind.name)[0]["id"]
    taker.faults.clear()
    assert run(desk, kind, taker) == Outcome()
    if kind.too_late_after is None:
        with desk.store.write() as connection:
            assert try_again(connection, number, actor="kim", now=clock()).subject == "a"
        assert run(desk, kind, taker).sent == 1
        assert taker.taken == ["a"]


@EVERY_KIND
def test_what_is_final_is_given_up_at_once_without_an_alarm_but_for_alerts(
    desk: Desk, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, "a", "b")
    taker.faults["a"] = DeliveryError(reason="address-refused", is_final=True)
    outcome = run(desk, kind, taker)
    assert outcome.sent == 1
    state = "waiting" if kind.name == "alert" else "given_up"
    assert (states(desk, kind), alarms(desk)) == ([state, "sent"], [])


@THREE_KINDS
def test_run_that_is_killed_after_sending_repeats_its_entries_when_the_claim_has_run_out(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, "a")

    def kill() -> None:
        taker.taken.append("a")
        raise KeyboardInterrupt

    taker.meanwhile = kill
    with pytest.raises(KeyboardInterrupt):
        run(desk, kind, taker)
    taker.meanwhile = lambda: None
    # Whether it arrived is not known: nobody else sends it while the run may only be slow.
    assert run(desk, kind, taker) == Outcome(open=1)
    clock.now += kind.lease - timedelta(seconds=1)
    assert run(desk, kind, taker).sent == 0
    clock.now += timedelta(seconds=1)
    assert run(desk, kind, taker).sent == 1
    assert (taker.taken, taker.noted) == (["a", "a"], ["a"])


@THREE_KINDS
def test_run_that_is_killed_before_the_claim_is_written_loses_nothing(
    desk: Desk, taker: Taker, kind: OutboxKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(desk, kind, "a")

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.outbox.queue.claim", kill)
        with pytest.raises(KeyboardInterrupt):
            run(desk, kind, taker)
    assert run(desk, kind, taker).sent == 1
    assert taker.calls == [["a"]]


@THREE_KINDS
def test_two_runs_at_once_send_an_entry_once(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, "a", "b")
    second = Taker()
    taker.meanwhile = lambda: run(desk, kind, second)
    run(desk, kind, taker)
    assert sorted(taker.taken + second.taken) == ["a", "b"]
    assert states(desk, kind) == ["sent"] * 2


@THREE_KINDS
def test_entry_queued_again_while_it_is_sent_is_sent_again(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, "a")
    taker.meanwhile = lambda: put(desk, kind, "a")
    run(desk, kind, taker)
    assert (states(desk, kind), taker.noted) == (["waiting"], [])
    taker.meanwhile = lambda: None
    assert run(desk, kind, taker).sent == 1
    assert (taker.taken, taker.noted) == (["a", "a"], ["a"])


@THREE_KINDS
def test_entry_queued_again_while_it_fails_keeps_its_fresh_try(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, "a")
    taker.faults["a"] = refuse("no")
    taker.meanwhile = lambda: put(desk, kind, "a")
    run(desk, kind, taker)
    (row,) = list_outbox(desk, kind.name)
    assert (row["state"], row["tries"], row["last_error"]) == ("waiting", 0, None)


@THREE_KINDS
def test_slip_of_ours_with_one_entry_keeps_back_no_other_and_is_told_by_its_type(
    desk: Desk, taker: Taker, kind: OutboxKind, caplog: pytest.LogCaptureFixture
) -> None:
    put(desk, kind, "a", "b", "c")
    taker.faults["b"] = LookupError("Quetzal-typed-this")
    outcome = run(desk, kind, taker)
    assert (taker.taken, outcome.problems) == (["a", "c"], {"unexpected": 1})
    waits = "waiting" if kind.is_tried_after_slip else "given_up"
    assert states(desk, kind) == ["sent", waits, "sent"]
    assert "LookupError" in caplog.text
    assert "Quetzal" not in caplog.text


@TO_GATEWAY
def test_one_refused_entry_keeps_back_no_other(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, *"abcde")
    taker.faults["b"] = refuse("conflict")
    outcome = run(desk, kind, taker)
    assert (outcome.sent, outcome.problems, taker.taken) == (4, {"conflict": 1}, list("acde"))
    assert isinstance(outcome.error, ConflictError)


@TO_GATEWAY
def test_gateway_that_refuses_everything_is_asked_a_few_times_only(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    names = [f"{number:02}" for number in range(40)]
    put(desk, kind, *names)
    taker.faults |= dict.fromkeys(names, refuse("conflict"))
    run(desk, kind, taker)
    assert len(taker.calls) <= 6
    assert [row["tries"] for row in list_outbox(desk, kind.name)] == [1] * 5 + [0] * 35


@TO_GATEWAY
def test_entry_on_which_the_gateway_crashes_keeps_back_no_other_and_is_never_given_up(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, *"abc")
    taker.faults["a"] = fail_with(500)
    in_run = Run(desk)
    assert (run(desk, kind, taker, in_run=in_run).sent, in_run.is_silent) == (2, False)
    assert [row["tries"] for row in list_outbox(desk, kind.name)] == [1, 1, 1]
    for _ in range(60):
        clock.now += timedelta(hours=8)
        assert run(desk, kind, taker).given_up == 0
    assert (states(desk, kind), alarms(desk)) == (["waiting", "sent", "sent"], [])
    assert [alarm.split()[0] for alarm in alarms(desk, STUCK)] == [kind.name]
    taker.faults.clear()
    clock.now += timedelta(hours=8)
    assert run(desk, kind, taker).sent == 1


@THREE_KINDS
def test_slip_after_one_entry_was_sent_undoes_no_other(desk: Desk, taker: Taker, kind: OutboxKind) -> None:
    put(desk, kind, *"abc")
    noted = taker.sent

    def slip(connection: Connection, row: Any, item: object) -> None:
        if row.subject == "b":
            raise LookupError
        noted(connection, row, item)

    taker.sent = slip  # type: ignore[method-assign]  # one entry whose consequence fails
    run(desk, kind, taker)
    assert states(desk, kind) == ["sent", "waiting" if kind.is_tried_after_slip else "given_up", "sent"]
    assert taker.taken == ["a", "b", "c"]


@TO_GATEWAY
@pytest.mark.parametrize(
    "silence",
    [
        TransportError("No answer.", reason="no-answer"),
        fail_with(503),
        fail_with(502),
        NotAuthorisedError(type="x/no", title="No", status=401, detail="", request_id=None),
        RateLimitedError(type="x/slow", title="Slow", status=429, detail="", request_id=None),
        LocalStateError("No key.", reason="no-key-file"),
    ],
    ids=lambda error: error.reason,
)
def test_silent_gateway_costs_no_try_and_ends_what_goes_there_in_this_run(
    desk: Desk, taker: Taker, kind: OutboxKind, silence: Exception
) -> None:
    for one in KINDS:
        put(desk, one, *"abc")
    taker.faults |= dict.fromkeys("abc", silence)
    in_run = Run(desk)
    assert run(desk, kind, taker, in_run=in_run).error is silence
    assert [(row["state"], row["tries"]) for row in list_outbox(desk, kind.name)] == [("waiting", 0)] * 3
    calls = len(taker.calls)
    assert calls == 3
    taker.faults.clear()
    for one in KINDS:
        assert run(desk, one, taker, in_run=in_run).sent == (0 if one.is_for_gateway else 3)
    assert len(taker.calls) == calls + sum(not one.is_for_gateway for one in KINDS) * 3
    # The next run goes at once: the gateway's silence was no fault of theirs.
    assert run(desk, kind, taker).sent == 3


@TO_GATEWAY
def test_entry_that_alone_is_never_answered_keeps_back_no_other_and_is_an_alarm(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, "poison", lane="one" if kind.name == "message" else "")
    taker.faults["poison"] = fail_with(502) if kind.name == "stage" else TransportError("reset", reason="no-reply")
    for number in range(20):
        put(desk, kind, f"good-{number}")
        if kind.name == "message":
            put(desk, kind, f"behind-{number}", lane="one")
        put(desk, BY_NAME["reply"], f"child-{number}")
        in_run = Run(desk)
        for one in (kind, BY_NAME["reply"]):
            run(desk, one, taker, in_run=in_run)
        assert {f"good-{number}", f"child-{number}"} <= set(taker.taken)
        clock.now += timedelta(minutes=5)
    assert (list_outbox(desk, kind.name)[0]["state"], alarms(desk)) == ("waiting", [])
    assert [alarm.split()[0] for alarm in alarms(desk, STUCK)] == [kind.name]
    assert not any(subject.startswith("behind") for subject in taker.taken)


def test_entries_that_are_never_answered_do_not_silence_the_other_kinds(desk: Desk, clock: Clock, taker: Taker) -> None:
    poisons, reply = ("stage-1", "stage-2", "stage-3"), BY_NAME["reply"]
    put(desk, BY_NAME["stage"], *poisons)
    taker.faults |= dict.fromkeys(poisons, TransportError("reset", reason="no-reply"))
    for number in range(30):
        put(desk, reply, f"child-{number}")
        in_run = Run(desk)
        for kind in (BY_NAME["stage"], reply):
            run(desk, kind, taker, in_run=in_run)
        clock.now += timedelta(minutes=1)
    delays = len([number for number in range(30) if f"child-{number}" not in taker.taken])
    assert delays <= 1
    assert [row["state"] for row in list_outbox(desk, "stage")] == ["waiting"] * 3


@TO_GATEWAY
def test_wait_of_an_unanswered_entry_counts_silences_and_not_how_often_it_was_queued(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    silence = TransportError("reset", reason="no-reply")
    for _ in range(25):  # e.g. a report whose stage changed 25 times
        put(desk, kind, "a")
        assert run(desk, kind, taker).sent == 1
    put(desk, kind, "a")
    taker.faults["a"] = silence
    for minutes in (0, 0, 5, 5):
        run(desk, kind, taker)
        assert parse_time(list_outbox(desk, kind.name)[0]["next_try_at"]) == clock.now + timedelta(minutes=minutes)
        clock.now += timedelta(minutes=5)
    assert alarms(desk, STUCK) == []
    # An answer ends the row of silences, also one that is no delivery.
    taker.faults["a"] = refuse("a-code")
    run(desk, kind, taker)
    clock.now = parse_time(list_outbox(desk, kind.name)[0]["next_try_at"])
    taker.faults["a"] = silence
    run(desk, kind, taker)
    assert parse_time(list_outbox(desk, kind.name)[0]["next_try_at"]) == clock.now


def test_message_that_waits_keeps_back_those_of_its_mailbox_alone(desk: Desk, clock: Clock, taker: Taker) -> None:
    kind = BY_NAME["message"]
    put(desk, kind, "one-1", "one-2", lane="one")
    put(desk, kind, "two-1", lane="two")
    taker.faults["one-1"] = refuse("conflict")
    run(desk, kind, taker)
    assert taker.taken == ["two-1"]
    put(desk, kind, "one-3", lane="one")
    assert run(desk, kind, taker).sent == 0
    clock.now += timedelta(minutes=2)
    taker.faults.clear()
    assert run(desk, kind, taker).sent == 3
    assert taker.taken == ["two-1", "one-1", "one-2", "one-3"]


def test_messages_behind_one_that_is_on_its_way_wait_for_it(desk: Desk, taker: Taker) -> None:
    kind, second = BY_NAME["message"], Taker()
    put(desk, kind, "one-1", "one-2", lane="one")
    taker.meanwhile = lambda: run(desk, kind, second)
    run(desk, kind, taker)
    assert (taker.taken, second.taken) == (["one-1", "one-2"], [])


@THREE_KINDS
def test_held_entry_goes_when_there_is_room_and_loses_no_try(
    desk: Desk, clock: Clock, taker: Taker, kind: OutboxKind
) -> None:
    put(desk, kind, "a")
    taker.verdicts["a"] = Hold(clock.now + timedelta(hours=1), "no-room")
    assert run(desk, kind, taker) == Outcome(held=1, open=1)
    taker.verdicts.clear()
    assert run(desk, kind, taker) == Outcome(open=1)
    clock.now += timedelta(hours=1)
    assert run(desk, kind, taker).sent == 1
    assert [row["tries"] for row in list_outbox(desk, kind.name)] == [1]


def test_entry_on_its_way_or_sent_cannot_be_sent_again_by_hand(desk: Desk, taker: Taker) -> None:
    kind = BY_NAME["reply"]
    put(desk, kind, "a")
    number = list_outbox(desk, kind.name)[0]["id"]

    def ask() -> None:
        with desk.store.write() as connection, pytest.raises(OutboxError):
            try_again(connection, number, actor="kim", now=desk.clock())

    ask()
    taker.meanwhile = ask
    assert run(desk, kind, taker).sent == 1
    ask()


def test_no_two_entries_wait_for_the_same_moment() -> None:
    waits = {
        get_wait(1, random=lambda _, byte=byte: bytes([byte]), longest=timedelta(hours=1)) for byte in (0, 85, 170, 255)
    }
    assert waits == {timedelta(seconds=seconds) for seconds in (60, 65, 70, 75)}
    assert get_wait(10**6, random=lambda _: b"\xff", longest=timedelta(hours=6)) == timedelta(hours=7.5)
