"""Packs the content of a package for its way: the message of a mailbox, or a file whose evidence is added as it leaves.

The signed manifest is made with the draft, so a second person signs the hash of exactly the archive that leaves.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.desk.actions.model import ActionWay
from gateway.desk.packages.archive import Archive, make_archive
from gateway.desk.packages.content import MAX_CONTENT_BYTES, PackageContent, PackageError, check_content
from gateway.desk.packages.sheet import render_html
from gateway.desk.packages.stored_zip import Open
from gateway.desk.wiring import Desk
from partner_sdk.wire.action_bodies import MAX_ARCHIVE_BYTES, Package
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.mailbox_message import encode_body, parse_body
from partner_sdk.wire.package import MANIFEST_FILE, MAX_MANIFEST_BYTES, PackageManifest
from partner_sdk.wire.statements import peek_statement

PAGE_FILE: Final = "page.html"


class PackedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an action that goes as a file or letter: its content, and the signed manifest of its archive."""

    content: PackageContent
    manifest: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed draft: its way, the body of its action, and the signed manifest."""

    way: ActionWay
    body: bytes
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A stored package: its signed manifest, the page that the receiving officer reads, and its content if it has one.

    The content of one for a mailbox is in its archive.
    """

    manifest: bytes
    page: bytes
    content: PackageContent | None


def pack(desk: Desk, content: PackageContent, *, way: ActionWay, openers: Mapping[str, Open]) -> Packed:
    """Pack a content; one that is too large for a mailbox becomes a sealed file.

    Raises `PackageError`, `OpeningError` for a file that does not open, `VaultError`.
    """
    archive = make_archive(content, sign=desk.load_signer().sign, evidence=openers)
    if way != "mailbox" or archive.size_bytes > MAX_ARCHIVE_BYTES:
        body = encode(PackedFile(content=content, manifest=to_base64url(archive.manifest)))
        return Packed("sealed-file" if way == "mailbox" else way, body, archive.manifest)
    raw = b"".join(archive.stream())
    digest = hashlib.sha256(raw).hexdigest()
    message = Package(archive=to_base64url(raw), archive_sha256=digest, title=content.title, urgent=content.is_urgent)
    return Packed(way, encode_body(message), archive.manifest)


def unpack(way: ActionWay, body: bytes) -> Unpacked:
    """Return the parts of a stored body. Raises `FormatError`."""
    if way == "mailbox":
        with zipfile.ZipFile(io.BytesIO(parse_body(body, body=Package).read_archive())) as archive:
            return Unpacked(archive.read(MANIFEST_FILE), archive.read(PAGE_FILE), None)
    packed = parse_exact(body, kind=PackedFile, max_bytes=MAX_CONTENT_BYTES)
    check_content(packed.content)
    manifest = parse_base64url(packed.manifest, max_bytes=MAX_MANIFEST_BYTES)
    return Unpacked(manifest, render_html(packed.content), packed.content)


def pack_again(unpacked: Unpacked, *, openers: Mapping[str, Open]) -> Archive:
    """Return the archive of a stored package, to be written: byte for byte the one that was signed.

    It keeps that signature, because the key may have been rotated since. Raises `PackageError` (`changed`) if another
    archive would come out, and as `pack`.
    """
    if unpacked.content is None:
        raise PackageError("This package is for a mailbox.", reason="changed")
    signed = unpacked.manifest

    def keep_signature(manifest: PackageManifest) -> bytes:
        if peek_statement(signed, PackageManifest, max_bytes=MAX_MANIFEST_BYTES) != manifest:
            raise PackageError("The archive is not the one that was signed. Make a new package.", reason="changed")
        return signed

    return make_archive(unpacked.content, sign=keep_signature, evidence=openers)
