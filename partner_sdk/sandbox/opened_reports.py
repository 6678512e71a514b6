"""Opens what was sealed to the sandbox's own keys, so that a test can look at what a reader would read.

The one file of the sandbox that decrypts. It can open nothing of a real agency: its keys come from `agency.py`, which
made them when the sandbox started, and no file of the gateway or the desk imports it.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.key_files import SEED_BYTES, load_xwing_private_key
from partner_sdk.report import IndustryReport, SealedIndustryReport, parse_sealed_report
from partner_sdk.sandbox.agency import SandboxAgency
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope, SealContext
from partner_sdk.wire.evidence import SECRET_BYTES, SEGMENT_BYTES, EvidenceReference, derive_file_key, make_nonce
from partner_sdk.wire.padding import unpad
from partner_sdk.wire.sealing import make_suite
from partner_sdk.wire.submission import ClearFields, report_context


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """One report as the sandbox stored it. NOT A REPORT: nobody reads it.

    `sealed` is what was inside, or None where it does not open or can not be read; `doubt` then says why. A gateway
    takes such a report all the same, since it can not open it: the desk is who notices.
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
        """What the agency would read; raises `OpeningError` if it could not."""
        if self.sealed is None:
            raise OpeningError(self.doubt or "The report does not open.", reason="does-not-open")
        return self.sealed.report


def open_box(agency: SandboxAgency, envelope: bytes, *, context: SealContext) -> bytes:
    """Return what a box holds, or raise `OpeningError` (`wrong-key`, `does-not-open`, `bad-padding`)."""
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
    """Return the file that sealed parts hold, in order, by what the report says of it; raises `OpeningError`."""
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
    """Return what a report's box holds and a doubt about it; never raises for what a client sealed."""
    try:
        sealed = parse_sealed_report(open_box(agency, envelope, context=report_context(clear)))
    except (OpeningError, FormatError) as error:
        return None, str(error)
    if sealed.clear != clear:
        return sealed, "The clear fields inside the seal are others than those outside."
    if {one.evidence_id for one in sealed.evidence} != set(clear.evidence_ids):
        return sealed, "The evidence that the report names inside the seal is other than outside."
    return sealed, None
