"""The sealed file of docs/package.md: its vectors, its faults by name, and constant memory."""

import base64
import hashlib
import io
import re
import struct
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.packages.archive import build_archive, count_sealed_file_bytes, make_passphrase, seal_file
from partner_sdk import package_reader
from partner_sdk.errors import FormatError
from partner_sdk.package_reader import (
    HEADER,
    MAGIC,
    Costs,
    ReadError,
    derive_keys,
    make_nonce,
    normalise_passphrase,
    unseal,
)
from tests.desk.packages import stand_alone_verifier
from tests.desk.packages.package_builders import SIGNING_PUBLIC, make_content, sign

PAGE = (Path(__file__).resolve().parents[3] / "docs/package.md").read_text(encoding="utf-8")
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
        assert stand_alone_verifier.open_sealed(sealed, PASSPHRASE) == archive


@pytest.mark.parametrize("count", [0, 1, 65_528, 65_529, SEGMENT - 24, SEGMENT - 23, SEGMENT, 3_000_000])
def test_sealed_file_opens_and_hides_its_exact_size(count: int) -> None:
    sealed = seal(count)
    assert read_sealed(sealed) == make_bytes(count) == stand_alone_verifier.open_sealed(sealed, PASSPHRASE)
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
    with pytest.raises(stand_alone_verifier.RefusedError):
        stand_alone_verifier.open_sealed(raw, passphrase)
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
    with pytest.raises(stand_alone_verifier.RefusedError):
        stand_alone_verifier.open_sealed(reseal(text), PASSPHRASE)


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
