"""`POST /feed/acknowledgements`: the desk holds these reports on its own disk; `.../withdrawn`: no longer.

Never believed without the digest of the statement that the desk holds.
"""

import re

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.collection import acknowledge_report, withdraw_acknowledgement
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, AcknowledgementPost, AcknowledgementReply

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_acknowledgements() -> Response:
    """Answer with how many are acknowledged now or were before; the others are not known here."""
    desk = get_desk_request()
    post = desk.parse_body(AcknowledgementPost, max_bytes=MAX_ROWS_BODY_BYTES)
    digests = [parse_sha256(row.intake_sha256) for row in post.acknowledged]
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        known = sum(
            acknowledge_report(connection, partner=row.partner, report_id=row.report_id, intake_sha256=digest, now=now)
            for row, digest in zip(post.acknowledged, digests, strict=True)
        )
    return answer_json(AcknowledgementReply(acknowledged=known))


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_withdrawn_acknowledgements() -> Response:
    """Answer with how many of these reports wait again; of the others the envelope is gone, or they are not known."""
    desk = get_desk_request()
    post = desk.parse_body(AcknowledgementPost, max_bytes=MAX_ROWS_BODY_BYTES)
    digests = [parse_sha256(row.intake_sha256) for row in post.acknowledged]
    with desk.gateway.store.write() as connection:
        waiting = sum(
            withdraw_acknowledgement(connection, partner=row.partner, report_id=row.report_id, intake_sha256=digest)
            for row, digest in zip(post.acknowledged, digests, strict=True)
        )
    return answer_json(AcknowledgementReply(acknowledged=waiting))


def parse_sha256(text: str) -> bytes:
    """Return the bytes of a digest in hexadecimal, or raise `FormatError`."""
    if not _SHA256_HEX.fullmatch(text):
        raise FormatError("A digest must be 64 hexadecimal digits in lower case.", reason="malformed")
    return bytes.fromhex(text)
