"""Streams of a PDF that every machine writes alike: zlib packs the same bytes in another way in another version."""

import re
import zlib
from typing import Final

from fpdf.output import OutputProducer
from fpdf.syntax import Name, PDFContentStream, PDFObject

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
