"""Sealed boxes for a person at the agency to decide on: enrolments, account changes, requests to show the button.

Never reads a box. Never changes an account: only a register signed by the agency does. Never says why an invitation
failed. Caps the boxes of each kind, so that reports keep their disk space.
"""

from http import HTTPStatus

from flask import Response, current_app, request

from gateway.description.calls import Answer, Call, describe
from gateway.industry.caller import get_accepted_keys, get_caller
from gateway.intake import UnknownSealingKeyError
from gateway.refusals import UnknownInvitationError
from gateway.signed_request import answer_json, read_signed_body
from gateway.store.invitations import find_invitation
from gateway.store.items import keep_item
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.wire import problems
from partner_sdk.wire.account import MAX_ACCOUNT_BODY_BYTES, AccountPost
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, AdoptionPost
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    check_report_id,
    make_report_id,
    parse_any_spelling,
    parse_base64url,
)
from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES, SHA256_BYTES, EnrolmentPost
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.items import ACCOUNT_CHANGE, ADOPTION_REQUEST, ENROLMENT, ItemKind
from partner_sdk.wire.replies import WaitingReply


@rule(login=Login.OPEN, limit="enrol", csrf=CsrfRule.SIGNED, body_bytes=MAX_ENROLMENT_BODY_BYTES)
@describe(
    Call(
        group="Enrolment",
        summary="Accept an invitation",
        purpose=(
            "Sends your new public keys to the agency in a box that only the agency can open. Once the agency has "
            "approved them, you can sign requests. Sending the same box again is safe; an invitation accepts one box."
        ),
        body=EnrolmentPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The box is stored until the agency decides.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.UNKNOWN_INVITATION,
            problems.NOT_READY,
        ),
    )
)
def post_enrol() -> Response:
    """Answer 202 once the box is stored. Safe to repeat; refuses another box for a used invitation."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=EnrolmentPost, max_bytes=MAX_ENROLMENT_BODY_BYTES)
    hashed = parse_base64url(post.secret_sha256, length=SHA256_BYTES)
    box = parse_box(gateway, ENROLMENT, post.envelope)
    check_invitation(gateway, secret_sha256=hashed)
    enrolment_id = make_report_id(gateway.clock(), gateway.random(REPORT_ID_RANDOM_BYTES))
    return keep_box(gateway, ENROLMENT, address=post.secret_sha256, item_id=enrolment_id, box=box)


def check_invitation(gateway: Gateway, *, secret_sha256: bytes) -> None:
    """Raise `UnknownInvitationError` unless the invitation exists and has not expired.

    Uses a read transaction, so that guesses do not queue with the writes of reports.
    """
    with gateway.store.read() as connection:
        found = find_invitation(connection, secret_sha256=secret_sha256, now=gateway.clock())
    if found is None:
        raise UnknownInvitationError("No open invitation has this secret.", reason="unknown-invitation")


def parse_box(gateway: Gateway, kind: ItemKind, text: str) -> bytes:
    """Decode a box from base64url. Raises `FormatError`, or `UnknownSealingKeyError` if sealed to an unknown key."""
    raw = parse_base64url(text, max_bytes=kind.max_envelope_bytes)
    envelope = Envelope.parse(raw, max_bytes=kind.max_envelope_bytes)
    if get_accepted_keys(gateway).find_accepted_sealing_key(envelope.key_id, now=gateway.clock()) is None:
        raise UnknownSealingKeyError("The box is sealed to a key that is not in use.")
    return raw


def keep_box(gateway: Gateway, kind: ItemKind, *, address: str, item_id: str, box: bytes) -> Response:
    """Answer 202 once the box is stored. Safe to repeat. Raises `ConflictingItemError`, `NoRoomError`."""
    check_report_id(item_id)
    keep_item(gateway.store, kind, address=address, item_id=item_id, envelope=box, now=gateway.clock())
    return answer_json(WaitingReply(), status=HTTPStatus.ACCEPTED)


@rule(login=Login.PARTNER, limit="partner-account", csrf=CsrfRule.SIGNED, body_bytes=MAX_ACCOUNT_BODY_BYTES)
@describe(
    Call(
        group="Account",
        summary="Change your account",
        purpose=(
            "Sends new keys or contacts in a box that only the agency can open. A person there decides; nothing "
            "changes until the agency has signed a new register."
        ),
        body=AccountPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The change is stored until the agency decides.", WaitingReply),),
        problems=(problems.MALFORMED_ENVELOPE, problems.UNKNOWN_AGENCY_KEY, problems.CONFLICTING_MESSAGE),
    )
)
def post_account() -> Response:
    """Answer 202 once the change is stored. Safe to repeat; refuses another change under the same id."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
    caller.gateway.limits.check("partner-account", subject=caller.partner)
    box = parse_box(caller.gateway, ACCOUNT_CHANGE, post.envelope)
    return keep_box(caller.gateway, ACCOUNT_CHANGE, address=caller.partner, item_id=post.change_id, box=box)


@rule(login=Login.OPEN, limit="adoption", csrf=CsrfRule.SIGNED, body_bytes=MAX_ADOPTION_BODY_BYTES)
@describe(
    Call(
        group="The button",
        summary="Ask to show the button",
        purpose=(
            "Sends your details and the places for the button, in a box that only the agency can open. Needs no "
            "key and no invitation. A person there reads it and writes back; nothing is published or agreed yet. "
            "Sending the same box again is safe."
        ),
        body=AdoptionPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The request is stored; the agency writes back.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.CONFLICTING_MESSAGE,
            problems.NOT_READY,
            problems.ADOPTION_FULL,
        ),
    )
)
def post_adoption() -> Response:
    """Answer 202 once the request is stored. Safe to repeat; refuses another box under the same id."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=AdoptionPost, max_bytes=MAX_ADOPTION_BODY_BYTES)
    box = parse_box(gateway, ADOPTION_REQUEST, post.envelope)
    return keep_box(gateway, ADOPTION_REQUEST, address="", item_id=post.request_id, box=box)
