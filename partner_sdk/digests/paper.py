"""The page of a digest on A4, for a board: the same parts and sentences as the HTML page, drawn by `fpdf2`.

An extra with an import of its own: `pip install 'report-abuse-partner-sdk[pdf]'`. One digest gives the same bytes on
every machine. The fonts are those of every reader and know Latin letters alone; others become the nearest
letter or `?`.
"""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.digests.view import (
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
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.digest import Digest

if TYPE_CHECKING:
    from fpdf import FPDF

INSTALL_LINE: Final = "pip install 'report-abuse-partner-sdk[pdf]'"
# Millimetres.
_SIDE: Final = 20
_WIDTH: Final = 170
_FOOT: Final = 22
_LINE: Final = 5.2
_BAR: Final = 2.6
_NUMBER: Final = 34
_INK: Final = (20, 28, 34)
_SOFT: Final = (79, 92, 103)
_RULE: Final = (200, 207, 212)
_ACT: Final = (15, 95, 110)
_FILL: Final = (150, 190, 198)
_WARM: Final = (122, 74, 0)
_PLAIN: Final = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...", "\u00a0": " "})

Colour = tuple[int, int, int]


def render_paper(digest: Digest, *, kept: Iterable[Digest] = ()) -> bytes:
    """Return the PDF of a digest, beside the earlier ones among `kept`.

    Raises `LocalStateError` (`pdf-missing`) without the extra `pdf`.
    """
    try:
        from fpdf import FPDF
    except ImportError:
        raise LocalStateError(
            f"Paper needs a library that is not installed: {INSTALL_LINE}", reason="pdf-missing"
        ) from None
    page = make_digest_page(digest, kept=kept)
    pdf = FPDF(format="A4")
    pdf.set_margins(_SIDE, _SIDE)
    pdf.set_auto_page_break(auto=True, margin=_FOOT)
    pdf.c_margin = 0  # text begins where bars and rules begin
    pdf.set_lang("en-GB")
    pdf.set_title(_plain(f"{page.partner}: {page.period_words}"))
    pdf.set_creation_date(parse_time(digest.made_at))
    pdf.add_page()
    _Paper(pdf).draw(page)
    return bytes(pdf.output())


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return (
        "".join(one for one in folded if not unicodedata.combining(one)).encode("latin-1", "replace").decode("latin-1")
    )


class _Paper:
    """Draws parts from the top of one document to its end."""

    def __init__(self, pdf: "FPDF") -> None:
        self.pdf = pdf

    def draw(self, page: DigestPage) -> None:
        """Draw the whole page, then the foot of each sheet."""
        self.write(SUBJECT, size=10, colour=_SOFT)
        self.write(f"{page.partner}, {page.period_words}", size=20, is_bold=True, gap=3)
        if page.banner:
            self.write(page.banner, is_bold=True, colour=_WARM, gap=2)
        for head, text in page.summary:
            self.make_room(3 * _LINE)
            self.write(head, is_bold=True, colour=_ACT)
            self.write(text, gap=1.6)
        for section in page.sections:
            self.draw_section(section)
        self.space(5)
        for line in page.foot:
            self.write(line, size=8, colour=_SOFT)
        self.number_sheets(page)

    def draw_section(self, section: Section) -> None:
        self.space(6)
        self.make_room(30)
        self.pdf.set_draw_color(*_ACT)
        self.pdf.line(_SIDE, self.pdf.get_y(), _SIDE + _WIDTH, self.pdf.get_y())
        self.space(2.5)
        self.pdf.start_section(_plain(section.heading))
        self.write(section.heading, size=14, is_bold=True, gap=1.5)
        for block in section.blocks:
            self.draw_block(block)

    def draw_block(self, block: Block) -> None:
        match block:
            case Figure():
                self.draw_figure(block)
            case Grid():
                self.draw_grid(block)
            case Advice():
                self.draw_advice(block)
            case Callout():
                self.write(block.text, colour=_WARM, gap=2)
            case Steps():
                for number, item in enumerate(block.items, start=1):
                    self.write(f"{number}. {item}", gap=0.6)
            case _:
                self.write(block, gap=1.6)

    def draw_figure(self, figure: Figure) -> None:
        self.head(figure.title, figure.explanation)
        for bar in figure.bars:
            self.draw_bar(bar, figure)
        if figure.rest:
            self.space(1)
            self.write(figure.rest, size=8.5, colour=_SOFT, gap=2)

    def draw_bar(self, bar: Bar, figure: Figure) -> None:
        self.make_room(3 * _LINE)
        top = self.pdf.get_y()
        own = f"  (own {bar.own})" if bar.own is not None else ""
        remark = f"  [{bar.remark}]" if bar.remark else ""
        self.write(f"{bar.title}{remark}", width=_WIDTH - _NUMBER)
        below = self.pdf.get_y()
        self.at(_SIDE + _WIDTH - _NUMBER, top)
        self.write(f"{bar.shown}{own}", width=_NUMBER, align="R")
        if not figure.is_exact:
            self.at(_SIDE + _WIDTH - _NUMBER, self.pdf.get_y())
            self.write(bar.between, size=8, colour=_SOFT, width=_NUMBER, align="R")
            scale = (_WIDTH - _NUMBER - 6) / figure.longest
            self.fill(_SIDE, below, scale * (bar.value or 0), _BAR)
            self.whisker(_SIDE + scale * bar.low, _SIDE + scale * bar.high, below + _BAR / 2)
            below = max(below + _BAR, self.pdf.get_y())
        self.at(_SIDE, below + 1.8)

    def draw_grid(self, grid: Grid) -> None:
        self.head(grid.title, grid.explanation)
        first = _WIDTH * 0.34
        rest = (_WIDTH - first) / len(grid.columns)
        for title, remark, cells in (("", "", grid.columns), *grid.rows):
            self.make_room(2.4 * _LINE)
            top = self.pdf.get_y()
            self.write(f"{title}{f'  [{remark}]' if remark else ''}", size=9, width=first)
            bottom = self.pdf.get_y()
            for place, cell in enumerate(cells):
                self.at(_SIDE + first + rest * place, top)
                self.write(cell, size=9, width=rest, align="R")
                bottom = max(bottom, self.pdf.get_y())
            self.pdf.set_draw_color(*_RULE)
            self.pdf.line(_SIDE, bottom + 0.6, _SIDE + _WIDTH, bottom + 0.6)
            self.at(_SIDE, bottom + 1.4)
        self.space(2)

    def draw_advice(self, advice: Advice) -> None:
        self.make_room(45)
        self.space(1)
        self.write(f"{advice.rank}. {advice.title}", size=12, is_bold=True)
        self.write(advice.feature, size=8.5, colour=_SOFT, gap=0.8)
        facts = [("What it means", advice.text), ("The change that we recommend", advice.change)]
        facts += [("How services have solved it", advice.solved), ("How sure we are", advice.sureness)]
        for head, text in facts:
            if text:
                self.make_room(2.5 * _LINE)
                self.write(head, size=8.5, is_bold=True, colour=_ACT)
                self.write(text, is_bold=text == advice.change, gap=0.8)
        self.space(2)

    def head(self, title: str, explanation: str) -> None:
        self.space(1.5)
        self.make_room(20)
        self.write(title, is_bold=True)
        if explanation:
            self.write(explanation, size=8.5, colour=_SOFT)
        self.space(1)

    def write(
        self,
        text: str,
        *,
        size: float = 10.5,
        is_bold: bool = False,
        colour: Colour = _INK,
        width: float = _WIDTH,
        align: str = "L",
        gap: float = 0,
    ) -> None:
        self.pdf.set_font("helvetica", "B" if is_bold else "", size)
        self.pdf.set_text_color(*colour)
        options: dict[str, Any] = {"align": align, "new_x": "LMARGIN", "new_y": "NEXT"}
        self.pdf.multi_cell(width, size * 0.48, _plain(text), **options)
        self.space(gap)

    def at(self, x: float, y: float) -> None:
        self.pdf.set_xy(x, y)

    def space(self, height: float) -> None:
        self.pdf.set_y(self.pdf.get_y() + height)

    def make_room(self, height: float) -> None:
        """Begin a new sheet unless so many millimetres are left, so that a row stays whole."""
        if self.pdf.get_y() + height > self.pdf.h - _FOOT:
            self.pdf.add_page()

    def fill(self, x: float, y: float, width: float, height: float) -> None:
        if width > 0 and height > 0:
            self.pdf.set_fill_color(*_FILL)
            self.pdf.rect(x, y, width, height, style="F")

    def whisker(self, start: float, end: float, across: float) -> None:
        self.pdf.set_draw_color(*_INK)
        lines = ((start, across, end, across), *((one, across - 1, one, across + 1) for one in (start, end)))
        for x1, y1, x2, y2 in lines:
            self.pdf.line(x1, y1, x2, y2)

    def number_sheets(self, page: DigestPage) -> None:
        count = self.pdf.pages_count
        self.pdf.set_auto_page_break(auto=False)
        for number in range(1, count + 1):
            self.pdf.page = number
            self.at(_SIDE, self.pdf.h - 14)
            self.pdf.set_font("helvetica", "B", 9)  # a sheet does not remember the font of the one before
            mark = f"{page.banner.partition('.')[0]}. " if page.banner else ""
            self.write(f"{mark}{page.partner}, {page.period_words}. {number} of {count}", size=8, colour=_SOFT)
