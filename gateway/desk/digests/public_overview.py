"""Makes a released overview public: one supervisor proposes its page and figures, another signs those exact files."""

import hashlib
from datetime import datetime

from sqlalchemy import Connection

from gateway.desk.audit import append_entry
from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.records import DigestRecord, get_record
from gateway.desk.digests.signatures import get_body
from gateway.desk.people.releases import PUBLICATION, Release, draft_release, find_release, get_signed
from gateway.desk.store import DeskStore
from partner_sdk.digests.page import render_overview_page
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.digest import parse_overview


def propose_publication(store: DeskStore, digest_id: str, *, by: str, reason: str, now: datetime) -> Release:
    """Enter the publication of a released overview for a second person to sign, and record the reason.

    Raises `DigestError` (`not-released`, `no-reason`).
    """
    with store.write() as connection:
        record = get_record(connection, digest_id)
        _check_released(record)
        if not reason.strip():
            raise DigestError("Give the reason for making it public.", reason="no-reason")
        found = find_publication(connection, record)
        if found is not None:
            return found
        append_entry(connection, "overview-proposed", digest_id, at=now, actor=by, reason=reason.strip())
        body = describe_files(record)
        return draft_release(connection, kind=PUBLICATION, subject=digest_id, body=body, by=by, now=now)


def find_publication(connection: Connection, record: DigestRecord) -> Release | None:
    """Return the proposal to publish exactly these files, or None."""
    if record.state != "released":
        return None
    return find_release(connection, kind=PUBLICATION, subject=record.digest_id, body=describe_files(record))


def publish_overview(store: DeskStore, digest_id: str, *, by: str, now: datetime) -> tuple[str, bytes]:
    """Return the public page and figures of an overview whose publication a second person signed.

    Raises `DigestError` (`not-released`) and `ReleaseError` (`not-signed`).
    """
    with store.write() as connection:
        record = get_record(connection, digest_id)
        _check_released(record)
        get_signed(connection, kind=PUBLICATION, subject=digest_id, body=describe_files(record))
        append_entry(connection, "overview-made-public", digest_id, at=now, actor=by)
    return _make_files(record)


def describe_files(record: DigestRecord) -> bytes:
    """Return the bytes that a second person signs: the hashes of both files."""
    page, data = _make_files(record)
    hashes = {"data": hashlib.sha256(data).hexdigest(), "page": hashlib.sha256(page.encode()).hexdigest()}
    return encode(hashes)


def _make_files(record: DigestRecord) -> tuple[str, bytes]:
    body = get_body(record)
    return render_overview_page(parse_overview(body)), body


def _check_released(record: DigestRecord) -> None:
    if record.state != "released":
        raise DigestError("Only an overview that adopters have can be made public.", reason="not-released")
