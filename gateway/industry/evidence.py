"""A partner's sealed evidence: accepts parts in any order, lists them, and completes a file under its digest.

Never answers before file and row are durable (gateway/evidence/keeper.py), never opens a part, counts only bytes that
arrived, and answers 404 alike for unknown evidence and for another partner's.
"""

from http import HTTPStatus

from flask import Response, request

from gateway.description.document import Answer, Call, describe
from gateway.refusals import UnknownItemError
from gateway.signed_request import Caller, answer_json, copy_signed_body, get_caller, read_signed_body
from gateway.store.evidence import PartRow
from gateway.web.rules import BodyRoom, CsrfRule, Login, rule
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import EvidenceId, parse_any_spelling
from partner_sdk.wire.evidence import (
    MAX_COMPLETE_BYTES,
    PART_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    PartNumber,
    StoredPart,
    check_part_size,
    parse_part_number,
)
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
            "Send parts in any order, several in parallel, and repeat them as needed. All but the last have exactly "
            "8 MiB. Sending the same bytes again is safe; different bytes under the same number are refused."
        ),
        body=bytes,
        path={"evidence_id": EvidenceId, "part": PartNumber},
        answers=(
            Answer(HTTPStatus.CREATED, "The part is stored.", StoredPart),
            Answer(HTTPStatus.OK, "The same bytes were already stored.", StoredPart),
        ),
        problems=(problems.CONFLICTING_EVIDENCE, problems.EVIDENCE_QUOTA, problems.EVIDENCE_PAUSED),
    )
)
def put_evidence_part(evidence_id: str, part: str) -> Response:
    """Answer 201 for a new part, 200 if the same bytes are already stored, 409 for different bytes."""
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
    """Return the size of the body; raises `FormatError` for a size that no part can have."""
    size_bytes = request.content_length or 0
    check_part_size(size_bytes)
    return size_bytes


def get_body_sha256(caller: Caller) -> bytes:
    """Return the SHA-256 of the body that the caller has signed."""
    signed = caller.claim.body_sha256
    if signed is None:
        raise SignatureProfileError("The signature does not cover the body.", reason="body-not-covered")
    return signed


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Evidence",
        summary="List the stored parts",
        purpose="After a broken connection, tells a client which parts to send again.",
        path={"evidence_id": EvidenceId},
        answers=(
            Answer(HTTPStatus.OK, "The parts in order, and the digest once the evidence is complete.", EvidenceState),
        ),
    )
)
def get_evidence(evidence_id: str) -> Response:
    """Answer with the parts in order, and the digest once complete; no parts once the desk has collected them."""
    caller = get_caller()
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    found = caller.gateway.evidence.find_state(partner=caller.partner, evidence_id=evidence_id)
    if found is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(found)


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.SIGNED, body_bytes=MAX_COMPLETE_BYTES)
@describe(
    Call(
        group="Evidence",
        summary="Complete the evidence",
        purpose=(
            "The gateway compares the stored parts with the digest that you name. A report may name evidence that "
            "is not yet complete: send a P1 first."
        ),
        body=CompletePost,
        path={"evidence_id": EvidenceId},
        answers=(Answer(HTTPStatus.OK, "Everything is stored under this digest.", CompleteReply),),
        problems=(problems.CONFLICTING_EVIDENCE, problems.INCOMPLETE_EVIDENCE),
    )
)
def post_evidence_complete(evidence_id: str) -> Response:
    """Answer 200 with the digest; 422 with a pointer for each missing part; 409 for another digest. Safe to repeat."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    digest = caller.gateway.evidence.complete(post, partner=caller.partner, evidence_id=evidence_id)
    if digest is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(CompleteReply(digest=digest))
