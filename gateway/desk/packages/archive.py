"""The archive of a package (docs/package.md): signed manifest, page, data, reports and enclosed evidence.

Equal content, key and evidence give equal bytes, on every machine. Evidence is read twice, once to compare it with its
report before a byte is written, and passes through in pieces: a file of 2 GiB takes no memory.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.desk.packages.case_data import make_case_data
from gateway.desk.packages.content import (
    EvidenceItem,
    PackageContent,
    PackageError,
    SourceReport,
    check_content,
    name_evidence,
    name_original,
    name_report,
    redact,
)
from gateway.desk.packages.sheet import render_html, render_pdf
from gateway.desk.packages.stored_zip import Entry, Open, count_zip_bytes, write_zip
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.package import MANIFEST_FILE, PackageFile, PackageManifest

Sign = Callable[[PackageManifest], bytes]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is ready to be written; `manifest` is its signed manifest."""

    manifest: bytes
    entries: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """The size, known before it is written."""
        return count_zip_bytes(self.entries)

    def stream(self) -> Iterator[bytes]:
        """Yield the bytes. Raises `PackageError` (`evidence-changed`) at the end of a file that is not as it was."""
        return write_zip(self.entries)


def make_archive(content: PackageContent, *, sign: Sign, evidence: Mapping[str, Open] | None = None) -> Archive:
    """Return the archive of a content; `evidence` opens the enclosed items by their keys.

    `sign` is the vault's, e.g. `desk.load_signer().sign`. Raises `PackageError`: `no-evidence`, `evidence-changed`, and
    as `check_content`.
    """
    check_content(content)
    leaving = redact(content)
    files = [
        ("page.html", render_html(leaving)),
        ("page.pdf", render_pdf(leaving)),
        ("case.jsonld", make_case_data(leaving)),
        *(pair for report in leaving.reports for pair in _list_report_files(report)),
    ]
    listed = [_make_file(name, (body,)) for name, body in files]
    listed += [_check_evidence(item, evidence or {}) for item in leaving.evidence if item.is_enclosed]
    listed.sort(key=lambda one: one[0].name)
    signed = sign(
        PackageManifest(
            environment=leaving.environment,
            files=tuple(one for one, _ in listed),
            issued_at=leaving.issued_at,
            package_id=leaving.package_id,
            recipient=leaving.recipient,
            reference=leaving.reference,
        )
    )
    _, manifest = _make_file(MANIFEST_FILE, (signed,))
    return Archive(signed, (manifest, *(entry for _, entry in listed)))


def build_archive(content: PackageContent, *, sign: Sign) -> bytes:
    """Return an archive without enclosed evidence. Raises as `make_archive`."""
    return b"".join(make_archive(content, sign=sign).stream())


def _list_report_files(report: SourceReport) -> Iterator[tuple[str, bytes]]:
    yield name_report(report), encode(_without_original(report))
    if report.original:
        yield name_original(report), report.original.encode()


def _without_original(report: SourceReport) -> dict[str, object]:
    return {
        "received_at": report.received_at,
        "reference": report.reference,
        "sealed_sha256": report.sealed_sha256,
        "sections": [
            {"lines": [{"label": line.label, "text": line.text} for line in section.lines], "title": section.title}
            for section in report.sections
        ],
        "sender": report.sender,
    }


def _make_file(name: str, pieces: Sequence[bytes]) -> tuple[PackageFile, Entry]:
    digest, crc, size = _measure(pieces)
    return PackageFile(name=name, sha256=digest, size_bytes=size), Entry(name, size, crc, lambda: pieces)


def _check_evidence(item: EvidenceItem, evidence: Mapping[str, Open]) -> tuple[PackageFile, Entry]:
    if item.key not in evidence:
        raise PackageError(
            f"The file {item.key} is to be enclosed, and no stream of it was given.", reason="no-evidence"
        )
    open_item = evidence[item.key]
    digest, crc, size = _measure(open_item())
    if (digest, size) != (item.sha256, item.size_bytes):
        raise _make_changed(item)
    name = name_evidence(item)
    entry = Entry(name, size, crc, lambda: _read_again(item, open_item))
    return PackageFile(name=name, sha256=digest, size_bytes=size), entry


def _read_again(item: EvidenceItem, open_item: Open) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), item.size_bytes
    for piece in open_item():
        digest.update(piece)
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left or digest.hexdigest() != item.sha256:
        raise _make_changed(item)


def _make_changed(item: EvidenceItem) -> PackageError:
    return PackageError(f"The file {item.key} is not the one that the package lists.", reason="evidence-changed")


def _measure(pieces: Iterable[bytes]) -> tuple[str, int, int]:
    digest, crc, size = hashlib.sha256(), 0, 0
    for piece in pieces:
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
        size += len(piece)
    return digest.hexdigest(), crc, size
