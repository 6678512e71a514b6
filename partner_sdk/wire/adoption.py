"""A service's request to show the button: the service and the places for it, sealed to the agency (WIRE.md §8.3).

Sealed by the applicant, or by the gateway's page on arrival; stored sealed, read by the desk alone. The applicant is a
stranger: nothing proves its sender, so nothing in it is believed before a person at the agency has asked back.
"""

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact
from partner_sdk.wire.envelope import OVERHEAD_BYTES, STEPPED_UP_TO_BYTES, Envelope, SealContext
from partner_sdk.wire.field_types import AdoptionId, base64url_of
from partner_sdk.wire.keys import Environment, SealingKey
from partner_sdk.wire.page_context import Surface
from partner_sdk.wire.placement import SERVICE_NAME_MAX
from partner_sdk.wire.registration import CONTROLS, HTTPS_URL, LINE, URL, Email, Line, Telephone
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import AGENCY, PUBLIC_SENDER

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
