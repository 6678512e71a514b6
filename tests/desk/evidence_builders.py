"""Files sealed by hand as in WIRE.md §6.6, handed over through the real industry door, and collected by the desk."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.cases.case_files import CaseFile, make_case_files
from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.collection.evidence_collecting import EvidenceCollected, collect_evidence
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.store.schema import EVIDENCE
from gateway.exchange import feed
from gateway.exchange.feed import EvidenceRow
from partner_sdk.report import encode_sealed_report, make_sealed_report
from partner_sdk.report.model import ReportedFile
from partner_sdk.wire.canonical import make_report_id, to_base64url
from partner_sdk.wire.evidence import EvidenceReference, derive_file_key
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import (
    NOW,
    PUBLIC_ORIGIN,
    Door,
    Partner,
    SealedReport,
    make_clear_fields,
    make_industry_report,
    sign_for_envelope,
)
from tests.builders.evidence import SealedEvidence, hand_over
from tests.desk.desk_loop import ACTOR, Loop

SEGMENT_TEXT = 1_048_560
PART = 8 * 1_048_576
PADDED_TO = 65_536


@dataclass(frozen=True)
class Film:
    """A partner's plain file, its sealed form, and its entry in a report."""

    plain: bytes
    sealed: SealedEvidence
    reference: EvidenceReference

    @property
    def evidence_id(self) -> str:
        """Its id at the gateway."""
        return self.sealed.evidence_id


def seal_bytes(plain: bytes, *, secret: bytes, padding: bytes | None = None) -> tuple[bytes, ...]:
    """Seal a file by hand: segments, nonces, padding, parts. `padding` is put in place of the zeros."""
    cipher = AESGCM(derive_file_key(secret=secret, sha256=hashlib.sha256(plain).digest()))
    texts = [plain[start : start + SEGMENT_TEXT] for start in range(0, len(plain), SEGMENT_TEXT)] or [b""]
    short = min(max(1, -(-len(texts[-1]) // PADDED_TO)) * PADDED_TO, SEGMENT_TEXT) - len(texts[-1])
    texts[-1] += bytes(short) if padding is None else padding[:short].ljust(short, b"\0")
    sealed = b"".join(
        cipher.encrypt(bytes(7) + number.to_bytes(4, "big") + bytes([number == len(texts) - 1]), text, None)
        for number, text in enumerate(texts)
    )
    return tuple(sealed[start : start + PART] for start in range(0, len(sealed), PART))


def make_film(
    plain: bytes = b"a made-up film",
    *,
    file_id: str = "file-1",
    padding: bytes | None = None,
    evidence_id: str | None = None,
    **changes: Any,
) -> Film:
    """Seal a file; `changes` are of its reference."""
    secret = os.urandom(32)
    sealed = SealedEvidence(
        evidence_id or make_report_id(NOW, os.urandom(10)), seal_bytes(plain, secret=secret, padding=padding)
    )
    reference = EvidenceReference(
        digest=sealed.digest,
        evidence_id=sealed.evidence_id,
        file_id=file_id,
        secret=to_base64url(secret),
        sha256=hashlib.sha256(plain).hexdigest(),
        size_bytes=len(plain),
    )
    return Film(plain, sealed, msgspec.structs.replace(reference, **changes))


def tell_of(film: Film, **changes: Any) -> ReportedFile:
    """Return a report's entry for a file."""
    values: dict[str, Any] = {
        "copy_kept_until": None,
        "exif_viewed_by_staff": False,
        "file_id": film.reference.file_id,
        "name": "holiday.mp4",
        "media_type": "video/mp4",
        "relevance": "reported",
        "viewed_by_staff": False,
        **changes,
    }
    return ReportedFile(**values)


def seal_with(
    loop: Loop,
    references: Sequence[EvidenceReference],
    *,
    partner: Partner | None = None,
    files: Sequence[ReportedFile] = (),
    **changes: Any,
) -> SealedReport:
    """Seal a report with these references; `changes` are clear fields, which name the same evidence unless they do."""
    sender = partner or loop.partner
    ids = tuple(one.evidence_id for one in references)
    clear = make_clear_fields(sender.partner, **{"evidence_ids": ids, **changes})
    report = make_industry_report(files=tuple(files))
    content = encode_sealed_report(make_sealed_report(report, clear=clear, evidence=tuple(references)))
    envelope = seal(content, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(clear, envelope, private_key=sender.submission_key)
    return SealedReport(clear=clear, envelope=envelope, statement=statement)


def open_door(loop: Loop, partner: Partner | None = None) -> Door:
    """Open the industry door for a partner."""
    return Door(loop.open_app("industry"), PUBLIC_ORIGIN, loop.clock, (partner or loop.partner).submission_key)


def post(door: Door, sealed: SealedReport) -> None:
    """Post a report at the door, which locks the evidence that it names."""
    answer = door.post("/v1/reports", sealed.body)
    assert answer.status_code == 201, answer.text


def send_film(loop: Loop, film: Film | None = None, *, partner: Partner | None = None, **changes: Any) -> Film:
    """Hand a file over and post the report that names it; nothing is collected yet."""
    film = film or make_film()
    door = open_door(loop, partner)
    hand_over(door, film.sealed)
    post(door, seal_with(loop, [film.reference], partner=partner, files=[tell_of(film)], **changes))
    return film


def collect(loop: Loop, feed: FeedClient | None = None, **settings: Any) -> EvidenceCollected:
    """Collect evidence alone."""
    return collect_evidence(loop.desk, feed or loop.desk.make_feed(), actor=ACTOR, **settings)


def collect_all(loop: Loop, feed: FeedClient | None = None) -> EvidenceCollected:
    """Collect reports, then evidence, as `collect` does."""
    loop.collect()
    return collect(loop, feed)


def waiting(loop: Loop) -> list[str]:
    """Return the ids of the evidence that the gateway still holds for the desk."""
    page = loop.desk.make_feed().get_items(feed.EVIDENCE)
    return [msgspec.json.decode(row, type=EvidenceRow).evidence_id for row in page.items]


def held(loop: Loop) -> list[str]:
    """Return the ids of the evidence that is whole at the desk."""
    with loop.desk.store.read() as connection:
        return [row.evidence_id for row in connection.execute(EVIDENCE.select().order_by(EVIDENCE.c.evidence_id))]


def part_files(loop: Loop, film: Film) -> list[Path]:
    """Return the files of a film's parts at the desk."""
    return sorted(loop.desk.paths.evidence.glob(f"*/{film.evidence_id}/*"))


def blob_files(loop: Loop, film: Film) -> list[Path]:
    """Return the files of a film at the gateway, in the order of its parts."""
    with loop.gateway.store.read() as connection:
        names = connection.exec_driver_sql(
            "SELECT blob FROM evidence_parts JOIN evidence USING (position) WHERE evidence_id = ? ORDER BY part",
            (film.evidence_id,),
        ).scalars()
        return [loop.folder / "gateway" / "evidence" / name for name in names]


def newest_case(loop: Loop) -> CaseRow:
    """Return the newest case."""
    with loop.desk.store.read() as connection:
        return max(list_cases(connection, state="all"), key=lambda case: (case.received_at, case.case_id))


def newest_file(loop: Loop) -> CaseFile:
    """Open the newest case and return its one file."""
    opened = open_case(loop.desk, newest_case(loop).case_id, actor=ACTOR)
    (found,) = make_case_files(loop.desk, opened.case, opened.content, actor="test").files
    return found


class CountingFeed(FeedClient):
    """The feed, counting the parts that are asked for; the first of them can be made to fail."""

    asked: list[int]
    dies_at: int | None = None

    def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
        """Fetch a part, or fall over."""
        self.asked.append(part)
        if self.dies_at is not None and len(self.asked) > self.dies_at:
            raise KeyboardInterrupt
        return super().get_evidence_part(partner=partner, evidence_id=evidence_id, part=part)


def count_parts_asked(loop: Loop, *, dies_at: int | None = None) -> CountingFeed:
    """Return a feed that counts."""
    feed = loop.make_feed(CountingFeed)
    assert isinstance(feed, CountingFeed)
    feed.asked, feed.dies_at = [], dies_at
    return feed
