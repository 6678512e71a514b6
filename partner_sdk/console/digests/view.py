"""The page of a digest, before any form: its sections and sentences, from the published numbers alone.

A manager without a statistician reads it, so each word is explained where it stands and each number has its range. HTML
and paper draw the same parts. Digests beside each other: the ones that belong together, their changes, and flat rows
for pandas and polars.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any, Final, Literal

from partner_sdk.errors import FormatError
from partner_sdk.wire import canonical
from partner_sdk.wire.digest import (
    COUNTED,
    FEW,
    KIND,
    TOTAL,
    WEAKNESS,
    Digest,
    DigestCell,
    DigestTable,
    Overview,
    OverviewLine,
    encode_digest,
    format_interval_share,
)

# Above the name and the period: a board member who gets the page alone reads here what it is, and from whom.
SUBJECT: Final = "What the public reported about a service, in figures from the agency that takes the reports"


@dataclass(frozen=True, slots=True)
class Bar:
    """One number: its words, the ends of its range, and its length in a chart (None for a number not shown)."""

    title: str
    shown: str
    between: str
    value: int | None
    low: int
    high: int
    own: str | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One table of bars with its explanation, and `rest` for the lines too small to have a number.

    `is_exact` figures have no ranges.
    """

    title: str
    explanation: str
    head: str
    bars: tuple[Bar, ...]
    rest: str = ""
    is_exact: bool = False

    @property
    def longest(self) -> int:
        """The number that fills the width."""
        return max((bar.high for bar in self.bars), default=0) or 1

    @property
    def has_own(self) -> bool:
        """Whether the partner's own numbers stand beside."""
        return any(bar.own is not None for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers side by side: a heading for each column, and rows of a title, a remark (e.g. `more`) and cells."""

    title: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """One weakness that is often named, with the change that is recommended."""

    rank: int
    title: str
    feature: str
    text: str
    change: str
    solved: str
    sureness: str


@dataclass(frozen=True, slots=True)
class Callout:
    """A paragraph that no reader should miss."""

    text: str


@dataclass(frozen=True, slots=True)
class Steps:
    """Sentences in an order, e.g. what to do next."""

    items: tuple[str, ...]


Block = str | Callout | Figure | Grid | Advice | Steps


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and its blocks; a string is a paragraph."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class DigestPage:
    """The whole page. `summary` pairs a short heading with one or two sentences: all that a hurried reader needs."""

    partner: str
    period_words: str
    banner: str
    summary: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]


Direction = Literal["up", "down", "unclear"]
# Two years of quarters: more would not be read.
MOST_PERIODS: Final = 8
# Standard deviations that hold 95 % of a bell curve, as a range does.
_REACH: Final = 1.96
# So much further for a change: of nine lines (kinds and total), chance then moves one in at most one digest of twenty
# (Sidak: 1 - 0.95 ** (1 / 9) is beyond 2.77 standard deviations).
_FURTHER: Final = 2.77 / _REACH


def list_earlier(digest: Digest, kept: Iterable[Digest]) -> list[Digest]:
    """Return the digests before this one that can stand beside it, oldest first.

    They have its partner, environment and span (e.g. quarters beside a quarter), and are made up only if it is. Of two
    for one period the first counts.
    """
    same = ("partner", "environment", "span", "synthetic")
    found: dict[str, Digest] = {}
    for one in kept:
        if one.first_day < digest.first_day and all(getattr(one, name) == getattr(digest, name) for name in same):
            found.setdefault(one.period, one)
    return sorted(found.values(), key=lambda one: one.first_day)[-(MOST_PERIODS - 1) :]


def list_cells(digest: Digest) -> list[tuple[str, str, bool, DigestCell]]:
    """Return every number with the name and title of its table and whether it is exact; the total comes first."""
    total = [] if digest.total is None else [(TOTAL, "Incidents", False, digest.total)]
    return total + [(table.name, table.title, table.exact, cell) for table in digest.tables for cell in table.cells]


def find_cell(digest: Digest, table: str, label: str) -> DigestCell | None:
    """Return one number of a digest, e.g. `kind` and `grooming`, or None."""
    return next((cell for name, _, _, cell in list_cells(digest) if (name, cell.label) == (table, label)), None)


def get_noticeable(now: DigestCell, before: DigestCell) -> int:
    """Return the smallest change between two numbers that chance would hardly make; 1 for exact ones.

    Neither the added noise nor the numbers' own ups and downs make it. Incidents come one by one, so their number
    varies at least as a Poisson count does: its variance is its mean.
    """
    noises = [(cell.high - cell.low) / 2 for cell in (now, before)]
    if not any(noises):
        return 1
    chance = _REACH * math.sqrt(get_middle(now) + get_middle(before))
    return math.ceil(_FURTHER * math.hypot(*noises, chance))


def judge_change(now: DigestCell, before: DigestCell) -> Direction:
    """Return `up` or `down` for a change that is large enough to notice."""
    change = get_middle(now) - get_middle(before)
    if abs(change) < get_noticeable(now, before):
        return "unclear"
    return "up" if change > 0 else "down"


def get_middle(cell: DigestCell) -> float:
    """Return a cell's number, or the middle of its range if it is too small to show."""
    return (cell.low + cell.high) / 2 if cell.value is None else cell.value


def list_changes(digests: Sequence[Digest]) -> list[dict[str, Any]]:
    """Return one flat row for each number and period, oldest first, each beside the period before it.

    `change` is `first`, `up`, `down` or `unclear`, and `noticeable` the smallest change that counts. `note` carries the
    caveat, so that a row copied out of its table still has it.
    """
    rows: list[dict[str, Any]] = []
    before: Digest | None = None
    for digest in sorted(digests, key=lambda one: one.first_day):
        rows += [_describe_change(row, digest, before) for row in digest.to_rows()]
        before = digest
    return rows


def _describe_change(row: dict[str, Any], digest: Digest, before: Digest | None) -> dict[str, Any]:
    now = find_cell(digest, row["table"], row["label"])
    earlier = None if before is None else find_cell(before, row["table"], row["label"])
    names = ("before", "value_before", "low_before", "high_before", "noticeable")
    fields: dict[str, Any] = {**dict.fromkeys(names), "change": "first"}
    if now is not None and before is not None and earlier is not None:
        values = before.period, earlier.value, earlier.low, earlier.high, get_noticeable(now, earlier)
        fields = {**dict(zip(names, values, strict=True)), "change": judge_change(now, earlier)}
    note = row["note"]
    if fields["change"] == "unclear" and not row["exact"]:
        note += f" We would notice a change of about {fields['noticeable']:,} from the period before."
    return {**row, **fields, "note": note}


def describe_certainty(digest: Digest) -> str:
    """Return the certainty of a range in words, e.g. `95 %`."""
    return f"{format_interval_share(digest.interval_permille)} %"


# A range wider than this share of its number says little more than the order of size.
ROUGH_SHARE: Final = 0.5
MOST_NAMED: Final = 3
# Tables of a year whose largest answer is told, and the answers that say nothing of what happened.
_FACTS: Final = frozenset({"first_contact", "moved_to", "blackmail", "posed_as"})
_NOT_TOLD: Final = frozenset({"not_stated", "none"})
# Exact facts of a digest that ask for an action, by table and label.
_WAITING: Final = {
    ("questions", "open"): "{number} of our questions {have} no answer yet.",
    ("checks", "faults"): "{number} check{s} of your button found a fault.",
    ("checks", "unreachable"): "{number} check{s} could not load the page of your button.",
}


def format_period(digest: Digest) -> str:
    """Return a period in words, e.g. `July to September 2026`."""
    first, last = date.fromisoformat(digest.first_day), date.fromisoformat(digest.last_day)
    return str(first.year) if digest.span == "year" else f"{first:%B} to {last:%B %Y}"


def list_summary(digest: Digest, earlier: Sequence[Digest]) -> list[tuple[str, str]]:
    """Return short headings, each with one or two sentences, in the order of the page."""
    if digest.total is None:
        later = f" The digest of the year {digest.period[:4]} will count them too." if digest.span == "quarter" else ""
        text = f"There were too few reports in {format_period(digest)} for figures that would mean anything.{later}"
        waiting = _list_waiting(digest)
        return [("No figures this time", text), *(waiting or [("What to do", "Nothing. Your own figures are below.")])]
    return [
        ("How many", _describe_total(digest, digest.total)),
        ("What changed", " ".join(list_change_sentences(digest, earlier))),
        *_list_facts(digest),
        ("What is often named", _describe_weaknesses(digest)),
        ("What to do first", _describe_first_step(digest)),
        *_list_waiting(digest),
        ("How sure we are", _describe_sureness(digest, digest.total)),
    ]


def _list_facts(digest: Digest) -> list[tuple[str, str]]:
    """Return one heading with the largest known answer of each fact of a year, where its range is apart; or none."""
    sentences = []
    for table in digest.tables:
        known = [cell for cell in table.cells if cell.label not in _NOT_TOLD]
        ordered = sorted(known, key=get_middle, reverse=True) if table.name in _FACTS else []
        if len(ordered) > 1 and ordered[0].value is not None and ordered[0].low > ordered[1].high:
            sentences.append(f"{table.title}: {format_inside(ordered[0].title)} (about {format_value(ordered[0])}).")
    return [("How it went", " ".join(sentences))] if sentences else []


def _list_waiting(digest: Digest) -> list[tuple[str, str]]:
    """Return one heading with the exact facts that ask for an action of the partner, or none."""
    exact = {(table.name, cell.label): cell.value for table in digest.tables if table.exact for cell in table.cells}
    sentences = [
        words.format(number=number, s="" if number == 1 else "s", have="has" if number == 1 else "have")
        for fact, words in _WAITING.items()
        if (number := exact.get(fact))
    ]
    return [("What to look at", " ".join(sentences))] if sentences else []


def _describe_total(digest: Digest, total: DigestCell) -> str:
    about = f"about {format_value(total)} incidents about your service to us ({format_range(total)})"
    start = f"The public reported {about}; counted are those that we closed in {format_period(digest)}."
    kinds = [cell for cell in list_kinds(digest) if cell.value is not None]
    largest = sorted(kinds, key=lambda cell: -(cell.value or 0))[:MOST_NAMED]
    if largest:
        named = join_words([f"{format_inside(cell.title)} (about {format_value(cell)})" for cell in largest])
        start += f" {'The largest kinds' if len(largest) > 1 else 'The only kind shown'}: {named}."
    return start


def format_range(cell: DigestCell) -> str:
    """Return a range in words, e.g. `between 71 and 89`."""
    return f"between {cell.low:,} and {cell.high:,}"


def format_value(cell: DigestCell) -> str:
    """Return a number as people read it, e.g. `1,194`, or the words in its place."""
    return cell.shown if cell.value is None or cell.shown != str(cell.value) else f"{cell.value:,}"


def format_inside(title: str) -> str:
    """Return a title for the middle of a sentence."""
    return title[:1].lower() + title[1:]


def join_words(parts: Sequence[str]) -> str:
    """Return parts as a list in words, e.g. `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def list_kinds(digest: Digest) -> list[DigestCell]:
    """Return the numbers of the table of kinds."""
    return [cell for table in digest.tables if table.name == KIND for cell in table.cells]


def list_change_sentences(digest: Digest, earlier: Sequence[Digest]) -> list[str]:
    """Return sentences about the change since the newest earlier digest that has figures."""
    before = next((one for one in reversed(earlier) if one.total is not None), None)
    if before is None or before.total is None or digest.total is None:
        return ["There is no earlier digest to stand beside this one, so nothing can be said about change."]
    since = f"in {format_period(before)} (about {format_value(before.total)})"
    words = {"up": f"More incidents than {since}.", "down": f"Fewer incidents than {since}."}
    change = judge_change(digest.total, before.total)
    sentences = [words.get(change, f"No clear change in the number of incidents from the one {since}.")]
    sentences.append(f"We would notice a change of about {get_noticeable(digest.total, before.total):,}.")
    for direction, start in (("up", "More of"), ("down", "Fewer of")):
        titles = []
        for cell in list_kinds(digest):
            old = find_cell(before, KIND, cell.label)
            if old is not None and judge_change(cell, old) == direction:
                titles.append(format_inside(cell.title))
        if titles:
            sentences.append(f"{start}: {'; '.join(titles)}.")
    return sentences


def _describe_weaknesses(digest: Digest) -> str:
    if digest.recommendations:
        named = [f"{one.weakness} ({describe_share(digest, one.label)})" for one in digest.recommendations]
        return f"{'; '.join(named)}."
    return "No weakness stands out from chance. That does not mean that there is none."


def _describe_first_step(digest: Digest) -> str:
    if digest.recommendations:
        return digest.recommendations[0].change
    gaps = list_gaps(digest)
    if gaps:
        return f"Look at why you see so few reports of this kind yourself: {format_inside(gaps[0].title)}."
    return "Keep the way to report easy to find, and look at the next digest beside this one."


def _describe_sureness(digest: Digest, total: DigestCell) -> str:
    share = describe_certainty(digest)
    start = (
        "Each number has a small random amount added, so that no child and no other person can be recognised. "
        f"With {share} certainty the true number is inside its range."
    )
    if total.high - total.low > ROUGH_SHARE * get_middle(total):
        return f"{start} With so few incidents the ranges are wide: trust the largest lines only."
    return f"{start} Large lines are reliable; small differences between lines mean nothing."


def list_gaps(digest: Digest) -> list[DigestCell]:
    """Return the kinds that the public reports more often than the partner beyond chance, the widest gap first."""
    kinds = [cell for cell in list_kinds(digest) if is_clear(cell)]
    return sorted(kinds, key=lambda cell: (cell.own or 0) - cell.low)[:MOST_NAMED]


# Periods side by side in a table.
MOST_COLUMNS: Final = 4

_HEADS: Final = {KIND: "Kind", WEAKNESS: "Weakness", "completeness": "Quarter", "missing_fields": "Field"}
_CHANGE_WORDS: Final[dict[Direction, str]] = {"up": "more", "down": "fewer", "unclear": ""}


def make_digest_page(digest: Digest, *, kept: Iterable[Digest] = ()) -> DigestPage:
    """Return the page of a digest beside the earlier ones among `kept`."""
    earlier = list_earlier(digest, kept)
    if digest.total is None:
        sections = [Section("Why there are no figures", (_TOO_FEW,))]
    else:
        sections = _list_figures(digest, earlier)
    own = [_make_figure(table) for table in digest.tables if table.exact and table.cells]
    if own:
        words = "These are your own facts, counted exactly. They are in your digest alone."
        sections.append(Section("Your own figures", (words, *own)))
    sections.append(_make_reading_section(digest))
    return DigestPage(
        partner=digest.partner,
        period_words=format_period(digest),
        banner=_make_banner(digest),
        summary=tuple(list_summary(digest, earlier)),
        sections=tuple(sections),
        foot=_list_foot(digest),
    )


def _make_banner(digest: Digest) -> str:
    if digest.synthetic:
        return "SYNTHETIC. This digest counts made-up cases. Nothing in it happened."
    if digest.environment == "sandbox":
        return "SANDBOX. This digest is a rehearsal. Nothing in it happened."
    return ""


_TOO_FEW: Final = (
    "We add a small random amount to each number, so that no child and no other person can be recognised. With very "
    "few reports that amount is larger than the number itself. Such figures would mislead you, so we wait until a "
    "longer time gives enough."
)


def _list_figures(digest: Digest, earlier: Sequence[Digest]) -> list[Section]:
    others = [
        _make_figure(table)
        for table in digest.tables
        if not table.exact and table.cells and table.name not in {KIND, WEAKNESS}
    ]
    kinds = [_make_figure(table) for table in digest.tables if table.name == KIND]
    sections = [
        Section("What is often named, and what to do", tuple(_list_advice(digest))),
        Section("What was reported", (_INCIDENT, *_describe_gaps(digest), *kinds, *_describe_missing(digest))),
    ]
    if earlier:
        sentences = " ".join(list_change_sentences(digest, earlier))
        sections.insert(0, Section("What changed", (sentences, _MORE_REPORTS, make_comparison([*earlier, digest]))))
    return sections + ([Section("More about these incidents", tuple(others))] if others else [])


_INCIDENT: Final = (
    "An incident is everything that people told us about one child or one event: ten reports of one event count once. "
    f"{' '.join(COUNTED)} "
    "These numbers come from reports of the public about your service, many of which may never have reached you."
)


def _describe_gaps(digest: Digest) -> list[Block]:
    gaps = list_gaps(digest)
    if not gaps:
        return []
    named = join_words(
        [f"{format_inside(cell.title)} (about {format_value(cell)} beside {cell.own} of yours)" for cell in gaps]
    )
    return [
        Callout(
            f"Where you may not be looking: {named}. The public's number counts incidents, yours counts reports, and "
            "both may hold the same ones: do not add or subtract them."
        )
    ]


def _describe_missing(digest: Digest) -> list[Block]:
    return [
        f"The table {name} is missing: its protection was lost before it was stored, and it is never made twice."
        for name in digest.missing_tables
    ]


def _make_figure(table: DigestTable) -> Figure:
    shown = [cell for cell in table.cells if cell.value is not None]
    bars = tuple(_make_bar(cell, exact=table.exact, has_remark=table.name == WEAKNESS) for cell in shown)
    head = _HEADS.get(table.name, "Count of")
    has_own = any(cell.own is not None for cell in shown)
    own = "“Own” counts your reports received in this period, by the kind that you stated." if has_own else ""
    return Figure(
        title=table.title,
        explanation=" ".join(filter(None, (table.note, own))),
        head=head,
        bars=bars,
        rest=_describe_rest([cell for cell in table.cells if cell.value is None]),
        is_exact=table.exact,
    )


def _describe_rest(cells: Sequence[DigestCell]) -> str:
    if not cells:
        return ""
    named = "; ".join(f"{cell.title}{f' (own {cell.own})' if cell.own else ''}" for cell in cells)
    return f"Few, because chance alone could have made the number: {named}."


def _make_bar(cell: DigestCell, *, exact: bool = False, has_remark: bool = False) -> Bar:
    return Bar(
        title=cell.title,
        shown=format_value(cell),
        between="" if exact else f"{cell.low:,} to {cell.high:,}",
        value=cell.value,
        low=cell.low,
        high=cell.high,
        own=None if cell.own is None else f"{cell.own:,}",
        remark="often named" if has_remark and is_clear(cell) else "",
    )


_MORE_REPORTS: Final = (
    "More incidents can mean more harm. They can also mean that more children found the way to report, for example "
    "after you put the button on a page."
)


def make_comparison(shown: Sequence[Digest]) -> Grid:
    """Return the total and the kinds of the last periods side by side, oldest first."""
    return Grid(
        title="Kinds beside the periods before",
        explanation="“More” and “fewer” stand only where we would notice a change: it is larger than the added noise, "
        "and than the ups and downs that such numbers have by themselves. Everything else may be chance.",
        columns=tuple(
            one.period if one.span == "year" else " ".join(reversed(one.period.split("-")))
            for one in shown[-MOST_COLUMNS:]
        ),
        rows=tuple(_list_grid_rows(shown)),
    )


def _list_grid_rows(shown: Sequence[Digest]) -> list[tuple[str, str, tuple[str, ...]]]:
    digest = shown[-1]
    before = next((one for one in reversed(shown[:-1]) if one.total is not None), None)
    wanted = [(TOTAL, cell) for cell in [digest.total] if cell is not None]
    wanted += [(KIND, cell) for cell in list_kinds(digest)]
    rows = []
    for table, cell in wanted:
        found = [find_cell(one, table, cell.label) for one in shown[-MOST_COLUMNS:]]
        old = None if before is None else find_cell(before, table, cell.label)
        change = ""
        if old is not None:
            change = _CHANGE_WORDS[judge_change(cell, old)] or f"noticed from {get_noticeable(cell, old):,} on"
        cells = [_describe_cell(one) for one in found]
        rows.append((cell.title, change, tuple(cells)))
    return rows


def _describe_cell(cell: DigestCell | None) -> str:
    if cell is None:
        return "too few"
    return f"{FEW if cell.value is None else format_value(cell)} ({cell.low:,} to {cell.high:,})"


def _list_advice(digest: Digest) -> list[Block]:
    codes = next((table for table in digest.tables if table.name == WEAKNESS), None)
    if codes is None:
        return ["There are no figures of weaknesses in this digest."]
    blocks: list[Block] = []
    if digest.recommendations:
        blocks.append(
            "Our analysts name up to two weaknesses of the service in each incident. “Often named” means that chance "
            f"would hardly put a weakness so high, even with all {len(codes.cells)} looked at together: of services "
            "without any, fewer than one in twenty reads of one in a whole year."
        )
    else:
        blocks.append(
            "Our analysts name up to two weaknesses of the service in each incident. None stands out from chance "
            "this time, so we recommend nothing rather than guess. That does not mean that there is no weakness."
        )
    for one in digest.recommendations:
        cell, share = find_cell(digest, WEAKNESS, one.label), describe_share(digest, one.label)
        range_words = "" if cell is None else f" Its number below is about {format_value(cell)} ({format_range(cell)})."
        sureness = f"{share[:1].upper()}{share[1:]}.{range_words}"
        blocks.append(Advice(one.rank, one.weakness, one.feature, one.text, one.change, one.solved, sureness))
    if digest.recommendations:
        blocks.append(_STEPS)
    figure = _make_figure(codes)
    return [*blocks, replace(figure, title="All weaknesses")]


_STEPS: Final = Steps(
    (
        "Give each change above an owner and a date.",
        "Ask your moderators whether they see the same, and how much they see of the kinds that the public reports.",
        "Look at the same lines in the next digest: it states how large a change has to be to be noticed.",
    )
)


_SMALL_NUMBERS: Final = (
    "“Few” means that the number is so small that chance could have made it, so we show none. No other service gets "
    "your digest or your own figures, and you get none of theirs."
)
_MAY_SHOW: Final = (
    "You may show this page to anyone in your company and to your regulator. Nothing in it is about one person."
)


def _make_reading_section(digest: Digest) -> Section:
    costs = tuple(
        (table.title, "", (format_epsilon(table.epsilon_micro), str(table.sensitivity)))
        for table in digest.tables
        if not table.exact
    )
    spent = format_epsilon(digest.epsilon_micro)
    blocks: list[Block] = [_MAY_SHOW] if digest.total is None else [_SMALL_NUMBERS, _MAY_SHOW]
    if costs:
        blocks.append(
            "For statisticians: pure differential privacy for one incident, with all reports about it. Noise is "
            f"discrete Laplace, drawn once for each table; {spent} of at most 1.0 is spent so far. Numbers are the "
            f"plain draws. A range is that of the noise's exact law and holds {describe_certainty(digest)} for each "
            "number alone, not for all together; a number whose range begins at 0 is few, also one below zero. "
            "Weaknesses and gaps are tested over all their lines and the five digests of a year together, at 5 % "
            "in all. A change is noticed where noise and two Poisson counts of one rate would hardly do it: in at most "
            "one of twenty such tables, over all lines. Seasons and campaigns are not in that."
        )
        blocks.append(Grid("Privacy cost of each table", "", ("Epsilon", "Sensitivity"), costs))
    return Section("How to read this page", tuple(blocks))


def _list_foot(digest: Digest) -> tuple[str, ...]:
    day = date.fromisoformat(digest.made_at[:10])
    return (
        f"Digest of {digest.period} for {digest.partner}, made on {day.day} {day:%B %Y} by the agency.",
        f"Fingerprint of its signed content (SHA-256): {sha256(encode_digest(digest)).hexdigest()}",
    )


def is_clear(cell: DigestCell) -> bool:
    """Return whether a number is shown and chance hardly explains it."""
    return cell.value is not None and cell.evidence == "clear"


def describe_share(digest: Digest, label: str) -> str:
    """Return how often incidents name a weakness, e.g. `often named: about 30 of 100 incidents`."""
    cells = [cell for table in digest.tables if table.name == WEAKNESS for cell in table.cells]
    named = next((cell.value for cell in cells if cell.label == label), None)
    if named is None or digest.total is None or digest.total.value is None:
        return "often named"
    return f"often named: about {min(100, max(1, round(100 * named / digest.total.value)))} of 100 incidents"


def format_epsilon(micro: int) -> str:
    """Return a privacy cost for people: 400000 becomes `0.4`."""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").ljust(len(str(whole)) + 2, "0")


OVERVIEW_VERSION: Final = "1"
MAX_OVERVIEW_BYTES: Final = 64 * 1024


def parse_overview(raw: bytes) -> Overview:
    """Return the overview of canonical bytes, or raise `FormatError`."""
    overview = canonical.parse_exact(raw, kind=Overview, max_bytes=MAX_OVERVIEW_BYTES)
    if overview.overview_version != OVERVIEW_VERSION:
        raise FormatError("This SDK cannot read this version of an overview: update it.", reason="unknown-version")
    if overview.epsilon_micro < sum(table.epsilon_micro for table in overview.tables):
        raise FormatError("The tables' privacy cost is higher than the overview states.", reason="bad-overview")
    for number, table in enumerate(overview.tables, start=1):
        if not all(map(_is_whole, table.lines)):
            raise FormatError(f"Table {number} contradicts itself.", reason="bad-overview")
    return overview


def _is_whole(line: OverviewLine) -> bool:
    ends = line.value, line.high, line.share_low, line.share_high
    if ends == (None, None, None, None):
        return line.low >= 0
    value, high, share_low, share_high = (-1 if one is None else one for one in ends)
    return 1 <= line.low <= value <= high and 0 <= share_low <= share_high <= 100
