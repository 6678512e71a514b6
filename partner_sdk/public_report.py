"""The public report: what a person wrote in the form, before it is sealed. Never stored or logged in this shape."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.canonical import encode, parse_exact
from partner_sdk.padding import PUBLIC_PADDED_BYTES
from partner_sdk.submission import ClearFields

# Characters, not bytes. All fields at their maximum must fit the one padded size even when every character is a
# control character, which JSON spells in six bytes: a test adds them up.
STORY_MAX = 5000
LINE_MAX = 200
BLOCK_MAX = 500
LIST_MAX = 16

Line = Annotated[str, Meta(max_length=LINE_MAX)]
Block = Annotated[str, Meta(max_length=BLOCK_MAX)]
Story = Annotated[str, Meta(max_length=STORY_MAX)]
Code = Annotated[str, Meta(max_length=40, pattern="^[a-z0-9_-]*$")]
Codes = Annotated[tuple[Code, ...], Meta(max_length=LIST_MAX)]


class SafeContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the person safely, in their own words."""

    may_say_who_we_are: Code
    safe_word: Line
    times: Line
    value: Line
    ways: Codes
    who_must_not_know: Block
    who_sees: Code


class PublicReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers as typed (codes for choices; empty text for what was skipped) and what the form itself adds."""

    age_band: Code
    clear: ClearFields
    contact: SafeContact
    copy_version: Code
    danger: Code
    kinds: Codes
    language: Literal["en", "cy"]
    name: Line
    placement: Code | None
    schema_version: Literal["1"]
    signals: Codes
    story: Story
    submitted_at: str
    under_18: Code
    who: Code


def encode_public_report(report: PublicReport) -> bytes:
    """Return the canonical bytes to seal."""
    return encode(report)


def parse_public_report(raw: bytes) -> PublicReport:
    """Read what was sealed; raises `FormatError`."""
    return parse_exact(raw, kind=PublicReport, max_bytes=PUBLIC_PADDED_BYTES)
