"""The public report: a person's answers in the form, before they are sealed. Never stored or logged in this shape.

To add a field is to add an optional one with a blank default, e.g. `device: Code = ""`: it is left out while it is
blank, so reports that were sealed before it still open, letter for letter. A desk refuses a field that it does not
know: upgrade the desk before the gateway.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.wire.adoption import Language
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.envelope import PUBLIC_PADDED_BYTES
from partner_sdk.wire.page_context import ContextToken
from partner_sdk.wire.public_codes import CONTEXT_REFUSED_SIGNAL, DANGER_PREFIX, IS_NOT_UNDER_18
from partner_sdk.wire.submission import ClearFields

# Characters, not bytes. All fields at their maximum must fit the one padded size even when every character is a
# control character, which JSON spells in six bytes: a test adds them up.
STORY_MAX = 5000
BLOCK_MAX = 500
LINE_MAX = 200
SHORT_MAX = 80
LIST_MAX = 16

Short = Annotated[str, Meta(max_length=SHORT_MAX)]
Line = Annotated[str, Meta(max_length=LINE_MAX)]
Block = Annotated[str, Meta(max_length=BLOCK_MAX)]
Story = Annotated[str, Meta(max_length=STORY_MAX)]
Code = Annotated[str, Meta(max_length=40, pattern=r"^[a-z0-9_-]*\Z")]
Codes = Annotated[tuple[Code, ...], Meta(max_length=LIST_MAX)]


class SafeContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach the person safely, in their own words.

    `may_send_note` is `yes` only where the person asked for a short note that their report came in. `phone`, `email`,
    `adult` and `school` go with `ways` (`call`, `text`, `email`, `adult`, `school`); what goes with no way is kept.
    """

    access_needs: Codes
    adult: Line
    call_language: Code
    email: Line
    may_say_who_we_are: Code
    may_send_note: Code
    other_language: Short
    phone: Short
    safe_word: Short
    school: Line
    times: Short
    ways: Codes
    who_must_not_know: Block
    who_sees: Code


class KnownPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Facts about the person that the report is about. `near` is `yes` for one who lives there or sees the phone.

    `knows` lists what they know of the child: `home`, `school`, `real_name`.
    """

    age: Short
    app: Short
    handle: Line
    how_met: Line
    in_real_life: Code
    knows: Codes
    names: Line
    near: Code


class ChildDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Facts about the child from a parent or a professional; empty if another person reports."""

    already_told: Codes
    birth: Short
    child_knows: Code
    is_with_you: Code
    name: Short
    organisation: Line
    other_reference: Short
    place: Line
    relationship: Short
    role: Short
    school: Short


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a person wants to meet (`today`, `next_days`, `later`, `no_day`, `not_sure`), and the place, as typed."""

    place: Line
    when: Code


class PublicReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Answers as typed (codes for choices; empty text for skipped ones) and the form's own additions.

    `age_band` is the child's, `reporter_age_band` that of who types (R3). `reply_by` is the day of the promise that
    the person was shown, `reply_key` the public half of the return code. `signposted` lists the helpers that were
    shown on the way because of an answer (R6, R7). `there_too` is `yes` for a reporter who is in the child's `country`
    themselves. `context` is what the service sealed of the page with the button,
    unopened, where the person let it come along.
    """

    age_band: Code
    child: ChildDetails
    clear: ClearFields
    contact: SafeContact
    copy_version: Code
    country: Code
    danger: Code
    feels: Code
    kinds: Codes
    language: Language
    meeting: Meeting
    name: Line
    person: KnownPerson
    pictures: Code
    placement: Code | None
    region: Code
    reply_by: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")] | None
    reply_key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1622}\Z")] | None
    reporter_age_band: Code
    schema_version: Literal["1"]
    signals: Codes
    signposted: Codes
    still: Code
    story: Story
    submitted_at: str
    told: Codes
    under_18: Code
    when: Code
    who: Code
    context: ContextToken | None = None
    there_too: Code = ""


def encode_public_report(report: PublicReport) -> bytes:
    """Return the canonical bytes to seal."""
    return encode(report)


def parse_public_report(raw: bytes) -> PublicReport:
    """Read the sealed text; raises `FormatError`."""
    return parse_exact(raw, kind=PublicReport, max_bytes=PUBLIC_PADDED_BYTES)


def is_from_grown_up(report: PublicReport) -> bool:
    """Return whether the person reporting gave their age as 18 or over."""
    return report.under_18 == IS_NOT_UNDER_18


def is_flagged(report: PublicReport) -> bool:
    """Return whether the form doubts a human typed it: filled by a script, too fast, or over the limits.

    A flagged report is taken, filed and read like any other. A code that is not known here flags too.
    """
    return any(not signal.startswith(DANGER_PREFIX) and signal != CONTEXT_REFUSED_SIGNAL for signal in report.signals)
