"""The chain of intake statements: gaps and forks are alarms, and reports are filed all the same."""

from typing import Any

import msgspec

from gateway.desk.chain import FORK, GAP
from gateway.desk.collect import collect_reports
from gateway.desk.feed_client import FeedClient
from gateway.desk.reconcile import reconcile
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms, resign_newest


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
        """A gateway that says it has taken in two more."""

        def get_status(self) -> Any:
            status = super().get_status()
            return msgspec.structs.replace(status, sequence=status.sequence + 2)

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


def test_new_epoch_after_a_restore_goes_on_with_the_numbers_and_is_no_gap(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    loop.gateway_sql("UPDATE instance SET epoch = 'epoch-after-restore'")
    loop.send_public()
    loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.gaps, alarms(loop)) == (2, [], [])


def test_reconciliation_is_even_after_collecting_and_names_what_differs(loop: Loop) -> None:
    for _ in range(3):
        loop.send_public()
    loop.collect()
    assert reconcile(loop.desk, loop.desk.make_feed()).is_even
    loop.gateway_sql("UPDATE reports SET intake_sha256 = ? WHERE sequence = 1", bytes(32))
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 2")
    loop.send_public()
    result = reconcile(loop.desk, loop.desk.make_feed())
    assert (result.different, result.missing_there, result.missing_here) == ([1], [2], [4])
    assert len(alarms(loop)) == 3
