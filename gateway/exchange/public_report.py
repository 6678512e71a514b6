"""The public report before it is sealed, and the reply to its return code (WIRE.md §6.4, §9.2).

Never stored or logged in this shape.

To add a field is to add an optional one with a blank default, e.g. `device: Code = ""`: it is left out while it is
blank, so reports that were sealed before it still open, letter for letter. A desk refuses a field or code that it
does not know (`form_rules.py`): upgrade the desk before the gateway.

A reply is signed by the agency, then sealed to the key of the code. Never holds the code or its private key: the five
words derive it again.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL, DANGER_PREFIX, IS_NOT_UNDER_18
from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.button import ContextToken, Language
from partner_sdk.wire.canonical import (
    check_reference,
    check_report_id,
    decode,
    encode,
    get_reference_environment,
    parse_base64url,
    parse_exact,
    parse_time,
)
from partner_sdk.wire.sealing import (
    OVERHEAD_BYTES,
    PUBLIC_PADDED_BYTES,
    STEPPED_UP_TO_BYTES,
    XWING_PUBLIC_KEY_BYTES,
    SealContext,
    SealingKey,
)
from partner_sdk.wire.signing import (
    Environment,
    SignedKind,
    StatementKind,
    make_sealing_key,
)
from partner_sdk.wire.submission import AGENCY, ClearFields

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

P = TypeVar("P", bound=msgspec.Struct)


class SafeContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A way to reach the person safely, in their own words.

    `may_send_note` is `yes` only where the person asked for a short note that their report came in. `phone`, `email`,
    `adult` and `school` go with `ways` (`call`, `text`, `email`, `adult`, `school`).
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

    `age_band` is the child's, `reporter_age_band` that of the person typing (R3). `reply_by` is the day that the
    person was promised, `reply_key` the public half of the return code. `signposted` lists the helpers that were
    shown on the way because of an answer (R6, R7). `there_too` is `yes` for a reporter who is in the child's `country`
    themselves. `context` is the sealed context of the page with the button, where the person let it come along.
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
    """Read the sealed text; raises `FormatError`. What its answers say of each other: `form_rules.py`."""
    return parse_exact(raw, kind=PublicReport, max_bytes=PUBLIC_PADDED_BYTES)


def check_made_values(report: PublicReport) -> None:
    """Raise `FormatError` unless the values that the form adds by itself can be read, e.g. the day of the answer."""
    parse_time(report.submitted_at)
    if report.reply_key is not None:
        parse_base64url(report.reply_key, length=XWING_PUBLIC_KEY_BYTES)
    try:
        date.fromisoformat(report.reply_by or "2026-01-01")
    except ValueError:
        raise FormatError("The day of the answer is none of the calendar.", reason="malformed") from None


def salvage_public_report(raw: bytes, *, clear: ClearFields) -> PublicReport | None:
    """Return what can be read of a sealed text that is no report of the form, only to weigh it; None if nothing can.

    Never checked: codes and lengths may be any, and the clear fields are those that it opened under.
    """
    try:
        read = decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _salvage(PublicReport, read, clear=clear) if isinstance(read, dict) else None


def _salvage(kind: type[P], read: object, **known: Any) -> P:
    given = read if isinstance(read, dict) else {}
    for field in msgspec.structs.fields(kind):
        value = given.get(field.name)
        if field.name in known:
            continue
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            known[field.name] = _salvage(field.type, value)
        elif field.type is Codes:
            codes = value if isinstance(value, list) else []
            known[field.name] = tuple(one for one in codes if isinstance(one, str))
        else:
            known[field.name] = value[:STORY_MAX] if isinstance(value, str) else ""
    return kind(**known)


def is_from_grown_up(report: PublicReport) -> bool:
    """Return whether the person reporting gave their age as 18 or over."""
    return report.under_18 == IS_NOT_UNDER_18


def is_flagged(report: PublicReport) -> bool:
    """Return whether the form doubts a human typed it: filled by a script, too fast, or over the limits.

    A flagged report is taken, filed and read like any other. A code that is not known here flags too.
    """
    return any(not signal.startswith(DANGER_PREFIX) and signal != CONTEXT_REFUSED_SIGNAL for signal in report.signals)


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
    """One message to the person who reported. `read` has no body: a person has read the report."""

    body: Annotated[str, Meta(max_length=MAX_BODY_CHARACTERS)]
    environment: Environment
    issued_at: str
    kind: ReplyKind
    message_id: str
    reference: str


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


SIGNED_REPLY: Final = SignedKind(
    StatementKind.REPLY, ReplyMessage, dated_by="issued_at", max_bytes=MAX_SIGNED_BYTES, check=check_reply
)


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
