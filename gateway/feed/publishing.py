"""What the desk tells this gateway: the lists that it signed, whom it has invited, how far reports are.

Never stores a list that does not lead from the pinned root, or that is older than the one in force.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.store.collection import set_stage
from gateway.store.invitations import put_invitation
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.enrolment import SHA256_BYTES
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, InvitationPost, StagePost
from partner_sdk.wire.statements import MAX_LIST_BYTES
from partner_sdk.wire.submission import check_partner_id


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_LIST_BYTES)
def put_list(name: str) -> Response:
    """Answer with the serial that is in force now, of `keys` or of `register`; the same list again is no fault."""
    desk = get_desk_request()
    accept = {"keys": desk.gateway.key_state.accept_key_set, "register": desk.gateway.key_state.accept_register}
    if name not in accept:
        raise UnknownItemError("There is no such list.", reason="unknown-list")
    return answer_json({"serial": accept[name](desk.read_body())})


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_invitations() -> Response:
    """Answer with how many are stored: all or none. Safe to repeat. Each is known by the hash of its secret alone."""
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
    """Answer with how many are set now; the others are not known here. A late message moves nothing back."""
    desk = get_desk_request()
    post = desk.parse_body(StagePost, max_bytes=MAX_ROWS_BODY_BYTES)
    with desk.gateway.store.write() as connection:
        known = sum(set_stage(connection, item) for item in post.stages)
    return answer_json({"updated": known})
