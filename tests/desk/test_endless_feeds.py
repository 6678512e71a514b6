"""A feed that never ends, or leads in a circle: one run takes so much, raises one alarm and is over."""

import hashlib
from typing import Any

import msgspec
import pytest

from gateway.desk.collection import collect, reconcile
from gateway.desk.feed_client import FeedClient
from gateway.desk.partnership import account_changes, enrolments
from gateway.desk.store.account_tables import ACCOUNT_CHANGES
from gateway.desk.store.partner_tables import ENROLMENTS
from partner_sdk.errors import FormatError
from partner_sdk.wire.account import AccountChangeAck, AccountChangePage, AccountChangeRow
from partner_sdk.wire.canonical import encode, make_report_id, parse_exact
from partner_sdk.wire.feed_messages import (
    ChainHead,
    EnrolmentPage,
    EnrolmentRow,
    FeedStatus,
    ReconciliationPage,
    ReconciliationRow,
    ReportPage,
)
from tests.builders import NOW
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms

# A run that ignores its bound ends here, and the test fails.
FAR_TOO_MANY = 60


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

    def get_reports(self, *, limit: int, after: int = 0) -> ReportPage:
        rows = (msgspec.Raw(b'{"intake":%d}' % self.count()),)
        return ReportPage(last=after + 1, more=True, reports=rows)

    def get_enrolments(self) -> EnrolmentPage:
        row = EnrolmentRow(envelope="AA", id=f"id-{self.count()}", received_at="", secret_sha256="none")
        return EnrolmentPage(enrolments=(row,))

    def post_enrolment_acks(self, ids: tuple[str, ...]) -> None:
        """Take no notice."""

    def get_account_changes(self) -> AccountChangePage:
        change_id = make_report_id(NOW, self.count().to_bytes(10, "big"))
        row = AccountChangeRow(change_id=change_id, envelope="AA", partner="no-such-partner", received_at="")
        return AccountChangePage(changes=(row,))

    def post_account_change_acks(self, changes: tuple[AccountChangeAck, ...]) -> None:
        """Take no notice."""

    def get_reconciliation(self, *, after: int) -> ReconciliationPage:
        self.count()
        return make_links(after + 1)


def make_links(*sequences: int) -> ReconciliationPage:
    rows = (
        ReconciliationRow(intake_sha256="0" * 64, partner="public", position=one, report_id="x", sequence=one)
        for one in sequences
    )
    return ReconciliationPage(more=True, statements=tuple(rows))


@pytest.mark.parametrize("bound", ["MOST_PAGES", "MOST_SET_ASIDE", "MOST_SET_ASIDE_BYTES"])
def test_endless_reports_are_left_after_a_bound_with_one_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(collect, bound, 20)
    feed = loop.make_feed(Endless)
    collected = collect.collect_reports(loop.desk, feed, actor=ACTOR)
    assert 0 < collected.set_aside <= 20
    assert [kind for kind, _ in alarms(loop)] == [collect.ENDLESS]


def test_endless_enrolments_are_left_after_a_bound_with_one_alarm(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolments, "MOST_REFUSED", 20)
    taken = enrolments.collect_enrolments(loop.desk, loop.make_feed(Endless), actor=ACTOR)
    assert taken.refused == {("unknown", "unknown-invitation"): 20}
    assert [kind for kind, _ in alarms(loop)] == [enrolments.ENROLMENTS_ENDLESS]


def test_endless_account_changes_are_left_after_a_bound_with_one_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_changes, "MOST_TAKEN", 20)
    taken = account_changes.collect_account_changes(loop.desk, loop.make_feed(Endless), actor=ACTOR)
    assert taken.refused == {("no-such-partner", "unknown-partner"): 20}
    assert [kind for kind, _ in alarms(loop)] == [account_changes.CHANGES_ENDLESS]


@pytest.mark.parametrize("size", [30_000_000, 70_000])
def test_change_that_is_too_large_leaves_its_hash_and_size_and_one_alarm(loop: Loop, size: int) -> None:
    class Large(Endless):
        """A gateway with twenty changes larger than any partner can send."""

        def get_account_changes(self) -> AccountChangePage:
            if self.asked == 3:
                return AccountChangePage(changes=())
            change_id = make_report_id(NOW, self.count().to_bytes(10, "big"))
            row = AccountChangeRow(change_id=change_id, envelope="A" * size, partner="example-chat", received_at="")
            return AccountChangePage(changes=(row,))

    taken = account_changes.collect_account_changes(loop.desk, loop.make_feed(Large), actor=ACTOR)
    assert set(taken.refused) == {("example-chat", "too-large")}
    with loop.desk.store.read() as connection:
        kept = [bytes(row.envelope) for row in connection.execute(ACCOUNT_CHANGES.select())]
    sha256 = hashlib.sha256(b"A" * size).hexdigest()
    assert set(kept) == {b'{"sha256":"%s","size":%d}' % (sha256.encode(), size)}
    assert account_changes.CHANGE_TOO_LARGE in [kind for kind, _ in alarms(loop)]
    assert len(alarms(loop)) <= 2


def test_enrolment_that_is_too_large_leaves_its_hash_and_size_and_one_alarm(loop: Loop) -> None:
    class Large(Endless):
        """A gateway with enrolments larger than any partner can send."""

        def get_enrolments(self) -> EnrolmentPage:
            row = EnrolmentRow(envelope="A" * 9_000_000, id=f"id-{self.count()}", received_at="", secret_sha256="none")
            return EnrolmentPage(enrolments=(row,))

    enrolments.collect_enrolments(loop.desk, loop.make_feed(Large), actor=ACTOR)
    with loop.desk.store.read() as connection:
        kept = [len(row.envelope) for row in connection.execute(ENROLMENTS.select().where(ENROLMENTS.c.id == "id-1"))]
    assert kept
    assert max(kept) < 200
    assert sorted(kind for kind, _ in alarms(loop)) == [enrolments.ENROLMENT_TOO_LARGE, enrolments.ENROLMENTS_ENDLESS]


def test_changes_and_enrolments_are_left_after_so_many_bytes(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_changes, "MOST_TAKEN_BYTES", 20)
    monkeypatch.setattr(enrolments, "MOST_REFUSED_BYTES", 20)
    feed = loop.make_feed(Endless)
    taken = account_changes.collect_account_changes(loop.desk, feed, actor=ACTOR)
    assert sum(taken.refused.values()) == 10
    assert sum(enrolments.collect_enrolments(loop.desk, feed, actor=ACTOR).refused.values()) == 10
    assert [kind for kind, _ in alarms(loop)] == [account_changes.CHANGES_ENDLESS, enrolments.ENROLMENTS_ENDLESS]


def test_page_with_an_envelope_that_no_body_holds_is_no_page() -> None:
    row = AccountChangeRow(change_id="", envelope="A" * 80_000, partner="", received_at="")
    with pytest.raises(FormatError):
        parse_exact(encode(AccountChangePage(changes=(row,))), kind=AccountChangePage, max_bytes=1_000_000)
    other = EnrolmentRow(envelope="A" * 140_000, id="", received_at="", secret_sha256="")
    with pytest.raises(FormatError):
        parse_exact(encode(EnrolmentPage(enrolments=(other,))), kind=EnrolmentPage, max_bytes=1_000_000)


@pytest.mark.parametrize("bound", ["MOST_PAGES", "MOST_LINKS"])
def test_endless_reconciliation_is_left_after_a_bound(loop: Loop, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(reconcile, bound, 20)
    result = reconcile.reconcile(loop.desk, loop.make_feed(Endless), actor=ACTOR)
    assert (result.is_whole, result.is_even) == (False, False)
    assert [kind for kind, _ in alarms(loop)] == [reconcile.ENDLESS, reconcile.MISSING_HERE]


def test_reconciliation_that_goes_in_a_circle_is_left(loop: Loop) -> None:
    loop.send_public()
    loop.collect()

    class Circle(Endless):
        """A gateway that shows one page for ever."""

        def get_reconciliation(self, *, after: int) -> ReconciliationPage:
            self.count()
            return make_links(7, 5)

    result = reconcile.reconcile(loop.desk, loop.make_feed(Circle), actor=ACTOR)
    assert (result.is_whole, result.missing_here) == (False, [("public", 5), ("public", 7)])
    assert result.missing_there == [("public", 1)]


def test_differences_without_number_raise_a_bounded_number_of_alarms(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MOST_ALARMS", 3)

    class Scattered(FeedClient):
        """A gateway that names many numbers that the desk has not."""

        def get_reconciliation(self, *, after: int) -> ReconciliationPage:
            return msgspec.structs.replace(make_links(1, 2, 4, 6, 8, 10), more=False)

    assert reconcile.reconcile(loop.desk, loop.make_feed(Scattered), actor=ACTOR).missing_here == [
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
