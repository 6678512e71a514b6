"""Reads a package without an account: opens its sealed file, and checks the archive inside (docs/package.md).

    python3 package_reader.py unseal package.sealed package.zip
    python3 package_reader.py verify package.zip --key=AGENCY_KEY

This one file needs Python 3.11 and the library `cryptography` (44 or newer), and nothing else of this project, so that
a police force can read all of it before it runs it. It loads nothing from the network, holds one segment in memory, and
leaves no file behind unless the whole of it is right.
"""

import argparse
import base64
import getpass
import hashlib
import json
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MAGIC: Final = b"report-abuse sealed file"
VERSION: Final = 1
# Magic, version, lanes, passes, memory in KiB, length of the text, salt, check.
HEADER: Final = struct.Struct(">24sBBHIQ16s32s")
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
SEGMENT_BYTES: Final = 1_048_576
TEXT_BYTES: Final = SEGMENT_BYTES - TAG_BYTES
PADDED_TO_BYTES: Final = 65_536
SIZE: Final = struct.Struct(">Q")
# A header from a stranger must not make this machine work for hours.
MOST_MEMORY_KIB: Final = 1024 * 1024
MOST_PASSES: Final = 16
MOST_LANES: Final = 16
MOST_SEGMENTS: Final = 2**32  # the counter of a nonce has 4 bytes
# Crockford's base 32: no I, L, O, U.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PASSPHRASE_SYMBOLS: Final = 20
MANIFEST: Final = "manifest.json"
PAYLOAD_TYPE: Final = "application/vnd.report-abuse.package.v1+json"
MAX_MANIFEST_BYTES: Final = 512 * 1024
MOST_FILES: Final = 1000
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", " ": "", "-": ""})
# Lower case, at most one folder, no dot at either end, and no device of Windows, where `nul` or `aux.pdf` is no file.
_NAME: Final = re.compile(
    r"(?=.{1,100}\Z)(?!(?:[a-z]+/)?(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z))"
    r"(?:[a-z]+/)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9]+)?"
)


class ReadError(Exception):
    """The file is not a whole package; `reason` is one code of docs/package.md."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one guess of the passphrase (Argon2id, RFC 9106)."""

    memory_kib: int = 256 * 1024
    passes: int = 3
    lanes: int = 4


def normalise_passphrase(typed: str) -> bytes:
    """Return a typed passphrase as it was made: case, spaces and hyphens do not matter; O reads as 0, I and L as 1."""
    symbols = typed.strip().upper().translate(_MISREAD)
    if len(symbols) != PASSPHRASE_SYMBOLS or not set(symbols) <= set(ALPHABET):
        raise ReadError(
            f"A passphrase has {PASSPHRASE_SYMBOLS} letters and digits, like K7QF2-M9TXD-4BWRZ-0ACH8.",
            reason="bad-passphrase",
        )
    return symbols.encode("ascii")


def derive_keys(passphrase: bytes, *, salt: bytes, costs: Costs) -> tuple[bytes, bytes]:
    """Return the key of the segments, and the check that tells a wrong passphrase from a damaged file."""
    kdf = Argon2id(
        salt=salt,
        length=2 * KEY_BYTES,
        iterations=costs.passes,
        lanes=costs.lanes,
        memory_cost=costs.memory_kib,
    )
    both = kdf.derive(passphrase)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def make_nonce(counter: int, *, is_last: bool) -> bytes:
    """Return the nonce of a segment: 7 zero bytes, the counter, 1 for the last segment."""
    return bytes(7) + struct.pack(">IB", counter, is_last)


def count_text_bytes(size_bytes: int) -> int:
    """Return the length of the text in all segments: the size, the archive, and zeros."""
    return -(-(SIZE.size + size_bytes) // PADDED_TO_BYTES) * PADDED_TO_BYTES


def unseal(source: BinaryIO, *, passphrase: str) -> Iterator[bytes]:
    """Yield the archive of a sealed file in pieces; it is whole only once the last one came.

    Raises `ReadError`: `not-sealed`, `unknown-version`, `bad-costs`, `bad-passphrase`, `wrong-passphrase`, `cut`,
    `altered`, `data-after-end`.
    """
    header = source.read(HEADER.size)
    if not header.startswith(MAGIC):
        raise ReadError("This is not a sealed file of a package.", reason="not-sealed")
    if len(header) < HEADER.size:
        raise _make_cut()
    _, version, lanes, passes, memory_kib, length, salt, check = HEADER.unpack(header)
    if version != VERSION:
        raise ReadError("This sealed file has a version that this reader does not know.", reason="unknown-version")
    if not 0 < passes <= MOST_PASSES or not 0 < lanes <= MOST_LANES or not 8 * lanes <= memory_kib <= MOST_MEMORY_KIB:
        raise ReadError("This sealed file asks for less or more work than any real one.", reason="bad-costs")
    if length % PADDED_TO_BYTES or not 0 < length <= MOST_SEGMENTS * TEXT_BYTES:
        raise ReadError("The header of this sealed file was altered.", reason="altered")
    costs = Costs(memory_kib=memory_kib, passes=passes, lanes=lanes)
    key, expected = derive_keys(normalise_passphrase(passphrase), salt=salt, costs=costs)
    if expected != check:
        raise ReadError("The passphrase is wrong.", reason="wrong-passphrase")
    yield from _take_archive(_open_segments(source, AESGCM(key), header, length), length)


def _open_segments(source: BinaryIO, cipher: AESGCM, header: bytes, length: int) -> Iterator[bytes]:
    """Yield the text of each segment; `length` is that of all texts."""
    count = -(-length // TEXT_BYTES)
    for counter in range(count):
        wanted = min(TEXT_BYTES, length - counter * TEXT_BYTES) + TAG_BYTES
        segment = source.read(wanted)
        if len(segment) < wanted:
            raise _make_cut()
        try:
            yield cipher.decrypt(make_nonce(counter, is_last=counter == count - 1), segment, header)
        except InvalidTag:
            raise ReadError(
                f"Segment {counter + 1} of {count} was altered, or is not in its place.", reason="altered"
            ) from None
    if source.read(1):
        raise ReadError("Bytes follow the end of the sealed file.", reason="data-after-end")


def _take_archive(texts: Iterator[bytes], length: int) -> Iterator[bytes]:
    """Yield the archive out of the text: its size stands first, and zeros follow it."""
    text = next(texts)
    (left,) = SIZE.unpack_from(text)
    if count_text_bytes(left) != length:
        raise ReadError("The size of the archive does not fit its file.", reason="altered")
    text = text[SIZE.size :]
    while True:
        yield text[:left]
        if any(text[left:]):
            raise ReadError("The zeros behind the archive are not all zeros.", reason="altered")
        left = max(0, left - len(text))
        try:
            text = next(texts)
        except StopIteration:
            return


def _make_cut() -> ReadError:
    return ReadError("The file is cut short: fetch it again.", reason="cut")


def verify_archive(archive: BinaryIO, *, keys: Sequence[bytes]) -> dict[str, Any]:
    """Return the manifest of an archive that one of the agency's public keys signed, with every byte accounted for.

    Raises `ReadError`: `not-an-archive`, `unknown-key`, `bad-signature`, `bad-manifest`, `altered`, `data-after-end`.
    """
    size, crc = _read_first_header(archive)
    raw = archive.read(size)
    if zlib.crc32(raw) != crc:
        raise ReadError("The manifest was altered.", reason="altered")
    manifest = open_manifest(raw, keys=keys)
    offset = 30 + len(MANIFEST) + size
    central = [_make_central(MANIFEST, size, crc, 0)]
    for listed in manifest["files"]:
        head = archive.read(len(_make_local(listed["name"], listed["size_bytes"], 0)))
        digest, crc = _read_file(archive, listed["size_bytes"])
        if head != _make_local(listed["name"], listed["size_bytes"], crc) or digest != listed["sha256"]:
            raise ReadError(f"{listed['name']} is missing, altered, or is not in its place.", reason="altered")
        central.append(_make_central(listed["name"], listed["size_bytes"], crc, offset))
        offset += len(head) + listed["size_bytes"]
    directory = b"".join(central)
    end = directory + _make_end(len(central), offset=offset, size=len(directory))
    found = archive.read(len(end))
    if found != end:
        raise ReadError("The directory of the archive does not fit its files.", reason="altered")
    if archive.read(1):
        raise ReadError("Bytes follow the end of the archive.", reason="data-after-end")
    return manifest


def open_manifest(raw: bytes, *, keys: Sequence[bytes]) -> dict[str, Any]:
    """Return the payload of a signed manifest (DSSE v1, Ed25519). Raises `ReadError` as `verify_archive`."""
    by_id = {_encode(hashlib.sha256(key).digest()[:8]): key for key in keys}
    try:
        statement = json.loads(raw)
        (signature,) = statement["signatures"]
        body = _decode(statement["payload"])
        kind, key_id, signed = statement["payloadType"], str(signature["keyid"]), _decode(signature["sig"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ReadError("The manifest is not a signed statement.", reason="bad-manifest") from None
    if kind != PAYLOAD_TYPE:
        raise ReadError("The manifest is a statement of another kind.", reason="bad-manifest")
    if key_id not in by_id:
        raise ReadError(f"The manifest is signed by the key {key_id}, which you did not give.", reason="unknown-key")
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(body), body)
    try:
        Ed25519PublicKey.from_public_bytes(by_id[key_id]).verify(signed, message)
    except InvalidSignature:
        raise ReadError("The signature of the manifest is not valid.", reason="bad-signature") from None
    return _parse_manifest(body)


def _parse_manifest(body: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(body)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise ReadError("The signed manifest is not an object in JSON.", reason="bad-manifest")
    if manifest.get("schema_version") != "1":
        raise ReadError("The manifest is of a version that this reader does not know.", reason="bad-manifest")
    if not _has_files(manifest) or not all(isinstance(manifest.get(one), str) for one in ("reference", "recipient")):
        raise ReadError("The manifest lacks its files, its reference or its recipient.", reason="bad-manifest")
    names = [one["name"] for one in manifest["files"]]
    for name in names:
        if not _NAME.fullmatch(name) or name == MANIFEST:
            raise ReadError(f"The manifest has a forbidden file name: {name!a}.", reason="bad-manifest")
    if names != sorted(set(names)):
        raise ReadError("The manifest names a file twice, or not in order.", reason="bad-manifest")
    return manifest


def _has_files(manifest: dict[str, Any]) -> bool:
    files = manifest.get("files")
    return (
        isinstance(files, list)
        and len(files) <= MOST_FILES
        and all(
            isinstance(one, dict)
            and isinstance(one.get("name"), str)
            and isinstance(one.get("sha256"), str)
            and isinstance(one.get("size_bytes"), int)
            and 0 <= one["size_bytes"] < 2**63
            for one in files
        )
    )


def _read_first_header(archive: BinaryIO) -> tuple[int, int]:
    head = archive.read(30 + len(MANIFEST))
    if len(head) < 30 + len(MANIFEST) or not head.startswith(b"PK\3\4"):
        raise ReadError("This is not an archive of a package.", reason="not-an-archive")
    crc, size = struct.unpack_from("<II", head, 14)
    if size > MAX_MANIFEST_BYTES or head != _make_local(MANIFEST, size, crc):
        raise ReadError("The archive does not begin with its manifest.", reason="not-an-archive")
    return size, crc


def _read_file(archive: BinaryIO, size: int) -> tuple[str, int]:
    digest, crc = hashlib.sha256(), 0
    while size:
        piece = archive.read(min(size, SEGMENT_BYTES))
        if not piece:
            raise ReadError("The archive is cut short.", reason="altered")
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
        size -= len(piece)
    return digest.hexdigest(), crc


def _make_local(name: str, size: int, crc: int) -> bytes:
    extra = struct.pack("<HHQQ", 1, 16, size, size) if size >= 2**32 - 1 else b""
    shown = min(size, 2**32 - 1)
    version = 45 if extra else 20
    head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", version, 0, 0, 0, 33, crc, shown, shown, len(name), len(extra))
    return head + name.encode() + extra


def _make_central(name: str, size: int, crc: int, offset: int) -> bytes:
    large = [*([size, size] if size >= 2**32 - 1 else []), *([offset] if offset >= 2**32 - 1 else [])]
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version, shown = 45 if large else 20, min(size, 2**32 - 1)
    head = struct.pack(
        "<4sHHHHHHIIIHH", b"PK\1\2", version, version, 0, 0, 0, 33, crc, shown, shown, len(name), len(extra)
    )
    return head + struct.pack("<HHHII", 0, 0, 0, 0, min(offset, 2**32 - 1)) + name.encode() + extra


def _make_end(count: int, *, offset: int, size: int) -> bytes:
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, min(offset, 2**32 - 1), 0)
    if offset < 2**32 - 1:
        return end
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return end64 + struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1) + end


def write_whole(place: Path, pieces: Iterable[bytes]) -> None:
    """Write a new file, under its name only once every piece came; an existing file stays. Raises `ReadError`."""
    if place.exists():
        raise ReadError(f"{place} exists already.", reason="exists")
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=".unsealing-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(place)
    finally:
        Path(name).unlink(missing_ok=True)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encode(raw) != text:
        raise ValueError(text)
    return raw


def _parse_key(typed: str) -> bytes:
    try:
        key = _decode(typed)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise argparse.ArgumentTypeError("a public key of the agency has 43 characters of base64url")
    return key


def main(arguments: Sequence[str] | None = None, *, ask: Callable[[str], str] = getpass.getpass) -> int:
    """Run one command and return its exit code: 0 if the file is right, else 1; 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Open and check a package of the agency.")
    commands = parser.add_subparsers(dest="command", required=True)
    opening = commands.add_parser("unseal", help="open a sealed file with its passphrase")
    opening.add_argument("sealed", type=Path)
    opening.add_argument("archive", type=Path)
    checking = commands.add_parser("verify", help="check every byte of an archive, and its signature")
    checking.add_argument("archive", type=Path)
    about_key = "a public key of the agency, in base64url; with =, since it may begin with a hyphen"
    checking.add_argument("--key", action="append", type=_parse_key, required=True, help=about_key)
    given = parser.parse_args(arguments)
    try:
        if given.command == "unseal":
            with given.sealed.open("rb") as source:
                write_whole(given.archive, unseal(source, passphrase=ask("Passphrase: ")))
            sys.stdout.write(f"Opened: {given.archive}\n")
        else:
            with given.archive.open("rb") as archive:
                manifest = verify_archive(archive, keys=given.key)
            sys.stdout.write(f"Whole and signed: package {manifest['reference']} for {manifest['recipient']}\n")
    except MemoryError:
        sys.stderr.write("This machine has too little memory for the passphrase: 256 MiB are needed.\n")
        return 1
    except (ReadError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
