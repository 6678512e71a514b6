"""The order for fetching evidence: urgent reports first, then small before large, partners in turn.

Never holds more lines of the gateway's list than its limits allow, for a list of any length.
"""

import heapq
from dataclasses import dataclass, field
from typing import Final

from partner_sdk.wire.evidence import EvidenceRow

# 32 bytes of digest each, 120 in memory. This many of one partner are 390 GB in the largest files, or 50,000 small
# ones.
MOST_DIGESTS_OF_ONE: Final = 50_000
MOST_DIGESTS: Final = 500_000


@dataclass(frozen=True, slots=True)
class WantedEvidence:
    """One line of the list that a report here names; `is_urgent` if one of its reports is a P1."""

    row: EvidenceRow
    is_urgent: bool


# Heap order: the least wanted comes out first.
_Entry = tuple[bool, int, str, WantedEvidence]


@dataclass(slots=True)
class FetchPlan:
    """The fetch list of one run. `is_cut`: some lines were left to the next run."""

    is_cut: bool = False
    _by_partner: dict[str, list[_Entry]] = field(default_factory=dict)
    _digests: dict[str, int] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Whether the plan cannot take another line, of any partner."""
        return sum(self._digests.values()) >= MOST_DIGESTS

    def add(self, wanted: WantedEvidence) -> None:
        """Add one line; above its partner's limit, that partner's least wanted line is dropped."""
        row = wanted.row
        if (row.partner, row.evidence_id) in self._seen:
            return
        self._seen.add((row.partner, row.evidence_id))
        heap = self._by_partner.setdefault(row.partner, [])
        heapq.heappush(heap, (wanted.is_urgent, -row.size_bytes, row.evidence_id, wanted))
        self._digests[row.partner] = self._digests.get(row.partner, 0) + len(row.part_sha256)
        while self._digests[row.partner] > MOST_DIGESTS_OF_ONE:
            gone = heapq.heappop(heap)[-1].row
            self._seen.discard((gone.partner, gone.evidence_id))
            self._digests[row.partner] -= len(gone.part_sha256)
            self.is_cut = True

    def list_in_order(self) -> list[WantedEvidence]:
        """Return the wanted lines in the order of fetching.

        Urgent ones first. Within each group, the next line is from the partner with the fewest bytes so far including
        it, so that a thousand files of one partner come before only about as many bytes of another.
        """
        ordered: list[tuple[bool, int, str, str, WantedEvidence]] = []
        for partner, heap in self._by_partner.items():
            sizes = {True: 0, False: 0}
            for is_urgent, _, evidence_id, wanted in sorted(heap, key=lambda entry: entry[:3], reverse=True):
                sizes[is_urgent] += wanted.row.size_bytes
                ordered.append((not is_urgent, sizes[is_urgent], partner, evidence_id, wanted))
        ordered.sort(key=lambda entry: entry[:4])
        return [entry[-1] for entry in ordered]
