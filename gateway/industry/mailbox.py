"""A partner's mailbox: lists the sealed messages that wait for the caller, and drops those that it has saved.

Never shows one partner's message to another, and never forgets one that was not acknowledged.
"""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Response

from gateway.description.calls import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.refusals import UnknownItemError
from gateway.signed_request import answer_json, read_signed_body
from gateway.store.items import StoredItem, acknowledge_item, list_own_items
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire.canonical import parse_any_spelling, to_base64url
from partner_sdk.wire.field_types import MessageId
from partner_sdk.wire.items import MAILBOX_MESSAGE
from partner_sdk.wire.mailbox_message import (
    MAX_ACK_BODY_BYTES,
    MAX_WAITING_MESSAGES,
    EmptyBody,
    MailboxItem,
    MailboxList,
)

# A partner need not take more than this at once into its memory.
ANSWER_BYTES = 16 * 1024 * 1024


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Mailbox",
        summary="Fetch the messages of the agency",
        purpose=(
            "Sealed messages to you that you have not acknowledged, the oldest first, "
            f"at most {MAX_WAITING_MESSAGES} at once. Save them, acknowledge them, and ask again until none is left."
        ),
        answers=(Answer(HTTPStatus.OK, "The messages that wait.", MailboxList),),
    )
)
def get_mailbox() -> Response:
    """Answer with the oldest messages first."""
    caller = get_caller()
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    with caller.gateway.store.read() as connection:
        waiting = list_own_items(connection, MAILBOX_MESSAGE, address=caller.partner, limit=MAX_WAITING_MESSAGES)
    return answer_json(MailboxList(messages=tuple(_fill_answer(waiting))))


def _fill_answer(waiting: list[StoredItem]) -> Iterator[MailboxItem]:
    """Yield messages until the answer is full, and one in any case."""
    held_bytes = 0
    for message in waiting:
        held_bytes += len(message.envelope)
        if held_bytes > ANSWER_BYTES and message is not waiting[0]:
            return
        yield MailboxItem(envelope=to_base64url(message.envelope), message_id=message.item_id)


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
