"""`GET /feed/reports`: the sealed reports that the desk has not acknowledged, oldest first.

Never opens one, and never leaves one out: a row that was altered by hand goes along, for the desk to set aside, and one
that a damaged page hides is named by its position.
"""

import msgspec
from flask import Response

from gateway.feed.desk_request import MAX_SEQUENCE, get_desk_request, get_number
from gateway.json_answer import answer_json
from gateway.store.collection import WaitingReport, read_waiting
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.statements import parse_statement

MAX_REPORTS = 200


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_reports() -> Response:
    """Answer with at most `limit` reports behind position `after`; `more` says that others wait behind them."""
    gateway = get_desk_request().gateway
    limit = get_number("limit", default=MAX_REPORTS, least=1, most=MAX_REPORTS)
    after = get_number("after", default=0, least=0, most=MAX_SEQUENCE)
    with gateway.store.read() as connection:
        page = read_waiting(connection, limit=limit, after=after)
    return answer_json(
        {
            "last": page.get_last(after=after),
            "more": page.more,
            "reports": [describe_report(report) for report in page.reports],
            "unreadable": page.unreadable,
        }
    )


def describe_report(report: WaitingReport) -> dict[str, object]:
    """Return one row: the envelope in base64url, the statements byte for byte."""
    return {
        "envelope": to_base64url(report.envelope),
        "intake": describe_statement(report.intake),
        "submission": None if report.submission is None else describe_statement(report.submission),
    }


def describe_statement(raw: bytes) -> msgspec.Raw | str:
    """Return a statement to be nested as it is; one that is no statement, in base64url, so that the page stays JSON."""
    try:
        parse_statement(raw)
    except FormatError:
        return to_base64url(raw)
    return msgspec.Raw(raw)
