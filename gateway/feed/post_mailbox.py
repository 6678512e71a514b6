"""`POST /feed/mailbox`: sealed messages for partners, kept until each partner acknowledges its own.

Never opens one. The same id with other bytes is refused, unless the desk names the very bytes that they replace: a
message that was sealed again for a partner that has lost its key.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.mailbox import post_message
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import check_report_id, parse_base64url
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.feed_messages import MAX_MAILBOX_BODY_BYTES, MailboxPost, MailboxPostItem
from partner_sdk.wire.submission import check_partner_id


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_MAILBOX_BODY_BYTES)
def post_mailbox() -> Response:
    """Answer with how many are new; all are stored, or none."""
    desk = get_desk_request()
    post = desk.parse_body(MailboxPost, max_bytes=MAX_MAILBOX_BODY_BYTES)
    rows = [(item, parse_envelope(item)) for item in post.messages]
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        stored = sum(
            post_message(
                connection,
                partner=item.partner,
                message_id=item.message_id,
                envelope=envelope,
                now=now,
                replaces=tuple(bytes.fromhex(digest) for digest in item.replaces),
            )
            for item, envelope in rows
        )
    return answer_json({"stored": stored})


def parse_envelope(item: MailboxPostItem) -> bytes:
    """Return the bytes of a message's envelope; raises `FormatError` for anything that is not in its one spelling."""
    check_partner_id(item.partner)
    check_report_id(item.message_id)
    raw = parse_base64url(item.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    Envelope.parse(raw)
    return raw
