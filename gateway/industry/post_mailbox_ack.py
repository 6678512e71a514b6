"""`POST /v1/mailbox/{id}/ack`: the partner has saved a message, and it need not be kept for it any longer."""

from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.refusals import UnknownItemError
from gateway.signed_request import read_signed_body
from gateway.store.items import acknowledge_item
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire.canonical import parse_any_spelling
from partner_sdk.wire.field_types import MessageId
from partner_sdk.wire.items import MAILBOX_MESSAGE
from partner_sdk.wire.mailbox_message import MAX_ACK_BODY_BYTES, EmptyBody


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.SIGNED, body_bytes=MAX_ACK_BODY_BYTES)
@describe(
    Call(
        group="Mailbox",
        summary="Say that you have saved a message",
        purpose="The gateway need not keep it for you any longer. Acknowledged before is no fault.",
        body=EmptyBody,
        path={"message_id": MessageId},
        answers=(Answer(HTTPStatus.OK, "It is not kept any longer.", EmptyBody),),
    )
)
def post_mailbox_ack(message_id: str) -> Response:
    """Answer 200, also when it was acknowledged before; 404 for everything that is not this partner's."""
    caller = get_caller()
    parse_any_spelling(read_signed_body(caller.claim), kind=EmptyBody, max_bytes=MAX_ACK_BODY_BYTES)
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    gateway = caller.gateway
    with gateway.store.write() as connection:
        known = acknowledge_item(
            connection, MAILBOX_MESSAGE, address=caller.partner, item_id=message_id, now=gateway.clock()
        )
    if not known:
        raise UnknownItemError("This partner has no message with this id.", reason="unknown-message")
    return answer_json({})
