"""A touch: one use of a passkey for one purpose, in one browser, within five minutes.

The challenge that a device signs is the hash of a statement of the purpose, so a touch for one thing never serves
another: a sign-in releases nothing, and a release of one digest releases no other. The statement travels through the
browser under this process's seal; only its hash is stored, once it is spent.

Never takes a touch without the device's own check of the person (a fingerprint, a face or a PIN).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, delete, insert, select

from gateway.desk.store.passkey_tables import SPENT_CHALLENGES
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import (
    decode,
    encode,
    format_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)

Purpose = Literal["sign-in", "touch", "register", "release"]
_Decoded = TypeVar("_Decoded")

TOUCH_WITHIN: Final = timedelta(minutes=5)
MOST_CREDENTIAL_BYTES: Final = 1023  # CTAP 2.1 §6.1.2: the longest credential id
_CHALLENGE_LABEL: Final = b"report-abuse desk touch v1\0"
_SEAL_LABEL: Final = b"report-abuse desk statement v1\0"
_NONCE_BYTES: Final = 32
_MOST_STATEMENT_BYTES: Final = 4096
_MOST_ANSWER_BYTES: Final = 16_384
_MOST_PART_BYTES: Final = 8192


class TouchError(ReportAbuseError):
    """A touch is refused; its message is for the person at the page."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purpose of one touch, e.g. `release` of `digest 2026-Q3.example-chat` with the hash of its bytes.

    `browser` is a hash of the browser's own token. `person` is empty at sign-in: the passkey itself names them.
    """

    body_sha256: str = ""
    browser: str
    expires_at: str
    nonce: str
    origin: str
    person: str = ""
    purpose: Purpose
    subject: str = ""

    def encode(self) -> bytes:
        """Return the bytes whose hash is the challenge."""
        return encode(self)

    @property
    def challenge(self) -> bytes:
        """The challenge that a device signs."""
        return hash_statement(self.encode())


@dataclass(frozen=True, slots=True)
class Answer:
    """A device's answer, as a browser hands it over: parsed, and not verified yet. `handle` names its person."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    handle: bytes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A verified new passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    is_synced: bool


def make_statement(
    *, purpose: Purpose, origin: str, browser: str, now: datetime, random: bytes, **what: str
) -> Statement:
    """Return the statement of one touch, with 32 random bytes; `what` is its person, subject and `body_sha256`."""
    if len(random) != _NONCE_BYTES:
        raise ValueError(f"A statement takes {_NONCE_BYTES} random bytes.")
    return Statement(
        purpose=purpose,
        origin=origin,
        browser=browser,
        expires_at=format_time(now + TOUCH_WITHIN),
        nonce=to_base64url(random),
        **what,
    )


def hash_statement(raw: bytes) -> bytes:
    """Return the challenge of a statement's bytes."""
    return hashlib.sha256(_CHALLENGE_LABEL + raw).digest()


def parse_statement(raw: bytes) -> Statement:
    """Return a statement from its stored bytes. Raises `FormatError`."""
    return parse_exact(raw, kind=Statement, max_bytes=_MOST_STATEMENT_BYTES)


def seal_statement(statement: Statement, *, key: bytes) -> str:
    """Return a statement for a form, with a seal that only this process can make."""
    raw = statement.encode()
    return f"{to_base64url(raw)}.{to_base64url(_make_seal(raw, key))}"


def open_statement(
    text: str, *, key: bytes, purpose: Purpose, origin: str, browser: str, person: str, now: datetime
) -> Statement:
    """Return the statement of a form. Raises `TouchError` (`old-touch`, `other-touch`).

    It must have this process's seal, and be for this purpose, browser and person.
    """
    first, _, second = text.partition(".")
    try:
        raw = parse_base64url(first, max_bytes=_MOST_STATEMENT_BYTES)
        is_ours = hmac.compare_digest(second, to_base64url(_make_seal(raw, key)))
        statement = parse_statement(raw)
    except (FormatError, TypeError):  # hmac compares ASCII only
        raise _refuse_old() from None
    if not is_ours or now >= parse_time(statement.expires_at):
        raise _refuse_old()
    found = (statement.purpose, statement.origin, statement.browser, statement.person)
    if found != (purpose, origin, browser, person):
        raise refuse_other()
    return statement


def spend_challenge(connection: Connection, statement: Statement, *, now: datetime) -> None:
    """Spend a statement, so that no touch counts twice. Raises `TouchError` (`spent-touch`)."""
    moment = format_time(now)
    connection.execute(delete(SPENT_CHALLENGES).where(SPENT_CHALLENGES.c.expires_at <= moment))
    known = select(SPENT_CHALLENGES.c.challenge).where(SPENT_CHALLENGES.c.challenge == statement.challenge)
    if connection.execute(known).first() is not None:
        raise TouchError("This touch has been used. Touch your passkey again.", reason="spent-touch")
    values = {"challenge": statement.challenge, "expires_at": statement.expires_at}
    connection.execute(insert(SPENT_CHALLENGES).values(values))


class _AssertionPart(
    msgspec.Struct,
    frozen=True,
    rename={"authenticator_data": "authenticatorData", "client_data": "clientDataJSON", "handle": "userHandle"},
):
    authenticator_data: str
    client_data: str
    signature: str
    handle: str | None = None


class _Assertion(msgspec.Struct, frozen=True):
    """The members of a browser's `toJSON()` that are read (WebAuthn §5.1); browsers add others of their own."""

    id: str
    response: _AssertionPart


class _AttestationPart(
    msgspec.Struct, frozen=True, rename={"attestation": "attestationObject", "client_data": "clientDataJSON"}
):
    attestation: str
    client_data: str


class _Attestation(msgspec.Struct, frozen=True):
    id: str
    response: _AttestationPart


def parse_answer(text: str) -> Answer:
    """Return a device's answer from the JSON of a browser. Raises `TouchError` (`malformed`)."""
    found = _decode(text, kind=_Assertion)
    part = found.response
    try:
        return Answer(
            credential_id=parse_base64url(found.id, max_bytes=MOST_CREDENTIAL_BYTES),
            client_data=parse_base64url(part.client_data, max_bytes=_MOST_PART_BYTES),
            authenticator_data=parse_base64url(part.authenticator_data, max_bytes=_MOST_PART_BYTES),
            signature=parse_base64url(part.signature, max_bytes=_MOST_PART_BYTES),
            handle=parse_base64url(part.handle or "", max_bytes=MOST_CREDENTIAL_BYTES),
        )
    except FormatError:
        raise _refuse_malformed() from None


def _decode(text: str, *, kind: type[_Decoded]) -> _Decoded:
    try:
        raw = text.encode()
        if len(raw) > _MOST_ANSWER_BYTES:
            raise _refuse_malformed()
        return decode(raw, kind=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _refuse_malformed() from None


def verify_answer(answer: Answer, *, statement: bytes, public_key: bytes) -> int:
    """Return the device's counter if the key signed this statement with a check of the person.

    Needs nothing but its arguments, so that an auditor can repeat it. Raises `TouchError` (`bad-touch`).
    """
    # Imported here: the library brings a tenth of a second that commands without a touch do not need.
    from webauthn import verify_authentication_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

    try:
        origin = parse_statement(statement).origin
        _check_own_frame(answer.client_data)
        verified = verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(answer.credential_id),
                raw_id=answer.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=answer.client_data,
                    authenticator_data=answer.authenticator_data,
                    signature=answer.signature,
                ),
            ),
            expected_challenge=hash_statement(statement),
            expected_rp_id=get_rp_id(origin),
            expected_origin=origin,
            credential_public_key=public_key,
            # The caller compares the counter itself, because it answers a copied device in another way than a fault.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - for hostile CBOR the library raises KeyError, IndexError and others
        raise _refuse_bad() from None
    return verified.new_sign_count


def verify_new_key(text: str, *, statement: Statement) -> NewKey:
    """Return the passkey of a browser's answer to a registration. Raises `TouchError` (`malformed`, `bad-touch`)."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import (
        AuthenticatorAttestationResponse,
        CredentialDeviceType,
        RegistrationCredential,
    )

    found = _decode(text, kind=_Attestation)
    try:
        credential_id = parse_base64url(found.id, max_bytes=MOST_CREDENTIAL_BYTES)
        client_data = parse_base64url(found.response.client_data, max_bytes=_MOST_PART_BYTES)
        attestation = parse_base64url(found.response.attestation, max_bytes=_MOST_PART_BYTES)
    except FormatError:
        raise _refuse_malformed() from None
    try:
        _check_own_frame(client_data)
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(credential_id),
                raw_id=credential_id,
                response=AuthenticatorAttestationResponse(client_data_json=client_data, attestation_object=attestation),
            ),
            expected_challenge=statement.challenge,
            expected_rp_id=get_rp_id(statement.origin),
            expected_origin=statement.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - for hostile CBOR the library raises KeyError, IndexError and others
        raise _refuse_bad() from None
    # The device names its key twice; only the one inside its own data is checked.
    if verified.credential_id != credential_id:
        raise _refuse_bad()
    return NewKey(
        credential_id=credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        is_synced=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
    )


def make_touch_options(statement: Statement, *, allowed: list[bytes]) -> Mapping[str, Any]:
    """Return the options for `navigator.credentials.get`; without `allowed`, any passkey of this desk."""
    return {
        "allowCredentials": [{"id": to_base64url(one), "type": "public-key"} for one in allowed],
        "challenge": to_base64url(statement.challenge),
        "rpId": get_rp_id(statement.origin),
        "timeout": int(TOUCH_WITHIN / timedelta(milliseconds=1)),
        "userVerification": "required",
    }


def make_key_options(
    statement: Statement, *, agency: str, name: str, handle: bytes, known: list[bytes]
) -> Mapping[str, Any]:
    """Return the options for `navigator.credentials.create`: a passkey that signs in without a name being typed."""
    return {
        "attestation": "none",
        "authenticatorSelection": {
            "requireResidentKey": True,
            "residentKey": "required",
            "userVerification": "required",
        },
        "challenge": to_base64url(statement.challenge),
        "excludeCredentials": [{"id": to_base64url(one), "type": "public-key"} for one in known],
        # The library's own list: EdDSA, ECDSA with P-256, RSA (RFC 8812; RFC 9053).
        "pubKeyCredParams": [{"alg": one, "type": "public-key"} for one in (-8, -7, -257)],
        "rp": {"id": get_rp_id(statement.origin), "name": agency},
        "timeout": int(TOUCH_WITHIN / timedelta(milliseconds=1)),
        "user": {"displayName": name, "id": to_base64url(handle), "name": name},
    }


def get_rp_id(origin: str) -> str:
    """Return the name that passkeys are bound to: the host of the desk's origin (WebAuthn §5.1.3)."""
    return urlsplit(origin).hostname or ""


def _make_seal(raw: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _SEAL_LABEL + raw, "sha256")


def _check_own_frame(client_data: bytes) -> None:
    from webauthn.helpers import parse_client_data_json

    # The library leaves this to its caller: no page of ours lies in a frame of another site.
    if parse_client_data_json(client_data).cross_origin:
        raise _refuse_bad()


def refuse_other() -> TouchError:
    """Return the error of a touch for another purpose, person, browser or draft."""
    return TouchError("This touch was for another page or another person. Nothing was changed.", reason="other-touch")


def _refuse_old() -> TouchError:
    return TouchError("That took longer than five minutes, or the desk restarted. Try again.", reason="old-touch")


def _refuse_malformed() -> TouchError:
    return TouchError("The browser's answer cannot be read. Try again, or use another browser.", reason="malformed")


def _refuse_bad() -> TouchError:
    return TouchError(
        "The passkey's answer is not for this desk, or it did not check that it was you. Try again.",
        reason="bad-touch",
    )
