"""The archive of a package: the same bytes for the same content, nothing of a withheld person, evidence as listed.

The sealed file of docs/package.md: its vectors, its faults by name, and constant memory.
"""

import base64
import hashlib
import io
import json
import re
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pypdf
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.outgoing.package_archive import (
    Entry,
    Unpacked,
    build_archive,
    count_sealed_file_bytes,
    count_zip_bytes,
    make_archive,
    make_case_data,
    make_passphrase,
    pack_again,
    seal_file,
    write_zip,
)
from gateway.desk.outgoing.package_content import (
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
from partner_sdk.errors import FormatError
from partner_sdk.reader import package_reader
from partner_sdk.reader.package_reader import (
    HEADER,
    MAGIC,
    Costs,
    ReadError,
    derive_keys,
    make_nonce,
    normalise_passphrase,
    unseal,
)
from partner_sdk.reader.packages import MANIFEST_FILE
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact
from tests.desk.outgoing.packages.package_builders import PICTURE, SIGNING_PUBLIC, make_content, make_item, sign

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


PAGE = (Path(__file__).resolve().parents[4] / "docs/package.md").read_text(encoding="utf-8")
PASSPHRASE = "K7QF2-M9TXD-4BWRZ-0ACH8"
SALT = bytes(range(16))
CHEAP = Costs(memory_kib=64, passes=1, lanes=1)
SEGMENT = 1_048_576
ROW = re.compile(
    r"^\| (\d+), (\d+), (\d+) \| (\d+) \| `([0-9a-f]{64})` `([0-9a-f]{64})` \| `([0-9a-f]{64})` \|$", re.MULTILINE
)


def make_bytes(count: int) -> bytes:
    return bytes(range(251)) * (count // 251) + bytes(range(count % 251))


@cache
def seal(count: int) -> bytes:
    pieces = [make_bytes(count)]
    return b"".join(seal_file(pieces, size_bytes=count, passphrase=PASSPHRASE, salt=SALT, costs=CHEAP))


def read_sealed(raw: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return b"".join(unseal(io.BytesIO(raw), passphrase=passphrase))


def test_vectors_of_the_page_are_those_of_the_code() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) == 5
    for memory, passes, lanes, count, key, check, digest in rows:
        costs = Costs(memory_kib=int(memory), passes=int(passes), lanes=int(lanes))
        derived = derive_keys(normalise_passphrase(PASSPHRASE), salt=SALT, costs=costs)
        assert [one.hex() for one in derived] == [key, check]
        archive = make_bytes(int(count))
        sealed = b"".join(seal_file([archive], size_bytes=len(archive), passphrase=PASSPHRASE, salt=SALT, costs=costs))
        assert hashlib.sha256(sealed).hexdigest() == digest
        assert read_sealed(sealed) == archive


@pytest.mark.parametrize("count", [0, 1, 65_528, 65_529, SEGMENT - 24, SEGMENT - 23, SEGMENT, 3_000_000])
def test_sealed_file_opens_and_hides_its_exact_size(count: int) -> None:
    sealed = seal(count)
    assert read_sealed(sealed) == make_bytes(count)
    assert len(sealed) == count_sealed_file_bytes(count)
    assert (len(sealed) - 88 - 16 * -(-(len(sealed) - 88) // SEGMENT)) % 65_536 == 0


@pytest.mark.parametrize("typed", ["k7qf2 m9txd 4bwrz oach8", "K7QF2M9TXD4BWRZ0ACH8", " k7qf2-m9txd-4bwrz-0ach8\n"])
def test_passphrase_may_be_typed_as_it_was_heard(typed: str) -> None:
    assert read_sealed(seal(7), typed) == make_bytes(7)


def swap_segments(raw: bytes) -> bytes:
    first, second = raw[88 : 88 + SEGMENT], raw[88 + SEGMENT : 88 + 2 * SEGMENT]
    return raw[:88] + second + first + raw[88 + 2 * SEGMENT :]


def put(raw: bytes, at: int, value: bytes) -> bytes:
    return raw[:at] + value + raw[at + len(value) :]


LONG = 3_000_000
FAULTS: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "wrong passphrase": (lambda raw: raw, "K7QF2-M9TXD-4BWRZ-0ACH9", "wrong-passphrase"),
    "passphrase too short": (lambda raw: raw, "K7QF2-M9TXD", "bad-passphrase"),
    "passphrase with another sign": (lambda raw: raw, "K7QF2-M9TXD-4BWRZ-0ACHU", "bad-passphrase"),
    "empty file": (lambda _: b"", PASSPHRASE, "not-sealed"),
    "an archive": (lambda _: b"PK\3\4" + bytes(200), PASSPHRASE, "not-sealed"),
    "header cut": (lambda raw: raw[:87], PASSPHRASE, "cut"),
    "header alone": (lambda raw: raw[:88], PASSPHRASE, "cut"),
    "last segment gone": (lambda raw: raw[: 88 + 2 * SEGMENT], PASSPHRASE, "cut"),
    "first segment alone": (lambda raw: raw[: 88 + SEGMENT], PASSPHRASE, "cut"),
    "cut by a byte": (lambda raw: raw[:-1], PASSPHRASE, "cut"),
    "segments swapped": (swap_segments, PASSPHRASE, "altered"),
    "middle segment gone": (lambda raw: raw[: 88 + SEGMENT] + raw[88 + 2 * SEGMENT :], PASSPHRASE, "cut"),
    "bit of a segment": (lambda raw: put(raw, 5000, bytes([raw[5000] ^ 1])), PASSPHRASE, "altered"),
    "a byte more": (lambda raw: raw + b"\0", PASSPHRASE, "data-after-end"),
    "a segment more": (lambda raw: raw + bytes(SEGMENT), PASSPHRASE, "data-after-end"),
    "another version": (lambda raw: put(raw, 24, b"\2"), PASSPHRASE, "unknown-version"),
    "much memory": (lambda raw: put(raw, 28, b"\xff\xff\xff\xff"), PASSPHRASE, "bad-costs"),
    "many passes": (lambda raw: put(raw, 26, b"\xff\xff"), PASSPHRASE, "bad-costs"),
    "no pass": (lambda raw: put(raw, 26, b"\0\0"), PASSPHRASE, "bad-costs"),
    "no lane": (lambda raw: put(raw, 25, b"\0"), PASSPHRASE, "bad-costs"),
    "less memory than lanes need": (lambda raw: put(raw, 28, struct.pack(">I", 7)), PASSPHRASE, "bad-costs"),
    "a longer text": (lambda raw: put(raw, 32, struct.pack(">Q", 3_014_656 + 65_536)), PASSPHRASE, "altered"),
    "a text of half a step": (lambda raw: put(raw, 32, struct.pack(">Q", 1000)), PASSPHRASE, "altered"),
    "no text": (lambda raw: put(raw, 32, bytes(8)), PASSPHRASE, "altered"),
    "another salt": (lambda raw: put(raw, 40, bytes(16)), PASSPHRASE, "wrong-passphrase"),
    "another check": (lambda raw: put(raw, 56, bytes(32)), PASSPHRASE, "wrong-passphrase"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_sealed_file_is_named_and_leaves_no_file(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, passphrase, reason = FAULTS[fault]
    raw = change(seal(LONG))
    with pytest.raises(ReadError) as raised:
        read_sealed(raw, passphrase)
    assert raised.value.reason == reason
    assert f"`{reason}`" in PAGE
    (tmp_path / "package.sealed").write_bytes(raw)
    given = ["unseal", str(tmp_path / "package.sealed"), str(tmp_path / "package.zip")]
    assert package_reader.main(given, ask=lambda _: passphrase) == 1
    assert capsys.readouterr().err.strip() == str(raised.value)
    assert [one.name for one in tmp_path.iterdir()] == ["package.sealed"]


def reseal(text: bytes) -> bytes:
    """Return a sealed file of one segment with the right key around a text that no desk makes."""
    key, check = derive_keys(normalise_passphrase(PASSPHRASE), salt=SALT, costs=CHEAP)
    header = HEADER.pack(MAGIC, 1, 1, 1, 64, len(text), SALT, check)
    return header + AESGCM(key).encrypt(make_nonce(0, is_last=True), text, header)


@pytest.mark.parametrize(
    "text",
    [
        (7).to_bytes(8, "big") + b"archive" + b"\1" + bytes(65_536 - 16),
        (65_529).to_bytes(8, "big") + bytes(65_528),
        (2**64 - 1).to_bytes(8, "big") + bytes(65_528),
        (7).to_bytes(8, "big") + b"archive" + bytes(2 * 65_536 - 15),
    ],
    ids=["no zeros", "a size too large", "a size without end", "more zeros than needed"],
)
def test_text_that_no_desk_makes_is_refused(text: bytes) -> None:
    with pytest.raises(ReadError) as raised:
        read_sealed(reseal(text))
    assert raised.value.reason == "altered"


def test_archive_of_another_size_than_stated_is_not_sealed() -> None:
    for archive in (b"short", b"longer than stated"):
        with pytest.raises(FormatError):
            list(seal_file([archive], size_bytes=10, passphrase=PASSPHRASE, salt=SALT, costs=CHEAP))


def test_sealing_and_opening_hold_one_segment_in_memory() -> None:
    count = 40 * SEGMENT
    tracemalloc.start()
    pieces = seal_file(
        (bytes(SEGMENT) for _ in range(40)), size_bytes=count, passphrase=PASSPHRASE, salt=SALT, costs=CHEAP
    )
    with tempfile.TemporaryFile() as file:
        file.writelines(pieces)
        file.seek(0)
        assert sum(len(piece) for piece in unseal(file, passphrase=PASSPHRASE)) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * SEGMENT


@pytest.mark.parametrize("random", [bytes(13), b"\xff" * 13, bytes(range(13))])
def test_made_passphrase_is_twenty_symbols_in_groups(random: bytes) -> None:
    passphrase = make_passphrase(random=random)
    assert re.fullmatch(r"(?:[0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}", passphrase)
    assert normalise_passphrase(passphrase).decode() == passphrase.replace("-", "")


@pytest.mark.parametrize("count", [0, 12, 14])
def test_passphrase_is_made_of_no_fewer_random_bytes(count: int) -> None:
    with pytest.raises(FormatError):
        make_passphrase(random=bytes(count))


def test_reader_opens_checks_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = build_archive(make_content(), sign=sign)
    pieces = seal_file([archive], size_bytes=len(archive), passphrase=PASSPHRASE, salt=SALT, costs=CHEAP)
    sealed, opened = tmp_path / "package.sealed", tmp_path / "package.zip"
    sealed.write_bytes(b"".join(pieces))
    given = ["unseal", str(sealed), str(opened)]
    assert package_reader.main(given, ask=lambda _: PASSPHRASE) == 0
    assert opened.read_bytes() == archive
    assert opened.stat().st_mode & 0o077 == 0
    key = base64.urlsafe_b64encode(SIGNING_PUBLIC).rstrip(b"=").decode()
    assert package_reader.main(["verify", str(opened), "--key", key]) == 0
    assert "Whole and signed: package K7QF-2M9TX-D" in capsys.readouterr().out
    assert package_reader.main(given, ask=lambda _: PASSPHRASE) == 1
    assert "exists already" in capsys.readouterr().err
    opened.write_bytes(archive + b"\0")
    assert package_reader.main(["verify", str(opened), "--key", key]) == 1


@pytest.mark.parametrize("key", ["", "abcde", "AAAA", "A" * 42 + "!"])
def test_reader_explains_a_key_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    with pytest.raises(SystemExit) as caught:
        package_reader.main(["verify", str(tmp_path / "package.zip"), "--key", key])
    assert caught.value.code == 2
    assert "a public key of the agency has 43 characters of base64url" in capsys.readouterr().err
