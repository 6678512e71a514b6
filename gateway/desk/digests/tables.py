"""The counts of a digest: its tables, their shares of the budget, and the frozen clusters that they count.

The unit of privacy is one cluster (everything about one person or incident). For any case content, its cluster moves a
table by at most `sensitivity` units in L1, whether it is added or removed. Never lets the data choose a label: a label
that appears only after a report would be an exact answer. A cluster is counted in one quarter and in the year of that
quarter, so the tables of a quarter and those of its year share one budget (`ledger.py`).

Clusters with equal answers are one group: an answer is one byte, a cluster the id of its lowest case. So a million
clusters take eight megabytes, and each count is a sum over some hundred groups. The bytes are the manifest of the
digest: their SHA-256 stands in the audit log and beside every spend of the ledger. Never contains an id of a case: only
the first eight bytes of its SHA-256, in the order of those bytes, not of time.

For example, one cluster of two cases about grooming (kind 2), of a child of 13 to 15 (age band 2):

    {"groups":1,"labels":{"age_band":["12_or_under","13_15",...],"kind":["meet_offline","grooming",...],...},"others":1}
    <1 byte for each column, by name> <8 bytes: the number of clusters> <8 bytes: cluster>
    <8 bytes: the other case>
"""

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, false, func, select

from gateway.desk.cases.choices import AGE_BANDS, KINDS, NOT_KNOWN, OUTCOMES, WEAKNESSES, load_facts
from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire import canonical
from partner_sdk.wire.canonical import format_time

COLUMNS: Final = tuple(sorted(("age_band", "kind", "outcome", "placement", "weakness_1", "weakness_2", *load_facts())))
ID_BYTES: Final = 8
# An answer is one byte, and 0 means that no label fits.
MOST_LABELS: Final = 255
_NUMBER_BYTES: Final = 8
_MOST_HEADER_BYTES: Final = 256 * 1024

Labels = Mapping[str, Sequence[str]]
# The answers of one case, in the order of `COLUMNS`.
Answers = tuple[str | None, ...]


class FrozenClustersError(ReportAbuseError):
    """Stored clusters do not have their form: the database was changed by hand."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster about one service on its way into the frozen form. `cases` are all its cases, counted or not.

    `facts` are the known answers by column.
    """

    cases: tuple[str, ...]
    kind: str
    age_band: str
    placement: str
    outcome: str
    weaknesses: tuple[str, ...]
    facts: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def answers(self) -> Answers:
        """Its answers as those of one case; a third weakness or a repeated one is dropped."""
        first, second = (*dict.fromkeys(self.weaknesses), None, None)[:2]
        named = {"age_band": self.age_band, "kind": self.kind, "outcome": self.outcome, "placement": self.placement}
        known = {**self.facts, **named, "weakness_1": first, "weakness_2": second}
        return tuple(known.get(column) for column in COLUMNS)


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    groups: int
    labels: dict[str, list[str]]
    others: int


@dataclass(frozen=True, slots=True)
class FrozenClusters:
    """The clusters of one digest. `len()` is their number; equal content has equal bytes.

    `groups` are the ids of the clusters by their answers, one byte for each column in the order of the names; `others`
    are the further cases of clusters with more than one. A digest frozen before a column existed lacks it.
    """

    labels: dict[str, tuple[str, ...]]
    groups: dict[bytes, bytes]
    others: bytes

    def __len__(self) -> int:
        return sum(map(len, self.groups.values())) // ID_BYTES

    def count(self, label: str, *, column: str) -> int:
        """Return the number of clusters with this label in a column, e.g. `count("grooming", column="kind")`."""
        return sum(number for labels, number in self.list_groups((column,)) if label in labels)

    def list_groups(self, columns: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """Yield the labels of each group in these columns and the number of its clusters; no label fits a code of 0."""
        names = sorted(self.labels)
        places = [(names.index(column), self.labels[column]) for column in columns if column in names]
        for codes, ids in self.groups.items():
            yield [known[codes[place] - 1] for place, known in places if codes[place]], len(ids) // ID_BYTES

    def list_cases(self) -> frozenset[bytes]:
        """Return every case of the clusters, as `shorten` makes them."""
        return frozenset().union(*map(_split, (*self.groups.values(), self.others)))

    def encode(self) -> bytes:
        """Return the bytes to store, which `parse_clusters` reads."""
        header = _Header(
            groups=len(self.groups),
            labels={column: list(labels) for column, labels in self.labels.items()},
            others=len(self.others) // ID_BYTES,
        )
        groups = (
            part
            for codes, ids in self.groups.items()
            for part in (codes, (len(ids) // ID_BYTES).to_bytes(_NUMBER_BYTES), ids)
        )
        return b"".join((canonical.encode(header), b"\n", *groups, self.others))


def freeze(
    clusters: Iterable[tuple[Sequence[str], Answers]],
    *,
    labels: Labels,
    single: Mapping[Answers, Sequence[bytes]] | None = None,
    spent: Collection[bytes] = frozenset(),
) -> FrozenClusters:
    """Return the frozen form of clusters, each under its lowest case; of two with a common case only the first is kept.

    Each is given as its cases, counted or not, and its answers. `single` are clusters of one case, as `shorten` makes
    them, by their answers; none of them is in `clusters`. A cluster with a case in `spent` was counted in another
    period, and is left out. `labels` are the known ones of each column, fixed before any data is read: others are
    stored as 0.
    """
    encode = _make_encoder(labels)
    groups: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for answers, ids in (single or {}).items():
        groups[encode(answers)] += [one for one in ids if one not in spent] if spent else ids
    seen, others = set(spent), []
    for cases, answers in clusters:
        ids = sorted(map(shorten, set(cases)))
        if seen.isdisjoint(ids):
            groups[encode(answers)].append(ids[0])
            others += ids[1:]
            seen.update(ids)
    return FrozenClusters(
        labels={column: tuple(labels[column]) for column in COLUMNS},
        groups={codes: b"".join(sorted(groups[codes])) for codes in sorted(groups) if groups[codes]},
        others=b"".join(sorted(others)),
    )


def _make_encoder(labels: Labels) -> Callable[[Answers], bytes]:
    """Return a function that gives the bytes of a case's answers, and remembers them: few differ."""
    codes = [{label: code for code, label in enumerate(labels[column], 1)} for column in COLUMNS]
    if any(len(known) > MOST_LABELS for known in codes):
        raise FrozenClustersError(f"A column has at most {MOST_LABELS} labels.", reason="too-many-labels")

    @functools.cache
    def encode(answers: Answers) -> bytes:
        *others, first, second = (known.get(answer or "", 0) for known, answer in zip(codes, answers, strict=True))
        weaknesses = [*dict.fromkeys(code for code in (first, second) if code), 0, 0]
        return bytes((*others, *weaknesses[:2]))

    return encode


def parse_clusters(raw: bytes) -> FrozenClusters:
    """Read the stored bytes. Raises `FrozenClustersError` for any that `encode` does not write."""
    head, found, body = raw.partition(b"\n")
    header = canonical.parse_exact(head, kind=_Header, max_bytes=_MOST_HEADER_BYTES)
    groups: dict[bytes, bytes] = {}
    names, at = sorted(header.labels), 0
    for _ in range(header.groups):
        number_at, ids_at = at + len(names), at + len(names) + _NUMBER_BYTES
        end = ids_at + int.from_bytes(body[number_at:ids_at]) * ID_BYTES
        groups[body[at:number_at]] = body[ids_at:end]
        at = end
    if (
        not found
        or not set(names) <= set(COLUMNS)
        or list(groups) != sorted(groups)
        or len(groups) != header.groups
        or len(body) - at != header.others * ID_BYTES
    ):
        raise FrozenClustersError("The stored clusters of a digest are damaged.", reason="damaged")
    labels = {column: tuple(header.labels[column]) for column in names}
    return FrozenClusters(labels, groups, others=body[at:])


def shorten(case_id: str) -> bytes:
    """Return the eight bytes that stand for a case or a cluster. Two of 10^7 are equal with a chance of 3e-6."""
    return hashlib.sha256(case_id.encode()).digest()[:ID_BYTES]


def _split(ids: bytes) -> Iterable[bytes]:
    return (ids[start : start + ID_BYTES] for start in range(0, len(ids), ID_BYTES))


MICRO = 1_000_000
# Pure differential privacy, epsilon 1.0 for each cluster and partner, over everything that is ever drawn.
BUDGET_MICRO = 1 * MICRO
# The part of it for the outcome for the child, which the overview alone counts (docs/anonymity.md).
OUTCOME_MICRO: Final = 20_000
# The part for the tables of a year, shared equally among them (docs/anonymity.md).
YEAR_MICRO: Final = 180_000
# By the noisy number of incidents of a year: below it, noise would be more than a fifth of the largest cells.
SMALLEST_YEAR: Final = 100
# From there on three tables share the budget; each further one waits until all of them stay within a tenth or so.
FEWEST_YEAR_TABLES: Final = 3
INCIDENTS_FOR_A_TABLE: Final = 130

NOT_STATED = "not_stated"
_WEAKNESS_COLUMNS = ("weakness_1", "weakness_2")


@dataclass(frozen=True, slots=True)
class Table:
    """One noisy table. `labels` is fixed before any data is read; `is_partition` means each cluster counts once.

    `columns` are those of the frozen clusters that it counts. `units` are those of one cluster: 2 for weaknesses, where
    two of them take one each and a single one takes both, so that one cluster moves the table by 2 units at most.
    `note` explains the count to its reader.
    """

    name: str
    title: str
    epsilon_micro: int
    labels: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    units: int = 1
    is_partition: bool = True
    note: str = ""

    @property
    def sensitivity(self) -> int:
        """The most units by which one cluster moves it."""
        return self.units


_STATED: Final = (NOT_STATED, "Not stated")
QUARTER_TABLES: Final[tuple[Table, ...]] = (
    Table("kind", "Main kind of report", 550_000, (*KINDS, _STATED), ("kind",)),
    Table(
        "weakness",
        "Weaknesses",
        250_000,
        WEAKNESSES,
        _WEAKNESS_COLUMNS,
        units=2,
        is_partition=False,
        note="An incident that shows two weaknesses counts half for each.",
    ),
)


def make_year_tables(placements: Sequence[tuple[str, str]], *, drawn_total: int) -> tuple[Table, ...]:
    """Return the tables of a year; `placements` are those agreed with the partner, never those found in cases.

    `drawn_total` is the noisy number of incidents of the year: below `SMALLEST_YEAR` no table is worth its budget, and
    every further table makes the others noisier. Those that a service can act on come first.
    """
    if drawn_total < SMALLEST_YEAR:
        return ()
    elsewhere, not_known = (NOT_STATED, "Elsewhere or not stated"), (NOT_STATED, NOT_KNOWN)
    known = [
        ("age_band", "Age of the child", (*AGE_BANDS, _STATED)),
        # One cell for everything would only repeat the total, at a price.
        *([("placement", "Place of the button", (*placements, elsewhere))] if placements else []),
        *((name, fact.title, (*fact.answers.items(), not_known)) for name, fact in load_facts().items()),
        ("outcome", "Outcome", (*OUTCOMES, _STATED)),
    ]
    wanted = known[: max(FEWEST_YEAR_TABLES, drawn_total // INCIDENTS_FOR_A_TABLE)]
    return tuple(Table(name, title, YEAR_MICRO // len(wanted), labels, (name,)) for name, title, labels in wanted)


def make_labels(placements: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each column of frozen clusters (`clusters.freeze`), from the same tuples as the tables."""
    weaknesses = _list_codes(WEAKNESSES)
    return {
        "age_band": _list_codes(AGE_BANDS),
        "kind": _list_codes(KINDS),
        "outcome": _list_codes(OUTCOMES),
        "placement": _list_codes(placements),
        **{name: tuple(fact.answers) for name, fact in load_facts().items()},
        **dict.fromkeys(_WEAKNESS_COLUMNS, weaknesses),
    }


def count_table(table: Table, clusters: FrozenClusters) -> list[int]:
    """Return the exact units in the order of the labels. Secret: only the noise may see them."""
    places = {label: place for place, (label, _) in enumerate(table.labels)}
    counts = [0] * len(places)
    for found, number in clusters.list_groups(table.columns):
        for label in found:
            if label in places:
                # Two weaknesses take a half each, a single one takes both.
                counts[places[label]] += number * table.units // len(found)
    if table.is_partition:
        # The last label takes every cluster without another.
        counts[-1] = len(clusters) - sum(counts[:-1])
    return counts


def _list_codes(labels: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(code for code, _ in labels)


@dataclass(frozen=True, slots=True)
class OutcomesOfCase:
    """The outcomes that hold for one case, with the service that it names."""

    case_id: str
    received_at: str
    about: str | None
    codes: frozenset[str]


def list_outcomes_of_cases(
    connection: Connection, *, since: datetime | None = None, until: datetime | None = None
) -> list[OutcomesOfCase]:
    """Return the real cases with an outcome received in a span; a joined report counts under its first."""
    case_id = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("case_id")
    query = (
        select(case_id, CASES.c.received_at, CASES.c.about, CASE_STEPS.c.detail)
        .join(CASES, CASES.c.case_id == CASE_STEPS.c.case_id)
        .where(CASE_STEPS.c.kind == "child-outcome", CASES.c.synthetic == false())
        .order_by(CASE_STEPS.c.id)
    )
    if since is not None:
        query = query.where(CASES.c.received_at >= format_time(since))
    if until is not None:
        query = query.where(CASES.c.received_at < format_time(until))
    found: dict[str, OutcomesOfCase] = {}
    for row in connection.execute(query):
        one = found.get(row.case_id, OutcomesOfCase(row.case_id, row.received_at, row.about, frozenset()))
        told = json.loads(row.detail)
        codes = one.codes | {told["outcome"]} if told["holds"] else one.codes - {told["outcome"]}
        found[row.case_id] = replace(one, codes=codes)
    return [one for one in found.values() if one.codes]
