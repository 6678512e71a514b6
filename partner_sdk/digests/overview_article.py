"""The page of an overview, in the style of a digest: for adopters, the desk's preview and the public."""

import html

from partner_sdk.digests.page import make_file
from partner_sdk.wire.digest import DigestTable
from partner_sdk.wire.overview import NO_ROWS, NOTHING_SHOWN, Overview


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
    is_empty = not any(cell.value is not None for table in overview.tables for cell in table.cells)
    empty = f'<p class="callout">{NOTHING_SHOWN}</p>' if is_empty else ""
    marked = '<p class="banner">Synthetic: nothing in it happened.</p>' if overview.synthetic else ""
    return (
        f'<article class="digest"><h1>{_make_title(overview)}</h1>{marked}<p>Noise is added to every number, enough to '
        f"hide whether any one service is counted. Each range covers this noise with "
        f"{overview.interval_permille / 10:g} % certainty.</p>{empty}{tables}{missing}{texts}</article>"
    )


def _make_title(overview: Overview) -> str:
    return f"Reports of online child sexual exploitation in {overview.period}: all services together"


def _render_table(table: DigestTable) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(cell.title)}</th><td class="number">{cell.value:,} '
        f"<span>{cell.low:,} to {cell.high:,}</span></td></tr>"
        for cell in table.cells
        if cell.value is not None
    )
    head = '<thead><tr><th scope="col">Label</th><th scope="col" class="number">Number (range)</th></tr></thead>'
    small = [cell for cell in table.cells if cell.value is None]
    most = max((cell.high for cell in small), default=0)
    names = "; ".join(html.escape(cell.title) for cell in small)
    return (
        f"<h2>{html.escape(table.title)}</h2><p>{html.escape(table.note)}</p>"
        + (f"<table>{head}<tbody>{rows}</tbody></table>" if rows else f"<p>{NO_ROWS}</p>")
        + (f'<p class="rest">Too few to show, fewer than {most + 1:,} of each: {names}.</p>' if small else "")
    )
