"""`GET /feed/enrolments`: the sealed answers to invitations that the desk has not acknowledged.

Never reads one.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.enrolments import list_enrolments
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.feed_messages import EnrolmentPage, EnrolmentRow

MAX_ENROLMENTS = 100


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_enrolments() -> Response:
    """Answer with the oldest first; the rest comes after these are acknowledged."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        waiting = list_enrolments(connection, limit=MAX_ENROLMENTS)
    rows = tuple(
        EnrolmentRow(
            envelope=to_base64url(enrolment.envelope),
            id=enrolment.enrolment_id,
            received_at=format_time(enrolment.received_at),
            secret_sha256=to_base64url(enrolment.secret_sha256),
        )
        for enrolment in waiting
    )
    return answer_json(EnrolmentPage(enrolments=rows))
