"""The chain of intake statements: gaps and forks are alarms, and reports are filed all the same."""

from typing import Any

import msgspec

from gateway.desk.collection.chain import FORK, GAP, NEW_EPOCH
from gateway.desk.collection.collect import collect_reports, reconcile
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.store.audit import clear_alarm
from partner_sdk.wire.receipts import FIRST_PREVIOUS
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms, quarantined, resign_newest

FIRST = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECOND = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_deleted_row_is_a_gap_and_closes_when_it_comes_late(loop: Loop) -> None:
    for _ in range(4):
        loop.send_public()
    loop.gateway_sql("CREATE TABLE away AS SELECT * FROM reports WHERE sequence = 2")
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 2")
    collected = loop.collect()
    assert collected.filed == 3
    assert [gap.rpartition("/")[2] for gap in collected.gaps] == ["2"]
    assert [kind for kind, _ in alarms(loop)] == [GAP]
    loop.gateway_sql("INSERT INTO reports SELECT * FROM away")
    assert loop.collect().gaps == []
    assert alarms(loop) == []


def test_newest_rows_that_are_gone_are_a_gap_too(loop: Loop) -> None:
    loop.send_public()
    loop.collect()

    class TwoMore(FeedClient):
        """A gateway that claims to have taken in two more."""

        def get_status(self) -> Any:
            status = super().get_status()
            (head,) = status.chains
            return msgspec.structs.replace(status, chains=(msgspec.structs.replace(head, sequence=head.sequence + 2),))

    feed = loop.make_feed(TwoMore)
    gaps = collect_reports(loop.desk, feed, actor=ACTOR).gaps
    assert [gap.rpartition("/")[2] for gap in gaps] == ["2-3"]


def test_two_statements_with_one_number_are_a_fork_and_both_reports_are_filed(loop: Loop) -> None:
    loop.send_public()
    loop.send_public()
    resign_newest(loop, sequence=1, previous="0" * 64)
    assert loop.collect().filed == 2
    assert FORK in [kind for kind, _ in alarms(loop)]


def test_statement_that_does_not_follow_the_one_before_is_a_fork(loop: Loop) -> None:
    loop.send_public()
    loop.send_public()
    resign_newest(loop, previous="ab" * 32)
    assert loop.collect().filed == 2
    assert [kind for kind, _ in alarms(loop)] == [FORK]


def test_new_epoch_after_a_restore_goes_on_with_the_numbers_and_a_person_clears_its_alarm(loop: Loop) -> None:
    loop.send_public()
    assert loop.collect().new_epochs == []
    loop.gateway_sql("UPDATE instance SET epoch = ?", SECOND)
    loop.send_public()
    loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.gaps) == (2, [])
    assert alarms(loop) == [(NEW_EPOCH, f"gateway-1/{SECOND}")]
    assert collected.new_epochs == [f"gateway-1/{SECOND}"]
    with loop.desk.store.write() as connection:
        clear_alarm(connection, 1, actor=ACTOR, now=loop.clock())
    loop.send_public()
    assert (loop.collect().new_epochs, alarms(loop)) == ([], [])


def test_new_epoch_is_seen_before_it_holds_a_report(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    loop.gateway_sql("UPDATE instance SET epoch = ?", SECOND)
    assert loop.collect().new_epochs == [f"gateway-1/{SECOND}"]


def test_report_dropped_behind_a_claim_to_be_the_first_is_a_fork_and_a_gap(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    loop.send_public()
    resign_newest(loop, sequence=3, previous=FIRST_PREVIOUS)
    loop.gateway_sql("UPDATE reports SET sequence = 3 WHERE sequence = 2")
    collected = loop.collect()
    assert collected.filed == 1
    assert [gap.rpartition("/")[2] for gap in collected.gaps] == ["2"]
    assert sorted(kind for kind, _ in alarms(loop)) == [FORK, GAP]


def test_first_of_an_epoch_is_none_once_a_lower_number_comes(loop: Loop) -> None:
    loop.send_public()
    loop.send_public()
    loop.gateway_sql("CREATE TABLE away AS SELECT * FROM reports WHERE sequence = 1")
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 1")
    resign_newest(loop, sequence=3, previous=FIRST_PREVIOUS)
    loop.gateway_sql("UPDATE reports SET sequence = 3")
    loop.collect()
    assert FORK not in [kind for kind, _ in alarms(loop)]
    loop.gateway_sql("INSERT INTO reports SELECT * FROM away")
    loop.collect()
    assert FORK in [kind for kind, _ in alarms(loop)]


def test_reports_dropped_behind_a_new_epoch_are_a_gap_that_late_rows_close(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    for _ in range(3):
        loop.send_public()
    loop.gateway_sql("CREATE TABLE away AS SELECT * FROM reports WHERE sequence > 1")
    loop.gateway_sql("DELETE FROM reports WHERE sequence > 2")
    loop.gateway_sql("UPDATE instance SET epoch = ?", SECOND)
    resign_newest(loop, sequence=5, epoch=SECOND, previous=FIRST_PREVIOUS)
    loop.gateway_sql("UPDATE reports SET sequence = 5, epoch = ? WHERE sequence = 2", SECOND)
    assert loop.collect().gaps == ["gateway-1/*/public/2-4"]
    assert sorted(kind for kind, _ in alarms(loop)) == [GAP, NEW_EPOCH]
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 5")
    loop.gateway_sql("INSERT INTO reports SELECT * FROM away")
    assert loop.collect().gaps == []


def test_gap_is_not_closed_by_a_gateway_that_names_itself_like_a_part_of_the_alarm(loop: Loop) -> None:
    for changes in ({"epoch": f"{FIRST}/1"}, {"instance": "gateway-1/x"}):
        loop.send_public()
        resign_newest(loop, **changes)
        assert loop.collect().filed == 0
    assert quarantined(loop) == [("intake-misspelled", "P1", True)] * 2
    assert loop.count("chain_links") == 0


def test_key_of_one_gateway_does_not_speak_for_another(loop: Loop) -> None:
    loop.send_public()
    resign_newest(loop, instance="gateway-2")
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("wrong-instance", "P1", True)]
    assert loop.count("chain_links") == 0


def test_gateway_whose_card_was_never_added_is_an_alarm(loop: Loop) -> None:
    loop.gateway_sql("UPDATE instance SET name = 'gateway-2'")
    loop.collect()
    assert alarms(loop) == [("unknown-gateway", "gateway-2")]


def test_reconciliation_is_even_after_collecting_and_names_what_differs(loop: Loop) -> None:
    for _ in range(3):
        loop.send_public()
    loop.collect()
    assert reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR).is_even
    loop.gateway_sql("UPDATE reports SET intake_sha256 = ? WHERE sequence = 1", bytes(32))
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 2")
    loop.send_public()
    result = reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR)
    assert (result.different, result.missing_there, result.missing_here) == (
        [("public", 1)],
        [("public", 2)],
        [("public", 4)],
    )
    assert len(alarms(loop)) == 3
