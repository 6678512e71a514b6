"""Checks and opens packages by docs/package.md alone: written from that page, it imports nothing of this project.

It holds a whole file in memory and walks through it once, comparing every byte with the one that the page demands.
"""

import base64
import hashlib
import json
import re
import zlib
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

TYPE = "application/vnd.report-abuse.package.v1+json"
SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LARGE = 4_294_967_295


class RefusedError(Exception):
    pass


def refuse(why: str) -> NoReturn:
    raise RefusedError(why)


def number(value: int, width: int) -> bytes:
    return value.to_bytes(width, "little")


class Walk:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def take(self, count: int) -> bytes:
        piece = self.raw[self.at : self.at + count]
        self.at += count
        return piece if len(piece) == count else refuse("too short")

    def expect(self, wanted: bytes, what: str) -> None:
        if self.take(len(wanted)) != wanted:
            refuse(what)


def local_header(name: bytes, body: bytes) -> bytes:
    extra = number(1, 2) + number(16, 2) + number(len(body), 8) * 2 if len(body) >= LARGE else b""
    size = number(min(len(body), LARGE), 4)
    version = number(45 if extra else 20, 2)
    lengths = number(len(name), 2) + number(len(extra), 2)
    return (
        b"PK\3\4" + version + bytes(6) + number(33, 2) + number(zlib.crc32(body), 4) + size * 2 + lengths + name + extra
    )


def central_header(name: bytes, body: bytes, offset: int) -> bytes:
    large = number(len(body), 8) * 2 if len(body) >= LARGE else b""
    large += number(offset, 8) if offset >= LARGE else b""
    extra = number(1, 2) + number(len(large), 2) + large if large else b""
    version = number(45 if extra else 20, 2)
    size = number(min(len(body), LARGE), 4)
    first = b"PK\1\2" + version * 2 + bytes(6) + number(33, 2) + number(zlib.crc32(body), 4) + size * 2
    return (
        first + number(len(name), 2) + number(len(extra), 2) + bytes(10) + number(min(offset, LARGE), 4) + name + extra
    )


def end_records(count: int, size: int, offset: int) -> bytes:
    zip64 = b""
    if offset >= LARGE:
        zip64 = b"PK\6\6" + number(44, 8) + number(45, 2) * 2 + bytes(8) + number(count, 8) * 2
        zip64 += number(size, 8) + number(offset, 8)
        zip64 += b"PK\6\7" + bytes(4) + number(offset + size, 8) + number(1, 4)
    end = b"PK\5\6" + bytes(4) + number(count, 2) * 2 + number(size, 4) + number(min(offset, LARGE), 4) + bytes(2)
    return zip64 + end


def base64url(text: str) -> bytes:
    raw = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        refuse("base64url")
    return raw


def open_manifest(raw: bytes, keys: list[bytes]) -> dict[str, Any]:
    try:
        envelope = json.loads(raw)
        if set(envelope) != {"payload", "payloadType", "signatures"} or len(envelope["signatures"]) != 1:
            refuse("envelope")
        payload, signature = base64url(envelope["payload"]), envelope["signatures"][0]
        signed = base64url(signature["sig"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        refuse("manifest")
    if envelope["payloadType"] != TYPE:
        refuse("type")
    message = f"DSSEv1 {len(TYPE)} {TYPE} {len(payload)} ".encode() + payload
    for key in keys:
        if base64.urlsafe_b64encode(hashlib.sha256(key).digest()[:8]).decode().rstrip("=") == signature["keyid"]:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
            except InvalidSignature:
                refuse("signature")
            try:
                manifest = json.loads(payload)
            except (ValueError, RecursionError):
                refuse("payload")
            if not isinstance(manifest, dict):
                refuse("payload")
            return manifest
    refuse("unknown key")


def check_list(manifest: dict[str, Any]) -> None:
    if manifest.get("schema_version") != "1":
        refuse("version")
    try:
        names = [one["name"] for one in manifest["files"]]
        sizes = [one["size_bytes"] for one in manifest["files"]]
        if {type(one) for one in sizes} != {int} or min(sizes) < 0 or max(sizes) >= 2**63:
            refuse("size")
        [bytes.fromhex(one["sha256"]) for one in manifest["files"]]
    except (KeyError, TypeError, ValueError):
        refuse("files")
    pattern = re.compile(r"([a-z]+/)?[a-z0-9][a-z0-9-]*(\.[a-z0-9]+)?")
    if names != sorted(set(names)) or "manifest.json" in names or len(names) > 1000:
        refuse("names")
    if any(len(one) > 100 or not pattern.fullmatch(one) for one in names):
        refuse("name")
    devices = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]")
    if any(devices.fullmatch(part.partition(".")[0]) for one in names for part in one.split("/")):
        refuse("device")


def verify(raw: bytes, keys: list[bytes]) -> dict[str, bytes]:
    """Return the files of an archive, or raise `RefusedError`."""
    walk = Walk(raw)
    head = walk.take(30)
    size = int.from_bytes(head[18:22], "little")
    name = walk.take(int.from_bytes(head[26:28], "little"))
    if head[:4] != b"PK\3\4" or name != b"manifest.json" or size > 512 * 1024:
        refuse("first file")
    body = walk.take(size)
    if head + name != local_header(name, body):
        refuse("first header")
    manifest = open_manifest(body, keys)
    check_list(manifest)
    files, central = {"manifest.json": body}, central_header(name, body, 0)
    for one in manifest["files"]:
        offset, name = walk.at, one["name"].encode()
        extra = 20 if one["size_bytes"] >= LARGE else 0
        head = walk.take(30 + len(name) + extra)
        body = walk.take(one["size_bytes"])
        if hashlib.sha256(body).hexdigest() != one["sha256"] or head != local_header(name, body):
            refuse(one["name"])
        files[one["name"]] = body
        central += central_header(name, body, offset)
    offset = walk.at
    walk.expect(central + end_records(len(files), len(central), offset), "directory")
    if walk.at != len(raw):
        refuse("data after the end")
    return files


def open_sealed(raw: bytes, passphrase: str) -> bytes:
    """Return the archive of a sealed file, or raise `RefusedError` with the reason of the page."""
    header, rest = raw[:88], raw[88:]
    if header[:24] != b"report-abuse sealed file":
        refuse("not-sealed")
    if len(header) < 88:
        refuse("cut")
    lanes, passes, memory = header[25], int.from_bytes(header[26:28], "big"), int.from_bytes(header[28:32], "big")
    if header[24] != 1:
        refuse("unknown-version")
    if not 8 * lanes <= memory <= 1024 * 1024 or not 1 <= passes <= 16 or not 1 <= lanes <= 16:
        refuse("bad-costs")
    length = int.from_bytes(header[32:40], "big")
    typed = passphrase.upper().replace(" ", "").replace("-", "").replace("O", "0").replace("I", "1").replace("L", "1")
    if len(typed) != 20 or set(typed) - set(SYMBOLS):
        refuse("bad-passphrase")
    kdf = Argon2id(salt=header[40:56], length=64, iterations=passes, lanes=lanes, memory_cost=memory)
    both = kdf.derive(typed.encode())
    if both[32:] != header[56:]:
        refuse("wrong-passphrase")
    cipher, text = AESGCM(both[:32]), b""
    segments = [rest[at : at + 1_048_576] for at in range(0, len(rest), 1_048_576)]
    for count, segment in enumerate(segments):
        is_last = count == len(segments) - 1
        try:
            text += cipher.decrypt(bytes(7) + count.to_bytes(4, "big") + bytes([is_last]), segment, header)
        except InvalidTag:
            refuse("a segment")
    size = int.from_bytes(text[:8], "big")
    if len(text) != length or length != -(-(8 + size) // 65_536) * 65_536 or any(text[8 + size :]):
        refuse("length")
    return text[8 : 8 + size]
