"""A partner's later reports: one case with the first, which they neither hide nor make less urgent."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from gateway.desk.cases.closing import Closing
from gateway.desk.cases.opening import MOST_OPENED, list_case_doubts, list_reports, open_case, open_whole_case
from gateway.desk.cases.queue import QueueView, count_lanes, list_later, list_queue
from gateway.desk.collection.joining import list_cluster
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.store.schema import AUDIT, CASES
from partner_sdk.report import SealedIndustryReport, list_given, list_missing_fields, measure_completeness
from tests.builders import Partner, make_industry_report, seal_report
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import file, find, read, send
from tests.desk.work_builders import assess_and_close, refused

CLOSING = Closing(outcome="used")
LATER_KINDS = ("supplement", "correction", "retraction", "response")


def calm_report(**changes: Any) -> Any:
    """Return a report in which no person is in danger."""
    example = make_industry_report()
    child = msgspec.structs.replace(list_given(example.children)[0], at_risk_now="no")
    incident = msgspec.structs.replace(example.incident, harm_signs=())
    return make_industry_report(children=(child,), incident=incident, **changes)


def queue(loop: Loop, lane: str = "open") -> list[str]:
    with loop.desk.store.read() as connection:
        found = [case.reference for case in list_queue(connection, QueueView(lane=lane))]
        assert count_lanes(connection, today=get_uk_day(loop.clock()))[lane] == len(found)
        return found


def joined(loop: Loop, wanted: str) -> list[str]:
    with loop.desk.store.read() as connection:
        return [case.reference for case in list_reports(connection, find(loop, wanted).first_id)]


def doubts(loop: Loop, wanted: str) -> list[str]:
    case = find(loop, wanted)
    return [head for head, _ in list_case_doubts(case, [case])]


@pytest.mark.parametrize("kind", LATER_KINDS)
def test_later_report_is_joined_to_the_case_of_the_one_it_names(loop: Loop, kind: str) -> None:
    first = file(loop)
    later = file(loop, kind=kind, earlier_reference=first.reference)
    assert (later.joined_to, later.report_kind, first.report_kind) == (first.case_id, kind, "initial")
    assert joined(loop, later.reference) == joined(loop, first.reference) == [first.reference, later.reference]
    assert queue(loop) == [first.reference]


def test_kind_that_a_partner_states_is_noted_at_filing_beside_the_assessors(loop: Loop) -> None:
    case = file(loop, calm_report(category="sexual_talk"))
    with loop.desk.store.write() as connection:
        connection.execute(CASES.update().values(kind="grooming"))
        stated = select(CASES.c.stated_kind).where(CASES.c.case_id == case.case_id)
        assert connection.execute(stated).scalar_one() == "sexual_talk"


def test_completeness_of_a_first_report_is_noted_at_filing_as_this_desk_counts_it(loop: Loop) -> None:
    first = file(loop, calm_report())
    later = file(loop, kind="supplement", earlier_reference=first.reference)
    counted = measure_completeness(calm_report())
    assert (first.completeness, first.missing_fields) == (counted.score, " ".join(list_missing_fields(counted)))
    assert first.missing_fields
    assert (later.completeness, later.missing_fields) == (None, None)


def test_chain_of_later_reports_is_one_case_in_the_order_they_came(loop: Loop) -> None:
    first = file(loop)
    references = [first.reference]
    for kind in LATER_KINDS:
        loop.clock.advance(minutes=1)
        references.append(file(loop, kind=kind, earlier_reference=references[-1]).reference)
    assert joined(loop, references[-1]) == references
    with loop.desk.store.read() as connection:
        later = list_later(connection, [find(loop, first.reference)])[first.case_id]
    assert (later.count, later.unread, later.is_taken_back) == (4, LATER_KINDS, True)


def test_reports_of_one_batch_are_joined_whichever_comes_first(loop: Loop) -> None:
    first = send(loop)
    loop.clock.advance(minutes=1)
    second = send(loop, kind="supplement", earlier_reference=first)
    loop.clock.advance(minutes=1)
    third = send(loop, kind="supplement", earlier_reference=second)
    assert loop.collect().filed == 3
    assert joined(loop, third) == [first, second, third]


def test_report_that_came_before_the_one_it_names_is_joined_when_that_comes(loop: Loop) -> None:
    first = send(loop)
    loop.clock.advance(minutes=1)
    second = send(loop, kind="supplement", earlier_reference=first, priority="P1")
    loop.clock.advance(minutes=1)
    third = send(loop, kind="correction", earlier_reference=second)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = '2026-11-25T08:30:00Z' WHERE reference = ?", first)
    loop.collect()
    assert doubts(loop, second) == [f"{first} is not at this desk."]
    assert queue(loop) == [second]
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", first)
    loop.collect()
    assert joined(loop, third) == [first, second, third]
    assert doubts(loop, second) == []
    assert queue(loop) == [first]
    assert find(loop, first).priority == "P1"
    with loop.desk.store.read() as connection:
        cluster = list_cluster(connection, find(loop, first).case_id)
    assert cluster == {find(loop, one).case_id for one in (first, second, third)}


def test_another_partners_report_and_an_unknown_one_are_named_in_a_doubt(loop: Loop) -> None:
    theirs = file(loop)
    other = Partner(partner="example-game")
    loop.enrol(partner=other)
    public = loop.send_public().reference
    for named in (theirs.reference, public, "K7QF-2M9TX-D"):
        sealed = seal_report(other, key=loop.sealing_key(), kind="retraction", earlier_reference=named)
        reference = loop.send_industry(sealed).reference
        loop.collect()
        assert find(loop, reference).joined_to is None
        assert doubts(loop, reference) == [f"{named} is not at this desk."]
    assert joined(loop, theirs.reference) == [theirs.reference]


@pytest.mark.parametrize("kind", LATER_KINDS)
def test_later_report_that_names_none_is_a_case_with_a_doubt(loop: Loop, kind: str) -> None:
    case = file(loop, kind=kind)
    assert case.joined_to is None
    assert len(doubts(loop, case.reference)) == 1


@pytest.mark.parametrize(("first", "second", "counts"), [("P3", "P1", "P1"), ("P1", "P3", "P1"), ("P2", "P2", "P2")])
@pytest.mark.parametrize("kind", LATER_KINDS)
def test_priority_of_a_case_is_raised_and_never_lowered(
    loop: Loop, kind: str, first: str, second: str, counts: str
) -> None:
    case = file(loop, calm_report(), priority=first)
    later = file(loop, calm_report(), kind=kind, earlier_reference=case.reference, priority=second)
    assert (find(loop, case.reference).priority, later.priority) == (counts, counts)


@pytest.mark.parametrize(("was", "comes", "counts"), [(False, True, True), (True, False, True), (False, False, False)])
def test_danger_of_a_case_is_raised_and_never_lowered(loop: Loop, was: bool, comes: bool, counts: bool) -> None:
    def make(in_danger: bool) -> Any:
        calm = calm_report()
        signs = ("meeting_soon",) if in_danger else ()
        return msgspec.structs.replace(calm, incident=msgspec.structs.replace(calm.incident, harm_signs=signs))

    case = file(loop, make(was), priority="P3")
    assert case.crisis is was
    file(loop, make(comes), kind="retraction", earlier_reference=case.reference, priority="P3")
    assert find(loop, case.reference).crisis is counts


def test_urgent_supplement_alerts_the_people_on_duty(loop: Loop) -> None:
    case = file(loop, calm_report(), priority="P3")
    assert loop.count("alerts") == 0
    file(loop, calm_report(), kind="supplement", earlier_reference=case.reference, priority="P1")
    assert loop.count("alerts") == 1


def test_whole_case_is_opened_with_its_first_report_and_each_reading_is_noted(loop: Loop) -> None:
    case = file(loop)
    later = file(loop, kind="retraction", earlier_reference=case.reference)
    opened = open_case(loop.desk, case.reference, actor=ACTOR)
    assert isinstance(opened.content, SealedIndustryReport)
    reports = open_whole_case(loop.desk, opened.case, opened.content, actor=ACTOR)
    assert [one.case.reference for one in reports] == [case.reference, later.reference]
    assert all(one.content is not None for one in reports)
    assert find(loop, later.reference).opened_at is not None
    with loop.desk.store.read() as connection:
        noted = connection.execute(AUDIT.select().where(AUDIT.c.action == "open-case")).all()
    assert [entry.subject for entry in noted] == [case.case_id, later.case_id]


def test_case_with_very_many_reports_opens_some_of_them_at_once(loop: Loop) -> None:
    case = file(loop)
    for _ in range(MOST_OPENED + 2):
        send(loop, kind="supplement", earlier_reference=case.reference)
    loop.collect()
    opened = open_case(loop.desk, case.reference, actor=ACTOR)
    assert isinstance(opened.content, SealedIndustryReport)
    assert len(open_whole_case(loop.desk, opened.case, opened.content, actor=ACTOR)) == MOST_OPENED
    assert len(joined(loop, case.reference)) == MOST_OPENED + 3


def test_closing_closes_what_was_read_of_a_case_and_leaves_what_was_not(loop: Loop) -> None:
    case = read(loop)
    seen = read(loop, kind="correction", earlier_reference=case.reference)
    unread = file(loop, kind="retraction", earlier_reference=case.reference)
    assess_and_close(loop.desk, case.reference, CLOSING, actor=ACTOR)
    assert (find(loop, seen.reference).outcome, find(loop, seen.reference).kind) == ("used", "grooming")
    assert queue(loop) == [unread.reference]
    assert queue(loop, "closed") == [case.reference]


def test_retraction_closes_nothing_by_itself_and_what_comes_after_closing_waits_for_a_person(loop: Loop) -> None:
    case = read(loop)
    file(loop, kind="retraction", earlier_reference=case.reference)
    assert find(loop, case.reference).closed_at is None
    assess_and_close(loop.desk, case.reference, CLOSING, actor=ACTOR)
    closed = find(loop, case.reference)
    late = file(loop, kind="supplement", earlier_reference=case.reference, priority="P1")
    assert late.reference in queue(loop)
    assert find(loop, case.reference).closed_at == closed.closed_at
    with refused("not-opened"):
        assess_and_close(loop.desk, late.reference, CLOSING, actor=ACTOR)


def test_case_is_listed_once_in_every_list(loop: Loop) -> None:
    case = file(loop)
    file(loop, kind="supplement", earlier_reference=case.reference)
    other = file(loop)
    assert sorted(queue(loop)) == sorted(queue(loop, "all")) == sorted([case.reference, other.reference])
    assert queue(loop, "closed") == []
