"""Rows with a genuine receipt that an honest gateway and an honest partner never make: quarantined, never trusted."""

from typing import Any

import msgspec
import pytest

from gateway.desk.cases.model import list_cases
from gateway.desk.collection.collect import try_again
from gateway.desk.collection.row_checks import KEY_ENDED_GRACE
from gateway.desk.partners.account_changes import suspend_partner
from gateway.desk.partners.enrolments import approve_partner
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS
from partner_sdk.wire.canonical import format_time
from tests.builders import DAY, NOW, make_clear_fields, seal_report
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms, newest_statement, quarantined, resign_newest
from tests.desk.outbox_builders import list_all_alerts

HOUR = DAY / 24


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 2**70},
        {"sequence": 2**62 + 1},
        {"sequence": 0},
        {"instance": "Gateway-1"},
        {"epoch": "epoch"},
        {"epoch": "0F8FAD5B-D9CB-469F-A165-70867728950E"},
        {"previous": "0" * 63 + "A"},
        {"reference": "\x1b[2J\x1b]0;pwn\x07K7QF"},
        {"reference": "k7qf 2m9tx 4"},
        {"reference": "TEST-K7QF-2M9TX-D"},
        {"placement": "rival app\n"},
    ],
    ids=repr,
)
def test_genuine_statement_that_is_misspelled_is_quarantined_and_the_rest_goes_on(
    loop: Loop, changes: dict[str, Any]
) -> None:
    loop.send_public()
    loop.send_public()
    resign_newest(loop, **changes)
    assert loop.collect().filed == 1
    assert quarantined(loop) == [("intake-misspelled", "P1", True)]


def test_row_that_claims_the_highest_priority_and_is_quarantined_pages_once(loop: Loop) -> None:
    loop.send_public(clear=make_clear_fields("public", priority="P1"))
    resign_newest(loop, placement="rival app\n")
    assert loop.collect().quarantined == 1
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]
    loop.collect()
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_row_whose_sealed_priority_the_gateway_lowered_pages_all_the_same(loop: Loop) -> None:
    loop.send_industry(priority="P1")
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, priority="P3"))
    assert loop.collect().quarantined == 1
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_other_quarantined_rows_raise_no_alert(loop: Loop) -> None:
    loop.send_public()
    resign_newest(loop, placement="rival app\n")
    assert loop.collect().quarantined == 1
    assert list_all_alerts(loop.desk) == []


def test_reference_of_another_report_is_quarantined(loop: Loop) -> None:
    first = loop.send_public()
    loop.collect()
    for _ in range(2):
        loop.send_public()
        resign_newest(loop, reference=first.reference)
        assert loop.collect().filed == 0
    assert {reason for reason, _, _ in quarantined(loop)} == {"duplicate-reference"}
    with loop.desk.store.read() as connection:
        assert [case.reference for case in list_cases(connection)] == [first.reference]


def test_one_reference_twice_in_one_page_is_filed_once(loop: Loop) -> None:
    first = loop.send_public()
    loop.send_public()
    resign_newest(loop, reference=first.reference)
    collected = loop.collect()
    assert (collected.filed, collected.refused) == (1, {"duplicate-reference": 1})


def test_place_of_a_button_on_a_partners_report_is_quarantined(loop: Loop) -> None:
    loop.send_industry()
    resign_newest(loop, placement="rival-app")
    assert loop.collect().filed == 0
    assert quarantined(loop)[0][0] == "door-mismatch"


def test_receipt_that_a_key_gave_after_its_use_is_not_genuine(loop: Loop) -> None:
    loop.send_public()
    resign_newest(loop, received_at="2033-06-01T00:00:00Z")
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("intake-not-genuine", "P1", True)]


@pytest.mark.parametrize(("ahead", "kinds"), [(23 * HOUR, []), (25 * HOUR, ["received-in-the-future"])])
def test_report_from_the_future_is_filed_with_an_alarm(loop: Loop, ahead: Any, kinds: list[str]) -> None:
    loop.send_public()
    resign_newest(loop, received_at=format_time(NOW + ahead))
    assert loop.collect().filed == 1
    assert [kind for kind, _ in alarms(loop)] == kinds


def replace_keys(loop: Loop) -> None:
    """Move the partner's key to the former ones, as an approval of new keys does."""
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE enrolments SET state = 'waiting', submission_key = x'00', key_id = 'new'")
    approve_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)


def suspend(loop: Loop) -> None:
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)


@pytest.mark.parametrize("end_key", [suspend, replace_keys])
def test_row_first_seen_long_after_its_partners_key_ended_is_quarantined(loop: Loop, end_key: Any) -> None:
    stolen = seal_report(loop.partner, key=loop.sealing_key())
    end_key(loop)
    loop.clock.advance(days=30)
    loop.send_industry(stolen)
    loop.publish_log()
    # Whoever holds the gateway too names any time.
    resign_newest(loop, received_at=format_time(NOW))
    assert newest_statement(loop).received_at == format_time(NOW)
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("key-ended", stolen.clear.priority, True)]
    assert [kind for kind, _ in alarms(loop)] == ["key-ended"]
    assert try_again(loop.desk, actor=ACTOR).filed == 0


@pytest.mark.parametrize("end_key", [suspend, replace_keys])
def test_backlog_from_before_the_end_is_filed_within_the_grace(loop: Loop, end_key: Any) -> None:
    loop.send_industry()
    end_key(loop)
    loop.clock.now = NOW + KEY_ENDED_GRACE - HOUR
    assert loop.collect().filed == 1
    loop.send_industry()
    loop.clock.now = NOW + KEY_ENDED_GRACE
    assert loop.collect().filed == 0


def test_suspending_twice_gives_no_new_grace_and_neither_do_new_keys(loop: Loop) -> None:
    suspend(loop)
    loop.clock.advance(days=30)
    suspend(loop)
    replace_keys(loop)
    with loop.desk.store.read() as connection:
        assert connection.execute(FORMER_PARTNER_KEYS.select()).one().ended_at == format_time(NOW)


def test_what_was_filed_before_the_end_stays_when_it_comes_again(loop: Loop) -> None:
    loop.send_industry()
    loop.collect()
    suspend(loop)
    loop.clock.advance(days=30)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")
    collected = loop.collect()
    assert (collected.known, collected.quarantined) == (1, 0)
    assert loop.desk.make_feed().get_status().unacknowledged == 0


def test_row_seen_before_the_end_but_opened_only_later_is_filed(loop: Loop) -> None:
    loop.send_industry()
    path = loop.desk.paths.sealing_key("2026-Q4")
    path.rename(path.with_suffix(".away"))
    assert loop.collect().quarantined == 1
    suspend(loop)
    loop.clock.advance(days=30)
    path.with_suffix(".away").rename(path)
    assert try_again(loop.desk, actor=ACTOR).filed == 1


def test_person_files_a_late_row_that_its_partner_has_confirmed(loop: Loop) -> None:
    suspend(loop)
    loop.clock.advance(days=30)
    for _ in range(2):
        loop.send_industry()
    assert loop.collect().quarantined == 2
    assert try_again(loop.desk, actor=ACTOR, by_word=1).filed == 1
    assert len(quarantined(loop)) == 1
