"""A feed that never ends, or leads in a circle: one run takes so much, raises one alarm and is over."""

import hashlib
from dataclasses import replace
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import to_builtins

from gateway.desk.collection import collect
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.partners import account_changes, adoption, enrolments
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, ENROLMENTS
from gateway.exchange.feed import (
    KINDS,
    REPORT,
    ChainHead,
    FeedStatus,
    ItemKind,
    ItemPage,
    ItemRow,
    ReconciliationPage,
    ReconciliationRow,
    parse_item,
)
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, make_report_id, parse_exact
from tests.builders import NOW
from tests.desk.desk_loop import ACTOR, Loop, page_of
from tests.desk.forgery import alarms

# A run that ignores its bound ends here, and the test fails.
FAR_TOO_MANY = 60
ROOMS = (enrolments, account_changes, adoption)
ADDRESSES = {"enrolment": "none", "adoption-request": ""}


class TooFarError(Exception):
    """The desk went on and on."""


class Endless(FeedClient):
    """A gateway that always has one more."""

    asked = 0

    def count(self) -> int:
        self.asked += 1
        if self.asked > FAR_TOO_MANY:
            raise TooFarError
        return self.asked

    def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
        row = {"intake": self.count()} if kind is REPORT else self.make_row(kind)
        return page_of(row, last=after + 1, more=True)

    def make_row(self, kind: ItemKind, *, envelope: str = "AA", address: str | None = None) -> ItemRow:
        item_id = make_report_id(NOW, self.count().to_bytes(10, "big"))
        address = ADDRESSES.get(kind.name, "no-such-partner") if address is None else address
        return ItemRow(address=address, envelope=envelope, item_id=item_id, put_at="")

    def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
        """Take no notice."""
        return 0

    def get_reconciliation(self, *, after: int) -> ReconciliationPage:
        self.count()
        return make_links(after + 1)


def make_links(*sequences: int) -> ReconciliationPage:
    rows = (
        ReconciliationRow(intake_sha256="0" * 64, partner="public", position=one, report_id="x", sequence=one)
        for one in sequences
    )
    return ReconciliationPage(more=True, statements=tuple(rows))


@pytest.mark.parametrize("bound", ["MOST_PAGES", "MOST_QUARANTINED", "MOST_QUARANTINED_BYTES"])
def test_endless_reports_are_left_after_a_bound_with_one_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(collect, bound, 20)
    feed = loop.make_feed(Endless)
    collected = collect.collect_reports(loop.desk, feed, actor=ACTOR)
    assert 0 < collected.quarantined <= 20
    assert [kind for kind, _ in alarms(loop)] == [collect.ENDLESS]


def collect_kind(loop: Loop, room: ModuleType, feed: FeedClient) -> int:
    """Collect one kind of item, and return how many were taken."""
    if room is adoption:
        before = loop.count("adoption_requests")
        adoption.collect_adoptions(loop.desk, feed, actor=ACTOR)
        return loop.count("adoption_requests") - before
    if room is enrolments:
        return sum(enrolments.collect_enrolments(loop.desk, feed, actor=ACTOR).refused.values())
    return sum(account_changes.collect_account_changes(loop.desk, feed, actor=ACTOR).refused.values())


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(("bound", "most", "taken"), [("most_items", 20, 20), ("most_bytes", 20, 10)])
def test_items_without_end_are_left_after_a_bound_with_one_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, room: ModuleType, bound: str, most: int, taken: int
) -> None:
    monkeypatch.setattr(room, "INTAKE", replace(room.INTAKE, **{bound: most}))
    assert collect_kind(loop, room, loop.make_feed(Endless)) == taken
    assert [kind for kind, _ in alarms(loop)] == [room.INTAKE.endless]


@pytest.mark.parametrize("room", ROOMS)
def test_items_that_are_here_already_end_a_run_too_and_so_does_a_circle(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, room: ModuleType
) -> None:
    class Same(Endless):
        """A gateway that shows one item for ever, or leads in a circle."""

        is_circle = False

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            row = {**to_builtins(self.make_row(kind)), "item_id": make_report_id(NOW, bytes(10))}
            return page_of(row, last=0 if self.is_circle else after + 1, more=True)

    monkeypatch.setattr(room, "INTAKE", replace(room.INTAKE, most_items=20))
    assert collect_kind(loop, room, loop.make_feed(Same)) == 1
    assert [kind for kind, _ in alarms(loop)] == [room.INTAKE.endless]
    monkeypatch.setattr(Same, "is_circle", True)
    feed = loop.make_feed(Same)
    assert collect_kind(loop, room, feed) == 0
    assert feed.asked == 1


@pytest.mark.parametrize("room", ROOMS)
def test_row_that_is_none_keeps_back_no_other_and_is_an_alarm_and_stays_at_the_gateway(
    loop: Loop, room: ModuleType
) -> None:
    class Broken(Endless):
        """A gateway with two rows that are none before one that is."""

        acknowledged: Any = ()

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of({"x": 1}, {"x": 2}, self.make_row(kind), last=3)

        def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
            self.acknowledged = items
            return len(items)

    feed = loop.make_feed(Broken)
    assert collect_kind(loop, room, feed) == 1
    assert len(feed.acknowledged) == 1
    ((kind, subject),) = alarms(loop)
    assert (kind, subject.split(":")[0]) == ("item-malformed", room.INTAKE.kind.name)


@pytest.mark.parametrize("room", ROOMS)
def test_rows_without_end_that_are_none_end_a_run(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, room: ModuleType
) -> None:
    class Nonsense(Endless):
        """A gateway that always has one more row that is none."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of({"x": self.count()}, last=after + 1, more=True)

    monkeypatch.setattr(room, "INTAKE", replace(room.INTAKE, most_items=20))
    assert collect_kind(loop, room, loop.make_feed(Nonsense)) == 0
    assert {kind for kind, _ in alarms(loop)} == {"item-malformed", room.INTAKE.endless}


@pytest.mark.parametrize("size", [73_000, 70_000])
def test_change_that_is_too_large_leaves_its_hash_and_size_and_one_alarm(loop: Loop, size: int) -> None:
    class Large(Endless):
        """A gateway with twenty changes larger than any partner can send."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            if self.asked == 3:
                return page_of()
            row = self.make_row(kind, envelope="A" * size, address="example-chat")
            return page_of(row, last=after + 1, more=True)

    taken = account_changes.collect_account_changes(loop.desk, loop.make_feed(Large), actor=ACTOR)
    assert set(taken.refused) == {("example-chat", "too-large")}
    with loop.desk.store.read() as connection:
        kept = [bytes(row.envelope) for row in connection.execute(ACCOUNT_CHANGES.select())]
    sha256 = hashlib.sha256(b"A" * size).hexdigest()
    assert set(kept) == {b'{"sha256":"%s","size":%d}' % (sha256.encode(), size)}
    assert account_changes.INTAKE.too_large in [kind for kind, _ in alarms(loop)]
    assert len(alarms(loop)) <= 2


def test_enrolment_that_is_too_large_leaves_its_hash_and_size_and_one_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Large(Endless):
        """A gateway with enrolments larger than any partner can send."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            row = self.make_row(kind, envelope="A" * 100_000)
            return page_of(row, last=after + 1, more=True)

    monkeypatch.setattr(enrolments, "INTAKE", replace(enrolments.INTAKE, most_bytes=1_000_000))
    enrolments.collect_enrolments(loop.desk, loop.make_feed(Large), actor=ACTOR)
    with loop.desk.store.read() as connection:
        refused = ENROLMENTS.select().where(ENROLMENTS.c.state == "refused")
        kept = [len(row.envelope) for row in connection.execute(refused)]
    assert len(kept) == 10
    assert max(kept) < 200
    assert sorted(kind for kind, _ in alarms(loop)) == ["enrolment-too-large", "enrolments-endless"]


@pytest.mark.parametrize("kind", [one for one in KINDS.values() if one.taken_by == "desk"], ids=lambda one: one.name)
def test_row_with_an_envelope_that_no_body_holds_is_no_row(kind: ItemKind) -> None:
    most = kind.max_body_bytes
    row = ItemRow(address="", envelope="A" * most, item_id="", put_at="")
    assert parse_item(encode(row), kind=kind) == row
    for wrong in (
        encode(msgspec.structs.replace(row, envelope="A" * (most + 1))),
        encode({**to_builtins(row), "x": 1}),
    ):
        with pytest.raises(FormatError):
            parse_item(wrong, kind=kind)


@pytest.mark.parametrize("bound", ["MOST_PAGES", "MOST_LINKS"])
def test_endless_reconciliation_is_left_after_a_bound(loop: Loop, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(collect, bound, 20)
    result = collect.reconcile(loop.desk, loop.make_feed(Endless), actor=ACTOR)
    assert (result.is_whole, result.is_even) == (False, False)
    assert [kind for kind, _ in alarms(loop)] == [collect.ENDLESS_LINKS, collect.MISSING_HERE]


def test_reconciliation_that_goes_in_a_circle_is_left(loop: Loop) -> None:
    loop.send_public()
    loop.collect()

    class Circle(Endless):
        """A gateway that shows one page for ever."""

        def get_reconciliation(self, *, after: int) -> ReconciliationPage:
            self.count()
            return make_links(7, 5)

    result = collect.reconcile(loop.desk, loop.make_feed(Circle), actor=ACTOR)
    assert (result.is_whole, result.missing_here) == (False, [("public", 5), ("public", 7)])
    assert result.missing_there == [("public", 1)]


def test_differences_without_number_raise_a_bounded_number_of_alarms(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MOST_ALARMS", 3)

    class Scattered(FeedClient):
        """A gateway that names many numbers that the desk has not."""

        def get_reconciliation(self, *, after: int) -> ReconciliationPage:
            return msgspec.structs.replace(make_links(1, 2, 4, 6, 8, 10), more=False)

    assert collect.reconcile(loop.desk, loop.make_feed(Scattered), actor=ACTOR).missing_here == [
        ("public", one) for one in (1, 2, 4, 6, 8, 10)
    ]
    assert [subject.rpartition("/")[2] for _, subject in alarms(loop)] == ["1-2", "4", "6-10"]


@pytest.mark.parametrize(
    "changes",
    [
        {"instance": "a\x1b[2J"},
        {"epoch": "x/1"},
        {"epoch": "e\n"},
        {"chains": (ChainHead(partner="public", sequence=2**63),)},
        {"chains": (ChainHead(partner="public", sequence=-1),)},
        {"chains": (ChainHead(partner="../x", sequence=1),)},
    ],
)
def test_status_that_no_gateway_has_is_refused(loop: Loop, changes: dict[str, Any]) -> None:
    status = loop.desk.make_feed().get_status()
    assert parse_exact(encode(status), kind=FeedStatus, max_bytes=1000) == status
    with pytest.raises(FormatError):
        parse_exact(encode(msgspec.structs.replace(status, **changes)), kind=FeedStatus, max_bytes=1000)
