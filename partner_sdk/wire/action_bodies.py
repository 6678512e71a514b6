"""Bodies of the agency's messages about a case: packages, requests, referrals, alerts, threads (WIRE.md §9, §9.6).

Each goes to one partner, and entries of its thread name its `message_id` as `about`. Never holds the name of a person
reporting, and a referral never a conversation or a time.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_time
from partner_sdk.wire.field_types import Sha256Hex, base64url_of

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
