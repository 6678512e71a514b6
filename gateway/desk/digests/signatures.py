"""The bytes of a made digest of any kind, and the second person's signature that their release needs."""

from datetime import datetime

from sqlalchemy import Connection

from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.ledger import OVERVIEW_OF
from gateway.desk.digests.records import DigestRecord
from gateway.desk.people.releases import DIGEST, OVERVIEW, Release, draft_release, find_release, get_signed


def get_body(record: DigestRecord) -> bytes:
    """Return the published bytes, or raise `DigestError` with the reason for their absence."""
    if record.body is not None:
        return record.body
    if record.state == "not-eligible":
        raise DigestError(
            (
                "The partner is not eligible: it has not adopted the button and has too few incidents. "
                "No digest was made; the budget already used stays spent."
            ),
            reason="not-eligible",
        )
    raise DigestError("This digest is not finished: make it again, and it goes on.", reason="not-made")


def check_waiting(record: DigestRecord) -> None:
    """Raise `DigestError` unless this digest waits for its release."""
    if record.state != "made":
        raise DigestError(
            f"This digest is {record.state.replace('-', ' ')}; it cannot be released.", reason="not-waiting"
        )


def enter_draft(connection: Connection, record: DigestRecord, *, now: datetime) -> None:
    """Enter the release of a finished digest for a second person to sign; one without bytes needs none."""
    if record.body is not None:
        kind, made_by = _get_kind(record), record.made_by
        draft_release(connection, kind=kind, subject=record.digest_id, body=record.body, by=made_by, now=now)


def find_draft(connection: Connection, record: DigestRecord) -> Release | None:
    """Return the release of a digest's bytes, with its signature if it has one."""
    if record.body is None:
        return None
    return find_release(connection, kind=_get_kind(record), subject=record.digest_id, body=record.body)


def get_signer(connection: Connection, record: DigestRecord) -> str:
    """Return the second person, whose signature covers exactly these bytes. Raises `DigestError`, `ReleaseError`."""
    check_waiting(record)
    kind, body = _get_kind(record), get_body(record)
    return get_signed(connection, kind=kind, subject=record.digest_id, body=body).signer


def _get_kind(record: DigestRecord) -> str:
    return OVERVIEW if record.partner == OVERVIEW_OF else DIGEST
