"""What the agency asks a partner about one report, and what became of one: two bodies of mailbox messages (WIRE.md §9).

A partner answers a question with a report of kind `response` whose `answers_request` is the `request_id`.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time
from partner_sdk.wire.reference import check_reference

MAX_QUESTION_CHARACTERS: Final = 2000
MAX_PURPOSE_CHARACTERS: Final = 300
# A question of 2,000 characters of four bytes each, escaped at worst, with its purpose and its legal basis.
MAX_BODY_BYTES: Final = 32 * 1024

# What may be said of a partner's own report, in the order of how often it is. `duplicate` is said only of what this
# very partner had reported before: of anybody else's report it would tell one service about another.
OUTCOMES: Final[tuple[tuple[str, str], ...]] = (
    ("used", "Used: it helps to protect a child or to find somebody."),
    ("needs_more", "Not enough to go on: send what else you hold."),
    ("duplicate", "You had reported this before: both are one case."),
    ("out_of_remit", "Not for this agency: nothing of ours to act on."),
    ("actioned", "Acted on: police or child protection took it further."),
)
_OUTCOME_WORDS: Final = dict(OUTCOMES)

Question = Annotated[str, Meta(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]
Reason = Annotated[str, Meta(min_length=1, max_length=MAX_PURPOSE_CHARACTERS)]
OutcomeCode = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]


class InformationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question about one report of the recipient; `due_at` is by when the law wants the answer."""

    due_at: str
    legal_basis: Reason
    purpose: Reason
    question: Question
    reference: str
    report_id: str
    request_id: str


class OutcomeNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of one report of the recipient; a later note about the same report counts instead."""

    outcome: OutcomeCode
    reference: str
    released_at: str
    report_id: str


def encode_body(body: InformationRequest | OutcomeNote) -> bytes:
    """Return the canonical bytes of a body; raises `FormatError` for an id, a reference or a time that is none."""
    _check_body(body)
    return encode(body)


def parse_information_request(raw: bytes) -> InformationRequest:
    """Read the body of an `information-request`; raises `FormatError`."""
    request = parse_exact(raw, kind=InformationRequest, max_bytes=MAX_BODY_BYTES)
    _check_body(request)
    return request


def parse_outcome_note(raw: bytes) -> OutcomeNote:
    """Read the body of an `outcome`; raises `FormatError`."""
    note = parse_exact(raw, kind=OutcomeNote, max_bytes=MAX_BODY_BYTES)
    _check_body(note)
    return note


def spell_outcome(outcome: str) -> str:
    """Return the words for an outcome; one that a later release knows stands for itself."""
    return _OUTCOME_WORDS.get(outcome, outcome.replace("_", " "))


def _check_body(body: InformationRequest | OutcomeNote) -> None:
    check_report_id(body.report_id)
    check_reference(body.reference)
    if isinstance(body, OutcomeNote):
        parse_time(body.released_at)
        return
    check_report_id(body.request_id)
    parse_time(body.due_at)
    for name in ("question", "purpose", "legal_basis"):
        if not getattr(body, name).strip():
            raise FormatError(f"The {name.replace('_', ' ')} of a request may not be blank.", reason="malformed")
