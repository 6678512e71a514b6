import hashlib
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pypdf
import pytest

from gateway.desk.outbox.paper import Paper

MADE_AT = datetime(2026, 11, 29, 1, 30, tzinfo=UTC)
# Drawn on two machines and by Python 3.11 and 3.13. It changes with the look of a sheet or the version of a library.
KNOWN_SHA256 = "ce6a165551c7c5013362dd9ea7f37e6b7ac3213cb7187a38ccf65964f4a42b79"
SCRIPTS = {
    "Welsh and Polish": "Dŵr, ŷ; Łukasz",
    "Greek": "Ζωή",
    "Cyrillic": "Ольга",
    "Vietnamese": "Nguyễn",
    "emoji, one newer than Python 3.11": "😢 \U0001fae9",
}


def draw(write=lambda paper: None) -> bytes:
    paper = Paper(title="Request RA-7Q2K", made_at=MADE_AT, foot="RA-7Q2K, 29 November 2026", head="Official")
    write(paper)
    return paper.render()


def read(paper: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(paper))


def text_of(paper: bytes) -> str:
    return "\n".join(page.extract_text() for page in read(paper).pages)


def write_everything(paper: Paper) -> None:
    paper.write_heading("Request for information", level=1)
    paper.write_notice("Call the school's safeguarding lead between 09:00 and 15:00.", title="Contact")
    paper.write_heading("The account")
    paper.write_facts([("Name", "example_user"), *SCRIPTS.items()])
    paper.write_heading("As written", level=3)
    paper.write_quote(
        "he asked me to meet him 😢\nالسلام عليكم، هذا نص تجريبي\nשלום עולם\nहिन्दी में लिखा, 中文, hid\u202eden"
    )
    paper.write_items(["First", "Second"], is_numbered=True)
    paper.write_rule()
    paper.write_text("A plain sentence. " * 400)


def test_same_calls_give_the_known_bytes() -> None:
    assert hashlib.sha256(draw(write_everything)).hexdigest() == KNOWN_SHA256


def test_bytes_depend_on_no_hash_seed_clock_or_zone() -> None:
    code = (
        "import hashlib; from tests.desk.outbox.test_paper import draw, write_everything;"
        "print(hashlib.sha256(draw(write_everything)).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == KNOWN_SHA256


def test_no_stream_is_packed_by_zlib() -> None:
    paper = draw(write_everything)
    assert b"/RunLengthDecode" in paper
    assert b"/FlateDecode" not in paper


@pytest.mark.parametrize("script", SCRIPTS)
def test_letters_are_text_that_a_reader_can_copy(script: str) -> None:
    paper = draw(lambda paper: paper.write_text(SCRIPTS[script]))
    assert SCRIPTS[script] in text_of(paper)


@pytest.mark.parametrize("one", ["中", "ব", "→", "\u202e", "\u200b", "\x07", "\U0001ccf0", "\ue000"])
def test_character_that_cannot_be_drawn_is_printed_as_its_number_with_a_note(one: str) -> None:
    stand_in = f"[U+{ord(one):04X}]"
    found = text_of(draw(lambda paper: paper.write_text(f"before {one} after")))
    assert f"before {stand_in} after" in found
    assert f"printed as their Unicode numbers: {stand_in}" in found.replace("\n", " ")


def test_no_note_stands_where_every_character_was_drawn() -> None:
    found = text_of(draw(lambda paper: paper.write_text("All is here. {nb}")))
    assert "{nb}" in found
    assert "Unicode" not in found


def test_document_is_tagged_in_reading_order_with_title_and_language() -> None:
    catalog = read(draw(write_everything)).root_object
    assert catalog["/Lang"] == "en-GB"
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    assert read(draw()).metadata.title == "Request RA-7Q2K"
    document = catalog["/StructTreeRoot"]["/K"][0].get_object()
    tags = [one.get_object()["/S"] for one in document["/K"]]
    assert tags[:5] == ["/H1", "/P", "/P", "/H2", "/P"]
    assert {"/H3", "/BlockQuote"} <= set(tags)


def test_each_tag_opens_and_closes_on_its_own_sheet() -> None:
    paper = draw(lambda paper: paper.write_quote("A line of many. " * 900))
    pages = read(paper).pages
    assert len(pages) >= 3
    for page in pages:
        drawn = page.get_contents().get_data()
        assert len(re.findall(rb"BDC|BMC", drawn)) == len(re.findall(rb"EMC", drawn)) >= 3
        numbers = [int(one) for one in re.findall(rb"/MCID (\d+)", drawn)]
        assert numbers == list(range(len(numbers)))


def test_sheets_are_a4_and_numbered_with_head_and_foot() -> None:
    pages = read(draw(write_everything)).pages
    assert len(pages) >= 2
    for number, page in enumerate(pages, start=1):
        assert [round(float(edge)) for edge in page.mediabox[2:]] == [595, 842]
        found = page.extract_text()
        assert f"Page {number} of {len(pages)}" in found
        assert "RA-7Q2K, 29 November 2026" in found
        assert "Official" in found


def test_font_that_no_letter_needs_is_not_in_the_document() -> None:
    plain = draw(lambda paper: paper.write_text("Plain words"))
    assert b"NotoSans" in plain
    assert [name for name in (b"Arabic", b"Hebrew", b"Emoji") if name in plain] == []
    assert b"NotoEmoji" in draw(lambda paper: paper.write_text("😢"))


def test_outline_has_the_headings() -> None:
    titles = [one.title for one in read(draw(write_everything)).outline if not isinstance(one, list)]
    assert titles == ["The account"]


def test_long_word_stays_inside_its_column() -> None:
    found = text_of(draw(lambda paper: paper.write_facts([("Address", "a" * 400)])))
    lines = [line for line in found.split("\n") if "aaa" in line]
    assert sum(line.count("a") for line in lines) == 400
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(
    "text",
    ["help" + "!" * 1_050, "\u05d0" + "." * 1_050, "\U0001f622" * 1_050, "!" + "\u0301" * 1_050, ". " * 1_050],
    ids=["signs", "signs after Hebrew", "emoji", "accents", "spaced signs"],
)
def test_thousands_of_signs_in_a_row_are_drawn_and_none_is_lost(text: str) -> None:
    found = text_of(draw(lambda paper: paper.write_quote(text)))
    last = text.strip()[-1]
    assert found.count(last) >= text.count(last)


@pytest.mark.parametrize("lines", range(38, 48))
def test_no_heading_is_the_last_line_of_a_sheet(lines: int) -> None:
    def write(paper: Paper) -> None:
        paper.write_text("\n".join(f"line {number}" for number in range(lines)), gap=0)
        paper.write_heading("Above", level=3)
        paper.write_heading("Below", level=3)
        paper.write_quote("first words\nsecond words")

    sheets = [page.extract_text() for page in read(draw(write)).pages]
    (found,) = (sheet for sheet in sheets if "Above" in sheet)
    assert "Below" in found
    assert "second words" in found
