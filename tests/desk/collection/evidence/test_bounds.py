"""A hostile list of evidence costs no more than its time, a few alarms and one partner's share."""

import hashlib
import os
from collections import namedtuple
from typing import Any

import msgspec
import pytest

from gateway.desk.collection import evidence_collecting as collecting
from gateway.desk.collection.evidence_collecting import FetchPlan, WantedEvidence
from gateway.desk.office.feed_client import FeedClient
from gateway.exchange.feed import EVIDENCE, EvidenceRow, ItemKind, ItemPage
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, evidence_digest
from tests.builders import NOW, Partner
from tests.builders.evidence import hand_over
from tests.desk.desk_loop import Loop, page_of
from tests.desk.evidence_builders import (
    Film,
    collect,
    collect_all,
    count_parts_asked,
    held,
    make_film,
    newest_file,
    open_door,
    part_files,
    post,
    seal_with,
    send_film,
    tell_of,
    waiting,
)
from tests.desk.forgery import alarms

LOCK = Partner("lock")
SIZES = b"\0" * 200_000


def make_row(number: int, *, partner: str = "no-such", size_bytes: int = LEAST_SEALED_BYTES) -> EvidenceRow:
    part = hashlib.sha256(b"").digest()
    return EvidenceRow(
        digest=evidence_digest([part], size_bytes=size_bytes).hex(),
        evidence_id=make_report_id(NOW, number.to_bytes(10, "big")),
        part_sha256=(part.hex(),),
        partner=partner,
        size_bytes=size_bytes,
    )


class Unnamed(FeedClient):
    """A gateway whose list names evidence of no report, 50 lines a page, and one page more each time."""

    pages = 3
    asked = 0

    def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
        self.asked += 1
        first = self.asked * EVIDENCE.max_items
        rows = tuple(make_row(number) for number in range(first, first + EVIDENCE.max_items))
        return page_of(*rows, last=self.asked, more=self.asked < self.pages)


def serve_lines(loop: Loop, rows: tuple[EvidenceRow, ...]) -> FeedClient:
    class Serving(FeedClient):
        """A gateway with one page of these lines."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of(*rows)

    return loop.make_feed(Serving)


def test_long_list_of_unnamed_evidence_is_a_few_alarms_in_one_commit(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    writing = type(loop.desk.store).write
    monkeypatch.setattr(type(loop.desk.store), "write", lambda self: commits.append(1) or writing(self))
    for _ in range(2):
        done = collect(loop, loop.make_feed(Unnamed))
        assert (done.unnamed, done.left) == (3 * EVIDENCE.max_items, None)
    assert len(commits) == 2
    raised = alarms(loop)
    assert {kind for kind, _ in raised} == {collecting.NOT_NAMED}
    assert len(raised) == collecting.MOST_OPEN + 1
    assert raised[-1][1] == f"and more on {NOW:%Y-%m-%d}"


def test_long_list_ends_with_its_share_of_the_time_line_by_line(loop: Loop) -> None:
    looked = [0.0]

    def tick() -> float:
        looked[0] += 1.0
        return looked[0]

    done = collect(loop, loop.make_feed(Unnamed), seconds=100.0, ticks=tick)
    assert done.left == "time"
    assert done.unnamed < 100


def test_wrong_lines_are_a_few_alarms(loop: Loop) -> None:
    rows = tuple(msgspec.structs.replace(make_row(number), digest="0" * 64) for number in range(150))
    assert collect(loop, serve_lines(loop, rows)).refused == 150
    assert len(alarms(loop)) == collecting.MOST_OPEN + 1


def test_page_with_more_lines_than_were_asked_for_is_no_page(loop: Loop) -> None:
    class Long(FeedClient):
        """A gateway with a page that is too long."""

        def _get(self, path: str, *, kind: Any) -> Any:
            return page_of(*(make_row(1),) * (EVIDENCE.max_items + 1))

    with pytest.raises(FormatError):
        loop.make_feed(Long).get_items(EVIDENCE)


def test_urgent_and_small_evidence_comes_before_the_rest(loop: Loop) -> None:
    door = open_door(loop)
    large, small, urgent = make_film(SIZES), make_film(b"small"), make_film(SIZES)
    for film, priority in ((large, "P3"), (small, "P2"), (urgent, "P1")):
        hand_over(door, film.sealed)
        post(door, seal_with(loop, [film.reference], files=[tell_of(film)], priority=priority))
    loop.collect()
    asked: list[str] = []

    class Watching(FeedClient):
        """The feed, noting in which order files are asked for."""

        def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
            asked.append(evidence_id)
            return super().get_evidence_part(partner=partner, evidence_id=evidence_id, part=part)

    collect(loop, loop.make_feed(Watching))
    assert asked == [urgent.evidence_id, small.evidence_id, large.evidence_id]


def test_partner_with_many_files_waits_its_turn() -> None:
    plan = FetchPlan()
    for number in range(100):
        plan.add(WantedEvidence(make_row(number, partner="many-files"), is_urgent=False))
    plan.add(WantedEvidence(make_row(500, partner="one-file", size_bytes=3 * LEAST_SEALED_BYTES), is_urgent=False))
    assert [one.row.partner for one in plan.list_in_order()].index("one-file") == 3


def test_plan_lets_the_largest_of_a_partner_go_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_DIGESTS_OF_ONE", 3)
    plan = FetchPlan()
    for number in range(6):
        row = make_row(number, size_bytes=LEAST_SEALED_BYTES + number)
        plan.add(WantedEvidence(row, is_urgent=number == 5))
        plan.add(WantedEvidence(row, is_urgent=number == 5))
    sizes = [one.row.size_bytes - LEAST_SEALED_BYTES for one in plan.list_in_order()]
    assert (sizes, plan.is_cut) == ([5, 0, 1], True)


def test_partner_that_used_its_share_of_the_disk_holds_back_no_other(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Partner("other-chat")
    loop.enrol(partner=other)
    films = [send_film(loop) for _ in range(3)]
    theirs = send_film(loop, partner=other)
    loop.collect()
    total = round(films[0].sealed.size_bytes * 2.5 / loop.desk.config.evidence_share_of_one_partner)
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage(total, 0, total))
        for _ in range(2):
            done = collect(loop)
            assert (done.over_share, done.left, done.is_well) == (1, None, False)
    assert alarms(loop) == [(collecting.SHARE_USED, f"example-chat on {NOW:%Y-%m-%d}")]
    assert theirs.evidence_id in held(loop)
    assert len(waiting(loop)) == 1
    assert collect(loop).collected == 1


def test_partner_whose_name_is_lock_is_one_like_the_others(loop: Loop) -> None:
    loop.enrol(partner=LOCK)
    films = [send_film(loop), send_film(loop, partner=LOCK), send_film(loop)]
    assert collect_all(loop).collected == 3
    assert sorted(held(loop)) == sorted(film.evidence_id for film in films)


def send_junk(loop: Loop, film: Film) -> None:
    """Let a lying gateway hand over other bytes under this file's id."""
    junk = os.urandom(LEAST_SEALED_BYTES)
    sha256 = hashlib.sha256(junk).digest()
    row = msgspec.structs.replace(
        make_row(1, partner=loop.partner.partner),
        digest=evidence_digest([sha256], size_bytes=len(junk)).hex(),
        evidence_id=film.evidence_id,
        part_sha256=(sha256.hex(),),
    )

    class Lying(FeedClient):
        """A gateway with bytes of its own."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of(row)

        def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
            return junk

        def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
            return len(items)

    assert collect(loop, loop.make_feed(Lying)).collected == 1


def test_junk_that_came_for_an_urgent_report_gives_way_to_what_a_signed_report_names(loop: Loop) -> None:
    film, door = make_film(b"the true film" * 10_000), open_door(loop)
    hand_over(door, film.sealed)
    early = msgspec.structs.replace(film.reference, digest=None)
    post(door, seal_with(loop, [early], files=[tell_of(film)], priority="P1"))
    loop.collect()
    send_junk(loop, film)
    loop.clock.advance(minutes=1)
    post(door, seal_with(loop, [film.reference], files=[tell_of(film)], kind="supplement"))
    loop.collect()
    done = collect(loop)
    assert (done.collected, done.refused) == (1, 0)
    assert alarms(loop) == [(collecting.OTHER_DIGEST, f"example-chat/{film.evidence_id}")]
    assert [path.read_bytes() for path in part_files(loop, film)] == list(film.sealed.parts)
    assert waiting(loop) == []
    assert newest_file(loop).doubts == ()
    feed = count_parts_asked(loop)
    assert (collect(loop, feed).collected, feed.asked) == (0, [])
