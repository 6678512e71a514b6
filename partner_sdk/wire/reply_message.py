"""Replies to a return code: signed by the agency first, then sealed to the code's own key (WIRE.md §9.2).

Desk and gateway share this file. Never holds the code or its private key: the five words derive it again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_time
from partner_sdk.wire.envelope import OVERHEAD_BYTES, STEPPED_UP_TO_BYTES, SealContext
from partner_sdk.wire.keys import XWING_PUBLIC_KEY_BYTES, Environment, SealingKey, make_sealing_key
from partner_sdk.wire.reference import check_reference, get_reference_environment
from partner_sdk.wire.statements import StatementKind, open_statement, peek_statement, sign_statement
from partner_sdk.wire.submission import AGENCY

GATEWAY = "gateway"
MAX_BODY_CHARACTERS = 4000
# The signed bytes must fit the steps of §3.3, length field included: every reply has one of four sizes.
MAX_SIGNED_BYTES = STEPPED_UP_TO_BYTES - 4
MAX_REPLY_ENVELOPE_BYTES = STEPPED_UP_TO_BYTES + OVERHEAD_BYTES

ReplyKind = Literal["reply", "read"]

# A code's key has no life of its own: it is used for as long as the desk answers to it.
_ALWAYS_FROM = datetime(2026, 1, 1, tzinfo=UTC)
_ALWAYS_UNTIL = datetime(9999, 12, 31, tzinfo=UTC)


class ReplyMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message to the person who reported. `read` has no body: it means that a person has read the report."""

    body: Annotated[str, Meta(max_length=MAX_BODY_CHARACTERS)]
    environment: Environment
    issued_at: str
    kind: ReplyKind
    message_id: str
    reference: str


def sign_reply(message: ReplyMessage, *, mailbox_signing_key: Ed25519PrivateKey) -> bytes:
    """Return the signed inner bytes; raises `FormatError` (`malformed`, `bad-reference`, `too-large`)."""
    check_reply(message)
    signed = sign_statement(message, kind=StatementKind.REPLY, private_keys=(mailbox_signing_key,))
    if len(signed) > MAX_SIGNED_BYTES:
        raise FormatError(f"A signed reply has at most {MAX_SIGNED_BYTES} bytes.", reason="too-large")
    return signed


def open_reply(raw: bytes, *, keys: Mapping[str, bytes]) -> ReplyMessage:
    """Return the message if a mailbox-signing key signed it; raises `FormatError` and `StatementError`."""
    message = open_statement(
        raw, kind=StatementKind.REPLY, keys=keys, payload_type=ReplyMessage, max_bytes=MAX_SIGNED_BYTES
    )
    check_reply(message)
    return message


def peek_reply(raw: bytes) -> ReplyMessage:
    """Read a message without believing it (for its time); raises `FormatError`."""
    return peek_statement(raw, ReplyMessage, max_bytes=MAX_SIGNED_BYTES)


def check_reply(message: ReplyMessage) -> None:
    """Raise `FormatError` for a message that is not in its one spelling, or whose kind and body do not fit."""
    check_report_id(message.message_id)
    parse_time(message.issued_at)
    check_reference(message.reference)
    if get_reference_environment(message.reference) != message.environment:
        raise FormatError("The reference of a reply is for another environment.", reason="malformed")
    if len(message.body) > MAX_BODY_CHARACTERS:  # msgspec looks at this only when it decodes
        raise FormatError(f"A reply has at most {MAX_BODY_CHARACTERS} characters.", reason="too-large")
    if bool(message.body) != (message.kind == "reply"):
        raise FormatError("A reply has a text; the note that a report was read has none.", reason="malformed")


def make_reply_key(public_key: str) -> SealingKey:
    """Return the key of a return code (base64url of 1216 bytes) as an entry to seal to; raises `SealingError`."""
    try:
        raw = parse_base64url(public_key, length=XWING_PUBLIC_KEY_BYTES)
    except FormatError:
        raise SealingError("This is not a return code's key.", reason="bad-key") from None
    return make_sealing_key(
        raw, not_before=_ALWAYS_FROM, seal_until=_ALWAYS_UNTIL, open_until=_ALWAYS_UNTIL, state="active"
    )


def reply_context(*, environment: str, reference: str, message_id: str) -> SealContext:
    """Return the context of a reply's box: whether it is a text or a note of reading stays inside."""
    return _context(environment, sender=AGENCY, reference=reference, box_id=message_id, kind="message")


def place_context(*, environment: str, reference: str) -> SealContext:
    """Return the context of the box that the gateway leaves for itself: opening it proves the words of the code."""
    return _context(environment, sender=GATEWAY, reference=reference, box_id=reference, kind="place")


def _context(environment: str, *, sender: str, reference: str, box_id: str, kind: str) -> SealContext:
    return SealContext(
        environment=environment, purpose="reply", sender=sender, recipient=reference, id=box_id, kind=kind
    )
