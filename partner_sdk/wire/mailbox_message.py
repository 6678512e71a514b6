"""Mailbox messages: signed by the agency first, then sealed to one partner (WIRE.md §9), and bodies about its reports.

Immutable means the signed inner bytes: after a re-enrolment the same bytes may be sealed to a new key. The bodies here
are questions, outcomes and notices of reports that were set aside; those of everything else that leaves the agency
about a case are in `action_bodies.py`, and digests and overviews in modules of their own.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.action_bodies import (
    MAX_QUESTION_CHARACTERS,
    Accounts,
    ActionBody,
    Code,
    Explanation,
    Package,
    PreservationRequest,
    Reason,
    ServiceAlert,
    TermsReferral,
    ThreadMessage,
    check_accounts,
    check_action_body,
    check_filled,
)
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time
from partner_sdk.wire.digest import Digest, DigestNotice
from partner_sdk.wire.envelope import SealContext
from partner_sdk.wire.field_types import MessageId, base64url_of, format_patterns
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.overview import Overview
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.statements import StatementKind, open_statement, peek_statement, sign_statement
from partner_sdk.wire.submission import AGENCY

T = TypeVar("T", bound="MessageBody")

# The longest of them is a referral with 20 links, each character escaped at worst.
MAX_BODY_BYTES: Final = 256 * 1024
# An archive in base64url, with its title and its digest.
MAX_PACKAGE_BODY_BYTES: Final = 960 * 1024

# Outcomes of a partner's own report, the most frequent first. `duplicate` refers only to an earlier report of this
# same partner: for another sender's report it would tell one service about another.
OUTCOMES: Final[tuple[tuple[str, str], ...]] = (
    ("used", "Used: it helps to protect a child or to find a suspect."),
    ("needs_more", "Not enough to act on: send anything else that you hold."),
    ("duplicate", "You had reported this before: both are one case."),
    ("out_of_remit", "Not for this agency: nothing of ours to act on."),
    ("actioned", "Acted on: police or child protection took it further."),
)
_OUTCOME_WORDS: Final = dict(OUTCOMES)

# Why the desk set a report aside, as its sender is told: coarse, so that it teaches no sender how the desk checks.
SetAsideReason = Literal["unreadable", "not-opened", "mismatch", "not-proven", "no-open-request", "held"]
SET_ASIDE_REASONS: Final[dict[SetAsideReason, str]] = {
    "unreadable": (
        "It opened, but a field or the version is unknown to the agency. "
        "Upgrade the SDK, or compare the report with /v1/schema/report.json, and send it again."
    ),
    "not-opened": (
        "It did not open: it was sealed to another key, or with clear fields that differ from its statement's. "
        "Fetch /v1/keys and send it again."
    ),
    "mismatch": "Its statement, envelope and sealed report contradict each other. Seal it again and send it again.",
    "not-proven": "Its statement is not signed by a current key of yours. Tell the agency by phone if you sent it.",
    "no-open-request": (
        "It is a response, but names no open question. It is filed with the report that it names, and answers "
        "nothing. Run `request list`, and answer the right question."
    ),
    "held": "The agency is looking into it. You need do nothing.",
}
MAX_SET_ASIDE_REPORTS: Final = 200


class InformationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question about one report of the recipient, or about accounts of its service that another report names.

    `due_at` is by when the law wants the answer. `request_id` is the id of the message itself.
    """

    accounts: Accounts | None = None
    due_at: str
    legal_basis: Reason
    purpose: Reason
    question: Explanation
    reference: str | None = None
    report_id: str | None = None
    request_id: str


class OutcomeNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of one of the recipient's reports; a later note about the same report replaces it."""

    outcome: Code
    reference: str
    released_at: str
    report_id: str


class SetAsideReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report that a notice is about."""

    reference: str
    report_id: str


class SetAsideNotice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reports of the recipient that the desk holds but could not take as reports, all for one reason.

    `GET /v1/reports/{id}` has the current stage of each: a report that is read after all leaves the stage `set_aside`.
    """

    reason: SetAsideReason
    reports: Annotated[tuple[SetAsideReport, ...], Meta(min_length=1, max_length=MAX_SET_ASIDE_REPORTS)]
    set_aside_at: str


class Welcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of text, e.g. to try whether a new mailbox key opens."""

    text: Annotated[str, Meta(max_length=MAX_QUESTION_CHARACTERS)]


MessageBody = InformationRequest | OutcomeNote | SetAsideNotice | ActionBody


def encode_body(body: MessageBody) -> bytes:
    """Return the canonical bytes of a body; raises `FormatError` for an id, a reference or a time that is none."""
    _check_body(body)
    return encode(body)


def parse_body(raw: bytes, *, body: type[T]) -> T:
    """Read a body of this kind, e.g. `parse_body(opened.body, body=Package)`; raises `FormatError`."""
    parsed = parse_exact(raw, kind=body, max_bytes=MAX_PACKAGE_BODY_BYTES if body is Package else MAX_BODY_BYTES)
    _check_body(parsed)
    return parsed


def format_outcome(outcome: str) -> str:
    """Return the words for an outcome; one that a later release knows stands for itself."""
    return _OUTCOME_WORDS.get(outcome, outcome.replace("_", " "))


def _check_body(body: MessageBody) -> None:
    if isinstance(body, SetAsideNotice):
        parse_time(body.set_aside_at)
        for report in body.reports:
            _check_report(report.report_id, report.reference)
    elif isinstance(body, OutcomeNote):
        _check_report(body.report_id, body.reference)
        parse_time(body.released_at)
    elif isinstance(body, InformationRequest):
        _check_information_request(body)
    else:
        check_action_body(body)


def _check_report(report_id: str, reference: str) -> None:
    check_report_id(report_id)
    check_reference(reference)


def _check_information_request(body: InformationRequest) -> None:
    if (body.report_id is None) != (body.reference is None):
        raise FormatError("A request names a report by its id and its reference, or not at all.", reason="malformed")
    if body.report_id is not None and body.reference is not None:
        _check_report(body.report_id, body.reference)
    elif body.accounts is None:
        raise FormatError("A request names a report of the recipient, or accounts of its service.", reason="malformed")
    check_accounts(body.accounts or ())
    check_report_id(body.request_id)
    parse_time(body.due_at)
    check_filled(question=body.question, purpose=body.purpose, legal_basis=body.legal_basis)


# An archive of 700,000 bytes in base64url three times: in its body, in the message, and in the statement.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
FIRST_PREVIOUS = "0" * 64
# A partner's memory holds these at once: the rest comes after these are acknowledged.
MAX_WAITING_MESSAGES = 50
# Of `GET /v1/mailbox?wait=`: below the 30 seconds that the proxy in front, and many a firm's own, wait for an answer.
MAX_WAIT_SECONDS = 25
MAX_ACK_BODY_BYTES = 64

MessageKind = Literal[
    "alert",
    "digest",
    "digest-not-published",
    "information-request",
    "outcome",
    "overview",
    "package",
    "preservation-request",
    "set-aside",
    "terms-referral",
    "thread-message",
    "welcome",
]
BODIES: Final[Mapping[MessageKind, type[msgspec.Struct]]] = {
    "alert": ServiceAlert,
    "digest": Digest,
    "digest-not-published": DigestNotice,
    "information-request": InformationRequest,
    "outcome": OutcomeNote,
    "overview": Overview,
    "package": Package,
    "preservation-request": PreservationRequest,
    "set-aside": SetAsideNotice,
    "terms-referral": TermsReferral,
    "thread-message": ThreadMessage,
    "welcome": Welcome,
}


class MailboxMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message to one partner.

    `number` counts up from 1 per partner; `previous` is the SHA-256 (hexadecimal) of the signed bytes of the message
    before. `body` is canonical JSON in base64url, its shape given by `kind`.
    """

    body: str
    environment: Environment
    issued_at: str
    kind: MessageKind
    message_id: str
    number: int
    previous: str
    recipient: str


class MailboxItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of `GET /v1/mailbox`."""

    envelope: Annotated[str, base64url_of("The message, sealed to the partner's mailbox key.", "AQAAAAAAAAAA")]
    message_id: MessageId


class MailboxList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/mailbox`."""

    messages: Annotated[tuple[MailboxItem, ...], Meta(description="The oldest first.")]


class EmptyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{}`, the signed body of `POST /v1/mailbox/{id}/ack` and its answer."""


def mailbox_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an object with one property for each kind: the body of that kind."""
    schemas, components = msgspec.json.schema_components(BODIES.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bodies of mailbox messages",
        "type": "object",
        "properties": {kind: format_patterns(schema) for kind, schema in zip(BODIES, schemas, strict=True)},
        "additionalProperties": False,
        "$defs": format_patterns(components),
    }


def sign_message(message: MailboxMessage, *, mailbox_signing_key: Ed25519PrivateKey) -> bytes:
    """Return the signed inner bytes."""
    check_report_id(message.message_id)
    parse_time(message.issued_at)
    return sign_statement(message, kind=StatementKind.MAILBOX_MESSAGE, private_keys=(mailbox_signing_key,))


def open_message(raw: bytes, *, keys: Mapping[str, bytes]) -> MailboxMessage:
    """Return the message if a mailbox-signing key signed it; raises `FormatError` and `StatementError`."""
    return open_statement(
        raw, kind=StatementKind.MAILBOX_MESSAGE, keys=keys, payload_type=MailboxMessage, max_bytes=MAX_MESSAGE_BYTES
    )


def peek_message(raw: bytes) -> MailboxMessage:
    """Read a message without believing it; raises `FormatError`."""
    return peek_statement(raw, MailboxMessage, max_bytes=MAX_MESSAGE_BYTES)


def message_sha256(signed: bytes) -> str:
    """Return the `previous` of the next message."""
    return hashlib.sha256(signed).hexdigest()


def mailbox_context(*, environment: str, partner: str, message_id: str) -> SealContext:
    """Return the context of a mailbox box: the kind of message stays inside."""
    return SealContext(
        environment=environment, purpose="mailbox", sender=AGENCY, recipient=partner, id=message_id, kind="message"
    )
