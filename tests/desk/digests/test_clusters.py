"""The frozen clusters: their content, and that it has one spelling."""

import pytest

from gateway.desk.digests.tables import (
    COLUMNS,
    FrozenClusters,
    FrozenClustersError,
    count_table,
    freeze,
    make_labels,
    make_year_tables,
    parse_clusters,
    shorten,
)
from partner_sdk.errors import ReportAbuseError
from tests.desk.digests.digest_builders import freeze_some, make_cluster


def test_frozen_clusters_have_one_spelling_in_any_order_and_are_read_back_the_same() -> None:
    some = [make_cluster("a"), make_cluster("b", kind="sexual_talk", cases=("x", "y")), make_cluster("c", kind="new")]
    frozen = freeze_some(*some)
    assert frozen.encode() == freeze_some(*reversed(some)).encode()
    assert parse_clusters(frozen.encode()) == frozen
    assert (len(frozen), frozen.count("grooming", column="kind"), frozen.count("new", column="kind")) == (3, 1, 0)
    assert frozen.list_cases() == {shorten(one) for one in ("a", "x", "y", "c")}


def test_clusters_frozen_before_a_column_existed_are_read_and_count_none_in_it() -> None:
    new = freeze_some(make_cluster("a", facts={"moved_to": "game"}), make_cluster("b"))
    assert new.count("game", column="moved_to") == 1
    place = COLUMNS.index("moved_to")
    ids = [(codes[:place] + codes[place + 1 :], ids) for codes, ids in new.groups.items()]
    old = FrozenClusters(
        labels={column: labels for column, labels in new.labels.items() if column != "moved_to"},
        groups={codes: b"".join(sorted(one for other, one in ids if other == codes)) for codes, _ in ids},
        others=new.others,
    )
    found = parse_clusters(old.encode())
    assert found == old
    assert (found.count("game", column="moved_to"), found.count("grooming", column="kind")) == (0, 2)
    year = {table.name: table for table in make_year_tables((), drawn_total=10_000)}
    assert count_table(year["moved_to"], found)[-1] == 2  # not known


def test_frozen_clusters_hold_no_case_id() -> None:
    assert b"case-of-one" not in freeze_some(make_cluster("case-of-one")).encode()


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw.replace(b"\n", b"", 1)]
)
def test_damaged_clusters_are_refused(change) -> None:
    raw = freeze_some(make_cluster("a"), make_cluster("b")).encode()
    with pytest.raises(ReportAbuseError):
        parse_clusters(change(raw))


def test_a_column_takes_at_most_255_labels() -> None:
    labels = dict.fromkeys(COLUMNS, ("one",))
    freeze([], labels={**labels, "placement": [f"p{number}" for number in range(255)]})
    with pytest.raises(FrozenClustersError):
        freeze([], labels={**labels, "placement": [f"p{number}" for number in range(256)]})


def test_of_two_clusters_with_a_common_case_one_is_kept_and_a_spent_one_is_not() -> None:
    frozen = freeze_some(make_cluster("a", cases=("x", "y")), make_cluster("b", cases=("y", "z")))
    assert (len(frozen), frozen.list_cases()) == (1, {shorten("x"), shorten("y")})
    labels = make_labels(())
    assert len(freeze([(("x", "y"), make_cluster("a").answers)], labels=labels, spent={shorten("y")})) == 0
