"""The alert at night: from every source, on a bank holiday, and in the hours that come twice or not at all."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.desk.cases.outbox_run import send_due
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import queue_alert
from partner_sdk.wire.canonical import format_time
from tests.builders import make_clear_fields
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import list_called, open_all, send_alerts
from tests.desk.running.duty.duty_builders import HOLIDAY_NIGHT, make_night_escalation, set_night
from tests.desk.view_builders import Clock, add_sealed_case


def send_public(loop: Loop) -> None:
    loop.send_public(clear=make_clear_fields("public", priority="P1"), danger="yes")


def send_industry(loop: Loop) -> None:
    loop.send_industry(priority="P1")


def raise_case(loop: Loop) -> None:
    """Join a P1 to a case that was calm, and had been read."""
    first = loop.send_industry(priority="P3").reference
    loop.collect()
    assert send_alerts(loop.desk).sent == 0
    open_all(loop)
    loop.send_industry(kind="supplement", earlier_reference=first, priority="P1")


@pytest.mark.parametrize("send", [send_public, send_industry, raise_case])
def test_child_in_danger_calls_the_first_rung_within_a_minute_at_ten_past_two_on_a_bank_holiday(
    loop: Loop, desk_pager: Posts, other_pager: Posts, send: Callable[[Loop], None]
) -> None:
    set_night(loop, desk_pager, other_pager)
    send(loop)
    loop.collect()
    loop.clock.advance(seconds=59)
    assert send_alerts(loop.desk).sent == 1
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 0)
    loop.clock.advance(minutes=5)
    assert send_alerts(loop.desk).sent == 1
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 1)


@pytest.mark.parametrize(
    "moment",
    [
        HOLIDAY_NIGHT,
        datetime(2027, 10, 31, 0, 58, tzinfo=UTC),  # 01:58, which comes again: the round goes on into 01:03
        datetime(2027, 10, 31, 1, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 0, 58, tzinfo=UTC),  # 00:58: five minutes later it is 02:03
    ],
)
def test_wait_of_a_rung_is_elapsed_time_when_the_clocks_change(
    desk: Desk, clock: Clock, desk_pager: Posts, other_pager: Posts, moment: datetime
) -> None:
    clock.now = moment
    desk = replace(desk, escalation=make_night_escalation(desk_pager, other_pager))
    add_sealed_case(desk, marker="x", crisis=True, crisis_since=format_time(moment))
    with desk.store.write() as connection:
        queue_alert(connection, count=1, now=moment)
    send_due(desk, only={"alert"})
    for seconds, called in ((0, 1), (299, 1), (301, 2), (599, 2), (602, 3)):
        clock.now = moment + timedelta(seconds=seconds)
        send_due(desk, only={"alert"})
        assert len(list_called(desk)) == called, seconds
