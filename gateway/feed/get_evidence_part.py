"""`GET /feed/evidence/{partner}/{id}/{part}`: the sealed bytes of one part, as they came.

Never opens them. The desk checks each part against the digest that the page named.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.refusals import UnknownItemError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.evidence_rules import parse_part_number
from partner_sdk.wire.signature_profile import PART_CONTENT_TYPE


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_evidence_part(partner: str, evidence_id: str, part: str) -> Response:
    """Answer with the bytes; 404 for what is not here or not complete, 503 when the disk has lost them."""
    gateway = get_desk_request().gateway
    number = parse_part_number(part)
    found = gateway.evidence.read_part(partner=partner, evidence_id=evidence_id, part=number)
    if found is None:
        raise UnknownItemError("There is no such part.", reason="unknown-evidence")
    return Response(found, content_type=PART_CONTENT_TYPE)
