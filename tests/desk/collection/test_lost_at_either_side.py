"""Storage that fails at the gateway or at the desk: everything recoverable is recovered, and the rest is an alarm."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.model import list_cases
from gateway.desk.collection.collect import collect_reports, reconcile
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.running.commands.collecting import _Steps, _take
from gateway.exchange.feed import REPORT, Acknowledgement, ItemKind, ItemPage
from gateway.housekeeping import KEEP_COLLECTED, clean_store
from partner_sdk.errors import UnavailableError
from tests.builders import seal_report
from tests.damaged_database import TABLE_LEAF, damage_pages
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms, waiting_at_gateway


def test_damaged_page_of_the_gateway_keeps_back_its_own_reports_alone_and_is_an_alarm(loop: Loop) -> None:
    """Seen: one damaged page stopped all collecting, without an alarm."""
    ids = [seal_report(loop.partner, key=loop.sealing_key(), priority="P1") for _ in range(12)]
    for sealed in ids:
        loop.send_industry(sealed)
    loop.gateway.store.close()
    database = loop.gateway.store.path
    assert damage_pages(database, ids[5].clear.report_id.encode(), kind=TABLE_LEAF) == 1
    loop.restart_gateway()

    collected = loop.collect()

    assert 6 in collected.unreadable
    assert collected.filed == 12 - len(collected.unreadable) > 0
    ((_, subject),) = [one for one in alarms(loop) if one[0] == "unreadable-at-gateway"]
    first, last = collected.unreadable[0], collected.unreadable[-1]
    assert subject.partition(": ")[2] == (f"{first}" if first == last else f"{first}-{last}")
    # The rest is acknowledged and is not shown again; the damaged ones are named with every run.
    again = loop.collect()
    assert (again.filed, again.known, again.unreadable) == (0, 0, collected.unreadable)
    loop.gateway.soundness.look_for_damage()
    loop.collect()
    assert "gateway-storage-damaged" in [kind for kind, _ in alarms(loop)]


def test_reports_that_wait_and_are_neither_shown_nor_named_are_an_alarm(loop: Loop) -> None:
    for _ in range(3):
        loop.send_public()

    class Silent(FeedClient):
        """A gateway that counts its waiting reports, and shows none."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return msgspec.structs.replace(
                super().get_items(kind, limit=limit, after=after), last=0, more=False, items=()
            )

    collected = collect_reports(loop.desk, loop.make_feed(Silent), actor=ACTOR)
    assert (collected.filed, collected.hidden) == (0, 3)
    assert "waiting-not-shown" in [kind for kind, _ in alarms(loop)]
    assert loop.collect().hidden == 0


def test_another_run_that_acknowledges_meanwhile_is_no_alarm(loop: Loop) -> None:
    loop.send_public()

    class Late(FeedClient):
        """A gateway whose waiting reports another run takes, once this one knows their number."""

        def get_status(self) -> Any:
            status = super().get_status()
            loop.collect()
            return status

    collected = collect_reports(loop.desk, loop.make_feed(Late), actor=ACTOR)
    assert (collected.filed, collected.hidden) == (0, 0)
    assert "waiting-not-shown" not in [kind for kind, _ in alarms(loop)]


def copy_database(loop: Loop, name: str) -> Path:
    """Copy the desk's database as its backup does."""
    copy = loop.folder / name
    with closing(sqlite3.connect(loop.desk.paths.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy


def restore_desk(loop: Loop, copy: Path) -> None:
    """Put an old copy of the desk's database back, by the steps of running.md."""
    database = loop.desk.paths.database
    loop.desk.store.close()
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    shutil.copy(copy, database)
    database.chmod(0o600)


def cases(loop: Loop) -> set[str]:
    with loop.desk.store.read() as connection:
        return {case.reference for case in list_cases(connection)}


def test_restored_desk_fetches_again_what_the_gateway_still_has(loop: Loop) -> None:
    before = {loop.send_public().reference, loop.send_industry().reference}
    loop.collect()
    copy = copy_database(loop, "backup.sqlite")
    since = {loop.send_public().reference, loop.send_industry(priority="P1").reference, loop.send_public().reference}
    loop.collect()
    restore_desk(loop, copy)
    assert cases(loop) == before

    collected = loop.collect()
    assert (collected.filed, collected.is_behind) == (0, True)
    result = reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR)

    assert (result.brought_back, result.is_even) == (3, True)
    assert cases(loop) == before | since
    # The gap has closed by itself, and the reports do not come a third time.
    assert alarms(loop) == []
    again = loop.collect()
    assert (again.filed, again.known, again.is_behind) == (0, 0, False)
    assert waiting_at_gateway(loop) == 0


def test_collect_of_a_restored_desk_brings_them_back_by_itself(loop: Loop) -> None:
    copy = copy_database(loop, "backup.sqlite")
    sent = {loop.send_public().reference for _ in range(2)}
    loop.collect()
    restore_desk(loop, copy)

    taken = _take(loop.desk, is_reconciled=False, actor=ACTOR, steps=_Steps())

    assert taken.reconciled is not None
    assert taken.reconciled.brought_back == 2
    assert (taken.is_well, taken.collected.gaps) == (True, [])
    assert cases(loop) == sent


def test_report_whose_envelope_is_deleted_stays_missing_and_is_an_alarm(loop: Loop) -> None:
    copy = copy_database(loop, "backup.sqlite")
    loop.send_public()
    loop.collect()
    later = loop.clock() + KEEP_COLLECTED + timedelta(seconds=1)
    assert clean_store(loop.gateway.store, now=later).envelopes == 2  # with that of the enrolment
    restore_desk(loop, copy)
    result = reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR)
    assert (result.brought_back, result.missing_here) == (0, [("public", 1)])
    assert "missing-at-desk" in [kind for kind, _ in alarms(loop)]


def test_withdrawal_needs_the_very_statement(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    feed = loop.desk.make_feed()
    (row,) = feed.get_reconciliation(after=0).statements
    named = Acknowledgement(address=row.partner, item_id=row.report_id, sha256=row.intake_sha256)
    for changes in ({"sha256": "0" * 64}, {"address": "example-chat"}, {"item_id": "other"}):
        assert feed.acknowledge(REPORT, (msgspec.structs.replace(named, **changes),), is_withdrawn=True) == 0
    assert waiting_at_gateway(loop) == 0
    assert feed.acknowledge(REPORT, (named,), is_withdrawn=True) == 1
    assert waiting_at_gateway(loop) == 1


@pytest.mark.parametrize(("status", "goes_on"), [(500, True), (503, False)])
def test_feed_that_crashes_on_one_kind_keeps_back_no_other_step(status: int, goes_on: bool) -> None:
    steps, done = _Steps(), []
    crash = UnavailableError(type="x/crash", title="Oh", status=status, detail="", request_id=None)

    def fail() -> None:
        raise crash

    steps.take(fail, otherwise=None)
    steps.take(lambda: done.append("next"), otherwise=None)
    assert (done, steps.is_silent, steps.error) == (["next"] if goes_on else [], not goes_on, crash)
