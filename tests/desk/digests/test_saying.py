"""Figures, gaps and advice that noise alone makes, over simulated years of services, from draws to published bytes.

The noise is drawn in plain Python from the documented law, with fixed seeds, so no test fails by chance;
`test_noise.py` checks OpenDP's draws against this law. Each bound on a count would be passed by one seed in a thousand
although all is well (`FALSE_ALARM`, by the exact binomial tail).
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import pytest

from gateway.desk.digests.ledger import DigestRecord, Workings
from gateway.desk.digests.noise import get_scale, get_tail, get_threshold
from gateway.desk.digests.own_facts import DEFAULT_THRESHOLD
from gateway.desk.digests.payload import DrawnTable, build_body, find_drawn_total
from gateway.desk.digests.synthetic import KIND_SHARES
from gateway.desk.digests.tables import QUARTER_TABLES, Table, make_year_tables
from gateway.desk.keyring.key_set import Year
from partner_sdk.console.digests.view import list_gaps, list_summary
from partner_sdk.wire.digest import FEW, Digest, parse_digest
from tests.desk.digests.digest_builders import draw_noise
from tests.house.sources import ROOT

KIND, WEAKNESS = QUARTER_TABLES
YEAR = Year(2025)
PERIODS = (*YEAR.quarters, YEAR)
SERVICES = 400
MADE_AT = datetime(2026, 1, 25, 9, 30, tzinfo=UTC)
FALSE_ALARM = 1e-3


def bound_count(chance: float, *, of: int) -> int:
    """Return the count that so many tries with this chance pass with `FALSE_ALARM` at most."""
    above, count = 1.0, -1
    while above > FALSE_ALARM:
        count += 1
        above -= math.comb(of, count) * chance**count * (1 - chance) ** (of - count)
    return count


def draw_record(source: Random, name: str, tables: Sequence[Table], counts: Sequence[Sequence[int]]) -> DigestRecord:
    draws = {
        table.name: [
            count + draw_noise(source, get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro))
            for count in some
        ]
        for table, some in zip(tables, counts, strict=True)
    }
    workings = Workings(adopted=True, threshold=DEFAULT_THRESHOLD, placements=[], synthetic=False)
    return DigestRecord(name, "example-chat", name, b"", "", "", "", workings, draws)


def publish_year(source: Random, incidents: int) -> list[Digest]:
    """Return a service's four digests of quarters and its digest of the year; no incident shows a weakness.

    The partner reports as many of each kind as the public does, so that no gap is a true one.
    """
    kinds = [0] * len(KIND.labels)
    places = {label: place for place, (label, _) in enumerate(KIND.labels)}
    for kind in source.choices(list(KIND_SHARES), list(KIND_SHARES.values()), k=incidents):
        kinds[places[kind]] += 1
    quarters = [
        draw_record(source, one.name, QUARTER_TABLES, [kinds, [0] * len(WEAKNESS.labels)]) for one in YEAR.quarters
    ]
    facts = make_year_tables((), drawn_total=find_drawn_total(quarters) or 0)
    year = draw_record(source, YEAR.name, facts, [[4 * incidents, *[0] * (len(one.labels) - 1)] for one in facts])
    found = []
    for period, record in zip(PERIODS, (*quarters, year), strict=True):
        own = {label: count * len(period.quarters) for (label, _), count in zip(KIND.labels, kinds, strict=True)}
        body = build_body(
            record,
            facts if record is year else QUARTER_TABLES,
            environment="live",
            quarter=period,
            quarters=quarters if record is year else [record],
            own=(),
            stated_kinds=own,
            spent_micro=980_000,
            now=MADE_AT,
        )
        found.append(parse_digest(body))
    return found


def is_advised(digest: Digest) -> bool:
    """Return whether a digest names a weakness or a gap, and so a first step."""
    return bool(digest.recommendations or list_gaps(digest))


@pytest.fixture(scope="module")
def years() -> list[list[Digest]]:
    """The digests of a year of services without any incident."""
    source = Random(20261202)
    return [publish_year(source, 0) for _ in range(SERVICES)]


def test_services_without_an_incident_see_figures_in_at_most_one_of_40_of_each_span(years: list[list[Digest]]) -> None:
    """8.6 % of quarters and 24 % of years before. Noise alone should show 2.4 %; half of it shows none at all."""
    for span, of in (("quarter", 4 * SERVICES), ("year", SERVICES)):
        spans = [digest for year in years for digest in year if digest.span == span]
        assert len(spans) == of
        shown = [digest for digest in spans if digest.status == "published"]
        assert 0 < len(shown) <= bound_count(0.025, of=of)
        assert all(digest.total is not None and digest.total.low >= 1 for digest in shown)


def test_services_without_an_incident_are_advised_in_at_most_one_of_100_spans(years: list[list[Digest]]) -> None:
    for span in ("quarter", "year"):
        spans = [digest for year in years for digest in year if digest.span == span]
        assert sum(map(is_advised, spans)) <= bound_count(0.01, of=len(spans))
    calm = [dict(list_summary(one, [])) for year in years for one in year if one.total and not is_advised(one)]
    assert calm
    assert all("easy to find" in one["What to do first"] for one in calm)


@pytest.mark.parametrize(("incidents", "services"), [(5, 300), (20, 200), (100, 200)])
def test_a_service_is_falsely_advised_in_at_most_one_of_twenty_years(incidents: int, services: int) -> None:
    """3 %, 16 % and 17 % before, for the weaknesses alone."""
    source = Random(incidents)
    advised = sum(any(map(is_advised, publish_year(source, incidents))) for _ in range(services))
    assert advised <= bound_count(0.05, of=services)


def test_the_corrected_test_is_as_sharp_as_its_bound() -> None:
    """By the exact tails: all lines of a year's five digests stay below it in 95 of 100 years, and hardly more."""
    lines = len(KIND.labels) + len(WEAKNESS.labels)
    silent = 1.0
    for table in QUARTER_TABLES:
        for periods in (1, 1, 1, 1, 4):
            values = tuple(range(400))
            least = DrawnTable(table, values, periods).list_clear(above=[0] * len(values)).index(True)
            scale = get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
            silent *= (1 - get_tail(scale=scale, draws=periods, least=least)) ** len(table.labels)
    assert lines == 25
    assert 0.95 <= silent < 0.96
    assert DrawnTable(WEAKNESS, (42,), 1).list_clear() == [False]  # 21 incidents: noise makes it in 5 % of the quarters


def test_documents_state_the_numbers_from_which_a_digest_shows_and_advises() -> None:
    shown = [DrawnTable(KIND, (0,), quarters).get_reach(lines=len(KIND.labels)) + 1 for quarters in (1, 4)]
    named, gaps = (
        [DrawnTable(table, tuple(range(400)), quarters).list_clear().index(True) / table.units for quarters in (1, 4)]
        for table in (WEAKNESS, KIND)
    )
    text = " ".join((ROOT / "docs/anonymity.md").read_text("utf-8").split())
    assert f"({shown[0]} incidents in a quarter, {shown[1]} in a year)" in text
    assert f"from {named[0]:.0f} and {gaps[0]:.0f} incidents above nothing in a quarter on" in text
    assert f"({math.ceil(named[1])} and {gaps[1]:.0f} in a year)" in text
    partners = " ".join((ROOT / "docs/partners.md").read_text("utf-8").split())
    assert f"Fewer than {shown[0]} in a quarter, or {shown[1]} in a year" in partners


@pytest.mark.parametrize(
    ("table", "counts"),
    [(KIND, [34, 20, 20, 12, 9, 5, 0, 0]), (WEAKNESS, [60, 40, 30, 20, 10, 6, *[0] * 11])],
    ids=["kinds", "weaknesses"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(table: Table, counts: list[int]) -> None:
    """95 % of the cells, by the plain law of the noise: few misses, but some."""
    source, held, tried = Random(1), 0, 0
    kinds = counts if table is KIND else [30] * 8
    for _ in range(300):
        given = {KIND.name: kinds, WEAKNESS.name: counts if table is WEAKNESS else [0] * 17}
        record = draw_record(source, "2025-Q1", QUARTER_TABLES, list(given.values()))
        body = build_body(
            record,
            QUARTER_TABLES,
            environment="live",
            quarter=YEAR.quarters[0],
            quarters=[record],
            own=(),
            stated_kinds={},
            spent_micro=800_000,
            now=MADE_AT,
        )
        digest = parse_digest(body)
        cells = {cell.label: cell for one in digest.tables if one.name == table.name for cell in one.cells}
        for (label, _), count in zip(table.labels, counts, strict=True):
            held += cells[label].low <= count / table.units <= cells[label].high
            tried += 1
            assert (cells[label].value is None) == (cells[label].shown == FEW)
    assert tried == 300 * len(counts)
    assert 0.95 <= held / tried < 1


def test_a_partner_is_eligible_wrongly_at_40_incidents_in_one_per_cent_at_most_and_rightly_at_80_in_99() -> None:
    scale, cells = get_scale(sensitivity=1, epsilon_micro=KIND.epsilon_micro), len(KIND.labels)
    assert get_tail(scale=scale, draws=cells, least=DEFAULT_THRESHOLD - 40) <= 0.01
    assert 1 - get_tail(scale=scale, draws=cells, least=80 - DEFAULT_THRESHOLD + 1) >= 0.99
    assert get_tail(scale=scale, draws=cells, least=DEFAULT_THRESHOLD) < 1e-9


@pytest.mark.parametrize("scale", [0.3, 1.82, 8.0, 250.0])
def test_the_tail_of_one_draw_is_that_of_the_closed_form(scale: float) -> None:
    decay = math.exp(-1 / scale)
    for least in (1, 2, 20):
        expected = decay**least / (1 + decay)
        assert get_tail(scale=scale, draws=1, least=least) == pytest.approx(expected, rel=1e-9)
    for draws in (1, 2, 4):
        threshold = get_threshold(scale=scale, draws=draws, chance=0.003)
        assert get_tail(scale=scale, draws=draws, least=threshold) <= 0.003
        assert threshold == 1 or get_tail(scale=scale, draws=draws, least=threshold - 1) > 0.003
