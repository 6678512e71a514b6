"""One partner cannot fill the set-aside shelf: groups by sender and cause, a share for each, one alert, one alarm."""

import json
from typing import Any

import pytest
from markupsafe import escape

from gateway.desk.alarms import clear_alarm
from gateway.desk.cases.model import get_case
from gateway.desk.cli import main
from gateway.desk.collection import collect, shelf
from gateway.desk.collection.importing import import_report
from gateway.desk.collection.set_aside import list_set_aside
from gateway.desk.collection.shelf import EXPLANATIONS, SetAsideError, list_groups, resolve_group
from gateway.desk.collection.standing import get_collector_state, note_collected
from gateway.desk.outbox.alerts import acknowledge_alert
from gateway.desk.partners.key_ends import suspend_partner
from gateway.desk.terminal import DONE, WRONG_USE
from gateway.desk.watch import settle_alarms
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
    """Collect a report of the public that opens, under a reference that is taken: it is set aside."""
    loop.send_public(**answers)
    resign_newest(loop, reference=reference)
    loop.collect()


def groups_of(loop: Loop) -> list[tuple[str, str, int]]:
    with loop.desk.store.read() as connection:
        return [(one.partner, one.reason, one.count) for one in list_groups(connection)]


def resolve(loop: Loop, partner: str, reason: str = REASON, *, up_to: int | None = None) -> int:
    """Settle a group as the list shows it now, or as it showed it when `up_to` was its newest row."""
    with loop.desk.store.write() as connection:
        shown = {(one.partner, one.reason): one.last_id for one in list_groups(connection)}
        return resolve_group(
            connection,
            partner=partner,
            reason=reason,
            up_to=shown.get((partner, reason), 0) if up_to is None else up_to,
            resolution="forged",
            actor=ACTOR,
            now=loop.clock(),
        )


@pytest.fixture
def small_shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST_ROWS_OF_ONE", 3)


@pytest.mark.databases("sqlite", "postgresql")
def test_rows_of_one_sender_and_one_cause_are_one_line_with_what_the_sender_states(loop: Loop) -> None:
    first = loop.partner.partner
    send_bad(loop, 2, priority="P1")
    loop.collect()
    loop.clock.advance(minutes=1)
    send_bad(loop, 3, priority="P3")
    loop.collect()
    send_bad(loop, 1, partner=OTHER)
    loop.collect()
    with loop.desk.store.read() as connection:
        groups = list_groups(connection)
    assert [(one.partner, one.count, one.priorities) for one in groups] == [
        (first, 5, {"P1": 2, "P3": 3}),
        (OTHER, 1, {"P2": 1}),
    ]
    assert groups[0].first_at < groups[0].last_at
    page = Browser(loop.desk).sign_in().get("/").text
    assert "6 reports are set aside: they did not verify or open" in page
    assert f"<b>Example Chat</b>, 5 reports: {escape(EXPLANATIONS[REASON])} (may be urgent)" in page
    assert REASON not in page


@pytest.mark.usefixtures("small_shelf")
def test_flood_of_one_sender_keeps_out_neither_another_ones_row_nor_a_good_report(loop: Loop) -> None:
    flooder = loop.partner.partner
    send_bad(loop, 20)
    send_bad(loop, 1, partner=OTHER)
    good = loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.set_aside, collected.left) == (1, 4, 17)
    assert groups_of(loop) == [(flooder, REASON, 3), (OTHER, REASON, 1)]
    with loop.desk.store.read() as connection:
        assert connection.exec_driver_sql("SELECT reference FROM cases").scalars().all() == [good.reference]
    # What is not kept here stays whole at the gateway, and comes once a person has dealt with what waits.
    assert waiting_at_gateway(loop) == 17
    assert loop.collect().set_aside == 0
    assert resolve(loop, flooder) == 3
    assert loop.collect().set_aside == 3
    assert waiting_at_gateway(loop) == 14


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PAGE_ROWS", 5)
    monkeypatch.setattr(collect, "MOST_PAGES", 4)
    monkeypatch.setattr(collect, "LEFT_PAGES", 2)


@pytest.mark.usefixtures("small_shelf", "small_pages")
def test_rows_that_one_sender_leaves_at_the_gateway_hold_up_no_newer_row(loop: Loop) -> None:
    send_bad(loop, 40)
    first = loop.collect()
    assert (first.set_aside, first.left) == (3, 17)
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


@pytest.mark.usefixtures("small_shelf", "small_pages")
def test_every_row_that_was_left_comes_again_though_a_run_has_no_time_for_all(loop: Loop) -> None:
    send_bad(loop, 18)
    last = loop.send_industry().reference
    assert loop.collect().filed == 1
    # It waits again behind rows that no run takes, as after `collect --reconcile` at a desk that was restored.
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", last)
    known = [loop.collect().known for _ in range(3)]
    assert sum(known) >= 1
    assert waiting_at_gateway(loop) == 15


@pytest.mark.usefixtures("small_shelf")
def test_desk_that_does_not_know_how_far_it_read_or_sees_another_epoch_begins_with_the_first_row(loop: Loop) -> None:
    send_bad(loop, 5)
    loop.collect()
    resolve(loop, loop.partner.partner)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE collector SET feed_epoch = 'another', feed_position = 1000000")
    assert loop.collect().set_aside == 2
    assert waiting_at_gateway(loop) == 0


@pytest.mark.usefixtures("small_shelf")
def test_p1_rows_of_a_full_share_are_not_counted_as_urgent_reports_that_wait(loop: Loop) -> None:
    send_bad(loop, 5, priority="P1")
    loop.collect()
    loop.clock.advance(minutes=30)
    loop.collect()
    codes = {one.code for one in settle_alarms(loop.desk)}
    assert ("shelf-full" in codes, "urgent-reports-wait" in codes) == (True, False)
    # Another sender's report that comes while nobody collects is seen.
    with loop.desk.store.read() as connection:
        state = get_collector_state(connection)
    assert (state.urgent_waiting, state.urgent_since) == (0, None)
    loop.send_public(clear=make_clear_fields("public", priority="P1"))
    note_collected(loop.desk, loop.desk.make_feed().get_status(), left_urgent=2)
    loop.clock.advance(minutes=3)
    assert "urgent-reports-wait" in {one.code for one in settle_alarms(loop.desk)}


@pytest.mark.usefixtures("small_shelf")
def test_share_is_bounded_in_bytes_too(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST_BYTES_OF_ONE", 10)
    send_bad(loop, 3)
    collected = loop.collect()
    assert (collected.set_aside, collected.left) == (1, 2)


@pytest.mark.usefixtures("small_shelf")
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


@pytest.mark.usefixtures("small_shelf")
def test_row_that_seals_a_crisis_is_kept_and_alerts_though_the_share_is_full(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MOST_CRISES_OF_ONE", 2)
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


def test_group_is_resolved_at_once_its_bytes_stay_and_no_other_is_touched(loop: Loop) -> None:
    flooder = loop.partner.partner
    send_bad(loop, 2)
    send_bad(loop, 1, partner=OTHER)
    loop.collect()
    assert resolve(loop, flooder) == 2
    assert groups_of(loop) == [(OTHER, REASON, 1)]
    with loop.desk.store.read() as connection:
        kept = list_set_aside(connection, with_resolved=True)
        assert connection.exec_driver_sql("SELECT min(length(row)) FROM set_aside").scalar_one() > 100
    assert [row.resolution for row in kept if row.claimed_partner == flooder] == ["forged", "forged"]
    for partner, reason in ((flooder, REASON), (OTHER, "malformed"), ("", REASON)):
        with pytest.raises(SetAsideError):
            resolve(loop, partner, reason)


def test_group_that_may_be_urgent_stands_first_and_is_marked_and_so_are_its_rows(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = send_first(loop)
    send_clashing(loop, taken)
    send_clashing(loop, taken)
    assert "may be urgent" not in Browser(loop.desk).sign_in().get("/").text
    # A calm P3 by its clear fields; what its envelope seals is a crisis.
    send_clashing(loop, taken, **HURTING)
    send_bad(loop, 1, partner=OTHER, priority="P3")
    loop.collect()
    with loop.desk.store.read() as connection:
        groups, rows = list_groups(connection), list_set_aside(connection)
    # An envelope that cannot be weighed may be the worst, so it is marked too.
    assert [(one.reason, one.urgent, one.count) for one in groups] == [(REASON, 1, 1), ("duplicate-reference", 1, 3)]
    assert [(row.id, row.is_urgent) for row in rows] == [(4, True), (3, True), (1, False), (2, False)]
    page = Browser(loop.desk).sign_in().get("/").text
    assert '4 reports are set aside: they did not verify or open. <b class="stop">2 may be urgent</b>' in page
    assert page.index("1 report: ") < page.index("(may be urgent)") < page.index("3 reports: ")
    assert "(1 may be urgent)" in page
    assert list_lines(loop, capsys, "list")[0].split()[:3] == ["1", "URGENT", "(1)"]
    assert [line.split()[0] for line in list_lines(loop, capsys, "list", "--rows") if "URGENT" in line] == ["4", "3"]
    (text,) = list_lines(loop, capsys, "list", "--json")
    assert [group["urgent"] for group in json.loads(text)["groups"]] == [1, 1]
    assert [row["is_urgent"] for row in json.loads(text)["set_aside"]] == [True, True, False, False]


def test_row_that_arrives_after_the_list_was_read_is_not_settled_with_its_group(loop: Loop) -> None:
    taken = send_first(loop)
    send_clashing(loop, taken)
    send_bad(loop, 1)
    loop.collect()
    send_clashing(loop, taken)
    assert groups_of(loop) == [(loop.partner.partner, REASON, 1), ("public", "duplicate-reference", 2)]
    send_clashing(loop, taken, **HURTING)
    for not_of_the_group in (2, 5):
        with pytest.raises(SetAsideError):
            resolve(loop, "public", "duplicate-reference", up_to=not_of_the_group)
    assert resolve(loop, "public", "duplicate-reference", up_to=3) == 2
    with loop.desk.store.read() as connection:
        assert [(row.id, row.reason) for row in list_set_aside(connection)] == [(2, REASON), (4, "duplicate-reference")]


def test_group_of_files_is_settled_apart_from_the_rows_of_the_feed(loop: Loop) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    loop.send_industry()
    loop.collect()
    file = make_file(seal_report(loop.partner, key=loop.sealing_key()))
    assert import_report(loop.desk, file, actor=ACTOR).reason == "key-ended"
    assert groups_of(loop) == [(loop.partner.partner, "key-ended", 1)] * 2
    assert resolve(loop, loop.partner.partner, "key-ended", up_to=2) == 1
    with loop.desk.store.read() as connection:
        assert [(row.id, row.channel) for row in list_set_aside(connection)] == [(1, "gateway")]


def list_lines(loop: Loop, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["set-aside", *words, "--state", str(loop.desk.paths.state)]) == DONE
    return capsys.readouterr().out.splitlines()


def test_command_lists_groups_and_resolves_one(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> int:
        return main(["set-aside", *words, "--state", str(loop.desk.paths.state)])

    partner = loop.partner.partner
    send_bad(loop, 3, priority="P1")
    loop.collect()
    assert run("list") == DONE
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:4] == ["3", "URGENT", "(3)", "ALARM"]
    assert line.endswith(", up to row 3")
    assert f"{REASON} claims to be {partner}: 3 with P1, " in line
    assert run("list", "--rows") == DONE
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run("list", "--json") == DONE
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (group["partner"], group["count"], group["priorities"]) == (partner, 3, {"P1": 3})
    assert run("resolve", "--how", "forged") == WRONG_USE
    assert run("resolve", "1", "--partner", partner, "--reason", REASON, "--how", "forged") == WRONG_USE
    of_group = ("resolve", "--partner", partner, "--reason", REASON, "--how", "forged")
    assert run(*of_group) == WRONG_USE
    assert run("resolve", "1", "--up-to", "3", "--how", "forged") == WRONG_USE
    assert run(*of_group, "--up-to", "3") == DONE
    assert run(*of_group, "--up-to", "3") == WRONG_USE
    capsys.readouterr()
    assert run("list") == DONE
    assert capsys.readouterr().out == "Nothing is set aside.\n"


@pytest.mark.usefixtures("small_shelf")
def test_rows_that_stay_at_the_gateway_give_exit_code_1_and_are_said(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    from gateway.desk.commands.collecting import _print_collected

    send_bad(loop, 5)
    _print_collected(loop.collect())
    assert "SHELF FULL: 2 stay at the gateway" in capsys.readouterr().out
