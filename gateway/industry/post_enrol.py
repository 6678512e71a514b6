"""`POST /v1/enrol`: keeps one sealed answer to an invitation until the desk collects it.

Never reads the answer, and never tells more about an invitation than that this box can not answer one.
"""

from http import HTTPStatus

from flask import Response, current_app, request

from gateway.description.call import Answer, Call, describe
from gateway.industry.sealed_items import keep_box, parse_box
from gateway.refusals import UnknownInvitationError
from gateway.store.invitations import find_invitation
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id, parse_any_spelling, parse_base64url
from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES, SHA256_BYTES, EnrolmentPost
from partner_sdk.wire.items import ENROLMENT
from partner_sdk.wire.replies import WaitingReply


@rule(login=Login.OPEN, limit="enrol", csrf=CsrfRule.SIGNED, body_bytes=MAX_ENROLMENT_BODY_BYTES)
@describe(
    Call(
        group="Enrolment",
        summary="Answer an invitation",
        purpose=(
            "Sends your new public keys to the agency in a box that only the agency opens. Once it has approved them, "
            "your requests are known. The same box again is no fault; an invitation takes one box."
        ),
        body=EnrolmentPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The box is kept for the agency, which decides.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.UNKNOWN_INVITATION,
            problems.NOT_READY,
        ),
    )
)
def post_enrol() -> Response:
    """Answer 202 once the box is stored. The same box again is no fault; another box for a used invitation is."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_BODY_BYTES)
    hashed = parse_base64url(post.secret_sha256, length=SHA256_BYTES)
    box = parse_box(gateway, ENROLMENT, post.envelope)
    check_invitation(gateway, secret_sha256=hashed)
    enrolment_id = make_report_id(gateway.clock(), gateway.random(REPORT_ID_RANDOM_BYTES))
    return keep_box(gateway, ENROLMENT, address=post.secret_sha256, item_id=enrolment_id, box=box)


def check_invitation(gateway: Gateway, *, secret_sha256: bytes) -> None:
    """Raise `UnknownInvitationError` unless the invitation is known and has not expired.

    Read before the write, so that guessing does not stand in the queue of reports.
    """
    with gateway.store.read() as connection:
        found = find_invitation(connection, secret_sha256=secret_sha256, now=gateway.clock())
    if found is None:
        raise UnknownInvitationError("No open invitation has this secret.", reason="unknown-invitation")
