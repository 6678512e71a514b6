"""Sheets of A4 for people outside: the base of every PDF that leaves the desk, e.g. the page of a package or a letter.

    paper = Paper(title="Request for information", made_at=now, foot="Reference RA-7Q2K")
    paper.write_heading("The account")
    paper.write_facts([("Name", "example_user")])
    paper.render()

The same calls give the same bytes on every machine and Python: no clock, and no stream is packed by zlib, whose bytes
differ between its versions. The sheets are tagged for screen readers. A character that the fonts in `fonts/` lack is
printed as its Unicode number, e.g. `[U+4E2D]`, as on the desk's pages, with a note on the last sheet: none is lost.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from fpdf import FPDF, ViewerPreferences
from fpdf.bidi import auto_detect_base_direction
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont
from fpdf.output import OutputProducer
from fpdf.syntax import Name, PDFContentStream, PDFObject
from uharfbuzz import Blob, Face

from gateway.desk.office.hidden_text import format_code_point, replace_hidden

_RUN_LONGEST: Final = 128
_RUN_EQUAL: Final = 257  # less the length of a run of one byte
_RUN_END: Final = b"\x80"
_REPEATED: Final = re.compile(rb"(.)\1+", re.DOTALL)


class PlainProducer(OutputProducer):
    """Writes every stream without zlib: maps of glyphs, nearly all zeros, as runs, and the rest as it is."""

    def _add_pdf_obj(self, pdf_obj: PDFObject, trace_label: str | None = None) -> int:
        if isinstance(pdf_obj, PDFContentStream) and pdf_obj.filter == "FlateDecode":
            plain = zlib.decompress(pdf_obj._contents)
            runs = _encode_runs(plain)
            is_shorter = len(runs) < len(plain)
            pdf_obj._contents = runs if is_shorter else plain
            pdf_obj.filter = Name("RunLengthDecode") if is_shorter else None
            pdf_obj.length = len(pdf_obj._contents)
        return super()._add_pdf_obj(pdf_obj, trace_label)


def _encode_runs(plain: bytes) -> bytes:
    """Return bytes as runs of up to 128 equal or unequal ones (ISO 32000-1 §7.4.5)."""
    coded, place = bytearray(), 0
    for start, end in (*(found.span() for found in _REPEATED.finditer(plain)), (len(plain), len(plain))):
        while place < start:
            unequal = plain[place : min(start + 1, place + _RUN_LONGEST)]  # with the first of the equal ones
            coded += bytes((len(unequal) - 1,)) + unequal
            place += len(unequal)
        while end - place > 1:
            equal = min(end - place, _RUN_LONGEST)
            coded += bytes((_RUN_EQUAL - equal, plain[place]))
            place += equal
    return bytes(coded) + _RUN_END


# Millimetres. Readers of long sheets need air: 66 to 80 characters a line at 10.5 points.
_SIDE: Final = 24.0
_WIDTH: Final = 162.0
_TOP: Final = 24.0
_FOOT: Final = 25.0
_FOOT_LINE: Final = 14.0
_HEAD_LINE: Final = 11.0
_LABEL: Final = 44.0
_GUTTER: Final = 4.0
_INDENT: Final = 5.0
# A line of text, as millimetres for each point of its size.
_LEADING: Final = 0.51
_SIZE: Final = 10.5
_MOST_IN_LINE: Final = 400  # the library calls itself once for each sign between letters, and Python bounds that
_SMALL: Final = 8.5
_HEADINGS: Final = {1: 20.0, 2: 13.0, 3: 10.5}
_ABOVE_HEADING: Final = {1: 0.0, 2: 7.0, 3: 4.0}
_INK: Final = (20, 28, 34)
_SOFT: Final = (79, 92, 103)
_RULE: Final = (200, 207, 212)
_ACT: Final = (15, 95, 110)
_WARM: Final = (122, 74, 0)
_GROUND: Final = (243, 246, 247)

_FONTS: Final = Path(__file__).with_name("fonts")
_TEXT: Final = "noto sans"
_REGULAR: Final = "NotoSans-Regular.ttf"
_BOLD: Final = "NotoSans-Bold.ttf"
# In the order in which they are asked for a character that the text's own font lacks; added where one is drawn.
_OTHERS: Final = {
    "noto sans arabic": "NotoSansArabic-Regular.ttf",
    "noto sans hebrew": "NotoSansHebrew-Regular.ttf",
    "noto emoji": "NotoEmoji-Regular.ttf",
}
_FIRST_OTHER: Final = 3  # the text's own are the first and the second
# How letters join and kern: in the fonts for the drawing, and not in the document.
_LAYOUT: Final = ("GDEF", "GPOS", "GSUB")

Tone = Literal["ink", "soft", "act", "warm"]
_TONES: Final[dict[Tone, tuple[int, int, int]]] = {"ink": _INK, "soft": _SOFT, "act": _ACT, "warm": _WARM}
Tag = Literal["H1", "H2", "H3", "P", "BlockQuote", "Artifact"]


class Paper:
    """One document, written from its top to its end."""

    def __init__(self, *, title: str, made_at: datetime, foot: str, head: str = "", language: str = "en-GB") -> None:
        """Begin a document: `foot` and `head`, e.g. a reference and a marking, stand on every sheet."""
        self._pdf = _make_document()
        self._letters = _read_letters()
        self._known = frozenset("\n").union(*self._letters.values())
        self._missing: set[str] = set()
        self._title, self._foot, self._head = self._draw_as(title), self._draw_as(foot), self._draw_as(head)
        self._pdf.set_title(self._title)
        self._pdf.set_lang(language)
        self._pdf.set_creation_date(made_at)
        self._width = lru_cache(maxsize=20_000)(self._measure)
        self._face: tuple[str, float] = ("", 0.0)
        self._is_below_heading = False
        self._tags_on_sheet: dict[int, int] = {}
        self._pdf.add_page()

    def write_heading(self, text: str, *, level: int = 2) -> None:
        """Write a heading of level 1 to 3, never as the last line of a sheet; level 2 enters the outline."""
        size = _HEADINGS[level]
        self.leave(_ABOVE_HEADING[level] if self._pdf.get_y() > _TOP else 0)
        if not self._is_below_heading:  # which left room for one more, and two lines of text
            self.keep((size + 3 * _SIZE) * _LEADING + 2 * _ABOVE_HEADING[3])
        if level > 1:
            self._pdf.start_section(self._draw_as(text), level=level - 2, strict=False)
        tag: Tag = "H1" if level == 1 else "H2" if level == len(_HEADINGS) - 1 else "H3"
        self._write(text, tag=tag, size=size, is_bold=True, tone="ink")
        self._is_below_heading = True
        self.leave(2.0 if level < len(_HEADINGS) else 0.8)

    def write_text(
        self, text: str, *, tone: Tone = "ink", is_bold: bool = False, is_small: bool = False, gap: float = 2.4
    ) -> None:
        """Write paragraphs, one for each line of the text."""
        self._write(text, size=_SMALL if is_small else _SIZE, is_bold=is_bold, tone=tone)
        self.leave(gap)

    def write_quote(self, text: str) -> None:
        """Write the words of another person, beside a rule that runs along them."""
        self._write(text, tag="BlockQuote", left=_INDENT, has_rule=True)
        self.leave(2.8)

    def write_items(self, items: Iterable[str], *, is_numbered: bool = False) -> None:
        """Write a list."""
        for number, item in enumerate(items, start=1):
            self._write(item, left=_INDENT + 1, mark=f"{number}." if is_numbered else "•")
            self.leave(1.2)
        self.leave(1.2)

    def write_facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write rows of a label and its value."""
        for label, value in rows:
            self._write(value, left=_LABEL + _GUTTER, mark=label, is_label=True)
            self.leave(1.2)
        self.leave(1.6)

    def write_notice(self, text: str, *, title: str = "") -> None:
        """Write a paragraph on a ground of its own, whole on one sheet where it fits one."""
        inner = _WIDTH - 2 * _INDENT
        blocks = [(one, is_bold) for one, is_bold in ((title, True), (text, False)) if one]
        height = sum(len(self._break(one, inner, size=_SIZE, is_bold=bold)) for one, bold in blocks) * _SIZE * _LEADING
        self.keep(height + 2 * _INDENT)
        top = self._pdf.get_y()
        if top + height + _INDENT <= self._pdf.h - _FOOT:
            with self._tagged("Artifact"):
                self._pdf.set_fill_color(*_GROUND)
                self._pdf.rect(_SIDE, top, _WIDTH, height + _INDENT, style="F")
        self.leave(_INDENT / 2)
        for one, is_bold in blocks:
            self._write(one, left=_INDENT, width=inner, is_bold=is_bold)
        self.leave(_INDENT / 2 + 3)

    def write_rule(self) -> None:
        """Draw a line across the sheet."""
        self.keep(4)
        with self._tagged("Artifact"):
            self._pdf.set_draw_color(*_RULE)
            self._pdf.line(_SIDE, self._pdf.get_y(), _SIDE + _WIDTH, self._pdf.get_y())
        self.leave(3)

    def leave(self, height: float) -> None:
        """Leave so many millimetres free."""
        self._pdf.set_y(self._pdf.get_y() + height)

    def keep(self, height: float) -> None:
        """Begin a new sheet unless so many millimetres are left on this one."""
        if self._pdf.get_y() + height > self._pdf.h - _FOOT and self._pdf.get_y() > _TOP:
            self._pdf.add_page()

    def render(self) -> bytes:
        """Return the document and end it."""
        if self._missing:
            self.write_rule()
            self.write_text(
                "Characters that are invisible, or that the fonts of this document cannot draw, are printed as their "
                "Unicode numbers: " + " ".join(format_code_point(one) for one in sorted(self._missing)),
                tone="soft",
                is_small=True,
            )
        count = self._pdf.pages_count
        for number in range(1, count + 1):
            self._pdf.page = number
            self._face = ("", 0.0)  # a sheet does not remember the font of the one before
            if self._head:
                self._write_edge(self._head, y=_HEAD_LINE, align="C", is_bold=True)
            self._write_edge(self._foot, y=self._pdf.h - _FOOT_LINE, align="L")
            self._write_edge(f"Page {number} of {count}", y=self._pdf.h - _FOOT_LINE, align="R")
        for font in self._pdf.fonts.values():
            if isinstance(font, TTFFont):
                for table in _LAYOUT:  # the library would read each of them whole, and then leave it out
                    if table in font.ttfont:
                        del font.ttfont[table]
        return bytes(self._pdf.output(output_producer_class=PlainProducer))

    def _write_edge(self, text: str, *, y: float, align: Literal["L", "C", "R"], is_bold: bool = False) -> None:
        with self._tagged("Artifact"):
            self._choose(size=_SMALL, is_bold=is_bold, tone="soft")
            self._pdf.set_xy(_SIDE, y)
            self._pdf.cell(_WIDTH, _SMALL * _LEADING, text, align=align)

    def _write(
        self,
        text: str,
        *,
        tag: Tag = "P",
        size: float = _SIZE,
        is_bold: bool = False,
        tone: Tone = "ink",
        left: float = 0.0,
        width: float = 0.0,
        mark: str = "",
        is_label: bool = False,
        has_rule: bool = False,
    ) -> None:
        """Write paragraphs line by line: each knows its sheet, so that a tag never spans two."""
        self._is_below_heading = False
        width = width or _WIDTH - left
        height = size * _LEADING
        lines = self._break(text, width, size=size, is_bold=is_bold)
        marks = self._break(mark, left - _GUTTER if is_label else left, size=size, is_bold=False) if mark else []
        marks += [("", TextDirection.LTR)] * (len(lines) - len(marks))
        lines += [("", TextDirection.LTR)] * (len(marks) - len(lines))
        done = 0
        while done < len(lines):
            # Two lines at least stay together at either end of a sheet.
            self.keep(min(2, len(lines) - done) * height)
            room = max(1, int((self._pdf.h - _FOOT - self._pdf.get_y() + 0.01) / height))
            here = min(room, len(lines) - done)
            if here < len(lines) - done < here + 2 and here > 2:
                here -= 1
            top = self._pdf.get_y()
            with self._tagged(tag):
                for place, ((line, direction), (beside, _)) in enumerate(
                    zip(lines[done : done + here], marks[done : done + here], strict=True)
                ):
                    y = top + place * height
                    if beside:
                        self._line(beside, x=_SIDE, y=y, width=left, size=size, tone="soft" if is_label else tone)
                    self._line(
                        line,
                        x=_SIDE + left,
                        y=y,
                        width=width,
                        size=size,
                        is_bold=is_bold,
                        tone=tone,
                        direction=direction,
                    )
            if has_rule:
                with self._tagged("Artifact"):
                    self._pdf.set_draw_color(*_RULE)
                    self._pdf.set_line_width(0.8)
                    self._pdf.line(_SIDE + 1, top, _SIDE + 1, top + here * height)
                    self._pdf.set_line_width(0.2)
            self._pdf.set_y(top + here * height)
            done += here

    def _line(
        self,
        text: str,
        *,
        x: float,
        y: float,
        width: float,
        size: float,
        is_bold: bool = False,
        tone: Tone = "ink",
        direction: TextDirection = TextDirection.LTR,
    ) -> None:
        self._choose(size=size, is_bold=is_bold, tone=tone)
        self._pdf.set_text_shaping(use_shaping_engine=True, direction=direction)
        self._pdf.set_xy(x, y)
        self._pdf.cell(width, size * _LEADING, text, align="R" if direction is TextDirection.RTL else "L")

    def _break(self, text: str, width: float, *, size: float, is_bold: bool) -> list[tuple[str, TextDirection]]:
        """Return the lines of a text with the direction of their paragraph, each no wider than `width`."""
        lines: list[tuple[str, TextDirection]] = []
        style = "B" if is_bold else ""
        for paragraph in self._draw_as(text).split("\n"):
            direction = auto_detect_base_direction(paragraph)
            line, used = "", 0.0
            for word in paragraph.split(" "):
                # Letters join and kern within a word, so the widths of words add up.
                gap, is_short = self._width(" ", style, size) * bool(line), len(line) + len(word) < _MOST_IN_LINE
                if is_short and (wider := used + gap + self._width(word, style, size)) <= width:
                    line, used = f"{line} {word}" if line else word, wider
                    continue
                if line:
                    lines.append((line, direction))
                *whole, line = self._cut(word, width, style=style, size=size)
                used = self._width(line, style, size)
                lines += [(piece, direction) for piece in whole]
            lines.append((line, direction))
        return lines

    def _cut(self, word: str, width: float, *, style: str, size: float) -> Iterator[str]:
        """Yield the pieces of a word, e.g. a long address, that fit a line each."""
        piece = ""
        for one in word:
            if piece and (len(piece) == _MOST_IN_LINE or self._width(piece + one, style, size) > width):
                yield piece
                piece = ""
            piece += one
        yield piece

    def _measure(self, text: str, style: str, size: float) -> float:
        font = self._pdf.fonts[f"{_TEXT}{style}"]
        if text.isascii() and isinstance(font, TTFFont):
            # One font and one direction: to look for others would cost more than the rest of a sheet.
            return font.shaped_text_width(text, size, None)[1] / self._pdf.k
        self._choose(size=size, is_bold=style == "B", tone="ink")
        self._pdf.set_text_shaping(use_shaping_engine=True)
        return self._pdf.get_string_width(text)

    def _choose(self, *, size: float, is_bold: bool, tone: Tone) -> None:
        face = ("B" if is_bold else "", size)
        if face != self._face:
            self._pdf.set_font(_TEXT, *face)
            self._face = face
        self._pdf.set_text_color(*_TONES[tone])

    def _draw_as(self, text: str) -> str:
        """Return a text of which every character can be drawn."""
        shown = replace_hidden(text.replace("\r\n", "\n").replace("\t", "    "), self._replace_hidden, but="\n")
        drawn = "".join(map(self._replace_unknown, shown)) if set(shown) - self._known else shown
        others = set(drawn) - self._letters[_TEXT]
        for number, (family, file) in enumerate(_OTHERS.items(), start=_FIRST_OTHER):
            if family not in self._pdf.fonts and not others.isdisjoint(self._letters[family]):
                self._pdf.add_font(family, "", _FONTS / file)
                self._pdf.fonts[family].i = number  # the same one in whatever order the fonts are needed
                self._pdf.set_fallback_fonts([one for one in _OTHERS if one in self._pdf.fonts], exact_match=False)
        return drawn

    def _replace_hidden(self, one: str) -> str:
        # A letter newer than this Python is no hidden one, and every Python draws the same sheet.
        is_newer = unicodedata.category(one) == "Cn" and one in self._known
        return one if is_newer else self._replace(one)

    def _replace_unknown(self, one: str) -> str:
        return one if one in self._known else self._replace(one)

    def _replace(self, one: str) -> str:
        self._missing.add(one)
        return format_code_point(one)

    @contextmanager
    def _tagged(self, tag: Tag) -> Iterator[None]:
        """Mark the drawing inside as one element of the structure, or as no part of it (ISO 32000-1 §14.7)."""
        if tag == "Artifact":
            self._pdf._out("/Artifact BMC")
        else:
            # The library tags pictures alone; its own methods for that know every other kind too.
            sheet = self._pdf.page
            number = self._tags_on_sheet.get(sheet, 0)
            self._tags_on_sheet[sheet] = number + 1
            self._pdf._add_marked_content(struct_type=f"/{tag}", mcid=number)
            self._pdf._out(f"/{tag} <</MCID {number}>> BDC")
        yield
        self._pdf._out("EMC")


def _make_document() -> FPDF:
    pdf = FPDF(format="A4")
    pdf.set_compression(False)
    pdf.set_margins(_SIDE, _TOP)
    pdf.set_auto_page_break(auto=False)
    pdf.c_margin = 0
    pdf.str_alias_nb_pages = ""  # "{nb}" in a report is text
    pdf.set_producer("")  # the library's version, which says nothing to a reader
    pdf.viewer_preferences = ViewerPreferences(display_doc_title=True)
    pdf.add_font(_TEXT, "", _FONTS / _REGULAR)
    pdf.add_font(_TEXT, "B", _FONTS / _BOLD)
    return pdf


def _read_letters() -> dict[str, frozenset[str]]:
    """Return the characters that each family can draw; the text's own both in regular and bold."""

    def read(file: str) -> frozenset[str]:
        return frozenset(map(chr, Face(Blob.from_file_path(_FONTS / file)).unicodes))

    return {_TEXT: read(_REGULAR) & read(_BOLD), **{family: read(file) for family, file in _OTHERS.items()}}
