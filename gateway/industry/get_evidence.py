"""`GET /v1/evidence/{id}`: which parts of its evidence a partner need not send again.

Never tells evidence of somebody else from what does not exist.
"""

from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire.evidence import EvidenceState
from partner_sdk.wire.field_types import EvidenceId


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Evidence",
        summary="See which parts are here",
        purpose="What a client asks after a cut line, so that it sends again only what is missing.",
        path={"evidence_id": EvidenceId},
        answers=(Answer(HTTPStatus.OK, "The parts in order, and the digest once it is complete.", EvidenceState),),
    )
)
def get_evidence(evidence_id: str) -> Response:
    """Answer with the parts in order, and the digest once it is complete. No parts any more once the desk has it."""
    caller = get_caller()
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    found = caller.gateway.evidence.find_state(partner=caller.partner, evidence_id=evidence_id)
    if found is None:
        raise UnknownItemError("This partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(found)
