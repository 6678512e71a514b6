"""One step-up of a passkey as it was signed: its statement, the device's answer, and the check of both.

Needs no database, so that the vault and an auditor can repeat it. Never takes a step-up without the device's own check
of the person (a fingerprint, a face or a PIN).
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from partner_sdk.errors import RefusalError
from partner_sdk.wire.canonical import encode, parse_exact

Purpose = Literal["sign-in", "step-up", "register", "release", "vouch"]
MOST_STATEMENT_BYTES: Final = 4096
_CHALLENGE_LABEL: Final = b"report-abuse desk step-up v1\0"


class StepUpError(
    RefusalError[
        Literal["bad-step-up", "copied-passkey", "ended-passkey", "malformed", "new-passkey", "no-passkey"]
        | Literal["old-step-up", "other-person", "other-step-up", "spent-step-up", "unknown-passkey"]
    ]
):
    """A step-up is refused; its message is for the person at the page."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The purpose of one step-up, e.g. `release` of `digest 2026-Q3.example-chat` with the hash of its bytes.

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
    """A device's answer from a browser: parsed, not yet verified. `handle` names its person."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    handle: bytes


def hash_statement(raw: bytes) -> bytes:
    """Return the challenge of a statement's bytes."""
    return hashlib.sha256(_CHALLENGE_LABEL + raw).digest()


def parse_statement(raw: bytes) -> Statement:
    """Return a statement from its stored bytes. Raises `FormatError`."""
    return parse_exact(raw, kind=Statement, max_bytes=MOST_STATEMENT_BYTES)


def verify_answer(answer: Answer, *, statement: bytes, public_key: bytes) -> int:
    """Return the device's counter if the key signed this statement with a check of the person.

    Needs nothing but its arguments, so that an auditor can repeat it. Raises `StepUpError`.
    """
    # Imported here: the library brings a tenth of a second that commands without a step-up do not need.
    from webauthn import verify_authentication_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

    try:
        origin = parse_statement(statement).origin
        check_own_frame(answer.client_data)
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
            # The caller compares the counter itself, because it treats a copied device differently from a fault.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - for hostile CBOR the library raises KeyError, IndexError and others
        raise refuse_bad() from None
    return verified.new_sign_count


def get_rp_id(origin: str) -> str:
    """Return the name that passkeys are bound to: the host of the desk's origin (WebAuthn §5.1.3)."""
    return urlsplit(origin).hostname or ""


def check_own_frame(client_data: bytes) -> None:
    """Raise `StepUpError` (`bad-step-up`) for an answer from a frame of another site."""
    from webauthn.helpers import parse_client_data_json

    # The library leaves this to its caller: no page of ours is shown in a frame of another site.
    if parse_client_data_json(client_data).cross_origin:
        raise refuse_bad()


def refuse_other() -> StepUpError:
    """Return the error of a step-up for another purpose, person, browser or draft."""
    return StepUpError("That was for another page or another person. Nothing was changed.", reason="other-step-up")


def refuse_bad() -> StepUpError:
    """Return the error of an answer that does not verify."""
    return StepUpError(
        "The passkey's answer is not for this desk, or it did not check that it was you. Try again.",
        reason="bad-step-up",
    )
