"""The partners that a sandbox knows, and who of them signed a request (WIRE.md §7)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from partner_sdk.errors import SignatureProfileError
from partner_sdk.sandbox.answers import ProblemAnswer, Request
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.signature_profile import (
    CONTENT_TYPE,
    STAND_IN_KEY,
    SignatureClaim,
    check_claim,
    check_content_digest,
    explain_refusal,
    parse_signature_headers,
)
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES


@dataclass(slots=True)
class SandboxPartner:
    """One partner: its public keys as its enrolment named them. Former keys verify statements and nothing else."""

    partner: str
    key_id: str
    submission_key: str
    mailbox_key: SealingKey
    is_suspended: bool = False
    former_keys: dict[str, bytes] = field(default_factory=dict)

    @property
    def raw_submission_key(self) -> bytes:
        """The 32 raw bytes of the key that signs requests."""
        return parse_base64url(self.submission_key, length=PUBLIC_KEY_BYTES)

    @property
    def statement_keys(self) -> dict[str, bytes]:
        """Key id to raw key for all keys that may have signed a statement of this partner."""
        return {**self.former_keys, self.key_id: self.raw_submission_key}


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A partner and its request: the signature holds, and the body is checked when it is read."""

    partner: SandboxPartner
    claim: SignatureClaim
    sent: bytes

    @property
    def sent_bytes(self) -> int:
        """The size of the body, before anybody knows whether it is the one that was signed."""
        return len(self.sent)

    def read_body(self) -> bytes:
        """Return the body if it is the one that was signed; raises `SignatureProfileError` (`wrong-digest`)."""
        check_content_digest(self.claim, body=self.sent)
        return self.sent


class SandboxPartners:
    """All partners of one sandbox, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, SandboxPartner] = {}

    def put(self, partner: SandboxPartner) -> None:
        """Approve a partner; a new enrolment takes the place of the old one."""
        self._by_name[partner.partner] = partner

    def get(self, name: str) -> SandboxPartner:
        """Return a partner; raises `KeyError` for one that did not enrol."""
        return self._by_name[name]

    def get_caller(self, request: Request, *, now: datetime, content_type: str = CONTENT_TYPE) -> SignedCall:
        """Return the active partner that signed this request; raises `SignatureProfileError` for every cause alike."""
        if request.headers.get("content-type", "") not in ("", content_type):
            raise ProblemAnswer(problems.UNSUPPORTED_MEDIA_TYPE)
        names = ("content-type", "content-digest", "signature", "signature-input")
        headers = {name: request.headers.get(name, "") for name in names}
        asked: dict[str, Any] = {
            "method": request.method,
            "target_uri": request.target_uri,
            "has_body": request.method in {"POST", "PUT"},
            "now": now,
        }
        try:
            claim = parse_signature_headers(headers, content_type=content_type)
            known = self._find_active(claim.key_id)
            check_claim(claim, public_key=STAND_IN_KEY if known is None else known.raw_submission_key, **asked)
        except SignatureProfileError as error:
            error.advice = explain_refusal(headers, content_type=content_type, find_key=self._find_key, **asked)
            raise
        if known is None:
            raise SignatureProfileError("The key is not known here.", reason="unknown-key")
        return SignedCall(partner=known, claim=claim, sent=request.body or b"")

    def _find_active(self, key_id: str) -> SandboxPartner | None:
        return next((one for one in self._by_name.values() if one.key_id == key_id and not one.is_suspended), None)

    def _find_key(self, key_id: str) -> bytes | None:
        known = self._find_active(key_id)
        return None if known is None else known.raw_submission_key
