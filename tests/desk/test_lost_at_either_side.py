"""Storage that fails at the gateway or at the desk: what can be had is had, and what is missing is an alarm."""

from typing import Any

import msgspec

from gateway.desk.collection.collect import collect_reports
from gateway.desk.feed_client import FeedClient
from tests.builders import seal_report
from tests.damaged_database import TABLE_LEAF, damage_pages
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms


def test_damaged_page_of_the_gateway_keeps_back_its_own_reports_alone_and_is_an_alarm(loop: Loop) -> None:
    """Seen: one damaged page stopped all collecting, and nobody was told."""
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
        """A gateway that counts what waits, and shows nothing."""

        def get_reports(self, *, limit: int, after: int = 0) -> Any:
            return msgspec.structs.replace(
                super().get_reports(limit=limit, after=after), last=0, more=False, reports=()
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
