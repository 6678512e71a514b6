"""The usefulness of digests: the error of the published figures, beside the rule "hide under 5, round to 5".

Everything runs over the desk's own functions: tables, noise and the published bytes. The incidents are seeded;
the noise is OpenDP's and never is. Bars are those of issue 16.

    .venv/bin/python -m tests.bench.digest_usefulness --digests 2000
"""

import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gateway.desk.digests import noise
from gateway.desk.digests.ledger import DigestRecord, Workings
from gateway.desk.digests.own_facts import DEFAULT_THRESHOLD, is_eligible
from gateway.desk.digests.payload import build_body, find_drawn_total
from gateway.desk.digests.tables import (
    BUDGET_MICRO,
    OUTCOME_MICRO,
    QUARTER_TABLES,
    Cluster,
    Table,
    count_table,
    make_year_tables,
)
from gateway.desk.keyring.key_set import Period, Quarter, Year
from partner_sdk.console.digests.view import list_gaps
from partner_sdk.wire.digest import Digest, DigestCell, parse_digest
from tests.bench.digest_attacks import CERTAINTY_ERROR, bound_share
from tests.bench.digest_year import (
    PLACES,
    PROVIDERS,
    SIZE_OF_A_YEAR,
    TABLES,
    Provider,
    count_mentions,
    freeze_some,
    make_exact_hundred,
    make_incident,
    make_year,
    publish_classically,
)
from tests.bench.figures import Figure, format_number, make_figure, make_parser, print_figures

QUARTERS: Final = Year(2025).quarters
MADE_AT: Final = datetime(2026, 1, 25, 9, 30, tzinfo=UTC)
TOP: Final = 3
FEWEST: Final = 20
Values = dict[str, int | None]
RULE: Final = "Classical rule"


def draw_record(period: Period, tables: Sequence[Table], counts: Sequence[Sequence[int]]) -> DigestRecord:
    """Return the record of a period with the draws of these counts."""
    draws = {
        table.name: noise.draw(some, sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
        for table, some in zip(tables, counts, strict=True)
    }
    workings = Workings(True, DEFAULT_THRESHOLD, list(PLACES), False)
    return DigestRecord(period.name, "example-chat", period.name, b"", "", "", "", workings, draws)


def draw_quarter(incidents: Sequence[Cluster], quarter: Quarter = QUARTERS[2]) -> DigestRecord:
    """Return the record of one quarter."""
    frozen = freeze_some(incidents)
    return draw_record(quarter, QUARTER_TABLES, [count_table(table, frozen) for table in QUARTER_TABLES])


def publish(incidents: Sequence[Cluster]) -> Digest:
    """Return the digest of a quarter with these incidents as its partner reads it."""
    record = draw_quarter(incidents)
    return _build(record, QUARTER_TABLES, QUARTERS[2], [record])


def publish_year(quarters: Sequence[Sequence[Cluster]]) -> Digest:
    """Return the digest of a year, which adds up the draws of its quarters and draws its own tables once."""
    return publish_all(quarters)[-1]


def publish_all(quarters: Sequence[Sequence[Cluster]]) -> list[Digest]:
    """Return the digests of four quarters and of their year."""
    records = [draw_quarter(incidents, quarter) for incidents, quarter in zip(quarters, QUARTERS, strict=True)]
    tables = make_year_tables(PLACES, drawn_total=find_drawn_total(records) or 0)
    frozen = freeze_some(one for incidents in quarters for one in incidents)
    year = Year(QUARTERS[0].year)
    record = draw_record(year, tables, [count_table(table, frozen) for table in tables])
    own = [count_exactly(incidents, "kind") for incidents in quarters]
    whole = {label: sum(one[label] for one in own) for label in own[0]}
    found = [
        _build(one, QUARTER_TABLES, quarter, [one], own=kinds)
        for one, quarter, kinds in zip(records, QUARTERS, own, strict=True)
    ]
    return [*found, _build(record, tables, year, records, own=whole)]


def _build(
    record: DigestRecord,
    tables: Sequence[Table],
    period: Period,
    quarters: list[DigestRecord],
    *,
    own: Mapping[str, float] | None = None,
) -> Digest:
    body = build_body(
        record,
        tables,
        environment="live",
        quarter=period,
        own=(),
        stated_kinds={label: int(count) for label, count in (own or {}).items()},
        quarters=quarters,
        spent_micro=BUDGET_MICRO - OUTCOME_MICRO,
        now=MADE_AT,
    )
    return parse_digest(body)


def list_cells(digest: Digest, table: str) -> dict[str, DigestCell]:
    """Return the published cells of a table by label; empty where it is not in the digest."""
    return {cell.label: cell for one in digest.tables if one.name == table for cell in one.cells}


def list_values(digest: Digest, table: str) -> Values:
    """Return the published values of a table by label."""
    return {label: cell.value for label, cell in list_cells(digest, table).items()}


def count_exactly(incidents: Sequence[Cluster], table: str) -> dict[str, float]:
    """Return the true numbers of a table by label, e.g. 2.5 where one incident counts half."""
    found = next(one for one in TABLES if one.name == table)
    counts = count_table(found, freeze_some(incidents))
    return {label: count / found.units for (label, _), count in zip(found.labels, counts, strict=True)}


def count_classically(incidents: Sequence[Cluster], table: str) -> dict[str, float]:
    """Return the plain numbers of incidents that the classical rule rounds."""
    labels = next(one.labels for one in TABLES if one.name == table)
    counts = count_mentions(incidents)
    return {label: counts[table, label] for label, _ in labels}


def rank(values: Values | dict[str, float]) -> list[str]:
    """Return the labels, highest first, a hidden value last and equal ones in their published order."""
    return sorted(values, key=lambda label: -(values[label] or 0))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of one published table beside the truth: relative errors of the largest cells, and their order."""

    errors: list[float]
    is_top_right: bool


def compare(truth: dict[str, float], published: Values) -> Comparison:
    """Compare a published table with the truth over the three largest true cells; a hidden cell counts as nought."""
    largest = rank(truth)[:TOP]
    errors = [abs((published.get(label) or 0) - truth[label]) / truth[label] for label in largest if truth[label]]
    # Where the third and the fourth are equal in truth, either is right.
    third = truth[largest[-1]]
    top = rank(published)[:TOP]
    return Comparison(errors, len(top) == TOP and all(truth[label] >= third for label in top))


def measure_hundred(digests: int, *, table: str, classical: bool, seed: int = 1) -> tuple[float, float, float]:
    """Return median and mean relative error of the three largest cells, and the share of right top threes, at 100."""
    source = random.Random(seed)
    found = [compare_one(make_exact_hundred(source), table=table, classical=classical) for _ in range(digests)]
    errors = [error for one in found for error in one.errors]
    right = statistics.mean(one.is_top_right for one in found)
    return statistics.median(errors), statistics.mean(errors), right


def compare_one(incidents: Sequence[Cluster], *, table: str, classical: bool) -> Comparison:
    """Compare one published table of a quarter with the truth, under our rule or the classical one."""
    if classical:
        truth = count_classically(incidents, table)
        return compare(truth, {label: publish_classically(int(count)) for label, count in truth.items()})
    return compare(count_exactly(incidents, table), list_values(publish(incidents), table))


def measure_drawn(digests: int, *, incidents: int, table: str, seed: int = 5) -> float:
    """Return the share of right top threes where each incident has its kind and weaknesses by their shares."""
    source, right = random.Random(seed), 0
    for _ in range(digests):
        some = [make_incident(source, f"drawn-{number}") for number in range(incidents)]
        right += compare_one(some, table=table, classical=False).is_top_right
    return right / digests


def measure_false_advice(years: int, incidents: Sequence[Cluster]) -> float:
    """Return the share of years in which a digest recommends a change although no incident has a weakness.

    Each quarter has these incidents, and the partner reports as many of each kind, so that no gap is a true one.
    """
    return sum(any(is_advised(one) for one in publish_all([incidents] * 4)) for _ in range(years)) / years


def is_advised(digest: Digest) -> bool:
    """Return whether a digest names a weakness or a gap, and so a first step."""
    return bool(digest.recommendations or list_gaps(digest))


def measure_eligible(digests: int, incidents: int) -> float:
    """Return the share of quarters in which a provider without the button gets a digest with so many incidents."""
    some = make_exact_hundred(random.Random(2))[:incidents]
    found = (find_drawn_total([draw_quarter(some)]) for _ in range(digests))
    return sum(is_eligible(adopted=False, drawn_total=total) for total in found) / digests


def measure_year_tables(digests: int, *, incidents: int = SIZE_OF_A_YEAR) -> float:
    """Return the median relative error of the three largest ages, places and places of first contact of a year."""
    source, errors = random.Random(4), []
    for _ in range(digests):
        quarters = [
            [make_incident(source, f"{quarter}-{one}") for one in range(incidents // 4)] for quarter in range(4)
        ]
        whole, digest = [one for some in quarters for one in some], publish_year(quarters)
        for table in TABLES:
            if table not in QUARTER_TABLES:
                errors += compare(count_exactly(whole, table.name), list_values(digest, table.name)).errors
    return statistics.median(errors)


@dataclass(frozen=True, slots=True)
class OfYear:
    """Figures of one table over one quarter of every provider."""

    error: float  # mean distance of a shown cell from the truth, in incidents
    shown: float  # share of incidents in cells that are shown
    largest: float  # median relative error of the three largest cells
    top: float  # share of right top threes
    held: float  # share of cells whose truth is in their interval


def measure_providers(year: Sequence[Provider], *, table: str, classical: bool, fewest: int) -> OfYear:
    """Return the figures of a table; errors of the largest and top threes over providers with `fewest` incidents."""
    errors, largest, top, held = [], [], [], []
    counted = in_shown = 0.0
    for provider in year:
        incidents = provider.quarters[2]
        if classical:
            truth = count_classically(incidents, table)
            values: Values = {label: publish_classically(int(count)) for label, count in truth.items()}
        else:
            truth, cells = count_exactly(incidents, table), list_cells(publish(incidents), table)
            values = {label: cell.value for label, cell in cells.items()}
            held += [cell.low <= truth[label] <= cell.high for label, cell in cells.items()]
        shown = {label: value for label, value in values.items() if value is not None}
        errors += [abs(value - truth[label]) for label, value in shown.items()]
        counted += sum(truth.values())
        in_shown += sum(truth[label] for label in shown)
        if len(incidents) >= fewest:
            compared = compare(truth, values)
            largest += compared.errors
            top.append(compared.is_top_right)
    return OfYear(
        error=statistics.mean(errors),
        shown=in_shown / counted,
        largest=statistics.median(largest),
        top=statistics.mean(top),
        held=statistics.mean(held) if held else 1.0,
    )


def run(*, digests: int, providers: int) -> list[Figure]:
    """Measure the bars of issue 16 over so many digests each, and one quarter of the year beside the classical rule."""
    source = random.Random(3)
    hundred = make_exact_hundred(source)
    no_weakness = [replace(one, weaknesses=()) for one in hundred]
    kind = {classical: measure_hundred(digests, table="kind", classical=classical) for classical in (False, True)}
    weakness = {rule: measure_hundred(digests, table="weakness", classical=rule) for rule in (False, True)}
    yearly = measure_year_tables(digests // 10)
    empty = [publish_all([[]] * 4) for _ in range(digests)]
    of_quarters = statistics.mean(one.total is not None for found in empty for one in found[:4])
    of_years = statistics.mean(found[4].total is not None for found in empty)
    figures = [
        make_row("100 incidents: median error of the three largest kinds", kind[False][0], kind[True][0], most=0.06),
        make_row("100 incidents: mean error of the three largest kinds", kind[False][1], kind[True][1]),
        make_share("100 incidents: top three kinds right", kind[False][2], kind[True][2], of=digests, least=0.94),
        make_row("100 incidents: median error of the three largest weaknesses", weakness[False][0], weakness[True][0]),
        make_row("100 incidents: mean error of the three largest weaknesses", weakness[False][1], weakness[True][1]),
        make_share(
            "100 incidents: top three weaknesses right", weakness[False][2], weakness[True][2], of=digests, least=0.65
        ),
        *(
            make_share(
                f"{count} drawn incidents: top three {title} right",
                measure_drawn(digests // 4, incidents=count, table=table),
                of=digests // 4,
            )
            for table, title in (("kind", "kinds"), ("weakness", "weaknesses"))
            for count in (20, 50, 100)
        ),
        make_share("no incident, a quarter: figures shown", of_quarters, of=4 * digests, most=0.025),
        make_share("no incident, a year: figures shown", of_years, of=digests, most=0.025),
        *(
            make_share(
                f"{count} incidents a quarter without a weakness: false advice in a year",
                measure_false_advice(digests // 2, no_weakness[:count]),
                of=digests // 2,
                most=0.05,
            )
            for count in (0, 5, 20, 100)
        ),
        make_share("40 incidents, no button: a digest", measure_eligible(digests, 40), of=digests),
        make_share("80 incidents, no button: a digest", measure_eligible(digests, 80), of=digests),
        make_row("400 incidents in a year: median error of the largest ages, places, first contacts", yearly),
    ]
    year = make_year(providers=providers)
    for table, title in (("kind", "kinds"), ("weakness", "weaknesses")):
        ours, theirs = (
            measure_providers(year, table=table, classical=classical, fewest=FEWEST) for classical in (False, True)
        )
        about = f"{providers} providers, a quarter, {title}: "
        figures += [
            make_row(f"{about}incidents in cells that are shown", ours.shown, theirs.shown),
            make_row(f"{about}true number within its interval", ours.held),
            make_row(
                f"{about}median error of the three largest, from {FEWEST} incidents", ours.largest, theirs.largest
            ),
            make_row(f"{about}top three right, from {FEWEST} incidents", ours.top, theirs.top),
            Figure(
                f"{about}mean error of a shown cell",
                ours.error,
                "incidents",
                beside={RULE: f"{format_number(theirs.error)} incidents"},
            ),
        ]
    return figures


def make_row(name: str, ours: float, classical: float | None = None, *, most: float | None = None) -> Figure:
    """Return a row in per cent; the bar is a share, e.g. 0.06."""
    made = make_figure(name, 100 * ours, unit="%", most=None if most is None else 100 * most)
    return replace(made, beside={RULE: "-" if classical is None else f"{format_number(100 * classical)} %"})


def make_share(
    name: str,
    ours: float,
    classical: float | None = None,
    *,
    of: int,
    least: float | None = None,
    most: float | None = None,
) -> Figure:
    """Return a row for a share of so many digests with its interval of 95 %; a bar within the interval is met."""
    low, high = bound_share(round(ours * of), of=of, error=CERTAINTY_ERROR / 2)
    bar = "" if least is None else f"at least {format_number(100 * least)}"
    bar = bar if most is None else f"at most {format_number(100 * most)}"
    is_met = (least is None or high >= least) and (most is None or low <= most)
    beside = {RULE: "-" if classical is None else f"{format_number(100 * classical)} %"}
    return Figure(name, 100 * ours, "%", 100 * low, 100 * high, bar, is_met if bar else None, beside)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--digests", type=int, default=800, help="digests of each figure (default: 800)")
    parser.add_argument("--providers", type=int, default=PROVIDERS, help="of the year (default: 400)")
    words = parser.parse_args()
    print_figures(run(digests=words.digests, providers=words.providers), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
