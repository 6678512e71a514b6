"""The archive of a package: the same bytes for the same content, nothing of a withheld person, evidence as listed."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pypdf
import pytest

from gateway.desk.packages.archive import (
    Entry,
    Unpacked,
    build_archive,
    count_zip_bytes,
    make_archive,
    make_case_data,
    pack_again,
    write_zip,
)
from gateway.desk.packages.content import (
    MAX_CONTENT_BYTES,
    WITHHELD,
    Account,
    PackageContent,
    PackageError,
    Person,
    Redaction,
    list_hidden_texts,
    name_evidence,
    redact,
    render_html,
)
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact
from partner_sdk.wire.mailbox import MANIFEST_FILE, MAX_ARCHIVE_BYTES
from tests.desk.packages.package_builders import PICTURE, make_content, make_item, sign

# Built by Python 3.11 and 3.13; it changes with the page, the data, or a library that draws the sheets otherwise.
KNOWN_SHA256 = "8ec262deff5d582f0a5f3ce7e26bb65276e08fb163b725800cbb519cd1205061"
HIDING = Redaction(hides_reporter=True, reason="He asked not to be named.")
ENCLOSED = (make_item(is_enclosed=True),)
MIB = 1024 * 1024


def read(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {one.filename: opened.read(one) for one in opened.infolist()}


@cache
def read_usual() -> dict[str, bytes]:
    """Return the files of the usual archive, drawn once for all tests that look into it."""
    return read(build_archive(make_content(), sign=sign))


def test_archive_of_a_fixed_case_is_the_known_bytes() -> None:
    archive = make_archive(make_content(evidence=ENCLOSED), sign=sign, evidence={"e1": lambda: [PICTURE]})
    assert hashlib.sha256(b"".join(archive.stream())).hexdigest() == KNOWN_SHA256


def test_stored_content_gives_the_same_archive() -> None:
    content = make_content()
    again = parse_exact(encode(content), kind=PackageContent, max_bytes=MAX_CONTENT_BYTES)
    assert again == content
    assert build_archive(again, sign=sign) == build_archive(content, sign=sign)


def test_archive_is_built_again_under_the_signature_of_a_key_that_is_rotated_since() -> None:
    content = make_content(evidence=ENCLOSED)
    first = make_archive(content, sign=sign, evidence={"e1": lambda: [PICTURE]})
    assert read(b"".join(first.stream()))[name_evidence(ENCLOSED[0])] == PICTURE
    again = pack_again(Unpacked(first.manifest, b"", content), openers={"e1": lambda: [PICTURE]})
    assert b"".join(again.stream()) == b"".join(first.stream())
    other = make_content(evidence=ENCLOSED, summary="Other words")
    with pytest.raises(PackageError) as raised:
        pack_again(Unpacked(first.manifest, b"", other), openers={"e1": lambda: [PICTURE]})
    assert raised.value.reason == "changed"


def test_files_of_an_archive_are_those_of_its_manifest() -> None:
    found = read_usual()
    assert list(found) == [
        MANIFEST_FILE, "case.jsonld", "page.html", "page.pdf", "reports/r1-original.json", "reports/r1.json",
    ]  # fmt: skip
    listed = json.loads(parse_base64url(json.loads(found[MANIFEST_FILE])["payload"]))["files"]
    assert [one["name"] for one in listed] == list(found)[1:]
    for one in listed:
        assert one["sha256"] == hashlib.sha256(found[one["name"]]).hexdigest()
        assert one["size_bytes"] == len(found[one["name"]])


def test_archive_without_evidence_fits_into_a_mailbox() -> None:
    assert len(build_archive(make_content(), sign=sign)) < MAX_ARCHIVE_BYTES / 4


def test_report_is_there_as_it_was_made_and_letter_for_letter() -> None:
    content, found = make_content(), read_usual()
    assert found["reports/r1-original.json"].decode() == content.reports[0].original
    told = json.loads(found["reports/r1.json"])
    assert told["sections"][0]["lines"][0]["text"] == content.reports[0].sections[0].lines[0].text
    assert "说他十五岁" in found["page.html"].decode()


def test_page_shows_what_an_officer_needs_first() -> None:
    content = make_content(urgent=("A meeting today: By the cinema in Canterbury",))
    page = render_html(redact(content)).decode()
    order = [
        "Safe contact",
        "bluebell",
        "Urgent",
        "A meeting today: By the cinema in Canterbury",
        "Call Jo Example, 01632 960001.",
        "Summary",
        "People and accounts",
        "Assessment",
        "Guidance",
        "Supporting officer",
        "Handling",
        "This package names the person",
        "Legal basis",
        "Checked on 28 November 2026: https://www.legislation.gov.uk",
    ]
    order += ["Report K7QF-2M9TX-D", "Evidence", "This archive", "SHA-256 when sealed"]
    places = [page.index(one, page.index("<main>")) for one in order]
    assert places == sorted(places)


def test_package_that_hides_the_reporter_has_none_of_their_words_and_shows_so() -> None:
    content = make_content(redaction=HIDING)
    hidden = set(list_hidden_texts(content))
    assert hidden >= {"Quillon Marker", "Marker Lane School", "+441632960002", "bluebell"}
    found = read(build_archive(content, sign=sign))
    assert "reports/r1-original.json" not in found
    for name in ("page.html", "case.jsonld", "reports/r1.json", MANIFEST_FILE):
        assert [word for word in hidden if word.encode() in found[name]] == []
    sheets = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(found["page.pdf"])).pages)
    assert "example_user" in sheets
    assert [word for word in hidden if word in sheets] == []
    page = found["page.html"].decode()
    assert "The person who reported is not named here" in page
    assert "He asked not to be named." in page
    assert page.count(WITHHELD) == 2, "one line for what follows each other"
    assert "<dt>Name; Telephone</dt>" in page


def test_account_id_is_a_row_of_its_holder_and_a_node_of_the_data() -> None:
    found = read_usual()
    assert '<dt>Account id at Example Chat</dt><dd dir="auto">example-user-1001</dd>' in found["page.html"].decode()
    nodes = json.loads(found["case.jsonld"])["@graph"]
    (facet,) = (one["core:hasFacet"][0] for one in nodes if one.get("core:name") == "example-user-1001 (Example Chat)")
    assert facet["observable:accountIdentifier"] == "example-user-1001"


def test_person_without_facts_says_so_and_one_that_is_withheld_does_not() -> None:
    child = Person(key="p1", role="child", title="The child", is_reporter=True)
    suspect = Person(key="p2", role="suspected", title="Suspect 1")
    for redaction, said in ((make_content().redaction, "Nothing else is known."), (HIDING, WITHHELD)):
        page = render_html(redact(make_content(redaction=redaction, people=(child, suspect), accounts=()))).decode()
        assert f"<p>{said}</p>" in page.partition("The child (who reported)</h3>")[2].partition("<h3>")[0]
        assert "<p>Nothing else is known.</p>" in page.partition("Suspect 1</h3>")[2].partition("<h2>")[0]


def test_child_who_reported_stays_in_the_package_without_a_name() -> None:
    child = Person(key="p1", role="child", title="The child", name="Zoë Example", is_reporter=True)
    leaving = redact(make_content(redaction=HIDING, people=(child,), accounts=()))
    assert [(one.title, one.name) for one in leaving.people] == [("The child", "")]


def test_evidence_that_is_not_enclosed_is_a_reference_alone() -> None:
    content, found = make_content(), read_usual()
    assert [name for name in found if name.startswith("evidence/")] == []
    page = found["page.html"].decode()
    assert content.evidence[0].sha256 in page
    assert "Not in this archive. Example Chat keeps it until 1 March 2027." in page


@pytest.mark.parametrize("body", [PICTURE + b"x", PICTURE[:-1], b"", PICTURE.replace(b"park", b"bark")])
def test_evidence_that_is_not_what_the_package_lists_stops_the_archive(body: bytes) -> None:
    with pytest.raises(PackageError) as raised:
        make_archive(make_content(evidence=ENCLOSED), sign=sign, evidence={"e1": lambda: [body]})
    assert raised.value.reason == "evidence-changed"


def test_evidence_that_changes_between_check_and_writing_is_noticed() -> None:
    bodies = iter([PICTURE, PICTURE.replace(b"park", b"bark")])
    archive = make_archive(make_content(evidence=ENCLOSED), sign=sign, evidence={"e1": lambda: [next(bodies)]})
    with pytest.raises(PackageError) as raised:
        list(archive.stream())
    assert raised.value.reason == "evidence-changed"


def test_enclosed_evidence_that_nothing_opens_is_refused() -> None:
    with pytest.raises(PackageError) as raised:
        make_archive(make_content(evidence=ENCLOSED), sign=sign)
    assert raised.value.reason == "no-evidence"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accounts": (Account(key="p1", kind="ip", value="192.0.2.1"),)}, "twice"),
        ({"accounts": (Account(key="a1", kind="ip", value="192.0.2.1", holder="p9"),)}, "unknown-holder"),
    ],
)
def test_content_that_contradicts_itself_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(PackageError) as raised:
        build_archive(make_content(**changes), sign=sign)
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b.png", "C:\\x.exe", "x.verylongending", "nothing", "e.p g", "一.png"]
)
def test_name_of_evidence_leads_nowhere(name: str) -> None:
    assert re.fullmatch(r"evidence/e1\.(png|exe|bin)", name_evidence(make_item(is_enclosed=True, name=name)))


def test_page_loads_nothing_and_runs_no_script() -> None:
    text = "<script>alert(1)</script><img src=https://example.org/x>"
    content = make_content(summary=text, title=text, marking=text)
    page = render_html(redact(content)).decode()
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") >= 3


def make_pieces(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4, "big") * (MIB // 4)


def test_enclosed_evidence_passes_through_in_constant_memory() -> None:
    count = 48
    digest = hashlib.sha256()
    for piece in make_pieces(count):
        digest.update(piece)
    item = make_item(is_enclosed=True, sha256=digest.hexdigest(), size_bytes=count * MIB)
    archive = make_archive(make_content(evidence=(item,)), sign=sign, evidence={"e1": lambda: make_pieces(count)})
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    size = sum(len(piece) for piece in archive.stream())
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert size == archive.size_bytes > count * MIB
    assert peak < 4 * MIB


def test_large_files_and_offsets_use_zip64(tmp_path: Path) -> None:
    # Sizes alone: the headers are made, and the bytes between them are a hole of the file.
    large, crc = 5 * 1024**3, 0x1A2B3C4D
    entries = [Entry("a", large, crc, list), Entry("b", 3, 0x352441C2, lambda: [b"abc"])]
    place = tmp_path / "large.zip"
    with place.open("wb") as file:
        for number, piece in enumerate(write_zip(entries)):
            file.write(piece)
            if number == 0:
                file.seek(large, io.SEEK_CUR)
    assert place.stat().st_size == count_zip_bytes(entries)
    with zipfile.ZipFile(place) as opened:
        assert [(one.filename, one.file_size, one.CRC) for one in opened.infolist()] == [
            ("a", large, crc), ("b", 3, 0x352441C2),
        ]  # fmt: skip
        assert opened.read("b") == b"abc"


def test_data_of_the_case_pass_the_validator_of_case(tmp_path: Path) -> None:
    """`case-utils` shares no code with the desk, and has the ontologies of CASE 1.5 inside."""
    place = tmp_path / "case.jsonld"
    validate = Path(sys.executable).with_name("case_validate")
    place.write_bytes(make_case_data(redact(make_content(evidence=ENCLOSED))))
    done = subprocess.run([validate, "--inference", "rdfs", place], capture_output=True, text=True, check=False)
    assert (done.returncode, "Conforms: True" in done.stdout) == (0, True), done.stdout + done.stderr


def test_validator_of_case_refuses_data_that_are_not_whole(tmp_path: Path) -> None:
    place = tmp_path / "case.jsonld"
    data = json.loads(read_usual()["case.jsonld"])
    kept = [node for node in data["@graph"] if node["@type"] != "identity:Organization"]
    assert len(kept) < len(data["@graph"])
    place.write_text(json.dumps({**data, "@graph": kept}), encoding="utf-8")
    validate = Path(sys.executable).with_name("case_validate")
    assert subprocess.run([validate, place], capture_output=True, check=False).returncode == 1
