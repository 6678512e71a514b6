"""The feed's calls without items: the desk reads status and links, and sends lists, invitations and stages.

Never stores a list that is not signed under the pinned root, or that is older than the one in force.
"""

from collections.abc import Callable

from flask import Response

from gateway.feed.desk_request import MAX_SEQUENCE, get_desk_request
from gateway.guidance.destruction import ForgetList
from gateway.public_log import find_log_file
from gateway.refusals import UnknownItemError
from gateway.signed_request import answer_json, get_number
from gateway.store import StorageUnavailableError
from gateway.store.anchors import list_anchors
from gateway.store.collection import (
    count_waiting,
    find_heads,
    forget_reports,
    list_links,
    list_waiting_by_priority,
    set_stage,
)
from gateway.store.high_water import find_instance
from gateway.store.invitations import put_invitation
from gateway.store.published import list_versions
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.wiring import Gateway
from partner_sdk.wire.audit_anchor import MAX_PAGE_ANCHORS, AnchorPage
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.enrolment import SHA256_BYTES
from partner_sdk.wire.feed_messages import (
    MAX_ROWS_BODY_BYTES,
    ChainHead,
    FeedStatus,
    InvitationPost,
    ReconciliationPage,
    ReconciliationRow,
    StagePost,
)
from partner_sdk.wire.statements import MAX_LIST_BYTES, parse_statement
from partner_sdk.wire.submission import check_partner_id

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
            chains=None
            if heads is None
            else tuple(ChainHead(partner=one.partner, sequence=one.sequence) for one in heads),
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
