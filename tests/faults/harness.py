"""Faults while both doors are used: every acknowledged report is there afterwards, once, and the desk reads it.

The list of everything acknowledged is the callers' own (tests/whole/senders.py), never the gateway's.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.demo.loop import Loop
from tests.faults.sites import FAULTS, ask_database, collect
from tests.whole.loop_in_process import list_cases_here
from tests.whole.senders import EvidenceSender, Senders, list_lost_parts

# During a fault the doors may refuse, and a clock that is ahead finds every signature too old. Nothing else.
EXPECTED = (401, 429, 502, 503, 504)
BETWEEN: Final = "between the faults"
COLUMNS: Final = ("kind", "runs", "acknowledged", "lost", "doubled", "unreadable", "next after", "callers saw")


@dataclass
class Kind:
    """One kind of fault: its runs, everything acknowledged during them, and the faults of that afterwards."""

    runs: int = 0
    reports: set[str] = field(default_factory=set)  # report ids of partners and references of the form
    parts: list[tuple[str, int, str]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)  # e.g. "report: 201"
    next_seconds: float = 0.0  # the longest wait for the next receipt
    lost: int = 0
    doubled: int = 0
    unreadable: int = 0

    def list_cells(self, name: str) -> list[str]:
        """Return its row of the table, e.g. `report 201 x 14, 503 x 3; part 201 x 2` in the last place."""
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for what, count in sorted(self.seen.items()):
            door, _, answer = what.partition(": ")
            seen[door][re.sub(r".*answered (\d+).*", r"\1", answer)] += count
        counts = (self.runs, len(self.reports) + len(self.parts), self.lost, self.doubled, self.unreadable)
        runs, *others = map(str, counts)
        wait = f"{self.next_seconds:.1f} s" if self.runs else ""
        saw = "; ".join(
            f"{door} {', '.join(f'{one} x {n}' for one, n in found.items())}" for door, found in seen.items()
        )
        return [name, runs if self.runs else "", *others, wait, saw]


@dataclass
class Outcome:
    """Every kind of fault that was made, by name, and the time between them."""

    kinds: dict[str, Kind]

    @property
    def seen(self) -> Counter[str]:
        """Every kind of answer, of all faults together."""
        return sum((kind.seen for kind in self.kinds.values()), Counter())

    @property
    def is_whole(self) -> bool:
        """Whether nothing acknowledged was lost, doubled or unreadable."""
        return not any(kind.lost or kind.doubled or kind.unreadable for kind in self.kinds.values())


def format_outcome(outcome: Outcome) -> str:
    """Return it as a table."""
    rows = [kind.list_cells(name) for name, kind in outcome.kinds.items()]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def run_faults(loop: Loop) -> Outcome:
    """Make every fault in turn, while callers send; then look for everything acknowledged."""
    outcome = Outcome({name: Kind() for name in (*FAULTS, BETWEEN)})
    callers = Senders(loop, senders=1, forms=1, pause_seconds=0.3, expected=EXPECTED)
    with callers, EvidenceSender(loop, expected=EXPECTED, pause_seconds=1.0) as evidence:
        watch = _Watch(callers, evidence)
        callers.wait_for(acknowledged=1)
        for name, make_fault in FAULTS.items():
            callers.wait_for_request()  # the fault then hits a busy process
            watch.note(outcome.kinds[BETWEEN])
            make_fault(loop)
            before, began = len(callers.acknowledged), time.monotonic()
            callers.wait_for(acknowledged=before + 1)
            kind = outcome.kinds[name]
            kind.next_seconds = max(time.monotonic() - began, kind.next_seconds)
            kind.runs += 1
            watch.note(kind)
        callers.wait_for(thanked=len(callers.thanked) + 1)
    watch.note(outcome.kinds[BETWEEN])
    _look_for_everything(loop, outcome, evidence)
    return outcome


class _Watch:
    """Adds the answers and receipts since the last look to one kind of fault."""

    def __init__(self, callers: Senders, evidence: EvidenceSender) -> None:
        self._callers, self._evidence = callers, evidence
        self._seen: Counter[str] = Counter()
        self._reports: set[str] = set()
        self._parts = 0

    def note(self, kind: Kind) -> None:
        """Add it."""
        seen = self._callers.seen + self._evidence.seen
        reports = self._callers.acknowledged | set(self._callers.thanked)
        parts = self._evidence.acknowledged[:]
        kind.seen += seen - self._seen
        kind.reports |= reports - self._reports
        kind.parts += parts[self._parts :]
        self._seen, self._reports, self._parts = seen, reports, len(parts)


def _look_for_everything(loop: Loop, outcome: Outcome, evidence: EvidenceSender) -> None:
    """Count the acknowledged reports and parts that are not in database, evidence and desk, or are there twice."""
    rows = ask_database(loop, "SELECT door, report_id, reference FROM reports")
    names = {reference: report_id if door == "industry" else reference for door, report_id, reference in rows}
    stored = Counter(names.values())
    lost_parts = list_lost_parts(evidence, held=_list_held(loop))
    collect(loop)
    reconciled = collect(loop, "--reconcile")["reconciled"]
    assert [reconciled[name] for name in ("missing_here", "missing_there", "different")] == [[], [], []]
    cases = list_cases_here(loop.desk_state)
    assert len(cases) == len(rows)  # each was opened and is a case of its own
    read = {names[case.reference] for case in cases}
    for kind in outcome.kinds.values():
        kind.lost = len(kind.reports - set(stored)) + len(lost_parts & set(kind.parts))
        kind.doubled = sum(stored[name] > 1 for name in kind.reports)
        kind.unreadable = len(kind.reports & set(stored) - read)


def _list_held(loop: Loop) -> Iterator[bytes]:
    """Yield the bytes of each part that is kept."""
    yield from (path.read_bytes() for path in (loop.gateway_state / "evidence").iterdir())
