"""A partner's mailbox: lists the caller's waiting messages, and deletes those that it acknowledges.

Never shows a partner another's message, and never deletes one that was not acknowledged.
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

# A cap on the memory that a partner needs for one answer.
ANSWER_BYTES = 16 * 1024 * 1024


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Mailbox",
        summary="Fetch messages from the agency",
        purpose=(
            "Sealed messages that you have not acknowledged, oldest first, "
            f"at most {MAX_WAITING_MESSAGES} at a time. Save and acknowledge them, and ask again until none is left."
        ),
        answers=(Answer(HTTPStatus.OK, "The waiting messages.", MailboxList),),
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
    """Yield messages until the answer is full, but at least one."""
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
        summary="Acknowledge a message",
        purpose="Confirms that you have saved a message, so that the gateway can delete it. Safe to repeat.",
        body=EmptyBody,
        path={"message_id": MessageId},
        answers=(Answer(HTTPStatus.OK, "The message is deleted here.", EmptyBody),),
    )
)
def post_mailbox_ack(message_id: str) -> Response:
    """Answer 200, also for a message already acknowledged; 404 unless the message is this partner's."""
    caller = get_caller()
    parse_any_spelling(read_signed_body(caller.claim), kind=EmptyBody, max_bytes=MAX_ACK_BODY_BYTES)
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    gateway = caller.gateway
    with gateway.store.write() as connection:
        known = acknowledge_item(
            connection, MAILBOX_MESSAGE, address=caller.partner, item_id=message_id, now=gateway.clock()
        )
    if not known:
        raise UnknownItemError("The partner has no message with this id.", reason="unknown-message")
    return answer_json({})
