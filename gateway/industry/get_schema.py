"""`GET /v1/schema/report.json`: the JSON Schema of the report that a partner fills in before it is sealed."""

from functools import lru_cache
from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.json_answer import answer_bytes
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.report import report_schema
from partner_sdk.wire.canonical import encode


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the schema of the report",
        purpose="The JSON Schema (2020-12) of the report that you fill in and seal. No report comes here unsealed.",
        answers=(Answer(HTTPStatus.OK, "The schema.", dict),),
    )
)
def get_schema() -> Response:
    """Answer anybody."""
    return answer_bytes(_encode_schema())


@lru_cache(maxsize=1)
def _encode_schema() -> bytes:
    return encode(report_schema())
