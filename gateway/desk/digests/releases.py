"""The release of a made digest: a second signature, then the partner's mailbox or, for an overview, the public.

`release` is the only way for a digest or an overview to leave the desk.
"""

import hashlib
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.desk.cases.outbox_run import send_due
from gateway.desk.digests.ledger import (
    OVERVIEW_OF,
    DigestError,
    DigestRecord,
    get_body,
    get_record,
    get_signer,
    make_message_id,
    mark_rejected,
    mark_released,
)
from gateway.desk.digests.own_facts import list_adopters
from gateway.desk.office.organisations import get_partner_names
from gateway.desk.office.people.releases import PUBLICATION, Release, draft_release, find_release, get_signed
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.mailbox import is_refused, store_message
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.audit import append_entry
from partner_sdk.console.digests.page import render_overview_page
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.digest import DigestNotice, parse_overview
from partner_sdk.wire.mailbox import MessageKind

MAX_REASON_CHARACTERS = 500


def release(desk: Desk, digest_id: str) -> DigestRecord:
    """Seal and queue what a second person signed, then send the queue; repeated, it only sends.

    A digest goes to its partner, an overview to each adopter of the button with keys. Raises `ReleaseError`
    (`not-signed`) unless a second person signed exactly these bytes, `DigestError`, and the feed client's errors after:
    then the messages are queued, and the next `collect` or release sends them.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        record = get_record(connection, digest_id)
        if record.state != "released":
            signer, body = get_signer(connection, record), get_body(record)
            # The same digest is the same message for ever, also for a desk that was restored and has forgotten it.
            messages = {record.partner: make_message_id(digest_id)}
            if record.partner == OVERVIEW_OF:
                adopters, own = list_adopters(connection), PARTNERS.c.environment == desk.config.environment
                with_keys = connection.execute(select(PARTNERS.c.partner).where(PARTNERS.c.state == "active", own))
                readers = sorted(adopters.intersection(with_keys.scalars()))
                messages = {partner: make_message_id(f"{digest_id}/{partner}") for partner in readers}
            if not messages:
                raise DigestError("No adopter of the button has a mailbox yet.", reason="no-adopters")
            # In one transaction with the record: what has begun to leave the desk cannot be rejected.
            kind: MessageKind = "overview" if record.partner == OVERVIEW_OF else "digest"
            for partner, message_id in messages.items():
                store_message(
                    desk, connection, partner=partner, kind=kind, body=body, actor=signer, message_id=message_id
                )
            message_id = messages.get(record.partner, "")
            mark_released(connection, digest_id, by=signer, message_id=message_id, now=now)
            append_entry(connection, "digest-released", digest_id, at=now, actor=signer, partners=len(messages))
            record = get_record(connection, digest_id)
    send_due(desk, only={"message"}).raise_first()
    _check_accepted(desk, digest_id)
    return record


def reject(desk: Desk, digest_id: str, *, by: str, reason: str) -> DigestRecord:
    """Reject a digest and inform its partner that the period has none, without the reason; repeated, it only sends.

    Its budget stays spent and the period gets no other digest. One whose noise was lost can be rejected unfinished. A
    service without keys has no mailbox and is not informed; the feed client's errors come after the message is queued.
    """
    reason, now = reason.strip(), desk.clock()
    with desk.store.write() as connection:
        record = get_record(connection, digest_id)
        has_mailbox = record.partner in get_partner_names(connection)
        if record.state != "rejected":
            if record.state not in ("made", "drawing"):
                raise DigestError("Only a digest that waits for release can be rejected.", reason="not-waiting")
            if not reason or len(reason) > MAX_REASON_CHARACTERS:
                raise DigestError(f"Give a reason of 1 to {MAX_REASON_CHARACTERS} characters.", reason="no-reason")
            mark_rejected(connection, digest_id, by=by, reason=reason, now=now)
            append_entry(connection, "digest-rejected", digest_id, at=now, actor=by)
            record = get_record(connection, digest_id)
            if has_mailbox:
                store_message(
                    desk,
                    connection,
                    partner=record.partner,
                    kind="digest-not-published",
                    body=encode(DigestNotice(desk.config.environment, record.partner, record.quarter)),
                    actor=by,
                    # In the place of the digest itself: the gateway takes one of the two, also from a restored desk.
                    message_id=make_message_id(digest_id),
                )
    if has_mailbox:
        send_due(desk, only={"message"}).raise_first()
        _check_accepted(desk, digest_id)
    return record


def _check_accepted(desk: Desk, digest_id: str) -> None:
    with desk.store.read() as connection:
        if is_refused(connection, make_message_id(digest_id)):
            raise DigestError(
                "The gateway has another digest of this partner and period: this desk published it, was restored from "
                "an older backup since, and has lost its journal of draws. The published one stands, and this one is "
                "never sent. There is nothing to repeat: tell the head of the desk that the privacy budget of this "
                "period was spent twice, and ask the partner for its copy if you need the figures "
                "(docs/running.md, Restore).",
                reason="published-before",
            )


def propose_publication(store: DeskStore, digest_id: str, *, by: str, reason: str, now: datetime) -> Release:
    """Enter the publication of a released overview for a second person to sign, and record the reason."""
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
    """Return the public page and figures of an overview, once a second person signed that. Raises `ReleaseError`."""
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
