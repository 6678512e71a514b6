"""A service's request to show the button: who asks and where it would stand, sealed to the agency (WIRE.md §8.3).

Sealed by whoever asks, or by the gateway's page on the way in; stored sealed, read by the desk alone.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.wire.canonical import check_report_id, encode, parse_exact
from partner_sdk.wire.envelope import Envelope, SealContext
from partner_sdk.wire.field_types import base64url_of
from partner_sdk.wire.keys import Environment, SealingKey
from partner_sdk.wire.page_context import Surface
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import AGENCY, PUBLIC_SENDER, SCHEMA_VERSION

MAX_ADOPTION_BYTES: Final = 8 * 1024
# The largest step of padding below 16 KiB that such a request takes, and what a box adds (WIRE.md §3.3).
MAX_ADOPTION_ENVELOPE_BYTES: Final = 12 * 1024 + 2 * 1024
MAX_ADOPTION_BODY_BYTES: Final = 20 * 1024
MAX_ADOPTION_ROWS: Final = 100

ChildUse = Literal["mostly_children", "many_children", "some_children", "not_known"]
Line = Annotated[str, Meta(max_length=200)]
FilledLine = Annotated[str, Meta(min_length=1, max_length=200)]


class AdoptionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service says of itself. Names the service's own staff, never a child."""

    child_use: ChildUse
    contact_email: FilledLine
    contact_name: FilledLine
    contact_role: Line
    contact_telephone: Line
    environment: Environment
    message: Annotated[str, Meta(max_length=2000)]
    organisation: FilledLine
    request_id: str
    service_name: Annotated[str, Meta(min_length=1, max_length=80)]
    surfaces: Annotated[tuple[Surface, ...], Meta(min_length=1, max_length=8)]
    wants_to_report: bool
    website: FilledLine


class AdoptionPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/adoption`: the box in base64url, and the id that it is sealed under."""

    envelope: Annotated[
        str, base64url_of("The sealed request.", "AQAAAAAAAAAA", most_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
    ]
    request_id: Annotated[str, Meta(description="The id of the request: a UUIDv7.")]


class AdoptionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sealed request as the gateway keeps it."""

    envelope: Annotated[str, Meta(max_length=MAX_ADOPTION_BODY_BYTES)]
    received_at: str
    request_id: str


class AdoptionPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /feed/adoption-requests`."""

    requests: Annotated[tuple[AdoptionRow, ...], Meta(max_length=MAX_ADOPTION_ROWS)]


class AdoptionAckPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /feed/adoption-acks`."""

    ids: Annotated[tuple[str, ...], Meta(max_length=MAX_ADOPTION_ROWS)]


def adoption_context(*, environment: str, request_id: str) -> SealContext:
    """Return what is bound into the box of a request; nobody has a key yet, so the sender is the public."""
    return SealContext(
        environment=environment,
        purpose="enrol",
        sender=PUBLIC_SENDER,
        recipient=AGENCY,
        id=request_id,
        kind="adoption",
        priority="none",
        schema_version=SCHEMA_VERSION,
    )


def seal_adoption(request: AdoptionRequest, *, sealing_key: SealingKey) -> Envelope:
    """Seal a request to the agency; raises `FormatError` for an id or a size that none has."""
    raw = encode(request)
    parse_adoption(raw)
    context = adoption_context(environment=request.environment, request_id=request.request_id)
    return seal(raw, key=sealing_key, context=context)


def parse_adoption(raw: bytes) -> AdoptionRequest:
    """Read an opened request; raises `FormatError`."""
    request = parse_exact(raw, kind=AdoptionRequest, max_bytes=MAX_ADOPTION_BYTES)
    check_report_id(request.request_id)
    return request
