"""`/v1/mailbox` of the sandbox: messages signed by its own agency, sealed to each partner, kept until acknowledged."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from partner_sdk.sandbox.agency import SANDBOX, SandboxAgency
from partner_sdk.sandbox.answers import Answer, ProblemAnswer, answer_json
from partner_sdk.sandbox.partners import SandboxPartner, SignedCall
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    format_time,
    make_report_id,
    parse_any_spelling,
    to_base64url,
)
from partner_sdk.wire.mailbox_message import (
    FIRST_PREVIOUS,
    MAX_ACK_BODY_BYTES,
    MAX_WAITING_MESSAGES,
    EmptyBody,
    MailboxItem,
    MailboxList,
    MailboxMessage,
    MessageKind,
    mailbox_context,
    message_sha256,
    sign_message,
)
from partner_sdk.wire.sealing import seal


@dataclass(slots=True)
class _Mailbox:
    items: dict[str, MailboxItem] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    previous: str = FIRST_PREVIOUS


class SandboxMailboxes:
    """The mailboxes of all partners, by name."""

    def __init__(self, agency: SandboxAgency) -> None:
        self._agency = agency
        self._by_partner: dict[str, _Mailbox] = {}

    def send(self, partner: SandboxPartner, *, kind: MessageKind, body: bytes, now: datetime) -> str:
        """Sign, seal and put one message; return its id. `body` is canonical JSON, its shape given by `kind`."""
        mailbox = self._by_partner.setdefault(partner.partner, _Mailbox())
        message_id = make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES))
        signed = sign_message(
            MailboxMessage(
                body=to_base64url(body),
                environment=SANDBOX,
                issued_at=format_time(now),
                kind=kind,
                message_id=message_id,
                number=len(mailbox.items) + 1,
                previous=mailbox.previous,
                recipient=partner.partner,
            ),
            mailbox_signing_key=self._agency.mailbox_signing_key,
        )
        context = mailbox_context(environment=SANDBOX, partner=partner.partner, message_id=message_id)
        box = seal(signed, key=partner.mailbox_key, context=context)
        mailbox.items[message_id] = MailboxItem(envelope=to_base64url(box.to_bytes()), message_id=message_id)
        mailbox.previous = message_sha256(signed)
        return message_id

    def is_acknowledged(self, message_id: str) -> bool:
        """Return whether its partner has saved a message and said so."""
        return any(message_id in mailbox.acknowledged for mailbox in self._by_partner.values())

    def get_mailbox(self, partner: SandboxPartner) -> Answer:
        """Answer with the oldest messages that were not acknowledged."""
        mailbox = self._by_partner.get(partner.partner, _Mailbox())
        waiting = [item for message_id, item in mailbox.items.items() if message_id not in mailbox.acknowledged]
        return answer_json(MailboxList(messages=tuple(waiting[:MAX_WAITING_MESSAGES])))

    def post_ack(self, call: SignedCall, *, message_id: str) -> Answer:
        """Answer 200, also when it was acknowledged before; 404 for everything that is not this partner's."""
        parse_any_spelling(call.read_body(), kind=EmptyBody, max_bytes=MAX_ACK_BODY_BYTES)
        mailbox = self._by_partner.get(call.partner.partner, _Mailbox())
        if message_id not in mailbox.items:
            raise ProblemAnswer(problems.NOT_FOUND)
        mailbox.acknowledged.add(message_id)
        return answer_json({})
