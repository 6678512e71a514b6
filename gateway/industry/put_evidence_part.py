"""`PUT /v1/evidence/{id}/{part}`: takes one part of sealed evidence, in any order, as often as it comes.

Never answers before bytes and row are durable (gateway/evidence/keeper.py), and never looks into a part.
"""

from http import HTTPStatus

from flask import Response, request

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import Caller, get_caller
from gateway.json_answer import answer_json
from gateway.signed_request import copy_signed_body
from gateway.store.evidence import PartRow
from gateway.web.rules import BodyRoom, CsrfRule, Login, rule
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire import problems
from partner_sdk.wire.evidence import PART_BYTES, PartNumber, StoredPart, check_part_size, parse_part_number
from partner_sdk.wire.field_types import EvidenceId
from partner_sdk.wire.signature_profile import PART_CONTENT_TYPE


@rule(
    login=Login.PARTNER,
    limit="partner-part",
    csrf=CsrfRule.SIGNED,
    body_bytes=PART_BYTES,
    body_room=BodyRoom.PARTS,
    media_type=PART_CONTENT_TYPE,
)
@describe(
    Call(
        group="Evidence",
        summary="Send one sealed part of a file",
        purpose=(
            "Parts come in any order, a few at once, and again as often as you like. All but the last have exactly "
            "8 MiB. The same bytes again are no fault; other bytes under the same number are."
        ),
        body=bytes,
        path={"evidence_id": EvidenceId, "part": PartNumber},
        answers=(
            Answer(HTTPStatus.CREATED, "The part is stored.", StoredPart),
            Answer(HTTPStatus.OK, "These very bytes were here.", StoredPart),
        ),
        problems=(problems.CONFLICTING_EVIDENCE, problems.EVIDENCE_QUOTA, problems.EVIDENCE_PAUSED),
    )
)
def put_evidence_part(evidence_id: str, part: str) -> Response:
    """Answer 201 with what is stored, 200 when these very bytes were here; 409 for other bytes."""
    caller = get_caller()
    caller.gateway.limits.check("partner-part", subject=caller.partner)
    row = PartRow(part=parse_part_number(part), size_bytes=get_part_size(), sha256=get_body_sha256(caller))
    is_new = caller.gateway.evidence.put_part(
        row,
        partner=caller.partner,
        evidence_id=evidence_id,
        copy_body=lambda write: copy_signed_body(caller.claim, write=write),
    )
    return answer_json(
        StoredPart(part=row.part, sha256=row.sha256.hex()), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK
    )


def get_part_size() -> int:
    """Return how many bytes the body has; raises `FormatError` for a size that no part has."""
    size_bytes = request.content_length or 0
    check_part_size(size_bytes)
    return size_bytes


def get_body_sha256(caller: Caller) -> bytes:
    """Return the SHA-256 that the caller has signed for the body."""
    signed = caller.claim.body_sha256
    if signed is None:
        raise SignatureProfileError("The signature and the body do not go together.", reason="body-not-covered")
    return signed
