"""The record of a digest: the frozen clusters, the draws, and the published bytes.

Each part is written once. Never contains typed text, and never leaves the desk: only the published bytes inside it do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk.digests.tables import CountedCluster
from gateway.desk.keyring.quarters import Quarter
from gateway.desk.store.partner_tables import DIGESTS
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire import canonical

MAX_RECORD_BYTES = 256 * 1024 * 1024

State = Literal["drawing", "made", "not-eligible", "rejected", "released"]


class DigestRecordError(ReportAbuseError):
    """A digest is absent, or a write-once part of it would be written again."""


class Workings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data behind a digest. `digest` is the published bytes, or null before they are made or if there are none."""

    adopted: bool
    threshold: int
    placements: list[tuple[str, str]]
    synthetic: bool
    own_reports: int
    clusters: list[CountedCluster]
    draws: dict[str, list[int]]
    digest: str | None


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """One row of the desk's table of digests."""

    digest_id: str
    partner: str
    quarter: str
    state: State
    made_at: str
    made_by: str
    released_at: str | None
    released_by: str | None
    message_id: str | None
    workings: Workings

    @property
    def body(self) -> bytes | None:
        """The published bytes, which never change; None while there are none."""
        return None if self.workings.digest is None else self.workings.digest.encode("utf-8")


def make_digest_id(*, partner: str, quarter: Quarter) -> str:
    """Return the only possible id for a partner's quarter, e.g. `2026-Q3.example-chat`."""
    return f"{quarter.name}.{partner}"


def find_record(connection: Connection, digest_id: str) -> DigestRecord | None:
    """Return a digest's record, or None."""
    row = connection.execute(select(DIGESTS).where(DIGESTS.c.digest_id == digest_id)).first()
    return None if row is None else _read(row)


def get_record(connection: Connection, digest_id: str) -> DigestRecord:
    """Return a digest's record, or raise `DigestRecordError`."""
    record = find_record(connection, digest_id)
    if record is None:
        raise DigestRecordError("No digest has that id. `digest list` shows every digest.", reason="unknown-digest")
    return record


def list_records(connection: Connection, *, partner: str | None = None) -> list[DigestRecord]:
    """Return the records, newest quarter first."""
    query = select(DIGESTS).order_by(DIGESTS.c.quarter.desc(), DIGESTS.c.partner)
    if partner is not None:
        query = query.where(DIGESTS.c.partner == partner)
    return [_read(row) for row in connection.execute(query)]


def add_record(
    connection: Connection, *, partner: str, quarter: Quarter, by: str, now: datetime, workings: Workings
) -> DigestRecord:
    """Freeze the data behind a digest."""
    digest_id = make_digest_id(partner=partner, quarter=quarter)
    connection.execute(
        insert(DIGESTS).values(
            digest_id=digest_id,
            partner=partner,
            quarter=quarter.name,
            payload=canonical.encode(workings),
            state="drawing",
            made_at=canonical.format_time(now),
            made_by=by,
        )
    )
    return get_record(connection, digest_id)


def add_draw(connection: Connection, digest_id: str, *, table: str, draw: list[int]) -> None:
    """Store one draw; raise `DigestRecordError` if it exists or the digest is past drawing."""
    record = get_record(connection, digest_id)
    if record.state != "drawing" or table in record.workings.draws:
        raise DigestRecordError(
            f"The draw of {table} came too late to be stored and was discarded unseen.", reason="drawn-already"
        )
    draws = record.workings.draws | {table: draw}
    _write(connection, digest_id, {"payload": canonical.encode(msgspec.structs.replace(record.workings, draws=draws))})


def finish_record(connection: Connection, digest_id: str, *, body: bytes | None, now: datetime) -> None:
    """Store the published bytes, or that the partner is ineligible; raise `DigestRecordError` the second time."""
    record = get_record(connection, digest_id)
    if record.state != "drawing":
        raise DigestRecordError("This digest has already been made.", reason="made-already")
    workings = msgspec.structs.replace(record.workings, digest=None if body is None else body.decode("utf-8"))
    state: State = "not-eligible" if body is None else "made"
    changes = {"payload": canonical.encode(workings), "state": state, "made_at": canonical.format_time(now)}
    _write(connection, digest_id, changes)


def mark_rejected(connection: Connection, digest_id: str) -> None:
    """Record that a person rejected the preview; the spend stays."""
    _write(connection, digest_id, {"state": "rejected"})


def mark_released(connection: Connection, digest_id: str, *, by: str, message_id: str, now: datetime) -> None:
    """Record the releasing person and the message of a digest."""
    changes = {
        "state": "released",
        "released_by": by,
        "released_at": canonical.format_time(now),
        "message_id": message_id,
    }
    _write(connection, digest_id, changes)


def _write(connection: Connection, digest_id: str, changes: Mapping[str, object]) -> None:
    connection.execute(update(DIGESTS).where(DIGESTS.c.digest_id == digest_id).values(changes))


def _read(row: Row[tuple[object, ...]]) -> DigestRecord:
    values = dict(row._mapping)
    workings = canonical.parse_exact(bytes(values.pop("payload")), kind=Workings, max_bytes=MAX_RECORD_BYTES)
    return DigestRecord(**values, workings=workings)
