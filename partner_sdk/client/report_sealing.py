"""Makes the body of `POST /v1/reports`: the sealed report, and the partner's signature over it (WIRE.md §6.1)."""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.report import IndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, ReportPost, SubmissionStatement, report_context, sign_submission


def make_report_body(
    report: IndustryReport,
    *,
    clear: ClearFields,
    evidence: tuple[EvidenceReference, ...],
    key: SealingKey,
    submission_key: Ed25519PrivateKey,
    now: datetime,
) -> bytes:
    """Seal a report to `key` and sign for it at `now`; other bytes each time, so they are made once and then kept."""
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear, evidence=evidence))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in ClearFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = sign_submission(statement, submission_key=submission_key)
    return encode(ReportPost(envelope=to_base64url(envelope.to_bytes()), statement=parse_statement(signed)))
