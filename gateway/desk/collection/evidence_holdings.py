"""This desk's evidence: the sealed parts on its disk, their records, and opening one file segment by segment.

The parts lie at `evidence/<partner>/<evidence id>/<number>.part`; paths are built only from ids in canonical form. The
desk decrypts evidence here alone (WIRE.md §6.6). Never stores a byte of an opened file: the caller chooses its
destination. Yielded pieces are verified only once all of them are: the SHA-256 of the whole comes last.
"""

import fcntl
import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.desk.store.schema import CASES, EVIDENCE, NAMED_EVIDENCE, QUARANTINE
from partner_sdk.durable_files import make_private_folder, sync_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.evidence import (
    PART_BYTES,
    SECRET_BYTES,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    EvidenceReference,
    count_sealed_bytes,
    count_sealed_parts,
    derive_file_key,
    make_nonce,
)
from partner_sdk.wire.submission import check_partner_id

_SUFFIX: Final = ".part"
_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SealedParts:
    """The parts of one piece of evidence."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder, on disk, and remove half-written files from a crash. Raises `LocalStateError`."""
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                make_private_folder(folder)
                sync_folder(folder.parent)
        try:
            for entry in os.scandir(self.folder):
                if not entry.name.endswith(_SUFFIX) or entry.name.startswith("."):
                    Path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None

    def clear(self) -> None:
        """Delete every part: their bytes contradict a report. Raises `LocalStateError`."""
        try:
            for entry in os.scandir(self.folder) if self.folder.is_dir() else ():
                Path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None

    def remove(self) -> None:
        """Delete every part and the folder: its case was destroyed. Raises `LocalStateError`."""
        self.clear()
        if self.folder.is_dir():
            self.folder.rmdir()
            sync_folder(self.folder.parent)

    def has_part(self, number: int, *, sha256: bytes) -> bool:
        """Return whether this exact part is here; reads all of it. Raises `LocalStateError`."""
        digest = hashlib.sha256()
        try:
            with self._path(number).open("rb") as handle:
                while piece := handle.read(_READ_BYTES):
                    digest.update(piece)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None
        return digest.digest() == sha256

    def write_part(self, number: int, raw: bytes) -> None:
        """Write a part; on return its bytes and its name are on disk. Raises `LocalStateError` (`not-saved`)."""
        write_durably(self._path(number), raw)

    def is_whole(self, *, size_bytes: int) -> bool:
        """Return whether every part is here in its full length; its bytes are not read."""
        try:
            return all(
                self._path(number).stat().st_size == size_of_sealed_part(number, sealed_bytes=size_bytes)
                for number in range(count_sealed_parts(size_bytes))
            )
        except OSError:
            return False

    def read_segments(self, *, size_bytes: int) -> Iterator[bytes]:
        """Yield the sealed segments in order, one at a time. Raises `LocalStateError` (`unreadable`)."""
        for number in range(count_sealed_parts(size_bytes)):
            left = size_of_sealed_part(number, sealed_bytes=size_bytes)
            try:
                with self._path(number).open("rb") as handle:
                    while left:
                        segment = handle.read(min(SEGMENT_BYTES, left))
                        if not segment:
                            raise LocalStateError(
                                ("A part of this file is cut short at this desk."), reason="unreadable"
                            )
                        left -= len(segment)
                        yield segment
            except OSError:
                raise LocalStateError("A part of this file is unreadable at this desk.", reason="unreadable") from None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04}{_SUFFIX}"


def get_parts(root: Path, *, partner: str, evidence_id: str) -> SealedParts:
    """Return the place of one piece of evidence; raises `FormatError` for an id that is not in canonical form."""
    check_partner_id(partner)
    check_report_id(evidence_id)
    return SealedParts(root / partner / evidence_id)


@contextmanager
def hold_alone(root: Path) -> Iterator[bool]:
    """Yield True if no other process of this desk is collecting evidence, else False, without waiting."""
    make_private_folder(root)
    # Beside the partners' folders, never among them: a partner may have the id `lock`.
    descriptor = os.open(root.with_name(f"{root.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


_URGENT: Final = "P1"


@dataclass(frozen=True, slots=True)
class Held:
    """Complete evidence on this desk's disk, still sealed; `digest` and size are those of the sealed bytes."""

    partner: str
    evidence_id: str
    digest: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Naming:
    """The reports' statements about one piece of evidence.

    `digests` are the digests sealed in them: one if all agree, none for a P1 alone. `is_urgent` if one of them is a P1.
    """

    digests: frozenset[bytes]
    is_urgent: bool


def find_naming(connection: Connection, *, environment: str, partner: str, evidence_id: str) -> Naming | None:
    """Return the statements of this partner's filed reports about this evidence, or None if none names it."""
    case = (
        (CASES.c.environment == environment)
        & (CASES.c.partner == NAMED_EVIDENCE.c.partner)
        & (CASES.c.report_id == NAMED_EVIDENCE.c.report_id)
    )
    rows = connection.execute(
        select(NAMED_EVIDENCE.c.digest, CASES.c.priority)
        .outerjoin(CASES, case)
        .where(NAMED_EVIDENCE.c.partner == partner, NAMED_EVIDENCE.c.evidence_id == evidence_id)
    ).all()
    if not rows:
        return None
    return Naming(
        digests=frozenset(bytes(row.digest) for row in rows if row.digest is not None),
        is_urgent=any(row.priority == _URGENT for row in rows),
    )


def sum_held_bytes(connection: Connection, *, partner: str) -> int:
    """Return the number of this partner's sealed bytes that are complete here."""
    total = select(func.coalesce(func.sum(EVIDENCE.c.size_bytes), 0)).where(EVIDENCE.c.partner == partner)
    return int(connection.execute(total).scalar_one())


def list_reports_naming(
    connection: Connection, *, partner: str, evidence_ids: Collection[str], limit: int
) -> list[str]:
    """Return the ids of this partner's reports that name any of this evidence, the newest id first."""
    rows = connection.execute(
        select(NAMED_EVIDENCE.c.report_id)
        .distinct()
        .where(NAMED_EVIDENCE.c.partner == partner, NAMED_EVIDENCE.c.evidence_id.in_(evidence_ids))
        .order_by(NAMED_EVIDENCE.c.report_id.desc())
        .limit(limit)
    )
    return list(rows.scalars())


def count_arrived(connection: Connection, *, partner: str, report_ids: Collection[str], since: str) -> int:
    """Return how many files that these reports of a partner name became complete here after a time."""
    named = (NAMED_EVIDENCE.c.partner == EVIDENCE.c.partner) & (NAMED_EVIDENCE.c.evidence_id == EVIDENCE.c.evidence_id)
    query = (
        select(func.count(EVIDENCE.c.evidence_id.distinct()))
        .join(NAMED_EVIDENCE, named)
        .where(
            EVIDENCE.c.partner == partner,
            EVIDENCE.c.collected_at > since,
            NAMED_EVIDENCE.c.report_id.in_(report_ids),
        )
    )
    return int(connection.execute(query).scalar_one())


def find_held(connection: Connection, *, partner: str, evidence_id: str) -> Held | None:
    """Return the complete evidence under this id, or None."""
    row = connection.execute(
        select(EVIDENCE).where(EVIDENCE.c.partner == partner, EVIDENCE.c.evidence_id == evidence_id)
    ).first()
    if row is None:
        return None
    return Held(partner=row.partner, evidence_id=row.evidence_id, digest=bytes(row.digest), size_bytes=row.size_bytes)


def add_held(connection: Connection, held: Held, *, now: datetime) -> None:
    """Record that evidence is complete here; the caller has synced every part of it. Safe to repeat."""
    if find_held(connection, partner=held.partner, evidence_id=held.evidence_id) is None:
        connection.execute(
            insert(EVIDENCE).values(
                partner=held.partner,
                evidence_id=held.evidence_id,
                digest=held.digest,
                size_bytes=held.size_bytes,
                collected_at=format_time(now),
            )
        )


def drop_held(connection: Connection, held: Held) -> None:
    """Remove the record of complete evidence: its bytes contradict a signed report."""
    connection.execute(
        delete(EVIDENCE).where(
            EVIDENCE.c.partner == held.partner,
            EVIDENCE.c.evidence_id == held.evidence_id,
            EVIDENCE.c.digest == held.digest,
        )
    )


def note_acknowledged(connection: Connection, evidence: Collection[tuple[str, str]], *, now: datetime) -> None:
    """Record that these were acknowledged to the gateway, by partner and id."""
    for partner, evidence_id in evidence:
        connection.execute(
            update(EVIDENCE)
            .where(
                EVIDENCE.c.partner == partner,
                EVIDENCE.c.evidence_id == evidence_id,
                EVIDENCE.c.acknowledged_at.is_(None),
            )
            .values(acknowledged_at=format_time(now))
        )


def list_differing(connection: Connection) -> list[tuple[str, str]]:
    """Return evidence whose digest here differs from the one sealed in a report, by partner and id."""
    rows = connection.execute(
        select(EVIDENCE.c.partner, EVIDENCE.c.evidence_id)
        .distinct()
        .join(
            NAMED_EVIDENCE,
            (NAMED_EVIDENCE.c.partner == EVIDENCE.c.partner) & (NAMED_EVIDENCE.c.evidence_id == EVIDENCE.c.evidence_id),
        )
        .where(NAMED_EVIDENCE.c.digest.is_not(None), NAMED_EVIDENCE.c.digest != EVIDENCE.c.digest)
        .order_by(EVIDENCE.c.partner, EVIDENCE.c.evidence_id)
    )
    return [(row.partner, row.evidence_id) for row in rows]


def has_quarantined(connection: Connection, *, partner: str) -> bool:
    """Return whether a row in quarantine claims this partner: it may be the only one that names the evidence."""
    waiting = select(QUARANTINE.c.id).where(QUARANTINE.c.claimed_partner == partner, QUARANTINE.c.resolved_at.is_(None))
    return connection.execute(waiting.limit(1)).first() is not None


def open_file(parts: SealedParts, held: Held, *, reference: EvidenceReference) -> Iterator[bytes]:
    """Yield the plain file in pieces of 1 MiB at most, exactly `reference.size_bytes` of it.

    `reference` comes from the opened report, with the digest from a later report if it has none. Raises `OpeningError`
    (`wrong-digest`, `wrong-size`, `does-not-open`, `bad-padding`, `wrong-hash`) and `LocalStateError` (`unreadable`).
    """
    _check_reference(held, reference)
    try:
        secret = parse_base64url(reference.secret, length=SECRET_BYTES)
    except FormatError:
        raise OpeningError("The report has no secret to open this file.", reason="does-not-open") from None
    cipher = AESGCM(derive_file_key(secret=secret, sha256=bytes.fromhex(reference.sha256)))
    whole = hashlib.sha256()
    left, last = reference.size_bytes, count_sealed_segments(held.size_bytes) - 1
    for counter, segment in enumerate(parts.read_segments(size_bytes=held.size_bytes)):
        try:
            text = cipher.decrypt(make_nonce(counter, is_last=counter == last), segment, None)
        except (InvalidTag, ValueError):
            raise OpeningError(
                ("The file does not open: its sealed bytes have changed since the sender sealed them."),
                reason="does-not-open",
            ) from None
        piece = text[: min(left, SEGMENT_TEXT_BYTES)]
        if any(text[len(piece) :]):
            raise OpeningError("The padding of the file is not all zeros.", reason="bad-padding")
        left -= len(piece)
        whole.update(piece)
        if piece:
            yield piece
    if left or whole.hexdigest() != reference.sha256:
        raise OpeningError("The file opens, but it does not match the report.", reason="wrong-hash")


def check_file(parts: SealedParts, held: Held, *, reference: EvidenceReference) -> None:
    """Open the whole file and discard it; raises as `open_file`."""
    for _ in open_file(parts, held, reference=reference):
        pass


def _check_reference(held: Held, reference: EvidenceReference) -> None:
    if reference.digest is not None and bytes.fromhex(reference.digest) != held.digest:
        raise OpeningError(
            ("The sealed bytes at this desk do not match the digest in the report."), reason="wrong-digest"
        )
    if count_sealed_bytes(reference.size_bytes) != held.size_bytes:
        raise OpeningError(
            "The sealed bytes at this desk do not match the file size in the report.", reason="wrong-size"
        )


def count_sealed_segments(sealed_bytes: int) -> int:
    """Return the number of segments of a sealed file."""
    return -(-sealed_bytes // SEGMENT_BYTES)


def size_of_sealed_part(number: int, *, sealed_bytes: int) -> int:
    """Return the size of one part of a sealed file: all are whole but the last."""
    return min(PART_BYTES, sealed_bytes - number * PART_BYTES)
