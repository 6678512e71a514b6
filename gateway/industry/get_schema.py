"""`GET /v1/schema/report.json` and `mailbox.json`: JSON Schemas of what is sealed, the report and mailbox messages."""

from functools import lru_cache
from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.json_answer import answer_bytes
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.report import report_schema
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.mailbox_message import mailbox_schema


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
    return answer_bytes(_encode_report_schema())


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the schemas of mailbox messages",
        purpose="The JSON Schema (2020-12) of an object with one property for each kind of message: its body.",
        answers=(Answer(HTTPStatus.OK, "The schema.", dict),),
    )
)
def get_mailbox_schema() -> Response:
    """Answer anybody."""
    return answer_bytes(_encode_mailbox_schema())


@lru_cache(maxsize=1)
def _encode_report_schema() -> bytes:
    return encode(report_schema())


@lru_cache(maxsize=1)
def _encode_mailbox_schema() -> bytes:
    return encode(mailbox_schema())
