"""The agency of a sandbox: every key that it needs, made when the sandbox starts, and the boxes that those keys open.

The one file of the sandbox that decrypts, so that a test can read the report. Never for live: it names
no other environment, no key comes from outside, and no file of the gateway or the desk imports it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_signing_key, load_xwing_private_key, new_key
from partner_sdk.report import IndustryReport, SealedIndustryReport, parse_sealed_report
from partner_sdk.wire.canonical import format_time, parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope, SealContext, unpad
from partner_sdk.wire.evidence import SECRET_BYTES, SEGMENT_BYTES, EvidenceReference, derive_file_key, make_nonce
from partner_sdk.wire.keys import (
    KEY_SET_LIFETIME,
    Delegation,
    Environment,
    KeySet,
    SealingKey,
    SealingState,
    VerifyKey,
    fingerprint_of,
    make_sealing_key,
    sign_bundle,
)
from partner_sdk.wire.sealing import make_suite
from partner_sdk.wire.statements import StatementKind, public_bytes, sign_statement
from partner_sdk.wire.submission import ClearFields, report_context

SANDBOX: Final[Environment] = "sandbox"

# Clocks that a test moves must not run out of the keys: a year either way, and far longer to verify.
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _HeldKey:
    file: KeyFile
    state: SealingState


class SandboxAgency:
    """Holds the private keys of one sandbox and signs its key sets. `now` is when it starts."""

    def __init__(self, now: datetime) -> None:
        self._started_at = now
        self._root = Ed25519PrivateKey.generate()
        self._key_set_key = Ed25519PrivateKey.generate()
        self._receipt = self._new_key(KeyRole.RECEIPT)
        self._mailbox_signing = self._new_key(KeyRole.MAILBOX_SIGNING)
        self._sealing: list[_HeldKey] = [_HeldKey(self._new_key(KeyRole.SEALING), "active")]
        self._serial = 1
        self._publish(now)

    @property
    def root_fingerprint(self) -> str:
        """The fingerprint that an invitation of this sandbox pins."""
        return fingerprint_of(public_bytes(self._root))

    @property
    def receipt_key(self) -> Ed25519PrivateKey:
        """The key that signs receipts."""
        return load_signing_key(self._receipt)

    @property
    def mailbox_signing_key(self) -> Ed25519PrivateKey:
        """The key that signs mailbox messages."""
        return load_signing_key(self._mailbox_signing)

    def find_opening_key(self, key_id: str) -> KeyFile | None:
        """Return the private sealing key of an id, old ones too."""
        return next((held.file for held in self._sealing if held.file.key_id == key_id), None)

    def find_sealing_key(self, key_id: str) -> SealingKey | None:
        """Return the published entry of a sealing key."""
        return next((key for key in self.key_set.sealing_keys if key.key_id == key_id), None)

    def rotate_sealing_key(self, now: datetime) -> None:
        """Publish a new sealing key; the old ones are destroyed, and boxes to them are refused from now on."""
        destroyed = [_HeldKey(held.file, "destroyed") for held in self._sealing]
        self._sealing = [*destroyed, _HeldKey(self._new_key(KeyRole.SEALING), "active")]
        self._serial += 1
        self._publish(now)

    def _publish(self, now: datetime) -> None:
        delegation = Delegation(
            environment=SANDBOX,
            root_key=to_base64url(public_bytes(self._root)),
            key_set_key=to_base64url(public_bytes(self._key_set_key)),
            not_before=format_time(self._started_at - _YEAR),
            not_after=format_time(self._started_at + 2 * _YEAR),
        )
        self.key_set = KeySet(
            environment=SANDBOX,
            serial=self._serial,
            issued_at=format_time(now),
            expires_at=format_time(now + KEY_SET_LIFETIME),
            sealing_keys=tuple(map(self._sealing_entry, self._sealing)),
            receipt_keys=(self._verify_entry(self._receipt),),
            mailbox_keys=(self._verify_entry(self._mailbox_signing),),
            register_keys=(),
        )
        self.bundle = sign_bundle(
            key_set=self.key_set,
            delegation=sign_statement(delegation, kind=StatementKind.DELEGATION, private_keys=(self._root,)),
            key_set_key=self._key_set_key,
        )

    def _new_key(self, role: KeyRole) -> KeyFile:
        created_at = format_time(self._started_at)
        return new_key(role, environment=SANDBOX, created_at=created_at, seed=secrets.token_bytes(32))

    def _sealing_entry(self, held: _HeldKey) -> SealingKey:
        return make_sealing_key(
            parse_base64url(held.file.public_key),
            not_before=self._started_at - _YEAR,
            seal_until=self._started_at + _YEAR,
            open_until=self._started_at + 2 * _YEAR,
            state=held.state,
        )

    def _verify_entry(self, key: KeyFile) -> VerifyKey:
        return VerifyKey(
            key_id=key.key_id,
            public_key=key.public_key,
            not_before=format_time(self._started_at - _YEAR),
            use_until=format_time(self._started_at + _YEAR),
            verify_until=format_time(self._started_at + 7 * _YEAR),
        )


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """One report as the sandbox stored it. NOT A REPORT: no person reads it.

    `sealed` is its content, or None where it does not open or cannot be read; `doubt` is then the reason. A gateway
    takes such a report all the same, since it cannot open it: the desk is who notices.
    """

    clear: ClearFields
    reference: str
    receipt: bytes
    envelope: bytes
    statement: bytes
    sealed: SealedIndustryReport | None
    doubt: str | None

    @property
    def report(self) -> IndustryReport:
        """The report as the agency would read it; raises `OpeningError` if it could not."""
        if self.sealed is None:
            raise OpeningError(self.doubt or "The report does not open.", reason="does-not-open")
        return self.sealed.report


def open_box(agency: SandboxAgency, envelope: bytes, *, context: SealContext) -> bytes:
    """Return the content of a box, or raise `OpeningError` (`wrong-key`, `does-not-open`, `bad-padding`)."""
    parsed = Envelope.parse(envelope)
    key_file = agency.find_opening_key(to_base64url(parsed.key_id))
    if key_file is None:
        raise OpeningError("The box is sealed to no key of this sandbox.", reason="wrong-key")
    private_key = load_xwing_private_key(parse_base64url(key_file.secret, length=SEED_BYTES))
    try:
        # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
        padded = make_suite().decrypt(parsed.box, private_key, info=context.info(key_id=parsed.key_id))
    except (InvalidTag, ValueError):
        raise OpeningError(
            "The box does not open in the context that its statement names.", reason="does-not-open"
        ) from None
    return unpad(padded, purpose=context.purpose, sender=context.sender)


def open_evidence(sealed: bytes, *, reference: EvidenceReference) -> bytes:
    """Return the file in sealed parts, in order, by the report's reference to it; raises `OpeningError`."""
    key = AESGCM(
        derive_file_key(
            secret=parse_base64url(reference.secret, length=SECRET_BYTES), sha256=bytes.fromhex(reference.sha256)
        )
    )
    starts = range(0, len(sealed), SEGMENT_BYTES)
    try:
        # STREAM (Hoang, Reyhanitabar, Rogaway, Vizar 2015): the last segment is named in its nonce, so none can be cut.
        plain = b"".join(
            key.decrypt(
                make_nonce(number, is_last=number == len(starts) - 1), sealed[start : start + SEGMENT_BYTES], None
            )
            for number, start in enumerate(starts)
        )
    except (InvalidTag, ValueError):
        raise OpeningError(
            "The evidence does not open with what the report says of it.", reason="does-not-open"
        ) from None
    file = plain[: reference.size_bytes]
    if hashlib.sha256(file).hexdigest() != reference.sha256:
        raise OpeningError("The evidence is another file than the report says.", reason="does-not-open")
    return file


def read_report(
    agency: SandboxAgency, envelope: bytes, *, clear: ClearFields
) -> tuple[SealedIndustryReport | None, str | None]:
    """Return the content of a report's box and a doubt about it; never raises for a client's fault."""
    try:
        sealed = parse_sealed_report(open_box(agency, envelope, context=report_context(clear)))
    except (OpeningError, FormatError) as error:
        return None, str(error)
    if sealed.clear != clear:
        return sealed, "The clear fields inside the seal are others than those outside."
    if {one.evidence_id for one in sealed.evidence} != set(clear.evidence_ids):
        return sealed, "The evidence that the report names inside the seal is other than outside."
    return sealed, None
