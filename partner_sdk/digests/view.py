"""The page of a digest: its sections, from the published numbers alone.

A manager without a statistician reads it, so each word is explained where it stands and each number has its range.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Final

from partner_sdk.digests.changes import (
    Direction,
    describe_certainty,
    find_cell,
    get_noticeable,
    judge_change,
    list_earlier,
)
from partner_sdk.digests.parts import Advice, Bar, Block, Callout, DigestPage, Figure, Grid, Section, Steps
from partner_sdk.digests.summary import (
    format_inside,
    format_period,
    format_range,
    format_value,
    join_words,
    list_change_sentences,
    list_gaps,
    list_kinds,
    list_summary,
)
from partner_sdk.wire.digest import (
    COUNTED,
    FEW,
    KIND,
    TOTAL,
    WEAKNESS,
    Digest,
    DigestCell,
    DigestTable,
    describe_share,
    encode_digest,
    format_epsilon,
    is_clear,
)

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


def _format_day(text: str) -> str:
    day = date.fromisoformat(text[:10])
    return f"{day.day} {day:%B %Y}"


def _format_short(digest: Digest) -> str:
    return digest.period if digest.span == "year" else " ".join(reversed(digest.period.split("-")))


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
        columns=tuple(_format_short(one) for one in shown[-MOST_COLUMNS:]),
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
    return (
        f"Digest of {digest.period} for {digest.partner}, made on {_format_day(digest.made_at)} by the agency.",
        f"Fingerprint of its signed content (SHA-256): {sha256(encode_digest(digest)).hexdigest()}",
    )
