"""`POST /feed/invitations`: whom the desk has invited, known here by the hash of a secret alone."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.invitations import put_invitation
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, InvitationPost
from partner_sdk.wire.submission import check_partner_id

SHA256_BYTES = 32


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_invitations() -> Response:
    """Answer with how many are stored: all or none. Safe to repeat."""
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
