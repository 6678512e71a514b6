"""The journal of draws: one file for each digest, outside the database, which no backup takes and no restore replaces.

A desk restored from last night's backup finds here which tables it had begun to draw, the noisy draws themselves, the
frozen workings and the published bytes, so that it draws and publishes nothing twice. An intent without a draw is a
lost draw. Never holds an exact count.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.desk.digests.records import MAX_RECORD_BYTES, DigestRecord, Workings
from partner_sdk.durable_files import find_bytes, held, make_private_folder, write_durably
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire import canonical

# The body is text inside JSON, whose quotes are escaped; the draws are a few kilobytes.
_MAX_BYTES: Final = 4 * MAX_RECORD_BYTES


class JournalError(ReportAbuseError):
    """The journal contradicts what the desk is about to do, or cannot be read."""


class JournalledDraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The intent to draw a table, and the draw once it is made. `clusters_sha256` is the manifest, in hex."""

    micro_epsilon: int
    clusters_sha256: str
    intended_at: str
    draw: list[int] | None = None


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The journal of one digest, by table. `body` is its published bytes, None before they are made."""

    digest_id: str
    partner: str
    period: str
    workings: Workings
    tables: dict[str, JournalledDraw] = {}
    body: str | None = None


def find_journal(folder: Path, digest_id: str) -> Journal | None:
    """Return the journal of a digest, or None. Raises `JournalError` (`journal-damaged`)."""
    return _read(_make_path(folder, digest_id))


def list_journals(folder: Path) -> Iterator[Journal]:
    """Yield every journal of a desk. Raises `JournalError` (`journal-damaged`)."""
    for path in sorted(folder.glob("*.json")):
        if (journal := _read(path)) is not None:
            yield journal


def add_intent(folder: Path, record: DigestRecord, *, table: str, micro_epsilon: int, at: str) -> None:
    """Record durably that a table is about to be drawn; only then draw it.

    Raises `JournalError` (`drawn-already`) if it has an intent: it was drawn, or is being drawn right now.
    """
    make_private_folder(folder)
    path = _make_path(folder, record.digest_id)
    with held(path):
        journal = _read(path) or Journal(record.digest_id, record.partner, record.quarter, record.workings)
        if table in journal.tables:
            raise JournalError(
                f"The journal of draws knows a draw of {table}, and it is never drawn again.", reason="drawn-already"
            )
        intent = JournalledDraw(micro_epsilon, record.clusters_sha256.hex(), at)
        _write(path, msgspec.structs.replace(journal, tables=journal.tables | {table: intent}))


def add_journalled_draw(folder: Path, record: DigestRecord, *, table: str, draw: list[int]) -> None:
    """Record the draw of an intent durably, before the database has it."""
    path = _make_path(folder, record.digest_id)
    with held(path):
        journal = _get(path)
        drawn = msgspec.structs.replace(journal.tables[table], draw=draw)
        _write(path, msgspec.structs.replace(journal, tables=journal.tables | {table: drawn}))


def keep_body(folder: Path, record: DigestRecord, body: bytes) -> bytes:
    """Record the published bytes durably and return them, or those of an earlier life of this desk.

    A digest without a draw of its own, e.g. of a small year, has no journal: it follows from its quarters.
    """
    path = _make_path(folder, record.digest_id)
    if not path.exists():
        return body
    with held(path):
        journal = _get(path)
        if journal.body is not None:
            return journal.body.encode()
        _write(path, msgspec.structs.replace(journal, body=body.decode()))
    return body


def _make_path(folder: Path, digest_id: str) -> Path:
    # A hash: the name of a service without keys may hold any character.
    return folder / f"{hashlib.sha256(digest_id.encode()).hexdigest()}.json"


def _get(path: Path) -> Journal:
    journal = _read(path)
    if journal is None:
        raise JournalError("The journal of draws was removed while a digest was made.", reason="journal-damaged")
    return journal


def _read(path: Path) -> Journal | None:
    raw = find_bytes(path)
    if raw is None:
        return None
    try:
        return canonical.parse_exact(raw, kind=Journal, max_bytes=_MAX_BYTES)
    except FormatError:
        raise JournalError(
            f"The journal of draws {path} is damaged. Nothing was drawn: draws that it knew could be drawn again.",
            reason="journal-damaged",
        ) from None


def _write(path: Path, journal: Journal) -> None:
    write_durably(path, canonical.encode(journal))
