"""The influence of one cluster: the sensitivities that scale all noise, tried over two worlds that differ in it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.cases.choices import AGE_BANDS, KINDS, NOT_KNOWN, OUTCOMES, WEAKNESSES, load_facts, load_weaknesses
from gateway.desk.cases.reading import labels
from gateway.desk.digests.synthetic import FACT_SHARES
from gateway.desk.digests.tables import (
    BUDGET_MICRO,
    COLUMNS,
    FEWEST_YEAR_TABLES,
    NOT_STATED,
    OUTCOME_MICRO,
    QUARTER_TABLES,
    SMALLEST_YEAR,
    YEAR_MICRO,
    Cluster,
    count_table,
    make_year_tables,
)
from gateway.desk.store.schema import CASES
from tests.desk.digests.digest_builders import freeze_some, make_cluster

PLACEMENTS = (("profile", "Profile page"), ("chat", "Chat"))
LARGE_YEAR = 10_000
YEAR_TABLES = make_year_tables(PLACEMENTS, drawn_total=LARGE_YEAR)
TABLES = {table.name: table for table in (*QUARTER_TABLES, *YEAR_TABLES)}

_codes = st.sampled_from([*(code for code, _ in WEAKNESSES), "unheard_of"])
_clusters = st.builds(
    Cluster,
    cases=st.sampled_from([(f"k{number}",) for number in range(12)]),
    kind=st.sampled_from([*(code for code, _ in KINDS), NOT_STATED, "unheard_of"]),
    age_band=st.sampled_from([*(code for code, _ in AGE_BANDS), NOT_STATED]),
    placement=st.sampled_from(["profile", "chat", "unheard_of", NOT_STATED]),
    outcome=st.sampled_from([*(code for code, _ in OUTCOMES), NOT_STATED]),
    weaknesses=st.lists(_codes, max_size=9).map(tuple),
    facts=st.fixed_dictionaries(
        {},
        optional={
            name: st.sampled_from([*fact.answers, NOT_STATED, "unheard_of", None])
            for name, fact in load_facts().items()
        },
    ),
)


@given(st.lists(_clusters, max_size=25), _clusters)
def test_one_whole_cluster_moves_each_table_by_at_most_its_sensitivity(clusters: list[Cluster], one: Cluster) -> None:
    # The cluster is taken out with every case that it has, not only the one that was drawn here.
    without = [cluster for cluster in clusters if cluster.cases != one.cases]
    with_it = [*clusters, one]
    for table in TABLES.values():
        pairs = zip(count_table(table, freeze_some(*with_it)), count_table(table, freeze_some(*without)), strict=True)
        assert sum(abs(here - there) for here, there in pairs) <= table.sensitivity
    assert len(TABLES) == 9


def test_the_sensitivities_are_reached_so_no_budget_is_wasted() -> None:
    for table in TABLES.values():
        assert sum(count_table(table, freeze_some(make_cluster("a")))) == table.sensitivity


def test_a_cluster_of_many_cases_counts_once_by_its_first() -> None:
    cases = [make_cluster("a", kind="sexual_talk"), make_cluster("a", kind="grooming"), make_cluster("b")]
    counts = dict(
        zip([code for code, _ in TABLES["kind"].labels], count_table(TABLES["kind"], freeze_some(*cases)), strict=True)
    )
    assert counts["sexual_talk"] == 1
    assert counts["grooming"] == 1
    assert sum(counts.values()) == 2


def test_two_weaknesses_count_half_each_a_repeated_one_is_whole_and_a_third_not_at_all() -> None:
    twice = make_cluster("a", weaknesses=("slow_response", "slow_response"))
    three = make_cluster("b", weaknesses=("slow_response", "no_block_tool", "weak_age_check"))
    halves = dict(
        zip([code for code, _ in WEAKNESSES], count_table(TABLES["weakness"], freeze_some(twice)), strict=True)
    )
    assert {code: count for code, count in halves.items() if count} == {"slow_response": 2}
    halves = dict(zip(halves, count_table(TABLES["weakness"], freeze_some(three)), strict=True))
    assert {code: count for code, count in halves.items() if count} == {"slow_response": 1, "no_block_tool": 1}


def test_labels_are_the_same_for_any_reports() -> None:
    for table in TABLES.values():
        assert len(count_table(table, freeze_some())) == len(
            count_table(table, freeze_some(make_cluster("a", kind="unheard_of")))
        )
        assert len(set(table.labels)) == len(table.labels)


def test_every_weakness_has_a_feature_and_advice_and_the_form_offers_it() -> None:
    known = load_weaknesses()
    assert len(known.weaknesses) >= 15
    assert {one.feature for one in known.weaknesses.values()} == set(known.features)
    for one in known.weaknesses.values():
        assert all(text.strip() == text and text for text in (one.title, one.text, one.change, one.solved))
        assert one.text.endswith(".")
        assert one.change.endswith(".")
    assert len({one.title for one in known.weaknesses.values()}) == len(known.weaknesses)
    offered = [choice for _, group in labels.WEAKNESS_GROUPS for choice in group]
    assert sorted(offered) == sorted(WEAKNESSES) == sorted(labels.WEAKNESSES)


def test_every_partition_counts_each_cluster_so_the_totals_can_agree() -> None:
    clusters = [make_cluster("a"), make_cluster("b", kind="unheard_of", age_band="x", placement="y", outcome="z")]
    for table in TABLES.values():
        if table.is_partition:
            assert sum(count_table(table, freeze_some(*clusters))) == 2


def test_the_tables_of_a_quarter_and_of_its_year_cost_at_most_one_together() -> None:
    assert {table.name: table.epsilon_micro for table in QUARTER_TABLES} == {"kind": 550_000, "weakness": 250_000}
    for places, total in itertools.product((PLACEMENTS, ()), (SMALLEST_YEAR, 600, LARGE_YEAR)):
        year = make_year_tables(places, drawn_total=total)
        spent = sum(table.epsilon_micro for table in (*QUARTER_TABLES, *year)) + OUTCOME_MICRO
        assert BUDGET_MICRO - 10 < spent <= BUDGET_MICRO
    assert BUDGET_MICRO == 1_000_000


def test_a_year_too_small_for_its_facts_spends_nothing_on_them() -> None:
    assert make_year_tables(PLACEMENTS, drawn_total=SMALLEST_YEAR - 1) == ()


def test_a_partner_without_agreed_placements_pays_for_no_table_of_them() -> None:
    assert [table.name for table in make_year_tables((), drawn_total=500)] == ["age_band", "first_contact", "moved_to"]


def test_a_larger_year_has_more_tables_and_none_is_noisier_for_its_size_than_at_the_start() -> None:
    share = YEAR_TABLES[0].epsilon_micro * LARGE_YEAR
    for total in range(SMALLEST_YEAR, 1000):
        year = make_year_tables(PLACEMENTS, drawn_total=total)
        assert [table.name for table in year] == [table.name for table in YEAR_TABLES][: len(year)]
        share = min(share, min(table.epsilon_micro for table in year) * total)
    assert share == YEAR_MICRO // FEWEST_YEAR_TABLES * SMALLEST_YEAR
    assert len(make_year_tables(PLACEMENTS, drawn_total=1000)) == len(YEAR_TABLES) == 7


def test_a_fact_is_a_column_of_a_case_and_a_question_of_the_form() -> None:
    known = load_facts()
    assert known.keys() <= set(CASES.c.keys())
    assert known.keys() <= set(COLUMNS)
    for fact in known.values():
        assert fact.question.endswith("?")
        assert NOT_KNOWN not in fact.answers.values()
        assert len(set(fact.answers.values())) == len(fact.answers) > 1
    assert {name: set(shares) - {""} - set(known[name].answers) for name, shares in FACT_SHARES.items()} == {
        name: set() for name in known
    }
