"""The page of a digest as one HTML file: no script, nothing from outside, for screens, paper and 320 pixels.

The agency's desk shows the same article before it releases the digest. Never writes a style attribute, so that a page
with a strict policy can hold the article. The page of an overview has the same style.
"""

import html
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final

from partner_sdk.console.digests.view import (
    SUBJECT,
    Advice,
    Bar,
    Block,
    Callout,
    DigestPage,
    Figure,
    Grid,
    Section,
    Steps,
    make_digest_page,
)
from partner_sdk.wire.digest import Digest, Overview, OverviewLine, OverviewTable

STYLE_FILE: Final = Path(__file__).with_name("page.css")
# Where the article is the whole file: the ground around it.
_ALONE: Final = (
    "html { background: #ffffff; } body { margin: 0; }\n"
    "@media (prefers-color-scheme: dark) { html { background: #141c22; } }\n"
    "@media print { html { background: #ffffff; } }\n"
    "@page { margin: 16mm 14mm; }\n"
)
# Remarks that stand out; the others are soft.
_CLEAR: Final = frozenset({"often named", "more", "fewer"})


def render_page(digest: Digest, *, kept: Iterable[Digest] = ()) -> str:
    """Return the whole file for a digest, beside the earlier ones among `kept`."""
    page = make_digest_page(digest, kept=kept)
    return make_file(f"{page.partner}: {page.period_words}", render_article(page))


def make_file(title: str, article: str) -> str:
    """Return a whole file around an `article` of the class `digest`, whose policy allows nothing but its own style."""
    style = read_style() + _ALONE
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{article}\n</main>\n</body>\n</html>\n"
    )


@cache
def read_style() -> str:
    """Return the style sheet of the article; each of its rules is under the class `digest`."""
    return STYLE_FILE.read_text(encoding="utf-8")


def render_article(page: DigestPage) -> str:
    """Return the page as one `article` of the class `digest`, for a page that has a head of its own."""
    banner = f'<p class="banner">{escape(page.banner)}</p>' if page.banner else ""
    summary = "".join(f"<div><dt>{escape(head)}</dt><dd>{escape(text)}</dd></div>" for head, text in page.summary)
    return "\n".join(
        [
            '<article class="digest">',
            f"<header><p>{SUBJECT}</p><h1>{escape(page.partner)}, {escape(page.period_words)}</h1></header>",
            banner,
            f'<dl class="summary">{summary}</dl>',
            *(_render_section(section) for section in page.sections),
            f"<footer>{''.join(f'<p>{escape(line)}</p>' for line in page.foot)}</footer>",
            "</article>",
        ]
    )


def _render_section(section: Section) -> str:
    return "\n".join(
        ["<section>", f"<h2>{escape(section.heading)}</h2>", *map(_render_block, section.blocks), "</section>"]
    )


def _render_block(block: Block) -> str:
    match block:
        case Figure():
            return _render_figure(block)
        case Grid():
            return _render_grid(block)
        case Advice():
            return _render_advice(block)
        case Callout():
            return f'<p class="callout">{escape(block.text)}</p>'
        case Steps():
            return f"<ol>{''.join(f'<li>{escape(item)}</li>' for item in block.items)}</ol>"
        case _:
            return f"<p>{escape(block)}</p>"


def _render_caption(title: str, explanation: str) -> str:
    more = f"<span>{escape(explanation)}</span>" if explanation else ""
    return f"<caption>{escape(title)}{more}</caption>"


def _render_figure(figure: Figure) -> str:
    heads = [f'<th scope="col">{escape(figure.head)}</th>']
    heads.append(f'<th scope="col" class="number">{"Number" if figure.is_exact else "About (range)"}</th>')
    if figure.has_own:
        heads.append('<th scope="col" class="own">Own</th>')
    rows = "".join(_render_row(bar, figure) for bar in figure.bars)
    rest = f'<p class="rest">{escape(figure.rest)}</p>' if figure.rest else ""
    if not rows:
        return f"<h3>{escape(figure.title)}</h3>{rest}"
    return (
        f"<table>{_render_caption(figure.title, figure.explanation)}"
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table>{rest}"
    )


def _render_row(bar: Bar, figure: Figure) -> str:
    chart = "" if figure.is_exact else _draw_bar(bar, longest=figure.longest)
    between = f"<span>{escape(bar.between)}</span>" if bar.between else ""
    own = f'<td class="own">{escape(bar.own or "")}</td>' if figure.has_own else ""
    return (
        f'<tr><th scope="row">{escape(bar.title)}{_render_remark(bar.remark)}{chart}</th>'
        f'<td class="number">{escape(bar.shown)}{between}</td>{own}</tr>'
    )


def _render_remark(remark: str) -> str:
    kind = "remark likely" if remark in _CLEAR else "remark"
    return f' <span class="{kind}">{escape(remark)}</span>' if remark else ""


def _draw_bar(bar: Bar, *, longest: int) -> str:
    """Return a bar with the whisker of its range; the numbers stand beside it, so readers aloud skip it."""
    left, right = (f"{100 * value / longest:.1f}%" for value in (bar.low, bar.high))
    fill = "" if bar.value is None else f'<rect class="fill" width="{100 * bar.value / longest:.1f}%" height="12"/>'
    lines = "".join(
        f'<line class="whisker" x1="{one}" x2="{other}" y1="{top}" y2="{bottom}"/>'
        for one, other, top, bottom in ((left, right, 6, 6), (left, left, 2, 10), (right, right, 2, 10))
    )
    tip = f"<title>{escape(f'{bar.title}: {bar.shown}, {bar.between}')}</title>"
    return f'<svg class="range" width="100%" height="12" aria-hidden="true">{tip}{fill}{lines}</svg>'


def _render_grid(grid: Grid) -> str:
    # A narrow screen shows two columns: this period and the one before.
    older = [' class="older"' if place < len(grid.columns) - 2 else "" for place in range(len(grid.columns))]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(column)}</th>' for column, kind in zip(grid.columns, older, strict=True)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}{_render_remark(remark)}</th>'
        f"{''.join(_render_cell(cell, kind) for cell, kind in zip(cells, older, strict=True))}</tr>"
        for title, remark, cells in grid.rows
    )
    return (
        f'<table class="grid">{_render_caption(grid.title, grid.explanation)}'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _render_cell(text: str, kind: str) -> str:
    number, separator, between = text.rstrip(")").partition(" (")
    more = f"<span>{escape(between)}</span>" if separator else ""
    return f"<td{kind}>{escape(number)}{more}</td>"


def _render_advice(advice: Advice) -> str:
    facts = [("What it means", advice.text, ""), ("The change that we recommend", advice.change, ' class="change"')]
    facts += [("How services have solved it", advice.solved, ""), ("How sure we are", advice.sureness, "")]
    items = "".join(f"<dt>{head}</dt><dd{kind}>{escape(text)}</dd>" for head, text, kind in facts if text)
    return (
        f'<div class="advice"><p class="feature">{escape(advice.feature)}</p>'
        f"<h3>{advice.rank}. {escape(advice.title)}</h3><dl>{items}</dl></div>"
    )


# An overview is never empty without a word: in place of the numbers, and of the rows of one table.
NOTHING_SHOWN: Final = (
    "This overview has no number. Few services are counted so far, and the noise that hides each of them is larger "
    "than what they add up to. Each further service makes more of it visible."
)
NO_ROWS: Final = "No number here stands out from the noise, or one service could be most of it."


def describe_line(line: OverviewLine) -> str:
    """Return a line's number in words, e.g. `about 26 (20 to 32)` or `at least 5,200`."""
    if line.value is None:
        return f"at least {line.low:,}"
    return f"about {line.value:,} ({line.low:,} to {line.high:,})"


def describe_line_share(line: OverviewLine) -> str:
    """Return a line's share of all lines in words, e.g. `40 to 70 %`, or nothing."""
    return "" if line.share_low is None else f"{line.share_low} to {line.share_high} %"


def describe_rest(table: OverviewTable) -> str:
    """Return the lines that are not shown in one sentence, or nothing."""
    rest = "; ".join(line.title for line in table.lines if not line.low)
    return f"Not above the noise: {rest}." if rest else ""


def describe_noise(overview: Overview) -> str:
    """Return the reader's caveat for the whole overview."""
    return (
        "Noise is added to every number, enough to hide whether any one service is counted at all. Each range holds "
        f"the true number with {overview.interval_permille / 10:g} % certainty, and so does each “at least”. Lines "
        "whose ranges overlap may stand in either order."
    )


def render_overview_page(overview: Overview) -> str:
    """Return the overview as one HTML file in the style of a digest."""
    return make_file(_make_title(overview), render_overview_article(overview))


def render_overview_article(overview: Overview) -> str:
    """Return the overview as one `article` of the class `digest`, for a page that has a head of its own."""
    tables = "".join(_render_table(table) for table in overview.tables)
    texts = "".join(
        f"<h2>{title}</h2><ul>{''.join(f'<li>{html.escape(text)}</li>' for text in found)}</ul>"
        for title, found in (("Emerging patterns", overview.patterns), ("Changed after feedback", overview.changes))
        if found
    )
    missing = "".join(
        f"<p>The table {html.escape(title)} is missing: its noise was lost.</p>" for title in overview.missing_tables
    )
    empty = f'<p class="callout">{NOTHING_SHOWN}</p>' if overview.is_empty else ""
    marked = '<p class="banner">Synthetic: nothing in it happened.</p>' if overview.synthetic else ""
    return (
        f'<article class="digest"><h1>{_make_title(overview)}</h1>{marked}<p>{describe_noise(overview)}</p>'
        f"{empty}{tables}{missing}{texts}</article>"
    )


def _make_title(overview: Overview) -> str:
    return f"Reports of online child sexual exploitation in {overview.period}: all services together"


def _render_table(table: OverviewTable) -> str:
    rows = "".join(
        f'<tr><th scope="row">{rank}. {html.escape(line.title)}</th><td class="number">{describe_line(line)} '
        f"<span>{describe_line_share(line)}</span></td></tr>"
        for rank, line in enumerate(table.shown, start=1)
    )
    has_share = any(describe_line_share(line) for line in table.lines)
    number = "Number (range), share" if has_share else "Number"
    head = f'<thead><tr><th scope="col">Rank</th><th scope="col" class="number">{number}</th></tr></thead>'
    note = f"Counted are {html.escape(table.unit)}. {html.escape(table.note)}".strip()
    rest = html.escape(describe_rest(table))
    return (
        f"<h2>{html.escape(table.title)}</h2><p>{note}</p>"
        + (f"<table>{head}<tbody>{rows}</tbody></table>" if rows else f"<p>{NO_ROWS}</p>")
        + (f'<p class="rest">{rest}</p>' if rest else "")
    )
