"""The button: its placements, the sealed context of a page, a service's request for it, and findings of a check.

A link id (WIRE.md §5.5, §6.4) matches `PLACEMENT_PATTERN` and means nothing by itself: its owner is in the register,
which the desk signs. An id that no register lists opens the form all the same, and is not kept.

A context is a partner's statement about one rendered page, sealed to the agency (WIRE.md §8.2). It travels in the
fragment of the button's link, which no server sees, and goes inside the sealed report unopened. It is a partner's
claim: the desk judges it. Never opened here, and never carries a word that a person wrote.

A request names the service and the places for the button (WIRE.md §8.3). Sealed by the applicant, or by the gateway's
page on arrival; stored sealed, read by the desk alone. The applicant is a stranger: nothing proves its sender, so
nothing in it is believed before a person at the agency has asked back.

A finding of a check (WIRE.md §10.2) holds nothing of the page but its address, the fault and where on the page it is;
never a word that a person wrote.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar, get_args

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import (
    AdoptionId,
    PartnerId,
    base64url_of,
    check_report_id,
    decode,
    encode,
    parse_base64url,
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

MAX_PLACEMENTS = 20_000
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


class PlacementEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One placement as the register lists it: the link id, its owner, and the service's name as people know it."""

    partner: PartnerId
    placement: PlacementId
    service: Annotated[str, Meta(min_length=1, max_length=SERVICE_NAME_MAX)]


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


class SealedPageContext(msgspec.Struct, frozen=True):
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
    raw = SIGNED_CONTEXT.sign(context, context_key)
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
    context = SIGNED_CONTEXT.open(raw, keys=keys)
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
MAX_ADOPTION_BODY_BYTES: Final = 24 * 1024

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


T = TypeVar("T")

MAX_FINDINGS: Final = 100
MAX_CHECKS: Final = 200
MAX_CHECKS_BODY_BYTES: Final = 512 * 1024

# Why a runner never asked for a page at all: this says nothing new of a page that was looked at before.
NEVER_ASKED: Final = frozenset({"not-https", "not-public", "no-address"})

FindingCode = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=40)]
# `fault`: the button is not as agreed. `advice`: it works and could be better. `unseen`: this method cannot tell.
Severity = Literal["fault", "advice", "unseen"]
Method = Literal["static", "browser"]
# `unreachable` is no verdict on the button: the page did not come. A finding, `unseen`, gives the reason.
CheckResult = Literal["passes", "faults", "unreachable"]


class CheckFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding: the fact, why it matters, how to fix it, and its place (`line 12`, or empty)."""

    code: FindingCode
    mend: Annotated[str, Meta(max_length=600)]
    severity: Severity
    what: Annotated[str, Meta(max_length=600)]
    where: Annotated[str, Meta(max_length=200)]
    why: Annotated[str, Meta(max_length=600)]


class ButtonCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check of one page. `placement` is the link id that the page's button names, null where none can be read."""

    address: Annotated[str, Meta(min_length=1, max_length=2000)]
    checked_at: str
    checker: Annotated[str, Meta(max_length=40)]
    findings: Annotated[tuple[CheckFinding, ...], Meta(max_length=MAX_FINDINGS)]
    method: Method
    placement: PlacementId | None
    result: CheckResult


class CheckPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A runner's results for the desk."""

    checks: Annotated[tuple[ButtonCheck, ...], Meta(max_length=MAX_CHECKS)]


class CheckTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page that a runner visits: the placement and its address."""

    address: Annotated[str, Meta(min_length=1, max_length=2000)]
    placement: PlacementId


class CheckList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The desk's list for a runner: the agency's public address, and the pages. Holds no key and no secret."""

    agency_origin: str
    made_at: str
    targets: Annotated[tuple[CheckTarget, ...], Meta(max_length=20_000)]


def encode_checks(post: CheckPost) -> bytes:
    """Return the canonical bytes that are handed over."""
    return encode(post)


def parse_checks(raw: bytes) -> CheckPost:
    """Read the checks of a runner; raises `FormatError`."""
    post = parse_exact(raw, kind=CheckPost, max_bytes=MAX_CHECKS_BODY_BYTES)
    for check in post.checks:
        parse_time(check.checked_at)
        if check.result == "passes" and any(one.severity == "fault" for one in check.findings):
            raise FormatError("A check that passes has no faults.", reason="malformed")
    return post


def parse_check_file(raw: bytes) -> CheckPost:
    """Read a file of checks, or the one check that `button check --json` writes, however that is laid out.

    Raises `FormatError`.
    """
    if len(raw) <= MAX_CHECKS_BODY_BYTES:
        one = _find(raw, kind=ButtonCheck)
        if one is not None:
            return parse_checks(encode_checks(CheckPost(checks=(one,))))
        if _find(raw, kind=CheckPost) is None:
            raise FormatError(
                "This is not a file of checks. Use a file that `report-abuse-checker run --out` or "
                "`report-abuse-partner button check --json` writes.",
                reason="malformed",
            )
    return parse_checks(raw)


def _find(raw: bytes, *, kind: type[T]) -> T | None:
    try:
        return decode(raw, kind=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
