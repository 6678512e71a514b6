"""The page of an overview, in the style of a digest: for adopters, the desk's preview and the public."""

import html

from partner_sdk.digests.page import make_file
from partner_sdk.wire.digest import (
    NO_ROWS,
    NOTHING_SHOWN,
    Overview,
    OverviewTable,
    describe_line,
    describe_line_share,
    describe_noise,
    describe_rest,
)


def render_page(overview: Overview) -> str:
    """Return the overview as one HTML file in the style of a digest."""
    return make_file(_make_title(overview), render_article(overview))


def render_article(overview: Overview) -> str:
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
