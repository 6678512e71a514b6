"""The button: its placements, the sealed context of a page, and a service's request for it.

A link id (WIRE.md §5.5, §6.4) matches `PLACEMENT_PATTERN` and means nothing by itself: its owner is in the register,
which the desk signs. An id that no register lists opens the form all the same, and is not kept.

A context is a partner's statement about one rendered page, sealed to the agency (WIRE.md §8.2). It travels in the
fragment of the button's link, which no server sees, and goes inside the sealed report unopened. It is a partner's
claim: the desk judges it. Never opened here, and never carries a word that a person wrote.

A request names the service and the places for the button (WIRE.md §8.3). Sealed by the applicant, or by the gateway's
page on arrival; stored sealed, read by the desk alone. The applicant is a stranger: nothing proves its sender, so
nothing in it is believed before a person at the agency has asked back.
"""

import re
from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    AdoptionId,
    PartnerId,
    base64url_of,
    check_report_id,
    encode,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.enrolment import CONTROLS, HTTPS_URL, LINE, URL, Email, Line, Telephone
from partner_sdk.wire.receipts import PLACEMENT_PATTERN
from partner_sdk.wire.sealing import (
    CONTEXT_MAX_BYTES,
    OVERHEAD_BYTES,
    STEPPED_UP_TO_BYTES,
    Envelope,
    SealContext,
    SealingKey,
    seal,
)
from partner_sdk.wire.signing import Environment, SignedKind, StatementKind
from partner_sdk.wire.submission import AGENCY, PUBLIC_SENDER

SERVICE_NAME_MAX = 80
# In no register: anybody may use it before a place is agreed (docs/decisions/0014-practice.md).
TEST_LINK_ID = "test"

PlacementId = Annotated[
    str,
    Meta(
        description="The id in the link of one agreed place of the button.",
        examples=["example-chat-profile"],
        pattern=rf"^{PLACEMENT_PATTERN}\Z",
    ),
]

_PLACEMENT = re.compile(PLACEMENT_PATTERN)


def is_placement(text: str) -> bool:
    """Return whether `text` is a well-formed link id, e.g. `example-chat-profile`."""
    return _PLACEMENT.fullmatch(text) is not None


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


class SealedPageContext(msgspec.Struct, frozen=True):
    """One context as it travels: the partner that it claims, its id, and the box. Nothing in it is believed yet."""

    partner: str
    context_id: str
    envelope: Envelope

    def to_token(self) -> str:
        """Return the one spelling that travels behind `#context=`; it needs no percent-encoding."""
        return ".".join((SPELLING, self.partner, self.context_id, to_base64url(self.envelope.to_bytes())))


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
    raw = SIGNED_CONTEXT.sign(context, context_key)
    bound = context_seal_context(
        environment=context.environment, partner=context.partner, context_id=context.context_id
    )
    return SealedPageContext(
        partner=context.partner, context_id=context.context_id, envelope=seal(raw, key=sealing_key, context=bound)
    )


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


SIGNED_CONTEXT: Final = SignedKind(
    StatementKind.PAGE_CONTEXT, PageContext, max_bytes=CONTEXT_MAX_BYTES, check=check_page_context
)
# The languages of the form, and of those who ask for its button.
Language = Literal["en", "cy"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

MAX_MESSAGE_CHARACTERS: Final = 2000
MAX_SURFACES: Final = 8
# The largest step of padding (WIRE.md §3.3), less its length: every text at its longest, in the widest script, fits.
MAX_ADOPTION_BYTES: Final = STEPPED_UP_TO_BYTES - 4
MAX_ADOPTION_ENVELOPE_BYTES: Final = STEPPED_UP_TO_BYTES + OVERHEAD_BYTES

# Of the controls only lines and tabs: a terminal or a mail obeys the others.
_TEXT: Final = rf"^(?:[^{CONTROLS}]|[\t\n])*\Z"

ChildUse = Literal["mostly_children", "many_children", "some_children", "no_children", "not_known"]
ServiceName = Annotated[str, Meta(pattern=LINE, max_length=SERVICE_NAME_MAX)]
Website = Annotated[str, Meta(pattern=URL)]
# What is newly asked for; one that was sealed with http:// is read all the same.
SecureWebsite = Annotated[str, Meta(pattern=HTTPS_URL)]
Message = Annotated[str, Meta(pattern=_TEXT, max_length=MAX_MESSAGE_CHARACTERS)]


class AskingService(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A service's description of itself, from its file or form. Names its own staff, never a child."""

    child_use: ChildUse
    contact_email: Email
    contact_name: Line
    language: Language
    organisation: Line
    service_name: ServiceName
    surfaces: Annotated[tuple[Surface, ...], Meta(min_length=1, max_length=MAX_SURFACES)]
    wants_to_report: bool
    website: Website
    contact_role: Line | None = None
    contact_telephone: Telephone | None = None
    message: Message | None = None

    def __repr__(self) -> str:
        """Name no people: a repr ends up in logs."""
        return "AskingService(...)"


class AdoptionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plain text of one request: its environment, its id, and the service's description of itself."""

    environment: Environment
    request_id: str
    service: AskingService


class AdoptionPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/adoption`: the box in base64url, and the id that it is sealed under."""

    envelope: Annotated[
        str, base64url_of("The sealed request.", "AQAAAAAAAAAA", most_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
    ]
    request_id: AdoptionId


EXAMPLE: Final = AskingService(
    child_use="many_children",
    contact_email="safety@chat.example",
    contact_name="S. Safety",
    contact_role="Head of trust and safety",
    contact_telephone="+44 20 7946 0000",
    language="en",
    message="We would show it in every chat, beside the name of the other person.",
    organisation="Example Chat Ltd",
    service_name="Example Chat",
    surfaces=("chat", "profile"),
    wants_to_report=False,
    website="https://chat.example",
)


def format_request_number(request_id: str) -> str:
    """Return the short number of a request, e.g. `81d5-0c2f`: the end of its id, for mails and the telephone."""
    end = request_id[-8:]
    return f"{end[:4]}-{end[4:]}"


def adoption_context(*, environment: str, request_id: str) -> SealContext:
    """Return the context of a request's box; the service has no key yet, so the sender is the public."""
    return SealContext(
        environment=environment, purpose="enrol", sender=PUBLIC_SENDER, recipient=AGENCY, id=request_id, kind="adoption"
    )


def seal_adoption(request: AdoptionRequest, *, sealing_key: SealingKey) -> Envelope:
    """Seal a request to the agency; raises `FormatError` for one that `parse_adoption` would refuse at the desk."""
    raw = encode(request)
    parse_adoption(raw)
    context = adoption_context(environment=request.environment, request_id=request.request_id)
    return seal(raw, key=sealing_key, context=context)


def parse_adoption(raw: bytes) -> AdoptionRequest:
    """Read an opened request; raises `FormatError`."""
    request = parse_exact(raw, kind=AdoptionRequest, max_bytes=MAX_ADOPTION_BYTES)
    check_report_id(request.request_id)
    if len(set(request.service.surfaces)) != len(request.service.surfaces):
        raise FormatError("A surface is named twice.", reason="malformed")
    return request
