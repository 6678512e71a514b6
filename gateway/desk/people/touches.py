"""A touch: one use of a passkey for one purpose, in one browser, within five minutes.

The challenge that a device signs is the hash of a statement of the purpose, so a touch for one thing never serves
another: a sign-in releases nothing, and a release of one digest releases no other. The statement travels through the
browser under this process's seal; only its hash is stored, once it is spent.

Never takes a touch without the device's own check of the person (a fingerprint, a face or a PIN).
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select

from gateway.desk.store.agency_tables import SPENT_CHALLENGES
from gateway.desk.vault.assertions import (
    MOST_STATEMENT_BYTES,
    Answer,
    Purpose,
    Statement,
    TouchError,
    check_own_frame,
    get_rp_id,
    parse_statement,
    refuse_bad,
    refuse_other,
)
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import decode, format_time, parse_base64url, parse_time, to_base64url

_Decoded = TypeVar("_Decoded")

TOUCH_WITHIN: Final = timedelta(minutes=5)
# The purposes that bind a person: a release, and their word that a passkey is theirs. A new passkey serves none.
SIGNING: Final[frozenset[Purpose]] = frozenset({"release", "vouch"})
MOST_CREDENTIAL_BYTES: Final = 1023  # CTAP 2.1 §6.1.2: the longest credential id
_SEAL_LABEL: Final = b"report-abuse desk statement v1\0"
_NONCE_BYTES: Final = 32
_MOST_ANSWER_BYTES: Final = 16_384
_MOST_PART_BYTES: Final = 8192


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
        raw = parse_base64url(first, max_bytes=MOST_STATEMENT_BYTES)
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
        check_own_frame(client_data)
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
        raise refuse_bad() from None
    # The device names its key twice; only the one inside its own data is checked.
    if verified.credential_id != credential_id:
        raise refuse_bad()
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


def _make_seal(raw: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _SEAL_LABEL + raw, "sha256")


def _refuse_old() -> TouchError:
    return TouchError("That took longer than five minutes, or the desk restarted. Try again.", reason="old-touch")


def _refuse_malformed() -> TouchError:
    return TouchError("The browser's answer cannot be read. Try again, or use another browser.", reason="malformed")
