"""The manifest of a package: every file of its archive with size and hash, signed by the desk (docs/package.md)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.field_types import Sha256Hex
from partner_sdk.wire.keys import Environment, VerifyKey, verify_keys
from partner_sdk.wire.statements import StatementKind, open_statement, peek_statement, sign_statement

MANIFEST_FILE: Final = "manifest.json"
# 1,000 files with their hashes take 200 kB.
MAX_MANIFEST_BYTES: Final = 512 * 1024
MOST_FILES: Final = 1000
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


def sign_manifest(manifest: PackageManifest, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes; raises `FormatError` for a misspelled time."""
    parse_time(manifest.issued_at)
    return sign_statement(manifest, kind=StatementKind.PACKAGE, private_keys=(private_key,))


def open_manifest(raw: bytes, *, signers: Iterable[VerifyKey], now: datetime) -> PackageManifest:
    """Return a manifest that a mailbox-signing key of the agency signed; raises `FormatError`, `StatementError`."""
    claimed = peek_statement(raw, PackageManifest, max_bytes=MAX_MANIFEST_BYTES)
    keys = verify_keys(tuple(signers), signed_at=parse_time(claimed.issued_at), now=now)
    return open_statement(
        raw, kind=StatementKind.PACKAGE, keys=keys, payload_type=PackageManifest, max_bytes=MAX_MANIFEST_BYTES
    )
