"""A partner's mailbox: lists the caller's waiting messages, deletes those that it acknowledges, and takes its entries.

Never shows a partner another's message, and never deletes one that was not acknowledged. Never reads an entry, and
takes none about a message that is not the caller's own.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

from flask import Response, request
from msgspec import Meta

from gateway.description.calls import Answer, Call, describe
from gateway.industry.accounts import keep_box, parse_box
from gateway.industry.caller import get_caller
from gateway.refusals import UnknownItemError
from gateway.signed_request import answer_bytes, answer_json, get_number, read_signed_body
from gateway.store import Store
from gateway.store.items import StoredItem, acknowledge_item, has_own_item, list_own_items
from gateway.web.long_wait import WAIT_KEY, Wait
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, parse_any_spelling, to_base64url
from partner_sdk.wire.field_types import MessageId
from partner_sdk.wire.items import MAILBOX_MESSAGE, THREAD_ENTRY
from partner_sdk.wire.mailbox_message import (
    MAX_ACK_BODY_BYTES,
    MAX_WAIT_SECONDS,
    MAX_WAITING_MESSAGES,
    EmptyBody,
    MailboxItem,
    MailboxList,
)
from partner_sdk.wire.replies import WaitingReply
from partner_sdk.wire.thread_entry import MAX_ENTRY_BODY_BYTES, EntryPost

WaitSeconds = Annotated[int, Meta(ge=0, le=MAX_WAIT_SECONDS, description="The longest wait for a first message.")]
# A cap on the memory that a partner needs for one answer.
ANSWER_BYTES = 16 * 1024 * 1024


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Mailbox",
        summary="Fetch messages from the agency",
        purpose=(
            "Sealed messages that you have not acknowledged, oldest first, "
            f"at most {MAX_WAITING_MESSAGES} at a time. Save and acknowledge them, and ask again until none is left. "
            "With `wait`, an empty mailbox is answered as soon as a message comes, or when the time is over. If too "
            "many wait already, it is answered at once, and Retry-After names the seconds until you ask again."
        ),
        query={"wait": WaitSeconds},
        answers=(Answer(HTTPStatus.OK, "The waiting messages.", MailboxList, may_name_a_wait=True),),
    )
)
def get_mailbox() -> Response:
    """Answer with the oldest messages first; an empty mailbox may wait for one without a thread."""
    caller = get_caller()
    seconds = get_number("wait", default=0, least=0, most=MAX_WAIT_SECONDS)
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    store, partner = caller.gateway.store, caller.partner
    found = _find_messages(store, partner)
    if found is None and seconds:
        request.environ[WAIT_KEY] = Wait(
            subject=partner,
            signature=request.headers["Signature"],
            seconds=seconds,
            find_body=lambda: _find_messages(store, partner),
        )
    return answer_bytes(encode(MailboxList(messages=())) if found is None else found)


def _find_messages(store: Store, partner: str) -> bytes | None:
    with store.read() as connection:
        waiting = list_own_items(connection, MAILBOX_MESSAGE, address=partner, limit=MAX_WAITING_MESSAGES)
    return encode(MailboxList(messages=tuple(_fill_answer(waiting)))) if waiting else None


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


@rule(login=Login.PARTNER, limit="partner-entry", csrf=CsrfRule.SIGNED, body_bytes=MAX_ENTRY_BODY_BYTES)
@describe(
    Call(
        group="Mailbox",
        summary="Write to the agency about a message",
        purpose=(
            "Sends one entry of the thread of a message, in a box that only the agency can open: that a person took "
            "it, a question, an answer, an outcome, a note, or a refusal. It stays open to entries after you have "
            "acknowledged the message. Sending the same box again is safe."
        ),
        body=EntryPost,
        path={"message_id": MessageId},
        answers=(Answer(HTTPStatus.ACCEPTED, "The entry is stored until the agency collects it.", WaitingReply),),
        problems=(problems.MALFORMED_ENVELOPE, problems.UNKNOWN_AGENCY_KEY, problems.CONFLICTING_MESSAGE),
    )
)
def post_mailbox_entry(message_id: str) -> Response:
    """Answer 202 once the entry is stored. Safe to repeat; refuses another box under the same id.

    404 unless the message is, or was, this partner's.
    """
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=EntryPost, max_bytes=MAX_ENTRY_BODY_BYTES)
    caller.gateway.limits.check("partner-entry", subject=caller.partner)
    with caller.gateway.store.read() as connection:
        is_own = has_own_item(connection, MAILBOX_MESSAGE, address=caller.partner, item_id=message_id)
    if not is_own:
        raise UnknownItemError("The partner has no message with this id.", reason="unknown-message")
    box = parse_box(caller.gateway, THREAD_ENTRY, post.envelope)
    return keep_box(caller.gateway, THREAD_ENTRY, address=caller.partner, item_id=post.entry_id, box=box)
