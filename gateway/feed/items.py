"""Exchanges sealed items with the desk: waiting items, acknowledgements, and items for partners and children.

Never opens an item, and never leaves a report out: a row that was altered by hand is sent along, for the desk to set
aside, and a row on a damaged page is named by its position.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from flask import Response
from sqlalchemy import Connection

from gateway.feed.desk_request import MAX_SEQUENCE, get_desk_request
from gateway.refusals import UnknownItemError
from gateway.signed_request import answer_json, get_number
from gateway.store.collection import WaitingReport, acknowledge_report, read_waiting, withdraw_acknowledgement
from gateway.store.evidence import WaitingEvidence, acknowledge_evidence, list_waiting_evidence
from gateway.store.items import StoredItem, acknowledge_item, list_items, put_item
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.evidence import EvidenceRow, parse_part_number
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES
from partner_sdk.wire.items import (
    EVIDENCE,
    KINDS,
    REPORT,
    Acknowledgement,
    AcknowledgementPost,
    AcknowledgementReply,
    ItemKind,
    ItemPost,
    ItemPostReply,
    ItemRow,
    NewItem,
    Side,
)
from partner_sdk.wire.signature_profile import PART_CONTENT_TYPE
from partner_sdk.wire.statements import parse_statement

_MOST_POSTED_BYTES = max(kind.max_body_bytes for kind in KINDS.values() if kind.put_by == "desk")


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_items(kind: str) -> Response:
    """Answer with at most `limit` items after position `after`; `more` is true if others follow."""
    gateway = get_desk_request().gateway
    wanted = _get_kind(kind, taken_by="desk")
    limit = get_number("limit", default=wanted.max_items, least=1, most=wanted.max_items)
    after = get_number("after", default=0, least=0, most=MAX_SEQUENCE)
    with gateway.store.read() as connection:
        if wanted is REPORT:
            return _answer_reports(connection, after=after, limit=limit)
        if wanted is EVIDENCE:
            return _answer_evidence(connection, after=after, limit=limit)
        return _answer_stored(connection, wanted, after=after, limit=limit)


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_evidence_part(partner: str, evidence_id: str, part: str) -> Response:
    """Answer with the sealed bytes of one part; 404 if absent or not complete, 503 if lost.

    The desk checks each part against the digest in the list.
    """
    gateway = get_desk_request().gateway
    number = parse_part_number(part)
    found = gateway.evidence.read_part(partner=partner, evidence_id=evidence_id, part=number)
    if found is None:
        raise UnknownItemError("There is no such part.", reason="unknown-evidence")
    return Response(found, content_type=PART_CONTENT_TYPE)


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_acknowledgements() -> Response:
    """Answer with the number acknowledged, including earlier ones, or waiting again if the desk has lost them."""
    desk = get_desk_request()
    post = desk.parse_body(AcknowledgementPost, max_bytes=MAX_ROWS_BODY_BYTES)
    kind = KINDS.get(post.kind)
    if kind is None or kind.taken_by != "desk" or (post.is_withdrawn and not kind.may_wait_again):
        raise FormatError("The desk cannot acknowledge or return items of this kind.", reason="malformed")
    if any((item.sha256 is None) is kind.proves_digest for item in post.items):
        raise FormatError("Each acknowledgement of this kind must have a digest, or none may.", reason="malformed")
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        known = sum(
            _acknowledge(connection, kind, item, is_withdrawn=post.is_withdrawn, now=now) for item in post.items
        )
    return answer_json(AcknowledgementReply(acknowledged=known))


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=_MOST_POSTED_BYTES)
def post_items(kind: str) -> Response:
    """Answer with the outcome of each item, in order; in a conflict none is stored.

    The same id with different bytes is a conflict, unless the desk names the bytes that they replace: a message sealed
    again for a partner that has lost its key. An unknown reference is not an error.
    """
    desk = get_desk_request()
    wanted = _get_kind(kind, put_by="desk")
    post = desk.parse_body(ItemPost, max_bytes=wanted.max_body_bytes)
    if len(post.items) > wanted.max_items:
        raise FormatError(f"Send at most {wanted.max_items} items at a time.", reason="malformed")
    envelopes = [_parse_envelope(item, wanted) for item in post.items]
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        results = tuple(
            put_item(
                connection,
                wanted,
                address=item.address,
                item_id=item.item_id,
                envelope=envelope,
                now=now,
                replaces=[bytes.fromhex(digest) for digest in item.replaces],
            )
            for item, envelope in zip(post.items, envelopes, strict=True)
        )
    return answer_json(ItemPostReply(results=results))


def describe_report(report: WaitingReport) -> dict[str, object]:
    """Return one row: the envelope in base64url, the statements byte for byte."""
    return {
        "envelope": to_base64url(report.envelope),
        "intake": _describe_statement(report.intake),
        "submission": None if report.submission is None else _describe_statement(report.submission),
    }


def _get_kind(name: str, *, put_by: Side | None = None, taken_by: Side | None = None) -> ItemKind:
    kind = KINDS.get(name)
    if kind is None or put_by not in {None, kind.put_by} or taken_by not in {None, kind.taken_by}:
        raise UnknownItemError("There is no such kind of item.", reason="unknown-kind")
    return kind


def _answer_reports(connection: Connection, *, after: int, limit: int) -> Response:
    page = read_waiting(connection, limit=limit, after=after)
    rows = [describe_report(report) for report in page.reports]
    return _answer_page(rows, last=page.get_last(after=after), more=page.more, unreadable=page.unreadable)


def _answer_evidence(connection: Connection, *, after: int, limit: int) -> Response:
    found = list_waiting_evidence(connection, limit=limit + 1, after=after)
    rows = [
        EvidenceRow(
            digest=one.digest.hex(),
            evidence_id=one.evidence_id,
            part_sha256=tuple(part.sha256.hex() for part in one.parts),
            partner=one.partner,
            size_bytes=one.size_bytes,
        )
        for one in found[:limit]
    ]
    return _answer_page(rows, last=_get_last(found[:limit], after=after), more=len(found) > limit)


def _answer_stored(connection: Connection, kind: ItemKind, *, after: int, limit: int) -> Response:
    found = list_items(connection, kind, limit=limit + 1, after=after)
    rows = [
        ItemRow(
            address=one.address,
            envelope=to_base64url(one.envelope),
            item_id=one.item_id,
            put_at=format_time(one.put_at),
        )
        for one in found[:limit]
    ]
    return _answer_page(rows, last=_get_last(found[:limit], after=after), more=len(found) > limit)


def _get_last(found: Sequence[WaitingEvidence] | Sequence[StoredItem], *, after: int) -> int:
    return found[-1].position if found else after


def _answer_page(rows: Sequence[object], *, last: int, more: bool, unreadable: Sequence[int] = ()) -> Response:
    # Built like an `ItemPage`, but with rows that are encoded once: a page of reports is 17 MB.
    return answer_json({"items": rows, "last": last, "more": more, "unreadable": unreadable})


def _describe_statement(raw: bytes) -> msgspec.Raw | str:
    """Return a statement as raw JSON, or in base64url if it is malformed, so that the answer stays JSON."""
    try:
        parse_statement(raw)
    except FormatError:
        return to_base64url(raw)
    return msgspec.Raw(raw)


def _acknowledge(
    connection: Connection, kind: ItemKind, item: Acknowledgement, *, is_withdrawn: bool, now: datetime
) -> bool:
    # post_acknowledgements has checked that a digest is present where one is needed.
    sha256 = bytes.fromhex(item.sha256 or "")
    if kind is EVIDENCE:
        return acknowledge_evidence(connection, partner=item.address, evidence_id=item.item_id, digest=sha256, now=now)
    if kind is not REPORT:
        return acknowledge_item(connection, kind, address=item.address, item_id=item.item_id, now=now)
    if is_withdrawn:
        return withdraw_acknowledgement(connection, partner=item.address, report_id=item.item_id, intake_sha256=sha256)
    return acknowledge_report(connection, partner=item.address, report_id=item.item_id, intake_sha256=sha256, now=now)


def _parse_envelope(item: NewItem, kind: ItemKind) -> bytes:
    """Return the bytes of an item's envelope; raises `FormatError` unless it is canonical."""
    kind.check_address(item.address)
    check_report_id(item.item_id)
    if item.replaces and not kind.may_be_replaced:
        raise FormatError("An item of this kind cannot replace another.", reason="malformed")
    raw = parse_base64url(item.envelope, max_bytes=kind.max_envelope_bytes)
    Envelope.parse(raw, max_bytes=kind.max_envelope_bytes)
    return raw
