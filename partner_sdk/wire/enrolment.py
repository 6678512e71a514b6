"""Enrolment: the invitation, the sealed box that answers it, registration and later changes (WIRE.md §8, §8.1).

The gateway can neither read nor replace the box: it knows only a hash of the invitation's secret.

SI 2026/268 asks for an organisation administrator, a named replacement and the authorised persons. Never names a child.

New keys are signed by the old submission key and by both new signing keys: no partner can bind a key that it does not
hold. A registration is signed by the submission key. A person at the agency decides about both.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import EnrolmentError, FieldFault, FormatError, ReportError
from partner_sdk.wire.canonical import (
    ChangeId,
    base64url_of,
    check_report_id,
    convert,
    encode,
    parse_base64url,
    parse_exact,
    parse_json_file,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.sealing import Envelope, SealContext, SealingKey, seal, sealing_key_id
from partner_sdk.wire.signing import (
    Environment,
    Pin,
    SignedKind,
    SignedStatement,
    StatementKind,
    parse_statement,
    public_bytes,
    sign_statement,
)
from partner_sdk.wire.submission import AGENCY, check_partner_id

MAX_REGISTRATION_BYTES: Final = 24 * 1024
MAX_PERSONS: Final = 100
MAX_PLATFORMS: Final = 50

# C0, DEL and C1; the separators of lines and paragraphs; what turns the direction of writing (UAX #9 §2): a terminal, a
# mail or a reader's eye takes them for orders.
CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# Signs that a mail program may take for a second address, a name or another header (RFC 5322 §3.4, RFC 6068 §2).
_MAIL: Final = rf'@\s,;<>()"?&\\{CONTROLS}'
# One `@`, no space, and a dot behind it: what can be typed wrongly; whether mail arrives is not ours to know.
EMAIL: Final = rf"^[^{_MAIL}]{{1,64}}@[^{_MAIL}]{{1,180}}\.[^.{_MAIL}]{{2,63}}\Z"
TELEPHONE: Final = r"^\+?[0-9][0-9 ()-]{4,38}[0-9]\Z"
URL: Final = rf"^https?://[^\s{CONTROLS}]{{3,500}}\Z"
HTTPS_URL: Final = URL.replace("https?:", "https:")
LINE: Final = rf"^[^\s{CONTROLS}][^{CONTROLS}]{{0,99}}\Z"

Line = Annotated[str, Meta(pattern=LINE)]
Email = Annotated[str, Meta(pattern=EMAIL)]
Telephone = Annotated[str, Meta(pattern=TELEPHONE)]
Sector = Literal["online", "mobile", "financial", "other"]

_TYPED: Final = {
    "email": "Give an e-mail address, like moderation@chat.example.",
    "telephone": "Give a telephone number with its country code, like +44 20 7946 0000.",
    "out_of_hours_telephone": "Give a telephone number with its country code, like +44 20 7946 0000.",
    "url": "Give an address that begins with https://.",
    "sector": "Give one of online, mobile, financial, other.",
    "authorised_persons": f"Give a list of 1 to {MAX_PERSONS} persons, each with name, email and role.",
    "platforms": f"Give a list of 1 to {MAX_PLATFORMS} platforms, each with its name.",
}
_OTHERWISE: Final = "Give a value like the one in `account template`: one line of at most 100 characters."
_PLACE: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>\w+)`")


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person who acts for the partner; `role` is the name of the job, e.g. `Head of safety`."""

    email: Email
    name: Line
    role: Line
    telephone: Telephone | None = None

    def __repr__(self) -> str:
        """Name no person: a repr ends up in logs."""
        return "Person(...)"


class ContactPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person or a team that the agency may ask."""

    email: Email
    name: Line
    telephone: Telephone | None = None

    def __repr__(self) -> str:
        """Name no person: a repr ends up in logs."""
        return "ContactPoint(...)"


class Platform(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service that the organisation runs."""

    name: Line
    url: Annotated[str, Meta(pattern=URL)] | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole of it; each one sent replaces the one before.

    `administrator` and `replacement` may be missing, so that a service that seeks one can register; the desk asks for
    them.
    """

    authorised_persons: Annotated[tuple[Person, ...], Meta(min_length=1, max_length=MAX_PERSONS)]
    law_enforcement_contact: ContactPoint
    operational_contact: ContactPoint
    organisation: Line
    platforms: Annotated[tuple[Platform, ...], Meta(min_length=1, max_length=MAX_PLATFORMS)]
    sector: Sector
    administrator: Person | None = None
    out_of_hours_telephone: Telephone | None = None
    replacement: Person | None = None


TEMPLATE: Final = Registration(
    administrator=Person(email="admin@chat.example", name="A. Administrator", role="Head of trust and safety"),
    authorised_persons=(Person(email="moderator@chat.example", name="M. Moderator", role="Senior moderator"),),
    law_enforcement_contact=ContactPoint(
        email="police-liaison@chat.example", name="Police liaison", telephone="+44 20 7946 0001"
    ),
    operational_contact=ContactPoint(email="safety@chat.example", name="Safety team", telephone="+44 20 7946 0002"),
    organisation="Example Chat Ltd",
    out_of_hours_telephone="+44 20 7946 0003",
    platforms=(Platform(name="Example Chat", url="https://chat.example"),),
    replacement=Person(email="deputy@chat.example", name="D. Deputy", role="Deputy head of trust and safety"),
    sector="online",
)


def parse_registration_file(raw: bytes) -> Registration:
    """Read a file that a person wrote, or raise `ReportError` whose faults name JSON pointers and their fix."""
    try:
        value = parse_json_file(raw, max_bytes=MAX_REGISTRATION_BYTES)
        registration = convert(value, kind=Registration)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    except msgspec.ValidationError as error:
        raise ReportError(
            "The registration does not match its model.", reason="bad-field", faults=[_make_fault(error)]
        ) from None
    faults = list_registration_faults(registration)
    if faults:
        raise ReportError("The registration contradicts itself.", reason="bad-field", faults=faults)
    return registration


def list_registration_faults(registration: Registration) -> list[FieldFault]:
    """Return faults beyond single fields: a person named twice, a replacement who is the administrator, too much."""
    return list(_list_faults(registration))


def list_registration_gaps(registration: Registration) -> tuple[str, ...]:
    """Return the names of items that the law asks for and the registration lacks; the desk warns and asks for more."""
    wanted = ("administrator", "replacement", "out_of_hours_telephone")
    return tuple(name for name in wanted if getattr(registration, name) is None)


def _list_faults(registration: Registration) -> Iterator[FieldFault]:
    administrator, replacement = registration.administrator, registration.replacement
    if administrator and replacement and _key(administrator.email) == _key(replacement.email):
        yield FieldFault("#/replacement", "Name someone other than the administrator.")
    seen: set[str] = set()
    for place, person in enumerate(registration.authorised_persons):
        if _key(person.email) in seen:
            yield FieldFault(f"#/authorised_persons/{place}/email", "Remove this one: the address is already listed.")
        seen.add(_key(person.email))
    if len(encode(registration)) > MAX_REGISTRATION_BYTES:
        yield FieldFault("#", f"Make it shorter: {MAX_REGISTRATION_BYTES} bytes at most.")


def _key(email: str) -> str:
    return email.casefold()


def _make_fault(error: msgspec.ValidationError) -> FieldFault:
    # Never repeats a value, nor a name that the model does not have.
    text = str(error)
    place = _PLACE.search(text)
    steps = [(step["name"], step["index"]) for step in _STEP.finditer(place["path"] if place else "")]
    pointer = "#" + "".join(f"/{name or index}" for name, index in steps)
    missing = _MISSING.match(text)
    if missing:
        return FieldFault(f"{pointer}/{missing['name']}", "Add this field: it is required.")
    if text.startswith("Object contains unknown field"):
        return FieldFault(pointer, f"Remove the field directly under {pointer} that is not in the template.")
    last = steps[-1][0] if steps else None
    return FieldFault(pointer, _TYPED.get(last or "", _OTHERWISE))


# A registration of at most 24 KiB, in base64url inside the statement, with room for names and signatures.
MAX_ACCOUNT_STATEMENT_BYTES = 40 * 1024
MAX_ACCOUNT_ENVELOPE_BYTES = 48 * 1024
MAX_ACCOUNT_BODY_BYTES = 72 * 1024


class NewKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new public keys of a partner, and the id of the submission key that they replace."""

    context_key: str
    mailbox_key: str
    old_key_id: str
    submission_key: str


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed payload: exactly one of `keys` and `registration`."""

    change_id: str
    created_at: str
    environment: Environment
    keys: NewKeys | None
    partner: str
    registration: Registration | None


class AccountPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/account`: the box in base64url, and the id that it is sealed under."""

    change_id: ChangeId
    envelope: Annotated[str, base64url_of("The sealed change.", "AQAAAAAAAAAA", most_bytes=MAX_ACCOUNT_ENVELOPE_BYTES)]


def account_context(*, environment: str, partner: str, change_id: str) -> SealContext:
    """Return the context of the box of an account change."""
    return SealContext(
        environment=environment, purpose="enrol", sender=partner, recipient=AGENCY, id=change_id, kind="account"
    )


def seal_account_change(signed: bytes, *, change: AccountChange, agency_key: SealingKey) -> AccountPost:
    """Return the body of `POST /v1/account` for a signed statement."""
    context = account_context(environment=change.environment, partner=change.partner, change_id=change.change_id)
    envelope = seal(signed, key=agency_key, context=context)
    return AccountPost(change_id=change.change_id, envelope=to_base64url(envelope.to_bytes()))


def _check_change(change: AccountChange) -> None:
    check_report_id(change.change_id)
    parse_time(change.created_at)
    if (change.keys is None) == (change.registration is None):
        raise FormatError("A change must carry either keys or a registration.", reason="malformed")
    if change.registration is not None and list_registration_faults(change.registration):
        raise FormatError("The registration contradicts itself.", reason="malformed")


SIGNED_CHANGE: Final = SignedKind(
    StatementKind.ACCOUNT_CHANGE, AccountChange, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES, check=_check_change
)


SECRET_BYTES = 32
SHA256_BYTES = 32
MAX_INVITATION_BYTES = 8192
# Keys and, where the partner sends it along, a registration of at most 24 KiB, signed and sealed.
MAX_ENROLMENT_BYTES = 64 * 1024
_SECRET_LABEL = b"report-abuse invitation v1\0"


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that the desk hands to a partner. It holds a one-time secret: it travels by a trusted way."""

    environment: Environment
    expires_at: str
    name: str
    origin: str
    partner: str
    next_root_fingerprint: str | None
    root_fingerprint: str
    secret: str
    type: Literal["report-abuse/invitation"] = "report-abuse/invitation"

    def __repr__(self) -> str:
        """Name the partner without the secret: a repr ends in logs."""
        return f"Invitation(partner={self.partner!r}, environment={self.environment!r})"


class EnrolmentKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload that both new signing keys sign: the public keys, for this partner and this secret's hash."""

    context_key: str
    environment: Environment
    mailbox_key: str
    partner: str
    secret_sha256: str
    submission_key: str


class EnrolmentBox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The inside of the box: the secret itself, and the keys signed by themselves (submission key, context key).

    `registration` is an account change signed by the new submission key (account.py), left out where there is none.
    """

    keys: SignedStatement
    secret: str
    registration: SignedStatement | None = None


class EnrolmentPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/enrol`."""

    envelope: Annotated[
        str, base64url_of("The sealed answer to the invitation.", "AQAAAAAAAAAA", most_bytes=MAX_ENROLMENT_BYTES)
    ]
    secret_sha256: Annotated[
        str, base64url_of("The labelled SHA-256 of the invitation's secret.", "A" * 43, exact_bytes=SHA256_BYTES)
    ]


def make_partner_pin(invitation: Invitation) -> Pin:
    """Return the pin of a partner: the root that the agency named, and the one that may follow it. No feed."""
    return Pin(
        environment=invitation.environment,
        feed_key=None,
        next_root_fingerprint=invitation.next_root_fingerprint,
        root_fingerprint=invitation.root_fingerprint,
    )


def secret_sha256(secret: bytes) -> bytes:
    """Return the labelled SHA-256 of an invitation's secret (32 random bytes): all that the gateway learns of it."""
    return hashlib.sha256(_SECRET_LABEL + secret).digest()


def parse_invitation(raw: bytes) -> Invitation:
    """Read an invitation file of at most `MAX_INVITATION_BYTES`, or raise `EnrolmentError` (`bad-invitation`)."""
    try:
        invitation = parse_exact(raw.rstrip(b"\n"), kind=Invitation, max_bytes=MAX_INVITATION_BYTES)
        parse_base64url(invitation.secret, length=SECRET_BYTES)
        parse_time(invitation.expires_at)
        check_partner_id(invitation.partner)
    except FormatError as error:
        raise EnrolmentError(
            "This is not the agency's unchanged invitation: it is another file, or it was edited or cut off. "
            f"Use the agency's file unchanged, or ask the agency for a new one. {error}",
            reason="bad-invitation",
        ) from None
    return invitation


def enrolment_context(*, environment: str, partner: str, hashed_secret: str) -> SealContext:
    """Return the context of an enrolment box; `hashed_secret` is the base64url of `secret_sha256`."""
    return SealContext(
        environment=environment, purpose="enrol", sender=partner, recipient=AGENCY, id=hashed_secret, kind="enrol"
    )


def seal_enrolment(
    invitation: Invitation,
    *,
    submission_key: Ed25519PrivateKey,
    context_key: Ed25519PrivateKey,
    mailbox_key: bytes,
    agency_key: SealingKey,
    registration: bytes | None = None,
) -> EnrolmentPost:
    """Return the body of `POST /v1/enrol`; `mailbox_key` is the X-Wing public key (1216 raw bytes).

    `registration` is a signed account change with the registration of this partner.
    """
    secret = parse_base64url(invitation.secret, length=SECRET_BYTES)
    hashed = to_base64url(secret_sha256(secret))
    keys = EnrolmentKeys(
        context_key=to_base64url(public_bytes(context_key)),
        environment=invitation.environment,
        mailbox_key=to_base64url(mailbox_key),
        partner=invitation.partner,
        secret_sha256=hashed,
        submission_key=to_base64url(public_bytes(submission_key)),
    )
    signed = sign_statement(keys, kind=StatementKind.ENROLMENT, private_keys=(submission_key, context_key))
    box = EnrolmentBox(
        keys=parse_statement(signed),
        registration=(
            None if registration is None else parse_statement(registration, max_bytes=MAX_ACCOUNT_STATEMENT_BYTES)
        ),
        secret=invitation.secret,
    )
    context = enrolment_context(environment=invitation.environment, partner=invitation.partner, hashed_secret=hashed)
    envelope: Envelope = seal(encode(box), key=agency_key, context=context)
    return EnrolmentPost(envelope=to_base64url(envelope.to_bytes()), secret_sha256=hashed)


def mailbox_key_id(public_key: bytes) -> str:
    """Return the id of a partner's mailbox key, base64url."""
    return to_base64url(sealing_key_id(public_key))
