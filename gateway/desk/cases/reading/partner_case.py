"""The extra content of a partner's case page: its reports and outcomes, cut to fit one page.

Holds report text only if the report was opened for it. A page is built whole before it is sent: a sender must not stop
the desk with a case of forty megabytes. The first of everything stays, and each cut states how much it removed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final, TypeVar

from gateway.desk.cases.closing import list_submitter_doubts
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import (
    OpenedReport,
    OwnReport,
    Source,
    list_case_doubts,
    list_linked,
    list_own_reports,
    list_reports,
    list_sources,
    list_unopened,
)
from gateway.desk.cases.reading.industry_report import (
    MOST_CHANGES,
    Block,
    Change,
    Counted,
    Fact,
    Grid,
    Message,
    ReportSection,
    Value,
    count_completeness,
    list_changes,
    make_report_sections,
)
from gateway.desk.partners.stages import OutcomeSignal, list_signals
from gateway.desk.wiring import Desk
from partner_sdk.report import IndustryReport, SealedIndustryReport, list_given
from partner_sdk.report.reading import is_cover

# HTML bytes for all reports of a case together; the rest of a page is small.
PAGE_BYTES: Final = 1_400_000
# Messages are read one by one; longer threads are read in a file, not on a page.
MOST_MESSAGES: Final = 1000
MOST_MESSAGES_OF_LATER: Final = 50

# Roughly the size of the template's own HTML around each item.
_FACT_BYTES: Final = 60
_CELL_BYTES: Final = 60
_MESSAGE_BYTES: Final = 200
_BLOCK_BYTES: Final = 120
_CHANGE_BYTES: Final = 160

T = TypeVar("T")


@dataclass(slots=True)
class PageBudget:
    """The number of bytes of HTML that a page has left for reports."""

    left: int = PAGE_BYTES

    def split_half(self) -> "PageBudget":
        """Return a budget of half of the remaining bytes, so that an equal part is left for the rest."""
        return PageBudget(self.left // 2)

    def take(self, things: Sequence[T], measure: Callable[[T], int]) -> tuple[T, ...]:
        """Return the first items that fit, and take their bytes from the budget."""
        taken = []
        for one in things:
            size = measure(one)
            if size > self.left:
                break
            self.left -= size
            taken.append(one)
        return tuple(taken)


def fit_sections(sections: Sequence[ReportSection], budget: PageBudget) -> list[ReportSection]:
    """Return the sections that fit; no section takes more than half of the remaining budget."""
    fitted = []
    for section in sections:
        inner = budget.split_half()
        before = inner.left
        blocks, left_out = _fit_blocks(section.blocks, inner)
        budget.left -= before - inner.left
        fitted.append(replace(section, blocks=blocks, left_out=left_out))
    return fitted


def has_cuts(sections: Sequence[ReportSection]) -> bool:
    """Return whether anything was left out."""
    return any(section.left_out or any(map(_is_cut, section.blocks)) for section in sections)


def _is_cut(block: Block) -> bool:
    return bool(
        block.left_out
        or block.messages_left
        or any(one.left_out for one in block.grids)
        or any(map(_is_cut, block.blocks))
    )


def _fit_blocks(blocks: Sequence[Block], budget: PageBudget) -> tuple[tuple[Block, ...], int]:
    fitted: list[Block] = []
    for number, block in enumerate(blocks):
        size = _BLOCK_BYTES + _measure(block.title)
        if size > budget.left:
            return tuple(fitted), len(blocks) - number
        budget.left -= size
        fitted.append(_fit_block(block, budget))
    return tuple(fitted), 0


def _fit_block(block: Block, budget: PageBudget) -> Block:
    facts = budget.take(block.facts, _measure_fact)
    not_held = budget.take(block.not_held, _measure_fact)
    unsaid = budget.take(block.unsaid, _measure)
    messages = budget.take(block.messages, _measure_message)
    grids = list[Grid]()
    for grid in block.grids:
        rows = budget.take(grid.rows, lambda row: sum(_CELL_BYTES + _measure(one) for one in row))
        grids.append(replace(grid, rows=rows, left_out=len(grid.rows) - len(rows)))
    blocks, left_out = _fit_blocks(block.blocks, budget)
    for whole, kept in ((block.facts, facts), (block.not_held, not_held), (block.unsaid, unsaid)):
        left_out += len(whole) - len(kept)
    return replace(
        block,
        facts=facts,
        not_held=not_held,
        unsaid=unsaid,
        messages=messages,
        messages_left=block.messages_left + len(block.messages) - len(messages),
        grids=tuple(grids),
        blocks=blocks,
        left_out=left_out,
    )


def _measure(one: str | Value) -> int:
    return len(escape(one if isinstance(one, str) else one.text).encode())


def _measure_all(*words: str | Value) -> int:
    return sum(_measure(one) for one in words)


def _measure_fact(fact: Fact) -> int:
    return _FACT_BYTES + _measure(fact.title) + _measure(fact.value)


def _measure_message(message: Message) -> int:
    words = _measure_all(message.speaker, message.side, message.time, message.to, message.kind, message.text)
    return _MESSAGE_BYTES + words + sum(map(_measure_fact, message.notes))


# Roughly the size of the template's own HTML around one.
_FINGERPRINT_BYTES = 60
_WITH_CHANGES = frozenset({"correction", "supplement", "response"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file that was handed over: the sender's name or id for it, and its sealed SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ShownReport:
    """One opened report. `reason` is the sender's reason for a correction or retraction, `own_reference` its number.

    `is_cut` if the page has no room for all of it. `fingerprints` is the whole content of a supplement that brings only
    files (`is_cover`).
    """

    case: CaseRow
    sections: Sequence[ReportSection] = ()
    counted: Counted | None = None
    reason: str = ""
    own_reference: str = ""
    changes: Sequence[Change] = ()
    more_changes: bool = False
    fault: str = ""
    is_cut: bool = False
    fingerprints: Sequence[Fingerprint] = ()
    fingerprints_left: int = 0


@dataclass(frozen=True, slots=True)
class PartnerCase:
    """The partner's part of the page. `first` is the case that outcomes belong to."""

    first: CaseRow
    timeline: Sequence[CaseRow]
    shown: Sequence[ShownReport]
    left_closed: Sequence[CaseRow]
    doubts: Sequence[tuple[str, str]]
    linked: Sequence[OwnReport]
    signals: Sequence[OutcomeSignal]
    source: Source | None

    @property
    def waiting_signal(self) -> OutcomeSignal | None:
        """The outcome that can still be taken back."""
        return next((one for one in self.signals if one.waits), None)

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reasons of opened corrections and retractions, by case id."""
        return {one.case.case_id: one.reason for one in self.shown if one.reason}


def make_partner_case(
    desk: Desk, case: CaseRow, opened: Sequence[OpenedReport], *, actor: str, budget: PageBudget | None = None
) -> PartnerCase:
    """Return the content for the page of a partner's case; `opened` is empty on an unopened page.

    Without a budget, nothing is cut.
    """
    with desk.store.read() as connection:
        timeline = list_reports(connection, case.first_id)
        first = timeline[0]
        signals = list_signals(connection, case_id=first.case_id)
        linked = list_own_reports(connection, case, list_linked(opened))
        source = list_sources(connection, [case]).get(case.partner)
        strangers = list_submitter_doubts(connection, opened)
    open_ids = {one.case.case_id for one in opened}
    content = next((one.content for one in opened if one.case.case_id == first.case_id), None)
    first_report = None if content is None else content.report
    about = timeline if case.case_id == first.case_id else [case]
    return PartnerCase(
        first=first,
        timeline=timeline,
        shown=[_show(one, first=first_report, budget=budget, is_later=one is not opened[0]) for one in opened],
        left_closed=[one for one in about if one.case_id not in open_ids] if opened else (),
        doubts=[*list_case_doubts(case, about), *strangers, *list_unopened(opened)],
        linked=linked,
        signals=signals,
        source=source,
    )


def _show(one: OpenedReport, *, first: IndustryReport | None, budget: PageBudget | None, is_later: bool) -> ShownReport:
    if one.content is None:
        return ShownReport(one.case, fault=one.fault)
    if is_cover(one.content):
        return _show_cover(one.case, one.content, first=first, budget=budget)
    report = one.content.report
    compared = first is not None and one.case.joined_to is not None and one.case.report_kind in _WITH_CHANGES
    is_addition = one.case.report_kind != "correction"
    changes = list_changes(first, report, is_addition=is_addition) if compared and first is not None else []
    own = report.reporter.own_reference
    most_messages = None
    if budget is not None:
        most_messages = MOST_MESSAGES_OF_LATER if is_later else MOST_MESSAGES
    shown = ShownReport(
        one.case,
        sections=make_report_sections(one.content, most_messages=most_messages),
        counted=count_completeness(one.content),
        reason=report.change_reason or "",
        own_reference=own if isinstance(own, str) else "",
        changes=changes,
        more_changes=len(changes) == MOST_CHANGES,
    )
    return shown if budget is None else _fit(shown, budget)


def _show_cover(
    case: CaseRow, content: SealedIndustryReport, *, first: IndustryReport | None, budget: PageBudget | None
) -> ShownReport:
    named = () if first is None else list_given(first.files)
    names = {file.file_id: file.name for file in named if isinstance(file.name, str)}
    brought = [Fingerprint(names.get(file.file_id, file.file_id), file.sha256) for file in content.evidence]
    shown = brought if budget is None else _fit_fingerprints(brought, budget)
    return ShownReport(case, fingerprints=shown, fingerprints_left=len(brought) - len(shown))


def _fit(shown: ShownReport, budget: PageBudget) -> ShownReport:
    """Cut a report to half of the page's remaining room, so that later ones fit."""
    inner = budget.split_half()
    given = inner.left
    changes = inner.split_half().take(
        shown.changes, lambda one: _CHANGE_BYTES + _measure_all(one.title, one.before, one.after)
    )
    sections = fit_sections(shown.sections, inner)
    counted = shown.counted
    if counted is not None:
        missing = inner.take(counted.missing, lambda one: _FACT_BYTES + _measure(one))
        counted = replace(counted, missing=missing, missing_left=len(counted.missing) - len(missing))
    budget.left -= given - inner.left
    return replace(
        shown,
        sections=sections,
        counted=counted,
        changes=changes,
        more_changes=shown.more_changes or len(changes) < len(shown.changes),
        is_cut=has_cuts(sections),
    )


def _fit_fingerprints(brought: Sequence[Fingerprint], budget: PageBudget) -> Sequence[Fingerprint]:
    inner = budget.split_half()
    given = inner.left
    kept = inner.take(brought, lambda one: _FINGERPRINT_BYTES + _measure(one.name) + len(one.sha256))
    budget.left -= given - inner.left
    return kept
