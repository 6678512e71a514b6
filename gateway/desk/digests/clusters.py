"""The frozen clusters of a digest: the only data about incidents that a digest ever counts.

One byte a cluster in each column, so a million clusters take six megabytes and each count is one pass of `bytes.count`.
The bytes are the manifest of the digest: their SHA-256 stands in the audit log and beside every spend of the ledger.
Never contains an id of a case: only the first eight bytes of its SHA-256, in the order of those bytes, not of time.

For example, one cluster of two cases about grooming (kind 2), of a child of 13 to 15 (age band 2):

    {"cases":2,"clusters":1,"labels":{"age_band":["12_or_under","13_15",...],"kind":["meet_offline","grooming",...],...}}
    <8 bytes: cluster> <1 byte for each column, by name> <8 bytes: case> <8 bytes: case>
"""

import functools
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import msgspec

from gateway.desk.digests.facts import load_facts
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire import canonical

COLUMNS: Final = tuple(sorted(("age_band", "kind", "outcome", "placement", "weakness_1", "weakness_2", *load_facts())))
ID_BYTES: Final = 8
# A column holds one byte a cluster, and 0 means that no label fits.
MOST_LABELS: Final = 255
_MOST_HEADER_BYTES: Final = 256 * 1024

Labels = Mapping[str, Sequence[str]]
# The answers of one case, in the order of `COLUMNS`.
Answers = tuple[str | None, ...]


class FrozenClustersError(ReportAbuseError):
    """Stored clusters do not have their form: the database was changed by hand."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster about one service on its way into the frozen form. `cases` are all its cases, counted or not.

    `facts` are the known answers by column (`facts.py`).
    """

    cases: tuple[str, ...]
    kind: str
    age_band: str
    placement: str
    outcome: str
    weaknesses: tuple[str, ...]
    facts: Mapping[str, str | None] = field(default_factory=dict)


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cases: int
    clusters: int
    labels: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class FrozenClusters:
    """The clusters of one digest. `len()` is their number; equal content has equal bytes."""

    labels: dict[str, tuple[str, ...]]
    columns: dict[str, bytes]
    cluster_ids: bytes
    case_ids: bytes

    def __len__(self) -> int:
        return len(self.cluster_ids) // ID_BYTES

    def count(self, label: str, *, column: str) -> int:
        """Return the number of clusters with this label in a column, e.g. `count("grooming", column="kind")`."""
        known = self.labels.get(column, ())  # a digest frozen before the column existed has none
        return self.columns[column].count(known.index(label) + 1) if label in known else 0

    def list_cases(self) -> frozenset[bytes]:
        """Return every case of the clusters, as `shorten` makes them."""
        return frozenset(_split(self.case_ids))

    def encode(self) -> bytes:
        """Return the bytes to store, which `parse_clusters` reads."""
        header = _Header(
            cases=len(self.case_ids) // ID_BYTES,
            clusters=len(self),
            labels={column: list(labels) for column, labels in self.labels.items()},
        )
        columns = (self.columns[column] for column in sorted(self.columns))
        return b"".join((canonical.encode(header), b"\n", self.cluster_ids, *columns, self.case_ids))


def freeze(
    clusters: Iterable[Cluster],
    *,
    labels: Labels,
    single: Iterable[tuple[str, Answers]] = (),
    spent: Collection[bytes] = frozenset(),
) -> FrozenClusters:
    """Return the frozen form of clusters, each under its lowest case; of two with a common case only the first is kept.

    `single` are clusters of one case: its id, and its answers in the order of `COLUMNS`. A cluster with a case in
    `spent` (as `shorten` makes them) was counted in another period, and is left out. `labels` are the known ones of
    each column, fixed before any data is read: others are stored as 0. A third weakness or a repeated one is dropped.
    """
    encode = _make_encoder(labels)
    spent = frozenset(spent)
    rows: dict[bytes, bytes] = {}
    for case_id, answers in single:
        case = shorten(case_id)
        if case not in spent:
            rows[case] = encode(answers)
    cases = set(rows)
    for one in clusters:
        own = [shorten(case_id) for case_id in one.cases]
        if cases.isdisjoint(own) and spent.isdisjoint(own):
            weaknesses = tuple(dict.fromkeys(code for code in one.weaknesses if code in labels["weakness_1"]))
            first, second = (*weaknesses, None, None)[:2]
            rows[min(own)] = encode((*_list_answers(one), first, second))
            cases.update(own)
    ids = sorted(rows)
    whole = b"".join(map(rows.__getitem__, ids))
    return FrozenClusters(
        labels={column: tuple(labels[column]) for column in COLUMNS},
        columns={column: whole[place :: len(COLUMNS)] for place, column in enumerate(COLUMNS)},
        cluster_ids=b"".join(ids),
        case_ids=b"".join(sorted(cases)),
    )


def _list_answers(one: Cluster) -> Iterable[str | None]:
    """Yield the answers in the order of `COLUMNS`, but for the weaknesses at its end."""
    by_column = {"age_band": one.age_band, "kind": one.kind, "outcome": one.outcome, "placement": one.placement}
    return (by_column.get(column, one.facts.get(column)) for column in COLUMNS[:-2])


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
    size, names = header.clusters, sorted(header.labels)
    ends = [size * ID_BYTES, *(size * (ID_BYTES + place) for place in range(1, len(names) + 1))]
    if not found or size < 0 or not set(names) <= set(COLUMNS) or len(body) != ends[-1] + header.cases * ID_BYTES:
        raise FrozenClustersError("The stored clusters of a digest are damaged.", reason="damaged")
    columns = {column: body[start:end] for column, (start, end) in zip(names, pairwise(ends), strict=True)}
    return FrozenClusters(
        labels={column: tuple(header.labels[column]) for column in names},
        columns=columns,
        cluster_ids=body[: ends[0]],
        case_ids=body[ends[-1] :],
    )


def shorten(case_id: str) -> bytes:
    """Return the eight bytes that stand for a case or a cluster. Two of 10^7 are equal with a chance of 3e-6."""
    return hashlib.sha256(case_id.encode()).digest()[:ID_BYTES]


def _split(ids: bytes) -> Iterable[bytes]:
    return (ids[start : start + ID_BYTES] for start in range(0, len(ids), ID_BYTES))
