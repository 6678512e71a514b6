"""Enrolment: the agency's invitation and the one sealed box that answers it (WIRE.md §8).

The gateway can neither read nor replace the box: it knows only a hash of the invitation's secret.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.errors import EnrolmentError, FormatError, StatementError
from partner_sdk.wire.account import MAX_ACCOUNT_STATEMENT_BYTES
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, parse_time, to_base64url
from partner_sdk.wire.envelope import Envelope, SealContext
from partner_sdk.wire.field_types import base64url_of
from partner_sdk.wire.keys import XWING_PUBLIC_KEY_BYTES, Environment, Pin, SealingKey, sealing_key_id
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import (
    PUBLIC_KEY_BYTES,
    SignedStatement,
    StatementKind,
    check_statement,
    parse_statement,
    public_bytes,
    sign_statement,
)
from partner_sdk.wire.submission import AGENCY, check_partner_id

SECRET_BYTES = 32
SHA256_BYTES = 32
MAX_INVITATION_BYTES = 8192
# Keys and, where the partner sends it along, a registration of at most 24 KiB, signed and sealed.
MAX_ENROLMENT_BYTES = 64 * 1024
# The box is in base64url inside the body, with a hash beside it.
MAX_ENROLMENT_BODY_BYTES = 2 * MAX_ENROLMENT_BYTES
INVITATION_LIFETIME = timedelta(days=14)
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


def check_enrolment(raw: bytes, *, environment: str, invited: Mapping[str, str]) -> EnrolmentKeys:
    """Return the keys of an opened box (`raw`), for the desk.

    `invited` maps the base64url hash of each open invitation's secret to its partner id. Raises `EnrolmentError`:
    `malformed`, `unknown-invitation`, `wrong-partner`, `bad-signature`, `bad-key`.
    """
    try:
        box = parse_exact(raw, kind=EnrolmentBox, max_bytes=MAX_ENROLMENT_BYTES)
        hashed = to_base64url(secret_sha256(parse_base64url(box.secret, length=SECRET_BYTES)))
        claimed = parse_exact(parse_base64url(box.keys.payload), kind=EnrolmentKeys, max_bytes=MAX_ENROLMENT_BYTES)
        signers = (
            parse_base64url(claimed.submission_key, length=PUBLIC_KEY_BYTES),
            parse_base64url(claimed.context_key, length=PUBLIC_KEY_BYTES),
        )
        keys = check_statement(box.keys, kind=StatementKind.ENROLMENT, signers=signers, payload_type=EnrolmentKeys)
        parse_base64url(keys.mailbox_key, length=XWING_PUBLIC_KEY_BYTES)
    except StatementError:
        raise EnrolmentError("The enrolment is not signed with its own new keys.", reason="bad-signature") from None
    except FormatError as error:
        raise EnrolmentError(f"The enrolment cannot be read: {error}", reason="malformed") from None
    if hashed not in invited or keys.secret_sha256 != hashed:
        raise EnrolmentError("No open invitation has this secret.", reason="unknown-invitation")
    if keys.partner != invited[hashed] or keys.environment != environment:
        raise EnrolmentError("The invitation is for another partner or environment.", reason="wrong-partner")
    if signers[0] == signers[1]:
        raise EnrolmentError("Each key has one role: give two different signing keys.", reason="bad-key")
    return keys


def find_enrolled_registration(raw: bytes) -> bytes | None:
    """Return the signed account change in an opened box, still to be checked, or None; raises `FormatError`."""
    box = parse_exact(raw, kind=EnrolmentBox, max_bytes=MAX_ENROLMENT_BYTES)
    return None if box.registration is None else encode(box.registration)


def mailbox_key_id(public_key: bytes) -> str:
    """Return the id of a partner's mailbox key, base64url."""
    return to_base64url(sealing_key_id(public_key))
