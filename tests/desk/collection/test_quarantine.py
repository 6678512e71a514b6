"""One sender cannot fill the quarantine: room for each, one alert and one alarm for each sender and cause."""

import json
from collections import Counter
from typing import Any

import pytest

from gateway.desk.cases.model import get_case
from gateway.desk.cases.watch import update_alarms
from gateway.desk.collection import collect, quarantine
from gateway.desk.collection.chain import get_collector_state, note_collected
from gateway.desk.collection.importing import import_report
from gateway.desk.collection.quarantine import QuarantineError, count_quarantined, list_quarantined, resolve_row
from gateway.desk.office.terminal import DONE
from gateway.desk.outbox.alerts import acknowledge_alert
from gateway.desk.partners.account_changes import suspend_partner
from gateway.desk.running.cli import main
from gateway.desk.store.audit import clear_alarm
from tests.builders import Partner, make_clear_fields, seal_report
from tests.desk.cases.test_children_in_danger import HURTING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms, resign_newest, waiting_at_gateway
from tests.desk.import_builders import make_file
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import list_all_alerts, send_alerts, set_pagers
from tests.desk.view_builders import Browser

OTHER = "other-chat"
REASON = "envelope-mismatch"


def send_bad(loop: Loop, count: int, *, partner: str | None = None, **changes: Any) -> None:
    """Take in reports whose envelopes the desk cannot match with their statements."""
    loop.partner = loop.partner if partner is None else Partner(partner=partner)
    for _ in range(count):
        loop.send_industry(**changes)
    loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE acknowledged_at IS NULL")


def send_first(loop: Loop) -> str:
    """File a calm report and return its reference."""
    reference = loop.send_public().reference
    loop.collect()
    return reference


def send_clashing(loop: Loop, reference: str, **answers: Any) -> None:
    """Collect a report of the public that opens, under a reference that is taken: it is quarantined."""
    loop.send_public(**answers)
    resign_newest(loop, reference=reference)
    loop.collect()


def groups_of(loop: Loop) -> list[tuple[str, str, int]]:
    """Return how many rows wait of each sender and cause, the oldest group first."""
    with loop.desk.store.read() as connection:
        rows = sorted(list_quarantined(connection), key=lambda one: one.id)
    counts = Counter((one.claimed_partner or "", one.reason, one.channel) for one in rows)
    return [(partner, reason, count) for (partner, reason, _), count in counts.items()]


def resolve(loop: Loop, up_to: int, **settings: Any) -> int:
    """Settle the rows of a sender and cause up to one of them."""
    settings = {"resolution": "forged", "actor": ACTOR, "now": loop.clock(), "with_alike": True, **settings}
    with loop.desk.store.write() as connection:
        return resolve_row(connection, up_to, **settings)


@pytest.fixture
def small_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_ROWS_OF_ONE", 3)


@pytest.mark.usefixtures("small_room")
def test_flood_of_one_sender_keeps_out_neither_another_ones_row_nor_a_good_report(loop: Loop) -> None:
    flooder = loop.partner.partner
    send_bad(loop, 20)
    send_bad(loop, 1, partner=OTHER)
    good = loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.quarantined, collected.left) == (1, 4, 17)
    assert groups_of(loop) == [(flooder, REASON, 3), (OTHER, REASON, 1)]
    with loop.desk.store.read() as connection:
        assert connection.exec_driver_sql("SELECT reference FROM cases").scalars().all() == [good.reference]
    # What is not kept here stays whole at the gateway, and comes once a person has dealt with what waits.
    assert waiting_at_gateway(loop) == 17
    assert loop.collect().quarantined == 0
    assert resolve(loop, 3) == 3
    assert loop.collect().quarantined == 3
    assert waiting_at_gateway(loop) == 14


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PAGE_ROWS", 5)
    monkeypatch.setattr(collect, "MOST_PAGES", 4)
    monkeypatch.setattr(collect, "LEFT_PAGES", 2)


@pytest.mark.usefixtures("small_room", "small_pages")
def test_rows_that_one_sender_leaves_at_the_gateway_hold_up_no_newer_row(loop: Loop) -> None:
    send_bad(loop, 40)
    first = loop.collect()
    assert (first.quarantined, first.left) == (3, 17)
    child = loop.send_public(**HURTING).reference
    # The next run goes on where the last one stopped, and has room for what stands behind the flood.
    collected = loop.collect()
    assert (collected.filed, collected.gaps) == (0, [])
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        assert connection.exec_driver_sql("SELECT reference FROM cases").scalars().all() == [child]
    for _ in range(4):
        newer = loop.send_public().reference
        collected = loop.collect()
        assert (collected.filed, collected.gaps) == (1, [])
        with loop.desk.store.read() as connection:
            assert get_case(connection, newer).reference == newer
        # Of what was left before, a few pages come again.
        assert 0 < collected.left <= 10
    assert not {kind for kind, _ in alarms(loop)} - {REASON, "feed-endless"}


@pytest.mark.usefixtures("small_room", "small_pages")
def test_every_row_that_was_left_comes_again_though_a_run_has_no_time_for_all(loop: Loop) -> None:
    send_bad(loop, 18)
    last = loop.send_industry().reference
    assert loop.collect().filed == 1
    # It waits again behind rows that no run takes, as after `collect --reconcile` at a desk that was restored.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", last)
    known = [loop.collect().known for _ in range(3)]
    assert sum(known) >= 1
    assert waiting_at_gateway(loop) == 15


@pytest.mark.usefixtures("small_room")
def test_desk_that_does_not_know_how_far_it_read_or_sees_another_epoch_begins_with_the_first_row(loop: Loop) -> None:
    send_bad(loop, 5)
    loop.collect()
    resolve(loop, 3)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE collector SET feed_epoch = 'another', feed_position = 1000000")
    assert loop.collect().quarantined == 2
    assert waiting_at_gateway(loop) == 0


@pytest.mark.usefixtures("small_room")
def test_p1_rows_of_a_full_share_are_not_counted_as_urgent_reports_that_wait(loop: Loop) -> None:
    send_bad(loop, 5, priority="P1")
    loop.collect()
    loop.clock.advance(minutes=30)
    loop.collect()
    codes = {one.code for one in update_alarms(loop.desk)}
    assert ("quarantine-full" in codes, "urgent-reports-wait" in codes) == (True, False)
    # Another sender's report that comes while nobody collects is seen.
    with loop.desk.store.read() as connection:
        state = get_collector_state(connection)
    assert (state.urgent_waiting, state.urgent_since) == (0, None)
    loop.send_public(clear=make_clear_fields("public", priority="P1"))
    note_collected(loop.desk, loop.desk.make_feed().get_status(), left_urgent=2)
    loop.clock.advance(minutes=3)
    assert "urgent-reports-wait" in {one.code for one in update_alarms(loop.desk)}


@pytest.mark.usefixtures("small_room")
def test_share_is_bounded_in_bytes_too(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_BYTES_OF_ONE", 10)
    send_bad(loop, 3)
    collected = loop.collect()
    assert (collected.quarantined, collected.left) == (1, 2)


@pytest.mark.usefixtures("small_room")
def test_row_that_is_kept_already_is_acknowledged_also_when_the_share_is_full(loop: Loop) -> None:
    send_bad(loop, 3)
    loop.collect()
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")
    assert (loop.collect().known, waiting_at_gateway(loop)) == (3, 0)


def test_group_alerts_once_and_raises_one_alarm(loop: Loop) -> None:
    send_bad(loop, 3, priority="P1")
    loop.collect()
    send_bad(loop, 3, priority="P1")
    loop.collect()
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]
    assert [kind for kind, _ in alarms(loop)] == [REASON]
    send_bad(loop, 1, partner=OTHER, priority="P1")
    loop.collect()
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [2]
    assert [kind for kind, _ in alarms(loop)] == [REASON, REASON]


def test_first_row_of_a_group_that_states_p1_alerts_though_others_wait(loop: Loop) -> None:
    send_clashing(loop, send_first(loop))
    assert list_all_alerts(loop.desk) == []
    send_clashing(loop, send_first(loop), clear=make_clear_fields("public", priority="P1"))
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_second_child_in_crisis_of_a_group_alerts_once_the_alert_of_the_first_went_out(
    loop: Loop, desk_pager: Posts, other_pager: Posts, *, is_acknowledged: bool
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    taken = send_first(loop)
    for _ in range(2):
        send_clashing(loop, taken, **HURTING)
    # The alert of the first has still to go out, so it tells of the second too.
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]
    assert send_alerts(loop.desk).sent == 1
    if is_acknowledged:
        with loop.desk.store.write() as connection:
            acknowledge_alert(connection, 1, actor=ACTOR, now=loop.clock())
    loop.clock.advance(minutes=2)
    send_clashing(loop, taken)
    assert sum(alert["count"] for alert in list_all_alerts(loop.desk)) == 1
    send_clashing(loop, taken, **HURTING)
    # An alert of its own once the first was acknowledged; until then it joins that one.
    found = [(alert["count"], alert["told"]) for alert in list_all_alerts(loop.desk)]
    assert found == ([(1, 1), (1, 0)] if is_acknowledged else [(2, 1)])
    assert send_alerts(loop.desk).sent == 1
    assert len(desk_pager.taken) == 2


@pytest.mark.usefixtures("small_room")
def test_row_that_seals_a_crisis_is_kept_and_alerts_though_the_share_is_full(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST_CRISES_OF_ONE", 2)
    taken = send_first(loop)
    for _ in range(4):
        send_clashing(loop, taken)
    assert (waiting_at_gateway(loop), list_all_alerts(loop.desk)) == (1, [])
    for _ in range(3):
        send_clashing(loop, taken, **HURTING)
    # The room beside a full share has an end too.
    assert groups_of(loop) == [("public", "duplicate-reference", 5)]
    assert waiting_at_gateway(loop) == 2
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_alarm_of_a_group_that_was_cleared_hides_no_later_row(loop: Loop) -> None:
    for _ in range(2):
        send_bad(loop, 1)
        loop.collect()
        assert [kind for kind, _ in alarms(loop)] == [REASON]
        with loop.desk.store.write() as connection:
            number = connection.exec_driver_sql("SELECT max(id) FROM alarms").scalar_one()
            clear_alarm(connection, number, actor=ACTOR, now=loop.clock())


@pytest.mark.databases("sqlite", "postgresql")
def test_rows_of_one_sender_and_cause_are_settled_at_once_and_no_newer_or_other_one(loop: Loop) -> None:
    taken = send_first(loop)
    send_clashing(loop, taken)
    send_bad(loop, 1)
    loop.collect()
    send_clashing(loop, taken)
    send_clashing(loop, taken, **HURTING)
    assert groups_of(loop) == [("public", "duplicate-reference", 3), (loop.partner.partner, REASON, 1)]
    assert resolve(loop, 3) == 2
    with loop.desk.store.read() as connection:
        assert [(row.id, row.reason) for row in list_quarantined(connection)] == [
            (2, REASON),
            (4, "duplicate-reference"),
        ]
        kept = list_quarantined(connection, with_resolved=True)
        assert connection.exec_driver_sql("SELECT min(length(row)) FROM quarantine").scalar_one() > 100
    assert [(row.id, row.resolution) for row in kept if row.resolved_at] == [(1, "forged"), (3, "forged")]
    for row in (1, 9):
        with pytest.raises(QuarantineError):
            resolve(loop, row)
    assert resolve(loop, 2, with_alike=False) == 1


def test_row_that_may_be_urgent_stands_first_and_is_counted(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    taken = send_first(loop)
    send_clashing(loop, taken)
    send_clashing(loop, taken)
    assert "may be urgent" not in Browser(loop.desk).sign_in().get("/").text
    # A calm P3 by its clear fields; what its envelope seals is a crisis.
    send_clashing(loop, taken, **HURTING)
    send_bad(loop, 1, partner=OTHER, priority="P3")
    loop.collect()
    # An envelope that cannot be weighed may be the worst, so it is marked too.
    with loop.desk.store.read() as connection:
        rows = [(row.id, row.is_urgent) for row in list_quarantined(connection)]
        assert (rows, count_quarantined(connection)) == ([(4, True), (3, True), (1, False), (2, False)], (4, 2))
    page = Browser(loop.desk).sign_in().get("/").text
    assert '4 reports are in quarantine: they did not verify or open. <b class="stop">2 may be urgent</b>' in page
    assert main(["quarantine", "--json", "--state", str(loop.desk.paths.state)]) == DONE
    listed = json.loads(capsys.readouterr().out)["quarantined"]
    assert [(one["id"], one["is_urgent"]) for one in listed] == rows


def test_files_are_settled_apart_from_the_rows_of_the_feed(loop: Loop) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    loop.send_industry()
    loop.collect()
    file = make_file(seal_report(loop.partner, key=loop.sealing_key()))
    assert import_report(loop.desk, file, actor=ACTOR).reason == "key-ended"
    assert groups_of(loop) == [(loop.partner.partner, "key-ended", 1)] * 2
    assert resolve(loop, 2) == 1
    with loop.desk.store.read() as connection:
        assert [(row.id, row.channel) for row in list_quarantined(connection)] == [(1, "gateway")]
