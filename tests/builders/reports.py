"""Industry reports on their way: sealed and signed as the SDK does it."""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.report import IndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope, SealingKey, seal
from partner_sdk.wire.signing import parse_statement
from partner_sdk.wire.submission import (
    PUBLIC_SENDER,
    SIGNED_SUBMISSION,
    ClearFields,
    ReportPost,
    StatedFields,
    SubmissionStatement,
    report_context,
)
from tests.builders.clock import NOW
from tests.builders.parties import Partner

EXAMPLES = Path(__file__).parents[2] / "partner_sdk" / "examples"
FULL_REPORT = EXAMPLES / "full-report.json"
# The small example filled in: as it is, no live client sends it.
EXAMPLE_REPORT = Path(__file__).with_name("report.json")


@dataclass(frozen=True)
class SealedReport:
    """A report on its way: the partner's signed statement, and the body of its post."""

    clear: ClearFields
    envelope: bytes
    statement: bytes

    @property
    def body(self) -> bytes:
        """Return the body of `POST /v1/reports`."""
        return encode(ReportPost(envelope=to_base64url(self.envelope), statement=parse_statement(self.statement)))


def make_industry_report(**changes: Any) -> IndustryReport:
    """Return the example report, changed at the top level."""
    report = msgspec.json.decode(EXAMPLE_REPORT.read_bytes(), type=IndustryReport)
    return msgspec.structs.replace(report, **changes)


def make_clear_fields(partner: str, **changes: Any) -> ClearFields:
    """Return the clear fields of an initial P2 report with a new id."""
    settings: dict[str, Any] = {
        "earlier_reference": None,
        "environment": "live",
        "evidence_ids": (),
        "kind": "initial",
        "partner": partner,
        "priority": "P2",
        "report_id": make_report_id(NOW, os.urandom(10)),
        "schema_version": "1",
        "way": "plain" if partner == PUBLIC_SENDER else None,
        **changes,
    }
    return ClearFields(**settings)


def seal_report(
    sender: Partner,
    *,
    key: SealingKey,
    report: IndustryReport | None = None,
    signed_by: Ed25519PrivateKey | None = None,
    created_at: datetime = NOW,
    **changes: Any,
) -> SealedReport:
    """Seal and sign a report as the SDK does; `changes` are clear fields, `signed_by` replaces the partner's key."""
    changes = {"environment": sender.environment, **changes}
    clear = make_clear_fields(changes.pop("partner", sender.partner), **changes)
    sealed = make_sealed_report(make_industry_report() if report is None else report, clear=clear)
    envelope = seal(encode_sealed_report(sealed), key=key, context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(
        clear, envelope, private_key=signed_by or sender.submission_key, created_at=created_at
    )
    return SealedReport(clear=clear, envelope=envelope, statement=statement)


def sign_for_envelope(
    clear: ClearFields, envelope: bytes, *, private_key: Ed25519PrivateKey, created_at: datetime = NOW
) -> bytes:
    """Sign the submission statement of an envelope."""
    fields = {name: getattr(clear, name) for name in StatedFields.__struct_fields__}
    statement = SubmissionStatement(
        **fields, created_at=format_time(created_at), envelope_sha256=hashlib.sha256(envelope).hexdigest()
    )
    return SIGNED_SUBMISSION.sign(statement, private_key)


def make_box(key: SealingKey, *, size: int = 4096) -> bytes:
    """Return bytes in the shape of an envelope for `key`; their content does not matter."""
    return Envelope(key_id=parse_base64url(key.key_id), box=os.urandom(1136 + size)).to_bytes()
