"""Sealed context: a partner's statement about one rendered page, sealed to the agency (WIRE.md §8.2).

It travels in the fragment of the button's link, which no server sees, and goes inside the sealed report unopened. It is
a partner's claim: the desk judges it. Never opened here, and never carries a word that a person wrote.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.envelope import CONTEXT_MAX_BYTES, OVERHEAD_BYTES, Envelope, SealContext
from partner_sdk.wire.field_types import PartnerId
from partner_sdk.wire.keys import Environment, SealingKey
from partner_sdk.wire.placement import PlacementId
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import StatementKind, open_statement, sign_statement
from partner_sdk.wire.submission import AGENCY

# One page is looked at for hours at most; an older one was copied from elsewhere.
MAX_LIFETIME_SECONDS: Final = 24 * 60 * 60
# No page was shown in another year. At the ends of what a calendar of a program holds, adding a minute fails.
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 9000
MAX_ACCOUNTS: Final = 5
MAX_MESSAGES: Final = 20

# The name of the fragment's one parameter: `https://agency.example/?from=PLACEMENT#context=TOKEN`.
FRAGMENT_NAME: Final = "context"
SPELLING: Final = "1"
MAX_CONTEXT_ENVELOPE_BYTES: Final = CONTEXT_MAX_BYTES + OVERHEAD_BYTES
_PARTNER_MAX: Final = 64
_ID_CHARACTERS: Final = 36
MAX_TOKEN_CHARACTERS: Final = 2 + _PARTNER_MAX + 1 + _ID_CHARACTERS + 1 + -(-MAX_CONTEXT_ENVELOPE_BYTES * 4 // 3)

_PARTNER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_TOKEN_PARTS: Final = 4

Surface = Literal["chat", "direct_message", "profile", "game_lobby", "stream", "comments", "help", "other"]
ServiceId = Annotated[str, Meta(min_length=1, max_length=120)]
# A field of the report. No pattern: a misspelled one is judged when it is read, and never makes a report unreadable.
ContextToken = Annotated[str, Meta(max_length=MAX_TOKEN_CHARACTERS)]


class ContextAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One account of the service: its own id, and the name that others see."""

    account_id: ServiceId
    display_name: Annotated[str, Meta(max_length=80)] = ""


class ContextMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message that was on the page: its id and when it was sent, never its words."""

    message_id: ServiceId
    sent_at: str = ""


class PageContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The signed payload: the people, the place and the messages of one page as it was rendered once.

    `viewer` is the account that had the page before it, `about` those that the page shows. `expires_at` is at most
    `MAX_LIFETIME_SECONDS` after `issued_at`.
    """

    context_id: str
    environment: Environment
    expires_at: str
    issued_at: str
    partner: PartnerId
    placement: PlacementId
    surface: Surface
    about: Annotated[tuple[ContextAccount, ...], Meta(max_length=MAX_ACCOUNTS)] = ()
    conversation_id: Annotated[str, Meta(max_length=120)] = ""
    messages: Annotated[tuple[ContextMessage, ...], Meta(max_length=MAX_MESSAGES)] = ()
    viewer: ContextAccount | None = None


@dataclass(frozen=True, slots=True)
class SealedPageContext:
    """One context as it travels: the partner that it claims, its id, and the box. Nothing in it is believed yet."""

    partner: str
    context_id: str
    envelope: Envelope

    def to_token(self) -> str:
        """Return the one spelling that travels behind `#context=`; it needs no percent-encoding."""
        return ".".join((SPELLING, self.partner, self.context_id, to_base64url(self.envelope.to_bytes())))


def parse_context_token(text: str) -> SealedPageContext:
    """Read a token without opening or believing it; raises `FormatError`, or `EnvelopeError` for the box."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise FormatError(f"A sealed context has at most {MAX_TOKEN_CHARACTERS} characters.", reason="too-large")
    parts = text.split(".")
    if len(parts) != _TOKEN_PARTS or parts[0] != SPELLING or not _PARTNER.fullmatch(parts[1]):
        raise FormatError("A sealed context has the form 1.PARTNER.ID.BOX.", reason="malformed")
    check_report_id(parts[2])
    raw = parse_base64url(parts[3], max_bytes=MAX_CONTEXT_ENVELOPE_BYTES)
    envelope = Envelope.parse(raw, max_bytes=MAX_CONTEXT_ENVELOPE_BYTES)
    return SealedPageContext(partner=parts[1], context_id=parts[2], envelope=envelope)


def context_seal_context(*, environment: str, partner: str, context_id: str) -> SealContext:
    """Return the context that is bound into the box of a page."""
    return SealContext(
        environment=environment, purpose="context", sender=partner, recipient=AGENCY, id=context_id, kind="page"
    )


def seal_page_context(
    context: PageContext, *, context_key: Ed25519PrivateKey, sealing_key: SealingKey
) -> SealedPageContext:
    """Sign a page's context with the partner's context key and seal it to the agency.

    Raises `FormatError`: `malformed` for a life that is none or longer than a day, `too-large` for more than 4 KiB.
    """
    check_page_context(context)
    raw = sign_statement(context, kind=StatementKind.PAGE_CONTEXT, private_keys=(context_key,))
    bound = context_seal_context(
        environment=context.environment, partner=context.partner, context_id=context.context_id
    )
    return SealedPageContext(
        partner=context.partner, context_id=context.context_id, envelope=seal(raw, key=sealing_key, context=bound)
    )


def verify_page_context(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, context_id: str, environment: str
) -> PageContext:
    """Return the content of an opened box, signed by one of the partner's context keys (id to 32 raw bytes).

    Raises `FormatError`, or `StatementError`: the errors of `open_statement`, and `wrong-context` for another partner,
    id or environment than the box was bound to. Never judges whether it has expired: the desk does.
    """
    context = open_statement(
        raw, kind=StatementKind.PAGE_CONTEXT, keys=keys, payload_type=PageContext, max_bytes=CONTEXT_MAX_BYTES
    )
    check_page_context(context)
    if (context.partner, context.context_id, context.environment) != (partner, context_id, environment):
        raise StatementError("The context is for a different page from its box.", reason="wrong-context")
    return context


def check_page_context(context: PageContext) -> None:
    """Raise `FormatError` for an id, a time or a life that no context has."""
    check_report_id(context.context_id)
    life = _parse_page_time(context.expires_at) - _parse_page_time(context.issued_at)
    if not 0 < life.total_seconds() <= MAX_LIFETIME_SECONDS:
        raise FormatError("A context must be valid for more than no time and at most 24 hours.", reason="malformed")
    for message in context.messages:
        if message.sent_at:
            _parse_page_time(message.sent_at)


def _parse_page_time(text: str) -> datetime:
    moment = parse_time(text)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise FormatError(f"A time of a page must be in the years {FIRST_YEAR} to {LAST_YEAR}.", reason="malformed")
    return moment
