"""The operator hands over a partner's additions in any way: nothing is hidden, and the desk reports the fault."""

from datetime import timedelta

import pytest

from gateway.desk.cases.closing import schedule_outcome, take_back
from gateway.desk.cases.opening import open_case
from gateway.desk.collection.collect import Collected, collect_reports
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.running.doctor import examine
from gateway.exchange.feed import REPORT, ItemKind, ItemPage
from tests.desk.cases.test_industry_cases import calm_report, doubts, joined, queue
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms
from tests.desk.import_builders import import_sealed, seal_for
from tests.desk.industry_builders import find, send
from tests.desk.work_builders import make_ready


def collect_in_pages(loop: Loop, pages: list[list[int]]) -> Collected:
    """Collect the rows that wait in these pages; each is named by its place in the order of receipt."""

    class Chosen(FeedClient):
        """The feed of an operator that chooses the order of rows."""

        asked = 0

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            self.asked += 1
            if self.asked > len(pages):
                # The rest is hidden no more once the run looks whether anything is.
                return super().get_items(kind, limit=limit, after=after)
            chosen = tuple(rows[place] for place in pages[self.asked - 1])
            return ItemPage(last=self.asked, more=self.asked < len(pages), items=chosen)

    rows = loop.desk.make_feed().get_items(REPORT, limit=50).items
    return collect_reports(loop.desk, loop.make_feed(Chosen), actor=ACTOR)


def send_chain(loop: Loop) -> list[str]:
    """Send a calm report and a chain of additions; the last is urgent."""
    references: list[str] = []
    for priority in ("P3", "P3", "P3", "P1"):
        kind = "supplement" if references else "initial"
        named = references[-1] if references else None
        references.append(send(loop, calm_report(), kind=kind, earlier_reference=named, priority=priority))
        loop.clock.advance(minutes=1)
    return references


@pytest.mark.parametrize("pages", [[[3], [1, 0, 2]], [[3], [2, 1, 0]], [[3, 2], [0, 1]], [[1, 3], [2], [0]]])
def test_operator_hides_no_urgent_addition_by_the_order_of_pages(loop: Loop, pages: list[list[int]]) -> None:
    chain = send_chain(loop)
    assert collect_in_pages(loop, pages).filed == 4
    assert joined(loop, chain[-1]) == chain
    assert queue(loop) == chain[:1]
    assert find(loop, chain[0]).priority == "P1"
    assert loop.count("alerts") == 1
    assert alarms(loop) == []


def test_what_was_added_under_the_gateways_reference_is_joined_once_that_is_known(loop: Loop) -> None:
    sealed = seal_for(loop, report=calm_report(), priority="P3")
    imported = import_sealed(loop, sealed)
    accepted = loop.send_industry(sealed)
    loop.clock.advance(minutes=1)
    added = send(loop, calm_report(), kind="supplement", earlier_reference=accepted.reference, priority="P1")
    loop.clock.advance(minutes=1)
    later = send(loop, calm_report(), kind="correction", earlier_reference=added, priority="P3")
    collect_in_pages(loop, [[2], [1]])
    assert doubts(loop, added) == [f"{accepted.reference} is not at this desk."]
    assert sorted(queue(loop)) == sorted([str(imported.reference), added])
    loop.collect()
    assert joined(loop, later) == [imported.reference, added, later]
    assert queue(loop) == [imported.reference]
    assert (find(loop, accepted.reference).priority, doubts(loop, added)) == ("P1", [])


def test_outcome_that_waits_can_be_taken_back_once_the_first_report_has_come_too(loop: Loop) -> None:
    first = send(loop)
    loop.clock.advance(minutes=1)
    added = send(loop, kind="supplement", earlier_reference=first)
    collect_in_pages(loop, [[1]])
    open_case(loop.desk, added, actor=ACTOR)
    day = (loop.clock() + timedelta(days=9)).date()
    make_ready(loop.desk, added)
    told = schedule_outcome(loop.desk, added, outcome="used", hold_until=day, actor=ACTOR)
    loop.collect()
    assert queue(loop) == [first]
    assert take_back(loop.desk, first, actor=ACTOR).signal_id == told.signal_id


def test_doctor_names_reports_that_lists_may_hide(loop: Loop) -> None:
    chain = send_chain(loop)
    loop.collect()
    assert doctor_on_cases(loop) == [("ok", False)]
    with loop.desk.store.write() as connection:
        hide = "UPDATE cases SET joined_to = (SELECT case_id FROM cases WHERE reference = ?) WHERE reference = ?"
        connection.exec_driver_sql(hide, (chain[1], chain[3]))
    assert doctor_on_cases(loop, names=chain[3]) == [("fault", True)]


def doctor_on_cases(loop: Loop, *, names: str = "-") -> list[tuple[str, bool]]:
    """Return the verdicts on joined cases, and whether each names a report."""
    findings = examine(loop.desk.paths.state, clock=loop.clock)
    return [(one.verdict, names in one.detail) for one in findings if one.name == "cases"]
