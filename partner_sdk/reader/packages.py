"""Checks a package that came to a partner's mailbox, and writes its files (docs/package.md).

It is written into a new folder, once every byte of its archive is proven: never over anything, and no folder is left
behind unless all of the package is in it.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.durable_files import make_private_folder, sync_folder, write_durably
from partner_sdk.errors import LocalStateError, MailboxError
from partner_sdk.reader.package_reader import MAX_MANIFEST_BYTES, MOST_FILES, ReadError, verify_archive
from partner_sdk.wire.canonical import Sha256Hex, parse_base64url
from partner_sdk.wire.mailbox import Package
from partner_sdk.wire.signing import Environment, KeySet, SignedKind, StatementKind

MANIFEST_FILE: Final = "manifest.json"
# No device of Windows either, where `nul` or `aux.pdf` is no file.
_NO_DEVICE: Final = r"(?!(?:[a-z]+/)?(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z))"
FileName = Annotated[
    str, Meta(pattern=rf"^{_NO_DEVICE}(?:[a-z]+/)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9]+)?\Z", max_length=100)
]


class PackageFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the archive; the manifest does not list itself."""

    name: FileName
    sha256: Sha256Hex
    size_bytes: Annotated[int, Meta(ge=0)]


class PackageManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed list, with the files in the order of the archive: by name, as bytes."""

    environment: Environment
    files: Annotated[tuple[PackageFile, ...], Meta(min_length=1, max_length=MOST_FILES)]
    issued_at: str
    package_id: str
    recipient: str
    reference: str
    schema_version: Literal["1"] = "1"


SIGNED_PACKAGE: Final = SignedKind(
    StatementKind.PACKAGE, PackageManifest, dated_by="issued_at", max_bytes=MAX_MANIFEST_BYTES
)
_LOCAL_HEADER_BYTES: Final = 30  # APPNOTE.TXT §4.3.7, without the name; an archive of a mailbox has no extra field


class OpenedPackage(msgspec.Struct, frozen=True):
    """A package that was checked and written: its signed manifest, its folder, and its files in this order."""

    manifest: PackageManifest
    folder: Path
    files: tuple[Path, ...]


class CheckedPackage(msgspec.Struct, frozen=True):
    """A package of which every byte is proven: its signed manifest, and its files by name."""

    manifest: PackageManifest
    files: Mapping[str, bytes]


def check_package(
    package: Package, *, message_id: str, key_set: KeySet, environment: Environment, now: datetime
) -> CheckedPackage:
    """Check the archive of a package.

    A mailbox-signing key of the agency that was in use must have signed the manifest, for this message and environment.
    Raises `FormatError`, `StatementError`, and `MailboxError` (`wrong-package`, and as `verify_archive`).
    """

    archive = package.read_archive()
    try:
        verify_archive(io.BytesIO(archive), keys=[parse_base64url(key.public_key) for key in key_set.mailbox_keys])
    except ReadError as error:
        raise MailboxError(f"{error} Tell the agency, but not through this service.", reason=error.reason) from None
    # Again by the wire: its reader judges the key by the time of the signature, and each field by its model.
    manifest = SIGNED_PACKAGE.open_dated(_read_manifest(archive), signers=key_set.mailbox_keys, now=now)
    if (manifest.environment, manifest.package_id) != (environment, message_id):
        raise MailboxError("The archive is that of another package than its message.", reason="wrong-package")
    return CheckedPackage(manifest, dict(_list_files(archive, manifest)))


def write_package(package: CheckedPackage, *, folder: Path) -> OpenedPackage:
    """Write the files of a checked package, 0600, into a new folder, 0700.

    Raises `LocalStateError` (`exists`, `cannot-write`).
    """
    return OpenedPackage(package.manifest, folder, tuple(_write_all(package.files, folder=folder)))


def _read_manifest(archive: bytes) -> bytes:
    start = _LOCAL_HEADER_BYTES + len(MANIFEST_FILE)
    return archive[start : start + int.from_bytes(archive[18:22], "little")]  # its compressed size: nothing is packed


def _list_files(archive: bytes, manifest: PackageManifest) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a verified archive with its bytes: they follow one another without a gap."""
    raw = _read_manifest(archive)
    yield MANIFEST_FILE, raw
    at = _LOCAL_HEADER_BYTES + len(MANIFEST_FILE) + len(raw)
    for file in manifest.files:
        at += _LOCAL_HEADER_BYTES + len(file.name)
        yield file.name, archive[at : at + file.size_bytes]
        at += file.size_bytes


def _write_all(files: Mapping[str, bytes], *, folder: Path) -> list[Path]:
    if os.path.lexists(folder):
        raise LocalStateError(
            f"{folder} exists already, and nothing in it was touched: give a new folder.", reason="exists"
        )
    if not folder.parent.is_dir():
        raise LocalStateError(f"Make the folder {folder.parent} first.", reason="cannot-write")
    written = []
    try:
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".package-"))  # 0700
    except OSError as error:
        raise LocalStateError(f"Cannot write to {folder.parent}: {error.strerror}.", reason="cannot-write") from None
    try:
        for name, content in files.items():
            make_private_folder((made / name).parent)
            write_durably(made / name, content)
            written.append(folder / name)
        made.rename(folder)  # fails if a folder with anything in it came meanwhile
        sync_folder(folder.parent)
    except OSError as error:
        raise LocalStateError(f"Cannot write {folder}: {error.strerror}.", reason="cannot-write") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return written
