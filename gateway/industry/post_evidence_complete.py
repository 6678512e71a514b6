"""`POST /v1/evidence/{id}/complete`: the partner says that all parts are here, and under which digest.

Never believes it: sizes and digest are those of the bytes that came.
"""

from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.signed_request import read_signed_body
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import parse_any_spelling
from partner_sdk.wire.evidence import MAX_COMPLETE_BYTES, CompletePost, CompleteReply
from partner_sdk.wire.field_types import EvidenceId


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.SIGNED, body_bytes=MAX_COMPLETE_BYTES)
@describe(
    Call(
        group="Evidence",
        summary="Say that all parts are sent",
        purpose=(
            "The gateway counts what it holds and compares it with the digest that you name. A report may name "
            "evidence before this: a P1 goes first."
        ),
        body=CompletePost,
        path={"evidence_id": EvidenceId},
        answers=(Answer(HTTPStatus.OK, "All of it is held under this digest.", CompleteReply),),
        problems=(problems.CONFLICTING_EVIDENCE, problems.INCOMPLETE_EVIDENCE),
    )
)
def post_evidence_complete(evidence_id: str) -> Response:
    """Answer 200 with the digest, as often as asked; 422 with pointers at what is missing; 409 for another digest."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    digest = caller.gateway.evidence.complete(post, partner=caller.partner, evidence_id=evidence_id)
    if digest is None:
        raise UnknownItemError("This partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(CompleteReply(digest=digest))
