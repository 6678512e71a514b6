"""`POST /feed/replies`: sealed messages to return codes, kept for whoever comes back with the five words.

Never opens one, and never replaces one: the same id with other bytes is refused. A reference that is not known here is
no fault of the desk's: its place has had its time, and the answer says so.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.replies import post_reply
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import check_report_id, parse_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.feed_messages import MAX_REPLIES_BODY_BYTES, ReplyPost, ReplyPostItem, ReplyPostReply
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.reply_message import MAX_REPLY_ENVELOPE_BYTES


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_REPLIES_BODY_BYTES)
def post_replies() -> Response:
    """Answer what became of each, in order; in a conflict none is stored."""
    desk = get_desk_request()
    post = desk.parse_body(ReplyPost, max_bytes=MAX_REPLIES_BODY_BYTES)
    rows = [(item, parse_envelope(item)) for item in post.replies]
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        results = tuple(
            post_reply(connection, reference=item.reference, message_id=item.message_id, envelope=envelope, now=now)
            for item, envelope in rows
        )
    return answer_json(ReplyPostReply(results=results))


def parse_envelope(item: ReplyPostItem) -> bytes:
    """Return the bytes of a reply's envelope; raises `FormatError` for anything that is not in its one spelling."""
    check_reference(item.reference)
    check_report_id(item.message_id)
    raw = parse_base64url(item.envelope, max_bytes=MAX_REPLY_ENVELOPE_BYTES)
    Envelope.parse(raw, max_bytes=MAX_REPLY_ENVELOPE_BYTES)
    return raw
