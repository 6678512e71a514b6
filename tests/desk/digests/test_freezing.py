"""The unit of privacy: each incident is one cluster, and is counted once in any order of links and closings."""

import contextlib
import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, update

from gateway.desk.cases.choices import load_facts
from gateway.desk.collection.joining import LinkError, add_link, end_link, list_cluster, load_clusters
from gateway.desk.digests.ledger import Workings, add_record
from gateway.desk.digests.making import freeze_clusters
from gateway.desk.digests.tables import FrozenClusters, shorten
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.store.migrations import METADATA
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time
from tests.desk.digests.digest_builders import NOW, PARTNER, QUARTER, make_case_values

SPRING, SUMMER = Quarter(2026, 2), Quarter(2026, 3)
IN_SPRING, IN_SUMMER = "2026-05-01T00:00:00Z", "2026-08-01T00:00:00Z"
WHY = {"by": "A. Analyst", "now": NOW}
WORKINGS = Workings(adopted=True, threshold=60, placements=[], synthetic=False)
FACTS = [(name, code) for name, fact in load_facts().items() for code in fact.answers]


@pytest.fixture(scope="module")
def empty() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def connection(empty: Connection) -> Iterator[Connection]:
    """A transaction on the empty tables of a desk; it leaves nothing behind."""
    yield empty
    empty.rollback()


def add(connection: Connection, case_id: str, closed_at: str | None = IN_SUMMER, **changes: object) -> str:
    values = make_case_values(case_id=case_id, closed_at=closed_at, **changes)
    connection.execute(insert(CASES).values(values))
    return case_id


def close(connection: Connection, case_id: str, closed_at: str | None) -> None:
    connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(closed_at=closed_at))


def count(connection: Connection, quarter: Quarter = QUARTER, partner: str = PARTNER) -> FrozenClusters:
    return freeze_clusters(connection, partner=partner, quarter=quarter, environment="live", places=())[0]


def publish(connection: Connection, quarter: Quarter = QUARTER, partner: str = PARTNER) -> FrozenClusters:
    """Freeze a quarter's clusters under their manifest, as the making of a digest does first."""
    clusters = count(connection, quarter, partner)
    add_record(connection, partner=partner, quarter=quarter, by="A", now=NOW, workings=WORKINGS, clusters=clusters)
    return clusters


@pytest.mark.parametrize("links", list(itertools.permutations([("0", "1"), ("1", "2"), ("2", "3")])))
def test_cases_closed_as_one_another_are_one_cluster_in_any_order(connection: Connection, links) -> None:
    """Copied ids froze two here: 2 was closed as 1, then 1 as 0, and 2 kept the id of 1."""
    for case_id in "0123":
        add(connection, case_id)
    for one, other in links:
        add_link(connection, one, other, **WHY)
    assert len(publish(connection)) == 1
    assert list_cluster(connection, "3") == {"0", "1", "2", "3"}


def test_an_addition_closed_later_counts_nothing_again_in_the_next_quarter(connection: Connection) -> None:
    add(connection, "first", IN_SPRING)
    add(connection, "addition", None)
    add_link(connection, "addition", "first", **WHY)
    add_link(connection, "first", add(connection, "older", IN_SPRING), **WHY)  # after the addition was linked
    assert len(publish(connection, SPRING)) == 1
    close(connection, "addition", IN_SUMMER)
    assert len(publish(connection, SUMMER)) == 0


def test_a_merge_after_closing_with_a_counted_cluster_counts_and_spends_nothing_new(connection: Connection) -> None:
    add(connection, "counted", IN_SPRING)
    publish(connection, SPRING)
    add(connection, "late")
    add(connection, "later")
    add_link(connection, "late", "counted", **WHY)
    assert publish(connection, SUMMER).list_cases() == {shorten("later")}


def test_a_published_period_keeps_its_clusters_whatever_is_linked_later(connection: Connection) -> None:
    add(connection, "one")
    add(connection, "two")
    before = publish(connection)
    add_link(connection, "one", "two", **WHY)
    assert (len(before), len(count(connection))) == (2, 1)
    add_link(connection, "one", add(connection, "three", "2026-09-30T00:00:00Z"), **WHY)
    assert len(count(connection, Quarter(2026, 4))) == 0


def test_a_split_after_publication_counts_no_part_of_the_cluster_again(connection: Connection) -> None:
    add(connection, "one", IN_SPRING)
    add(connection, "two", None)
    add_link(connection, "one", "two", **WHY)
    publish(connection, SPRING)
    end_link(connection, "two", "one", **WHY)
    close(connection, "two", IN_SUMMER)
    assert len(publish(connection, SUMMER)) == 0


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_reopened_case_is_counted_once_and_leaves_the_quarter_that_counted_it_never(
    connection: Connection, is_counted: bool
) -> None:
    add(connection, "one", IN_SPRING)
    add(connection, "linked", None)
    add_link(connection, "one", "linked", **WHY)
    before = publish(connection, SPRING) if is_counted else None
    close(connection, "one", None)
    if before is None:
        assert len(count(connection, SPRING)) == 0
    close(connection, "one", IN_SUMMER)
    close(connection, "linked", IN_SUMMER)
    # Its quarter is that of its standing closing until a digest has counted it; from then on it stays there.
    assert len(publish(connection, SUMMER)) == (0 if is_counted else 1)


def test_a_split_before_publication_makes_two_and_a_new_link_one_again(connection: Connection) -> None:
    add(connection, "one")
    add(connection, "two")
    assert add_link(connection, "one", "two", **WHY)
    assert not add_link(connection, "two", "one", **WHY)
    end_link(connection, "two", "one", **WHY)
    assert len(count(connection)) == 2
    with pytest.raises(LinkError, match="no link of their own"):
        end_link(connection, "one", "two", **WHY)
    add_link(connection, "two", "one", **WHY)
    assert len(count(connection)) == 1


def test_an_earlier_quarter_made_later_does_not_count_what_a_later_one_has(connection: Connection) -> None:
    add(connection, "counted")
    publish(connection, SUMMER)
    add_link(connection, add(connection, "earlier", IN_SPRING), "counted", **WHY)
    add(connection, "other", IN_SPRING)
    assert publish(connection, SPRING).list_cases() == {shorten("other")}


def test_a_cluster_belongs_to_the_quarter_of_its_first_closed_case(connection: Connection) -> None:
    add_link(connection, add(connection, "early", IN_SPRING), add(connection, "late"), **WHY)
    assert (len(count(connection, SUMMER)), len(count(connection, SPRING))) == (0, 1)


def test_a_cluster_has_its_gravest_kind_and_the_newest_answer_that_knows(connection: Connection) -> None:
    first = add(
        connection, "a", "2026-07-02T00:00:00Z", kind="sexual_acts_live", age_band="12_or_under", outcome="used"
    )
    second = add(connection, "b", "2026-07-03T00:00:00Z", kind="sexual_talk", age_band="13_15", outcome="actioned")
    third = add(connection, "c", "2026-07-04T00:00:00Z", kind="grooming", age_band="unknown", weakness_1=None)
    add_link(connection, first, second, **WHY)
    add_link(connection, second, third, **WHY)
    frozen = count(connection)
    found = {
        column: label
        for column, labels in frozen.labels.items()
        for label in labels
        if frozen.count(label, column=column)
    }
    assert found == {
        "kind": "sexual_acts_live",
        "age_band": "13_15",
        "outcome": "used",
        "weakness_1": "open_direct_messages",
    }


def test_a_fact_that_one_case_of_a_cluster_knows_is_known_and_the_newest_counts(connection: Connection) -> None:
    answers: dict[str, dict[str, str | None]] = {
        "old": {"moved_to": "game", "blackmail": "none"},
        "new": {"moved_to": "messenger", "blackmail": None},
    }
    for case_id, known in answers.items():
        add(connection, case_id, "2026-08-02T08:00:00Z" if case_id == "old" else "2026-08-03T08:00:00Z")
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(known))
    add_link(connection, "old", "new", **WHY)
    found = count(connection)
    counted = {(column, code): found.count(code, column=column) for column, code in FACTS}
    assert counted == {fact: int(fact in {("moved_to", "messenger"), ("blackmail", "none")}) for fact in FACTS}


def test_nothing_of_a_case_about_another_service_enters_a_cluster(connection: Connection) -> None:
    here = add(connection, "here", kind="sexual_talk")
    there = add(connection, "there", about="other", kind="sexual_acts_live")
    add_link(connection, here, there, **WHY)
    assert [count(connection, partner=name).count("sexual_talk", column="kind") for name in (PARTNER, "other")] == [
        1,
        0,
    ]


def test_own_reports_alone_make_no_cluster_and_leave_it_to_the_first_report_of_another(connection: Connection) -> None:
    own = add(connection, "own", IN_SPRING, partner=PARTNER, door="industry")
    assert len(count(connection, SPRING)) == 0
    add_link(connection, own, add(connection, "child"), **WHY)
    assert (len(count(connection, SPRING)), len(count(connection, SUMMER))) == (0, 1)


CASE_IDS = "abcdef"
_pairs = st.tuples(st.sampled_from(CASE_IDS), st.sampled_from(CASE_IDS)).filter(lambda pair: pair[0] != pair[1])
_steps = st.one_of(
    st.tuples(st.just("link"), _pairs),
    st.tuples(st.just("end"), _pairs),
    st.tuples(st.just("close"), st.tuples(st.sampled_from(CASE_IDS), st.integers(1, 4))),
    st.tuples(st.just("reopen"), st.tuples(st.sampled_from(CASE_IDS), st.none())),
    st.tuples(st.just("publish"), st.tuples(st.integers(1, 4), st.none())),
)


@settings(max_examples=60, deadline=timedelta(seconds=5))
@given(st.lists(_steps, max_size=24))
def test_no_order_of_links_ends_closings_and_quarters_counts_a_case_twice(empty: Connection, steps) -> None:
    """After each step: a case is in at most one counted cluster, and a new one holds no case of an earlier one."""
    try:
        for case_id in CASE_IDS:
            add(empty, case_id, None)
        counted: dict[str, FrozenClusters] = {}
        for name, (first, second) in steps:
            match name:
                case "link":
                    add_link(empty, first, second, **WHY)
                case "end":
                    if first in load_clusters(empty).list_members(second):
                        with contextlib.suppress(LinkError):  # only other cases connect the two
                            end_link(empty, first, second, **WHY)
                case "close":
                    close(empty, first, format_time(Quarter(2025, second).starts_at))
                case "reopen":
                    close(empty, first, None)
                case "publish" if Quarter(2025, first).name not in counted:
                    quarter = Quarter(2025, first)
                    spent = frozenset().union(*(one.list_cases() for one in counted.values()))
                    clusters = load_clusters(empty)
                    counted[quarter.name] = publish(empty, quarter)
                    assert spent.isdisjoint(counted[quarter.name].list_cases())
                    roots = {
                        clusters.find(one) for one in CASE_IDS if shorten(one) in counted[quarter.name].list_cases()
                    }
                    assert len(roots) == len(counted[quarter.name])
    finally:
        empty.rollback()
