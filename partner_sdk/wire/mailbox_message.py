"""Mailbox messages: signed by the agency first, then sealed to one partner (WIRE.md §9).

Immutable means the signed inner bytes: after a re-enrolment the same bytes may be sealed to a new key.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_exact, parse_time
from partner_sdk.wire.digest import Digest
from partner_sdk.wire.envelope import SealContext
from partner_sdk.wire.field_types import MessageId, base64url_of
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.questions import InformationRequest, OutcomeNote, SetAsideNotice, Welcome
from partner_sdk.wire.statements import (
    SignedStatement,
    StatementKind,
    open_statement,
    parse_statement,
    sign_statement,
)
from partner_sdk.wire.submission import AGENCY, SCHEMA_VERSION

MAX_MESSAGE_BYTES = 1024 * 1024
FIRST_PREVIOUS = "0" * 64
# What a partner takes into its memory at once: the rest comes after these are acknowledged.
MAX_WAITING_MESSAGES = 50
MAX_ACK_BODY_BYTES = 64

MessageKind = Literal["digest", "information-request", "outcome", "set-aside", "welcome"]
BODIES: Final[Mapping[MessageKind, type[msgspec.Struct]]] = {
    "digest": Digest,
    "information-request": InformationRequest,
    "outcome": OutcomeNote,
    "set-aside": SetAsideNotice,
    "welcome": Welcome,
}


class MailboxMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message to one partner.

    `number` counts up from 1 per partner; `previous` is the SHA-256 (hexadecimal) of the signed bytes of the message
    before. `body` is canonical JSON in base64url, its shape given by `kind`.
    """

    body: str
    environment: Environment
    issued_at: str
    kind: MessageKind
    message_id: str
    number: int
    previous: str
    recipient: str


class MailboxItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of `GET /v1/mailbox`."""

    envelope: Annotated[str, base64url_of("The message, sealed to the partner's mailbox key.", "AQAAAAAAAAAA")]
    message_id: MessageId


class MailboxList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/mailbox`."""

    messages: Annotated[tuple[MailboxItem, ...], Meta(description="The oldest first.")]


class EmptyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{}`, the body of `POST /v1/mailbox/{id}/ack` and its answer: nothing to say, and a body that is signed."""


def mailbox_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an object with one property for each kind: the body of that kind."""
    schemas, components = msgspec.json.schema_components(BODIES.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bodies of mailbox messages",
        "type": "object",
        "properties": dict(zip(BODIES, schemas, strict=True)),
        "additionalProperties": False,
        "$defs": components,
    }


def sign_message(message: MailboxMessage, *, mailbox_signing_key: Ed25519PrivateKey) -> bytes:
    """Return the signed inner bytes."""
    check_report_id(message.message_id)
    parse_time(message.issued_at)
    return sign_statement(message, kind=StatementKind.MAILBOX_MESSAGE, private_keys=(mailbox_signing_key,))


def open_message(raw: bytes, *, keys: Mapping[str, bytes]) -> MailboxMessage:
    """Return the message if a mailbox-signing key signed it; raises `FormatError` and `StatementError`."""
    return open_statement(
        raw,
        kind=StatementKind.MAILBOX_MESSAGE,
        keys=keys,
        payload_type=MailboxMessage,
        max_bytes=MAX_MESSAGE_BYTES,
    )


def peek_message(raw: bytes) -> MailboxMessage:
    """Read a message without believing it (for its time); raises `FormatError`."""
    statement: SignedStatement = parse_statement(raw, max_bytes=MAX_MESSAGE_BYTES)
    body = parse_base64url(statement.payload)
    return parse_exact(body, kind=MailboxMessage, max_bytes=len(body))


def message_sha256(signed: bytes) -> str:
    """Return what the next message names as its `previous`."""
    return hashlib.sha256(signed).hexdigest()


def mailbox_context(*, environment: str, partner: str, message_id: str) -> SealContext:
    """Return the context of a mailbox box: the kind of message stays inside."""
    return SealContext(
        environment=environment,
        purpose="mailbox",
        sender=AGENCY,
        recipient=partner,
        id=message_id,
        kind="message",
        priority="none",
        schema_version=SCHEMA_VERSION,
    )
