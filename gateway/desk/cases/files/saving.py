"""Hands an opened evidence file to the person who asked for it; the access is recorded before the first byte is opened.

Never names a file, and never sends a browser its first byte, before all of it is verified: tags, padding, size,
SHA-256.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateway.desk import audit
from gateway.desk.cases.files.case_files import (
    CaseFile,
    CaseFileError,
    FileOfReport,
    WholeCaseFiles,
    get_case_file,
    get_saved_file,
    make_case_files,
    make_whole_case,
)
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import open_case, open_whole_case
from gateway.desk.evidence.holdings import Held
from gateway.desk.evidence.open_evidence import check_file, open_file
from gateway.desk.evidence.sealed_parts import SealedParts, get_parts
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import LocalStateError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.evidence import EvidenceReference


def open_case_files(desk: Desk, wanted: str, *, actor: str) -> tuple[CaseRow, WholeCaseFiles]:
    """Open the reports of a case for the list of its files, recorded like any reading; returns both.

    For an addition, only that one. Raises as `open_case`.
    """
    opened = open_case(desk, wanted, actor=actor)
    if not isinstance(opened.content, SealedIndustryReport):
        return opened.case, WholeCaseFiles()
    reports = open_whole_case(desk, opened.case, opened.content, actor=actor)
    return opened.case, make_whole_case(desk, reports, actor=actor)


def save_file(desk: Desk, case: str, wanted: str, *, to: Path, actor: str) -> FileOfReport:
    """Open one file of a case into a new file that only its owner can read; for a replaced file, the newest one here.

    Raises `CaseFileError`, `OpeningError` if it does not match the report, and `LocalStateError` (`file-exists`,
    `not-saved`); then nothing is left behind.
    """
    opened, files = open_case_files(desk, case, actor=actor)
    found = get_saved_file(files, wanted)
    if to.exists() or to.is_symlink():
        raise _make_exists_error(to)
    pieces = _begin(desk, opened.case_id, found.file, actor=actor, way="save")
    with open_new_file(to) as handle:
        for piece in pieces:
            handle.write(piece)
    return found


def stream_file(
    desk: Desk, case: str, wanted: str, *, actor: str, most_bytes: int, way: str = "page"
) -> tuple[CaseFile, Iterator[bytes]]:
    """Verify one whole file of one report, then return it with its bytes, piece by piece; `way` is for the record.

    Raises as `save_file`, and `CaseFileError` (`too-large`) for more than `most_bytes`.
    """
    opened = open_case(desk, case, actor=actor)
    found = get_case_file(make_case_files(desk, opened.case, opened.content, actor=actor), wanted)
    if found.reference is not None and found.reference.size_bytes > most_bytes:
        raise CaseFileError(
            "This file is too large for a page. It can be saved on the desk's own machine.",
            reason="too-large",
        )
    pieces = _begin(desk, opened.case.case_id, found, actor=actor, way=way)
    reference, held, parts = _get_sealed(desk, found)
    check_file(parts, held, reference=reference)
    return found, pieces


def find_still_type(raw: bytes) -> str | None:
    """Return the media type of a picture that stands still, or None for any other file.

    By its first bytes, never by the sender's word for it. Formats that can move are left out, and so is a moving PNG:
    nothing may play by itself.
    """
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if raw.startswith(b"\x89PNG\r\n\x1a\n") and b"acTL" not in raw.partition(b"IDAT")[0]:
        return "image/png"
    return None


def _begin(desk: Desk, case_id: str, found: CaseFile, *, actor: str, way: str) -> Iterator[bytes]:
    reference, held, parts = _get_sealed(desk, found)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "open-evidence", case_id, at=desk.clock(), actor=actor, evidence_id=held.evidence_id, way=way
        )
    return open_file(parts, held, reference=reference)


def _get_sealed(desk: Desk, found: CaseFile) -> tuple[EvidenceReference, Held, SealedParts]:
    if found.held is None or found.reference is None:
        raise CaseFileError("This file has not reached the desk yet.", reason="not-here")
    held = found.held
    parts = get_parts(desk.paths.evidence, partner=held.partner, evidence_id=held.evidence_id)
    return found.reference, held, parts


@contextmanager
def open_new_file(to: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets its name if the block ends without an error; otherwise it is removed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".report-abuse-", dir=to.parent)  # 0600
    except OSError as error:
        raise LocalStateError(f"Cannot write {to}: {error.strerror}.", reason="not-saved") from None
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        _give_name(beside, to)
        sync_folder(to.parent)
    except OSError as error:
        raise LocalStateError(f"Cannot write {to}: {error.strerror}.", reason="not-saved") from None
    finally:
        beside.unlink(missing_ok=True)


def _give_name(beside: Path, to: Path) -> None:
    try:
        os.link(beside, to)  # unlike a rename, it never replaces an existing file
    except FileExistsError:
        raise _make_exists_error(to) from None
    except OSError:
        if to.exists() or to.is_symlink():
            raise _make_exists_error(to) from None
        beside.rename(to)  # FAT on a memory stick has no hard links


def _make_exists_error(to: Path) -> LocalStateError:
    return LocalStateError(f"{to} already exists: choose a new file name.", reason="file-exists")
