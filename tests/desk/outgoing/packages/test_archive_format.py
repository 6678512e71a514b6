"""The archive of docs/package.md, and the reader that bodies are given, which shares no code with the desk."""

import ast
import hashlib
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.outgoing import package_archive as archive
from gateway.desk.outgoing.package_archive import Entry, make_archive, write_zip
from partner_sdk.reader import package_reader
from partner_sdk.reader.package_reader import PAYLOAD_TYPE, ReadError
from partner_sdk.reader.packages import FileName
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.desk.outgoing.packages.package_builders import (
    PICTURE,
    SIGNING_KEY,
    SIGNING_PUBLIC,
    make_content,
    make_item,
    sign,
)

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/package.md").read_text(encoding="utf-8")
MANIFEST = "manifest.json"
STRANGER = bytes(32)
RESERVED = ("nul", "con.txt", "evidence/aux.png", "prn/e1.png", "com1", "lpt9.pdf", "..")


def verify(raw: bytes, *keys: bytes) -> Any:
    return package_reader.verify_archive(io.BytesIO(raw), keys=list(keys))


@cache
def get_archive() -> bytes:
    content = make_content(evidence=(make_item(is_enclosed=True),))
    return b"".join(make_archive(content, sign=sign, evidence={"e1": lambda: [PICTURE]}).stream())


@cache
def get_files() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(get_archive())) as opened:
        return {one.filename: opened.read(one) for one in opened.infolist()}


def pack(files: list[tuple[str, bytes]]) -> bytes:
    return b"".join(
        write_zip([Entry(name, len(body), zlib.crc32(body), lambda body=body: [body]) for name, body in files])
    )


def sign_again(change: Callable[[dict[str, Any]], None], *, kind: StatementKind = StatementKind.PACKAGE) -> bytes:
    """Return a manifest that the agency's key signed though no desk makes it."""
    payload = json.loads(parse_base64url(json.loads(get_files()[MANIFEST])["payload"]))
    change(payload)
    return sign_statement(payload, kind=kind, private_keys=(SIGNING_KEY,))


def sign_body(body: bytes) -> bytes:
    """Return a statement of the agency's key over any bytes."""
    message = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(body), body)
    key_id = to_base64url(hashlib.sha256(SIGNING_PUBLIC).digest()[:8])
    signature = {"keyid": key_id, "sig": to_base64url(SIGNING_KEY.sign(message))}
    return encode({"payload": to_base64url(body), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


def leave_out(without: str) -> bytes:
    return pack([(name, body) for name, body in get_files().items() if name != without])


def rename(old: str, new: str, *, also_in_manifest: bool) -> bytes:
    def change(payload: dict[str, Any]) -> None:
        for one in payload["files"]:
            one["name"] = new if one["name"] == old else one["name"]

    files = [(new if name == old else name, body) for name, body in get_files().items()]
    if also_in_manifest:
        files[0] = (MANIFEST, sign_again(change))
    return pack(files)


def write_by_library(add: Callable[[zipfile.ZipFile], None]) -> bytes:
    """Return the same files as Python's own library writes them, with one thing more."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as archive:
        for name, body in get_files().items():
            archive.writestr(zipfile.ZipInfo(name), body)
        add(archive)
    return place.getvalue()


def add_twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(zipfile.ZipInfo("page.html"), b"another page")


def add_link(archive: zipfile.ZipFile) -> None:
    link = zipfile.ZipInfo("evidence/link")
    link.external_attr = 0o120777 << 16
    archive.writestr(link, "/etc/passwd")


def insert_before_directory(extra: bytes) -> bytes:
    """Return the archive with bytes between its files and its directory, which most programs never see."""
    raw = get_archive()
    at = raw.index(b"PK\1\2" + struct.pack("<HH", 20, 20))
    moved = raw[:at] + extra + raw[at:-6] + struct.pack("<IH", at + len(extra), 0)
    with zipfile.ZipFile(io.BytesIO(moved)) as opened:
        assert opened.testzip() is None
    return moved


def make_second_directory() -> bytes:
    """Return two archives in one file: a program that reads the end sees other files."""
    raw = get_archive()
    other = pack([("page.html", b"another page")])
    with zipfile.ZipFile(io.BytesIO(raw + other)) as opened:
        assert opened.namelist() == ["page.html"]
    return raw + other


def swap_two() -> bytes:
    files = list(get_files().items())
    files[1], files[2] = files[2], files[1]
    return pack(files)


def change_files(**bodies: bytes) -> bytes:
    return pack([(name, bodies.get(name.partition(".")[0], body)) for name, body in get_files().items()])


def reverse(payload: dict[str, Any]) -> None:
    payload["files"] = payload["files"][::-1]


def list_twice(payload: dict[str, Any]) -> None:
    payload["files"] = [payload["files"][0], *payload["files"]]


def repack(manifest: bytes) -> bytes:
    return pack([(MANIFEST, manifest), *list(get_files().items())[1:]])


def add_file() -> bytes:
    return pack([*get_files().items(), ("zz.html", b"one more")])


TAMPERED: dict[str, Callable[[], bytes]] = {
    "a file more": add_file,
    "a file less": lambda: leave_out("page.pdf"),
    "no manifest": lambda: leave_out(MANIFEST),
    "renamed": lambda: rename("page.html", "pagf.html", also_in_manifest=False),
    "another page": lambda: change_files(page=b"<p>Do nothing.</p>"),
    "two swapped": swap_two,
    "path upwards": lambda: rename("evidence/e1.png", "../e1.png", also_in_manifest=True),
    "absolute path": lambda: rename("evidence/e1.png", "/e1.png", also_in_manifest=True),
    "backslash": lambda: rename("evidence/e1.png", "evidence\\e1.png", also_in_manifest=True),
    "folder in a folder": lambda: rename("evidence/e1.png", "evidence/a/e1.png", also_in_manifest=True),
    "hidden name": lambda: rename("evidence/e1.png", "evidence/.e1", also_in_manifest=True),
    "line end in a name": lambda: rename("evidence/e1.png", "evidence/e1.png\n", also_in_manifest=True),
    "capital letter": lambda: rename("evidence/e1.png", "evidence/E1.png", also_in_manifest=True),
    "long name": lambda: rename("evidence/e1.png", f"evidence/{'e' * 100}", also_in_manifest=True),
    **{
        f"named {name}": lambda name=name: rename("evidence/e1.png", name, also_in_manifest=True)
        for name in (
            "nul",
            "con.txt",
            "evidence/aux.png",
            "prn/e1.png",
            "com1",
            "lpt9.pdf",
            "..",
            "e1.",
            "e1..png",
            "e1 ",
        )
    },
    "payload that is a list": lambda: repack(sign_body(b"[]")),
    "payload that is a text": lambda: repack(sign_body(b'"files"')),
    "payload that is nothing": lambda: repack(sign_body(b"null")),
    "payload that is no JSON": lambda: repack(sign_body(b"{")),
    "payload of many brackets": lambda: repack(sign_body(b"[" * 100_000)),
    "manifest twice": lambda: rename("evidence/e1.png", MANIFEST, also_in_manifest=True),
    "listed twice": lambda: repack(sign_again(list_twice)),
    "listed in another order": lambda: repack(sign_again(reverse)),
    "statement of another kind": lambda: repack(sign_again(lambda _: None, kind=StatementKind.ALERT)),
    "another version": lambda: repack(sign_again(lambda payload: payload.update(schema_version="2"))),
    "no list of files": lambda: repack(sign_again(lambda payload: payload.pop("files"))),
    "a list of anything": lambda: repack(sign_again(lambda payload: payload.update(files=[1, {}]))),
    "a size that is no number": lambda: repack(sign_again(lambda payload: payload["files"][0].update(size_bytes="9"))),
    "a size below nothing": lambda: repack(sign_again(lambda payload: payload["files"][0].update(size_bytes=-9))),
    "a key id that is a list": lambda: repack(
        encode({"payload": "e30", "payloadType": PAYLOAD_TYPE, "signatures": [{"keyid": [], "sig": "e30"}]})
    ),
    "a manifest of many brackets": lambda: repack(b"[" * 100_000),
    "manifest without a signature": lambda: repack(encode({"payload": "e30", "payloadType": "x", "signatures": []})),
    "manifest that is no object": lambda: repack(b"[]"),
    "manifest that is no JSON": lambda: repack(b"\xff"),
    "as a library writes it": lambda: write_by_library(lambda _: None),
    "a name twice": lambda: write_by_library(add_twice),
    "a symbolic link": lambda: write_by_library(add_link),
    "data after the end": lambda: get_archive() + b"\0",
    "data before the beginning": lambda: b"#!/bin/sh\n" + get_archive(),
    "data between files and directory": lambda: insert_before_directory(b"hidden"),
    "a second archive behind": make_second_directory,
    "a comment": lambda: get_archive()[:-2] + struct.pack("<H", 7) + b"comment",
    "cut by one byte": lambda: get_archive()[:-1],
    "cut in a file": lambda: get_archive()[:5000],
    "empty": lambda: b"",
}


def test_reader_imports_only_the_standard_library_and_cryptography() -> None:
    tree = ast.parse(Path(package_reader.__file__).read_text(encoding="utf-8"))
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert len(found) >= 10
    assert [name for name in found if name.startswith(("partner_sdk", "gateway"))] == []


def test_archive_of_the_desk_is_whole_and_signed() -> None:
    assert verify(get_archive(), STRANGER, SIGNING_PUBLIC)


@pytest.mark.parametrize("fault", TAMPERED)
def test_tampered_archive_is_refused(fault: str) -> None:
    raw = TAMPERED[fault]()
    assert raw != get_archive()
    with pytest.raises(ReadError):
        verify(raw, SIGNING_PUBLIC)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{", "not an object"),
        (b'{"schema_version":"2"}', "a version that this reader does not know"),
        (b'{"schema_version":"1","files":[]}', "lacks its files, its reference or its recipient"),
    ],
)
def test_reader_says_what_is_wrong_with_a_payload(body: bytes, said: str, tmp_path: Path, capsys: Any) -> None:
    place = tmp_path / "package.zip"
    place.write_bytes(repack(sign_body(body)))
    assert package_reader.main(["verify", str(place), f"--key={to_base64url(SIGNING_PUBLIC)}"]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", RESERVED)
def test_desk_lists_no_reserved_name_in_a_manifest(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, FileName)
    assert msgspec.convert("evidence/console.png", FileName)


@given(st.binary(max_size=200) | st.builds(lambda raw: get_archive()[: len(raw) * 7] + raw, st.binary(max_size=300)))
def test_any_bytes_are_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(ReadError) as raised:
        verify(raw, SIGNING_PUBLIC)
    assert raised.value.reason


def test_archive_of_another_signer_is_refused() -> None:
    with pytest.raises(ReadError):
        verify(get_archive(), STRANGER)


def test_no_bit_of_an_archive_can_be_changed() -> None:
    raw = get_archive()
    seed = random.Random(18)
    bodies = range(3000, len(raw) - 1200, 1501)
    places = [*range(0, 3000, 7), *bodies, *range(len(raw) - 1200, len(raw), 3)]
    assert len(places) >= 800
    for place in places:
        changed = bytearray(raw)
        changed[place] ^= 1 << seed.randrange(8)
        with pytest.raises(ReadError):
            verify(bytes(changed), SIGNING_PUBLIC)


def test_structures_of_the_page_are_those_of_the_code() -> None:
    raw = pack([(MANIFEST, b"{}"), ("page.html", b"hello")])
    assert f"It has {len(raw)} bytes and the SHA-256\n`{hashlib.sha256(raw).hexdigest()}`." in PAGE


@pytest.mark.parametrize("size", [0, 5, 2**32 - 2, 2**32 - 1, 2**32, 10 * 1024**3])
@pytest.mark.parametrize("offset", [0, 2**32 - 2, 2**32 - 1, 2**40])
def test_reader_expects_the_headers_of_large_files_that_the_desk_writes(size: int, offset: int) -> None:
    """No test writes 4 GiB: the headers are compared, and `zipfile` reads those of the desk in test_archive.py."""
    entry = Entry("evidence/e1.png", size, 0x1A2B3C4D, list)
    given = (entry.name, entry.size_bytes, entry.crc32)
    assert package_reader._make_local(*given) == archive._make_local(entry)
    assert package_reader._make_central(*given, offset) == archive._make_central(entry, offset)
    end = archive._make_end(7, offset=offset, size=700)
    assert package_reader._make_end(7, offset=offset, size=700) == end
