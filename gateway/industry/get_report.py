"""`GET /v1/reports/{id}`: the receipt and the stage of a partner's own report.

Never tells a report of somebody else from one that does not exist.
"""

import msgspec
from flask import Response

from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.web.rules import CsrfRule, Login, rule


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
def get_report(report_id: str) -> Response:
    """Answer with the stored bytes of the receipt inside, the stage, and the outcome once the desk released one."""
    caller = get_caller()
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    found = caller.gateway.intake.find_receipt(partner=caller.partner, report_id=report_id)
    if found is None:
        raise UnknownItemError("This partner has no report with this id.", reason="unknown-report")
    return answer_json({"outcome": found.outcome, "receipt": msgspec.Raw(found.receipt), "stage": found.stage})
