"""`GET /v1/reports/{id}`: the receipt and the stage of a partner's own report.

Never tells a report of somebody else from one that does not exist.
"""

from http import HTTPStatus

import msgspec
from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire.field_types import ReportId
from partner_sdk.wire.replies import Progress


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Reports",
        summary="See how far a report of yours is",
        purpose=(
            "The receipt again, how far the report is, and the outcome once the agency released one. A receipt alone "
            "does not mean that the report could be read: look for the stage `set_aside` and its reason."
        ),
        path={"report_id": ReportId},
        answers=(Answer(HTTPStatus.OK, "Receipt, stage and outcome.", Progress),),
    )
)
def get_report(report_id: str) -> Response:
    """Answer with the stored bytes of the receipt inside, the stage, and the outcome once the desk released one."""
    caller = get_caller()
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    found = caller.gateway.intake.find_receipt(partner=caller.partner, report_id=report_id)
    if found is None:
        raise UnknownItemError("This partner has no report with this id.", reason="unknown-report")
    return answer_json(
        {
            "outcome": found.outcome,
            "receipt": msgspec.Raw(found.receipt),
            "set_aside_reason": found.set_aside_reason,
            "stage": found.stage,
        }
    )
