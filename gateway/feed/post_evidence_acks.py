"""`POST /feed/evidence-acks`: the desk holds these pieces of evidence on its own disk.

Never believed without the digest of the sealed bytes that the desk holds.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.evidence_collection import acknowledge_evidence
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.evidence import EvidenceAckPost
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, AcknowledgementReply


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_evidence_acks() -> Response:
    """Answer with how many are acknowledged now or were before; the others are not known here."""
    desk = get_desk_request()
    post = desk.parse_body(EvidenceAckPost, max_bytes=MAX_ROWS_BODY_BYTES)
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        known = sum(
            acknowledge_evidence(
                connection,
                partner=row.partner,
                evidence_id=row.evidence_id,
                digest=bytes.fromhex(row.digest),
                now=now,
            )
            for row in post.acknowledged
        )
    return answer_json(AcknowledgementReply(acknowledged=known))
