"""The mailbox: the agency's messages to one partner, and the partner's entries in their threads (WIRE.md §9, §9.6).

A message is signed by the agency, then sealed to the partner. Immutable means the signed inner bytes: after a
re-enrolment the same bytes may be sealed to a new key. The bodies of digests and overviews are in a module of their
own. Never holds the name of a person reporting, and a referral never a conversation or a time.

An entry acknowledges a package by name, asks, answers, brings an outcome or declines, and names the `message_id` of its
message as `about`; the gateway reads no more of it. The agency's entries are messages of kind `thread-message`. The
manifest of a package lists every file of its archive with size and hash, signed by the desk (docs/package.md).
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    EntryId,
    MessageId,
    Sha256Hex,
    base64url_of,
    check_reference,
    check_report_id,
    encode,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.digest import Digest, DigestNotice, Overview
from partner_sdk.wire.sealing import SealContext, SealingKey, seal
from partner_sdk.wire.signing import (
    Environment,
    SignedKind,
    StatementKind,
)
from partner_sdk.wire.submission import AGENCY, SetAsideReason, check_partner_id

MAX_QUESTION_CHARACTERS: Final = 2000
MAX_PURPOSE_CHARACTERS: Final = 300
MAX_ACCOUNTS: Final = 20
MAX_ACCOUNT_CHARACTERS: Final = 300
MAX_LOCATIONS: Final = 20
MAX_LOCATION_CHARACTERS: Final = 2048
MAX_ALERT_CHARACTERS: Final = 4000
MAX_TITLE_CHARACTERS: Final = 200
MAX_NAME_CHARACTERS: Final = 200
MAX_ENTRY_CHARACTERS: Final = 20_000
# With its evidence by reference: a package with evidence enclosed is a sealed file.
MAX_ARCHIVE_BYTES: Final = 700_000

# What identifies an account at the service that is asked; a reader takes any other code of this spelling.
ACCOUNT_KINDS: Final = {
    "account_id": "Account id",
    "username": "User name",
    "email": "E-mail address",
    "phone": "Phone number",
    "link": "Link",
    "payment": "Payment account",
    "device": "Device",
    "content": "Hash of a file",
}

Reason = Annotated[str, Meta(min_length=1, max_length=MAX_PURPOSE_CHARACTERS)]
Explanation = Annotated[str, Meta(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]
AlertText = Annotated[str, Meta(min_length=1, max_length=MAX_ALERT_CHARACTERS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
EntryText = Annotated[str, Meta(max_length=MAX_ENTRY_CHARACTERS)]
Code = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}(?!\n)$")]
# The agency's own entries: `recall` takes back a message that went in error, `close` ends its thread.
DeskEntryKind = Literal["question", "answer", "note", "reminder", "recall", "close"]


class AskedAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account as the asked service knows it, e.g. `username` and `mild_example`."""

    kind: Code
    value: Annotated[str, Meta(min_length=1, max_length=MAX_ACCOUNT_CHARACTERS)]


Accounts = Annotated[tuple[AskedAccount, ...], Meta(min_length=1, max_length=MAX_ACCOUNTS)]


class PreservationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep the data of these accounts until `preserve_until`; a confirmation is due by `due_at`."""

    accounts: Accounts
    due_at: str
    legal_basis: Reason
    preserve_until: str
    purpose: Reason


class Notifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sender of a notice, as a form for DSA Article 16(2)(c) asks for it."""

    email: Annotated[str, Meta(min_length=3, max_length=MAX_NAME_CHARACTERS)]
    name: Name


class ReferralFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A notice in the shape of DSA Article 16(2): reasons (a), exact place (b), sender (c), good faith (d)."""

    explanation: Explanation
    good_faith: Literal[True]
    locations: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=MAX_LOCATION_CHARACTERS)], ...],
        Meta(min_length=1, max_length=MAX_LOCATIONS),
    ]
    notifier: Notifier | None = None


class TermsReferral(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that may break a rule of the service itself; the service alone decides."""

    account: AskedAccount
    facts: ReferralFacts
    rule: Reason


class ServiceAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pattern of harm to look out for until `expires_at`. `audience` is a kind of service, never a list of names."""

    advice: AlertText
    audience: Reason
    expires_at: str
    pattern: AlertText


class Package(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An intelligence package: one archive (docs/package.md) and its SHA-256. `title` is for lists."""

    archive: Annotated[str, base64url_of("The archive.", "UEsFBg", most_bytes=MAX_ARCHIVE_BYTES)]
    archive_sha256: Sha256Hex
    title: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
    urgent: bool

    def read_archive(self) -> bytes:
        """Return the bytes of the archive; raises `FormatError`, also where they have another SHA-256."""
        archive = parse_base64url(self.archive, max_bytes=MAX_ARCHIVE_BYTES)
        if hashlib.sha256(archive).hexdigest() != self.archive_sha256:
            raise FormatError("The archive is not the one that its SHA-256 names.", reason="malformed")
        return archive


class ThreadMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the agency in the thread of an earlier message; `about` is the `message_id` of that message."""

    about: str
    by: Name
    entry_id: str
    kind: DeskEntryKind
    text: EntryText


ActionBody = PreservationRequest | TermsReferral | ServiceAlert | Package | ThreadMessage


def check_filled(**texts: str) -> None:
    """Raise `FormatError` for a text that is blank; the model alone holds its length."""
    for name, text in texts.items():
        if not text.strip():
            raise FormatError(f"This may not be blank: {name.replace('_', ' ')}.", reason="malformed")


def check_accounts(accounts: tuple[AskedAccount, ...]) -> None:
    """Raise `FormatError` for an account without a value, or one that is named twice."""
    for account in accounts:
        check_filled(account=account.value)
    if len(set(accounts)) != len(accounts):
        raise FormatError("Each account may be named once.", reason="malformed")


def check_action_body(body: ActionBody) -> None:
    """Raise `FormatError` for an id or a time that is none, a blank text, or an archive with another SHA-256."""
    _CHECKS[type(body)](body)


def _check_preservation(body: PreservationRequest) -> None:
    check_accounts(body.accounts)
    check_filled(purpose=body.purpose, legal_basis=body.legal_basis)
    if parse_time(body.due_at) > parse_time(body.preserve_until):
        raise FormatError("Data cannot be kept until before the confirmation is due.", reason="malformed")


def _check_referral(body: TermsReferral) -> None:
    check_accounts((body.account,))
    check_filled(rule=body.rule, explanation=body.facts.explanation)
    for location in body.facts.locations:
        check_filled(location=location)


def _check_alert(body: ServiceAlert) -> None:
    check_filled(pattern=body.pattern, audience=body.audience, advice=body.advice)
    parse_time(body.expires_at)


def _check_package(body: Package) -> None:
    check_filled(title=body.title)
    body.read_archive()


def _check_thread_message(body: ThreadMessage) -> None:
    check_report_id(body.about)
    check_report_id(body.entry_id)
    check_filled(by=body.by)
    if body.kind in {"question", "answer", "note"}:
        check_filled(text=body.text)


_CHECKS: Final[Mapping[type, Callable[[Any], None]]] = {
    PreservationRequest: _check_preservation,
    TermsReferral: _check_referral,
    ServiceAlert: _check_alert,
    Package: _check_package,
    ThreadMessage: _check_thread_message,
}


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

# Why the desk set a report aside, as its sender is told: coarse, so that it teaches no sender how the desk checks.
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
# Of `GET /v1/mailbox?wait=`: below the 30 seconds that the proxy in front, and many a firm's own, wait for an answer.
MAX_WAIT_SECONDS = 25

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


SIGNED_MESSAGE: Final = SignedKind(
    StatementKind.MAILBOX_MESSAGE,
    MailboxMessage,
    dated_by="issued_at",
    max_bytes=MAX_MESSAGE_BYTES,
    check=lambda message: check_report_id(message.message_id),
)


def message_sha256(signed: bytes) -> str:
    """Return the `previous` of the next message."""
    return hashlib.sha256(signed).hexdigest()


def mailbox_context(*, environment: str, partner: str, message_id: str) -> SealContext:
    """Return the context of a mailbox box: the kind of message stays inside."""
    return SealContext(
        environment=environment, purpose="mailbox", sender=AGENCY, recipient=partner, id=message_id, kind="message"
    )


# 20,000 characters, each escaped at worst (`\\u0000`), in base64url inside the statement, with its names.
MAX_ENTRY_STATEMENT_BYTES: Final = 168 * 1024
MAX_ENTRY_ENVELOPE_BYTES: Final = 176 * 1024
MAX_ENTRY_BODY_BYTES: Final = 256 * 1024

EntryKind = Literal["acknowledge", "question", "answer", "outcome", "note", "decline"]
# What became of a package, the most hopeful first; a reader takes any other code of this spelling.
PACKAGE_OUTCOMES: Final = {
    "safeguarded": "The child is safeguarded.",
    "located": "The child is located.",
    "identified": "The child is identified.",
    "suspect_identified": "A suspect is identified.",
    "arrested": "A suspect is arrested.",
    "charged": "A suspect is charged.",
    "passed_overseas": "Passed to a body overseas.",
    "no_crime": "No crime.",
    "not_traceable": "Nobody could be traced.",
}


class ThreadEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry. `about` is the `message_id` of the first message of the thread, `by` its writer.

    `outcome` belongs to the kind `outcome` alone. `report_id` is a report of the same partner that carries the data.
    """

    about: str
    by: Name
    created_at: str
    entry_id: str
    environment: Environment
    kind: EntryKind
    outcome: Code | None = None
    partner: str
    report_id: str | None = None
    text: EntryText


class EntryPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/mailbox/{message_id}/entries`: the box in base64url, and the id that it is sealed under."""

    entry_id: EntryId
    envelope: Annotated[str, base64url_of("The sealed entry.", "AQAAAAAAAAAA", most_bytes=MAX_ENTRY_ENVELOPE_BYTES)]


def entry_context(*, environment: str, partner: str, entry_id: str) -> SealContext:
    """Return the context of the box of an entry."""
    return SealContext(
        environment=environment, purpose="thread", sender=partner, recipient=AGENCY, id=entry_id, kind="entry"
    )


def seal_entry(entry: ThreadEntry, *, submission_key: Ed25519PrivateKey, agency_key: SealingKey) -> EntryPost:
    """Sign and seal an entry; raises `FormatError` for one that no reader would take, e.g. a blank question."""
    # A model is checked when it is read, not when it is made.
    for what, value, most in (("text", entry.text, MAX_ENTRY_CHARACTERS), ("name", entry.by, MAX_NAME_CHARACTERS)):
        if len(value) > most:
            raise FormatError(f"A {what} can have up to {most:,} characters.", reason=f"{what}-too-long")
    parse_exact(encode(entry), kind=ThreadEntry, max_bytes=MAX_ENTRY_STATEMENT_BYTES)
    signed = SIGNED_ENTRY.sign(entry, submission_key)
    context = entry_context(environment=entry.environment, partner=entry.partner, entry_id=entry.entry_id)
    envelope = seal(signed, key=agency_key, context=context)
    return EntryPost(entry_id=entry.entry_id, envelope=to_base64url(envelope.to_bytes()))


def check_entry(entry: ThreadEntry) -> None:
    """Raise `FormatError` unless the entry has everything that its kind needs."""
    check_partner_id(entry.partner)
    for one in (entry.about, entry.entry_id, *(() if entry.report_id is None else (entry.report_id,))):
        check_report_id(one)
    parse_time(entry.created_at)
    check_filled(by=entry.by)
    if (entry.outcome is not None) != (entry.kind == "outcome"):
        raise FormatError("An outcome has a code, and no other entry has one.", reason="malformed")
    is_carried = entry.kind == "answer" and entry.report_id is not None
    if entry.kind in {"question", "answer", "note", "decline"} and not is_carried:
        check_filled(text=entry.text)


SIGNED_ENTRY: Final = SignedKind(
    StatementKind.THREAD_ENTRY, ThreadEntry, max_bytes=MAX_ENTRY_STATEMENT_BYTES, check=check_entry
)
