"""The feed: the desk's private door. The desk polls it and pushes signed or sealed data; the desk takes no calls.

Never stores a list that is not signed under the pinned root, or that is older than the one in force.

Never opens an item, and never leaves a report out: a row that was altered by hand is sent along, for the desk to set
aside, and a row on a damaged page is named by its position.

Each request is signed with the feed key in `agency.pin`, with canonical body and query; the network of the listener is
not trusted. Never accepts another key, and never runs in a process that the internet can reach.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
from flask import Blueprint, Flask, Response, current_app
from sqlalchemy import Connection

from gateway.exchange.desk_statements import MAX_PAGE_ANCHORS, AnchorPage, ForgetList
from gateway.exchange.feed import (
    EVIDENCE,
    KINDS,
    MAX_ROWS_BODY_BYTES,
    REPORT,
    Acknowledgement,
    AcknowledgementPost,
    AcknowledgementReply,
    EvidenceRow,
    FeedStatus,
    InvitationPost,
    ItemKind,
    ItemPost,
    ItemPostReply,
    ItemRow,
    NewItem,
    ReconciliationPage,
    ReconciliationRow,
    Side,
    StagePost,
    parse_part_number,
)
from gateway.exchange.request_signatures import SignatureClaim
from gateway.public_log import find_log_file
from gateway.signed_request import (
    UnknownItemError,
    answer_json,
    check_path,
    check_signature,
    get_number,
    parse_public_key,
    read_signed_body,
    register_refusals,
)
from gateway.store import StorageUnavailableError
from gateway.store.connections import find_instance
from gateway.store.evidence import WaitingEvidence, acknowledge_evidence, list_waiting_evidence
from gateway.store.items import StoredItem, acknowledge_item, list_items, put_invitation, put_item
from gateway.store.published import list_anchors, list_versions
from gateway.store.reports import (
    WaitingReport,
    acknowledge_report,
    count_waiting,
    find_heads,
    forget_reports,
    list_links,
    list_waiting_by_priority,
    read_waiting,
    set_stage,
    withdraw_acknowledgement,
)
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    check_report_id,
    format_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.enrolment import SHA256_BYTES
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import MAX_LIST_BYTES, PART_CONTENT_TYPE, Pin, key_id_of, parse_statement
from partner_sdk.wire.submission import check_partner_id

T = TypeVar("T")

MAX_SEQUENCE = 2**62


@dataclass(frozen=True, slots=True)
class DeskRequest:
    """A request whose headers the desk has signed; the body is not yet read."""

    gateway: Gateway
    claim: SignatureClaim

    def read_body(self) -> bytes:
        """Read the body and return it if it matches the signed digest."""
        return read_signed_body(self.claim)

    def parse_body(self, kind: type[T], *, max_bytes: int) -> T:
        """Read and parse the body; raises `FormatError`."""
        return parse_exact(self.read_body(), kind=kind, max_bytes=max_bytes)


def get_desk_request() -> DeskRequest:
    """Return the current request if the desk signed it; raises `SignatureProfileError`."""
    gateway = get_gateway(current_app)
    claim = check_signature(
        origin=gateway.config.feed_origin,
        find_key=lambda key_id: find_feed_key(gateway.pin, key_id),
        now=gateway.clock(),
        shared=gateway.limits.store,
    )
    return DeskRequest(gateway=gateway, claim=claim)


def find_feed_key(pin: Pin, key_id: str) -> bytes | None:
    """Return the feed key if it has this id; None if the pin has no feed key."""
    if pin.feed_key is None:
        return None
    feed_key = parse_public_key(pin.feed_key)
    return feed_key if key_id_of(feed_key) == key_id else None


MAX_LINKS = 1000


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_status() -> Response:
    """Answer from one snapshot of the database."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        instance = find_instance(connection)
        heads = find_heads(connection)
        serials = {version.name: version.serial for version in list_versions(connection)}
        count, waiting = count_waiting(connection), list_waiting_by_priority(connection)
    if instance is None:
        raise StorageUnavailableError("The database has no instance name yet.", reason="schema")
    return answer_json(
        FeedStatus(
            chains=heads,
            environment=gateway.config.environment,
            epoch=instance.epoch,
            instance=instance.name,
            is_damaged=heads is None or count > sum(one.count for one in waiting) or gateway.soundness.is_damaged(),
            key_set_serial=serials.get("key-set"),
            register_serial=serials.get("register"),
            unacknowledged=count,
            waiting=tuple(waiting),
        )
    )


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_reconciliation() -> Response:
    """Answer with the chain links after position `after`, acknowledged or not; `more` is true if others follow."""
    gateway = get_desk_request().gateway
    after = get_number("after", default=0, least=0, most=MAX_SEQUENCE)
    with gateway.store.read() as connection:
        links, more = list_links(connection, after=after, limit=MAX_LINKS)
    statements = tuple(
        ReconciliationRow(
            intake_sha256=link.intake_sha256.hex(),
            partner=link.partner,
            position=link.position,
            report_id=link.report_id,
            sequence=link.sequence,
        )
        for link in links
    )
    return answer_json(ReconciliationPage(more=more, statements=statements))


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_log_file(path: str) -> Response:
    """Answer with a file of the public log, as everybody gets it; 404 if there is none."""
    raw = find_log_file(get_desk_request().gateway.store, path)
    if raw is None:
        raise UnknownItemError("The public log has no such file.", reason="unknown-log-file")
    return Response(raw, content_type="application/octet-stream")


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_LIST_BYTES)
def put_list(name: str) -> Response:
    """Answer with the serial in force of a list, the number of an `audit` anchor, or a count. Safe to repeat.

    The count is of the reports of `forget` that this gateway knows, and has forgotten.
    """
    desk = get_desk_request()
    state = desk.gateway.key_state
    accept: dict[str, Callable[[bytes], int]] = {
        "keys": state.accept_key_set,
        "register": state.accept_register,
        "audit": state.accept_anchor,
        "staffing": state.accept_staffing,
        "forget": lambda raw: _forget(desk.gateway, state.open_forget_list(raw)),
    }
    if name not in accept:
        raise UnknownItemError("There is no such list.", reason="unknown-list")
    return answer_json({"serial": accept[name](desk.read_body())})


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_anchors() -> Response:
    """Answer with the anchors of the desk's audit log after number `after`, as they were signed."""
    gateway = get_desk_request().gateway
    after = get_number("after", default=0, least=0, most=MAX_SEQUENCE)
    with gateway.store.read() as connection:
        found = list_anchors(connection, after=after, limit=MAX_PAGE_ANCHORS + 1)
    page, more = found[:MAX_PAGE_ANCHORS], len(found) > MAX_PAGE_ANCHORS
    return answer_json(AnchorPage(anchors=tuple(parse_statement(raw) for raw in page), more=more))


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_invitations() -> Response:
    """Answer with the number stored: all or none. Safe to repeat. Stores only the hash of each secret."""
    desk = get_desk_request()
    post = desk.parse_body(InvitationPost, max_bytes=MAX_ROWS_BODY_BYTES)
    rows = []
    for invitation in post.invitations:
        check_partner_id(invitation.partner)
        hashed = parse_base64url(invitation.secret_sha256, length=SHA256_BYTES)
        rows.append((hashed, invitation.partner, parse_time(invitation.expires_at)))
    with desk.gateway.store.write() as connection:
        for hashed, partner, expires_at in rows:
            put_invitation(connection, secret_sha256=hashed, partner=partner, expires_at=expires_at)
    return answer_json({"stored": len(rows)})


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_stages() -> Response:
    """Answer with the number set; ignores unknown reports. A late message never moves a stage back."""
    desk = get_desk_request()
    post = desk.parse_body(StagePost, max_bytes=MAX_ROWS_BODY_BYTES)
    with desk.gateway.store.write() as connection:
        known = sum(set_stage(connection, item) for item in post.stages)
    return answer_json({"updated": known})


def _forget(gateway: Gateway, listed: ForgetList) -> int:
    known, blobs = forget_reports(gateway.store, listed, now=gateway.clock())
    # Last, as everywhere: no row can name them any more.
    gateway.evidence.blobs.remove_blobs(blobs)
    return known


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


ROUTES = (
    ("GET", "/feed/status", get_status),
    ("GET", "/feed/items/<kind>", get_items),
    ("POST", "/feed/items/<kind>", post_items),
    ("POST", "/feed/acknowledgements", post_acknowledgements),
    ("GET", "/feed/evidence/<partner>/<evidence_id>/<part>", get_evidence_part),
    ("GET", "/feed/reconciliation", get_reconciliation),
    ("GET", "/feed/log/<path:path>", get_log_file),
    ("PUT", "/feed/lists/<name>", put_list),
    ("GET", "/feed/anchors", get_anchors),
    ("POST", "/feed/invitations", post_invitations),
    ("POST", "/feed/stages", post_stages),
)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/feed` to an app; views read the gateway from the app."""
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in ROUTES:
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)
