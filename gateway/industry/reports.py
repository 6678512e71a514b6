"""A partner's sealed reports and their evidence, which comes in parts, in any order.

Never answers before everything is durable, never opens an envelope or a part, and answers 404 alike for an unknown item
and for another partner's.
"""

import hashlib
from http import HTTPStatus

import msgspec
from flask import Response, request
from sqlalchemy import Connection

from gateway.description import Answer, Call, describe
from gateway.intake import Accepted, ExtraWrite, NewReport
from gateway.signed_request import (
    Caller,
    UnknownItemError,
    answer_bytes,
    answer_json,
    copy_signed_body,
    get_caller,
    read_signed_body,
)
from gateway.store.evidence import PartRow, reference_evidence
from gateway.web.rules import BodyRoom, CsrfRule, Login, rule
from partner_sdk.errors import SignatureProfileError, StatementError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import EvidenceId, ReportId, encode, parse_any_spelling, parse_base64url
from partner_sdk.wire.evidence import (
    MAX_COMPLETE_BYTES,
    PART_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    PartNumber,
    StoredPart,
    check_part_size,
    parse_part_number,
)
from partner_sdk.wire.receipts import IntakeStatement
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES
from partner_sdk.wire.signature_profile import PART_CONTENT_TYPE
from partner_sdk.wire.signing import SignedStatement
from partner_sdk.wire.submission import (
    ENVELOPE_FAULT,
    MAX_REPORT_BODY_BYTES,
    Progress,
    ReportPost,
    SubmissionStatement,
    clear_fields_of,
    open_own_submission,
)


@rule(
    login=Login.PARTNER,
    limit="partner-report",
    other_limits=("partner-report-p1",),
    csrf=CsrfRule.SIGNED,
    body_bytes=MAX_REPORT_BODY_BYTES,
)
@describe(
    Call(
        group="Reports",
        summary="Send a sealed report",
        purpose=(
            "Stores one sealed report with your signed statement, and answers with a receipt that proves it. An "
            "answer means stored. After no answer, 429 or 503, send exactly the same body again, with a new signature. "
            "P1 reports have their own limit, so that no flood of others stops them."
        ),
        body=ReportPost,
        signed={"statement": SubmissionStatement},
        answers=(
            Answer(HTTPStatus.CREATED, "The receipt of a new report.", SignedStatement, signed=IntakeStatement),
            Answer(HTTPStatus.OK, "The receipt of a report sent again.", SignedStatement, signed=IntakeStatement),
        ),
        problems=(
            problems.CONFLICTING_REPORT,
            problems.MALFORMED_ENVELOPE,
            problems.ENVELOPE_MISMATCH,
            problems.UNKNOWN_AGENCY_KEY,
            problems.STATEMENT_REFUSED,
            problems.NO_ACTIVE_KEY,
        ),
    )
)
def post_report() -> Response:
    """Answer 201 with the receipt of a new report, or 200 with the stored receipt of a repeated one."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
    submission = encode(post.statement)
    statement = get_submission(caller, raw=submission)
    # P1 has its own limit, so that a flood of other reports cannot stop it.
    limit = "partner-report-p1" if statement.priority == "P1" else "partner-report"
    caller.gateway.limits.check(limit, subject=caller.partner)
    envelope = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    if hashlib.sha256(envelope).hexdigest() != statement.envelope_sha256:
        raise StatementError(
            "The statement names another envelope.", reason="envelope-mismatch", faults=(ENVELOPE_FAULT,)
        )
    accepted = caller.gateway.intake.accept(
        NewReport(
            door="industry",
            envelope=envelope,
            submission=submission,
            clear=clear_fields_of(statement),
            extra_write=make_evidence_lock(caller, statement=statement),
        ),
        keys=caller.keys,
    )
    return answer_bytes(accepted.receipt, status=HTTPStatus.CREATED if accepted.is_new else HTTPStatus.OK)


def get_submission(caller: Caller, *, raw: bytes) -> SubmissionStatement:
    """Return the statement if the caller signed it for itself, with this request's key or a rotated one.

    Raises `StatementError` naming each fault, since the caller is authenticated.
    """
    return open_own_submission(
        raw, keys=caller.submission_keys, partner=caller.partner, environment=caller.entry.environment
    )


@rule(login=Login.PARTNER, limit="partner-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Reports",
        summary="Fetch the progress of a report",
        purpose=(
            "The receipt, the stage, and the outcome once the agency has released one. A receipt alone does not mean "
            "that the agency could read the report: check for the stage `set_aside` and its reason."
        ),
        path={"report_id": ReportId},
        answers=(Answer(HTTPStatus.OK, "Receipt, stage and outcome.", Progress),),
    )
)
def get_report(report_id: str) -> Response:
    """Answer with the stored receipt, the stage, and the outcome once the desk has released one."""
    caller = get_caller()
    caller.gateway.limits.check("partner-read", subject=caller.partner)
    found = caller.gateway.intake.find_receipt(partner=caller.partner, report_id=report_id)
    if found is None:
        raise UnknownItemError("The partner has no report with this id.", reason="unknown-report")
    return answer_json(
        {
            "outcome": found.outcome,
            "receipt": msgspec.Raw(found.receipt),
            "set_aside_reason": found.set_aside_reason,
            "stage": found.stage,
        }
    )


def make_evidence_lock(caller: Caller, *, statement: SubmissionStatement) -> ExtraWrite | None:
    """Return the write that locks the evidence named in the report, even if not yet sent; None if it names none."""
    if not statement.evidence_ids:
        return None

    def lock(connection: Connection, _accepted: Accepted) -> None:
        reference_evidence(
            connection, partner=caller.partner, evidence_ids=statement.evidence_ids, now=caller.gateway.clock()
        )

    return lock


@rule(
    login=Login.PARTNER,
    limit="partner-part",
    csrf=CsrfRule.SIGNED,
    body_bytes=PART_BYTES,
    body_room=BodyRoom.PARTS,
    media_type=PART_CONTENT_TYPE,
)
@describe(
    Call(
        group="Evidence",
        summary="Send one sealed part of a file",
        purpose=(
            "Send parts in any order, several in parallel, and repeat them as needed. All but the last have exactly "
            "8 MiB. Sending the same bytes again is safe; different bytes under the same number are refused."
        ),
        body=bytes,
        path={"evidence_id": EvidenceId, "part": PartNumber},
        answers=(
            Answer(HTTPStatus.CREATED, "The part is stored.", StoredPart),
            Answer(HTTPStatus.OK, "The same bytes were already stored.", StoredPart),
        ),
        problems=(problems.CONFLICTING_EVIDENCE, problems.EVIDENCE_QUOTA, problems.EVIDENCE_PAUSED),
    )
)
def put_evidence_part(evidence_id: str, part: str) -> Response:
    """Answer 201 for a new part, 200 if the same bytes are already stored, 409 for different bytes."""
    caller = get_caller()
    caller.gateway.limits.check("partner-part", subject=caller.partner)
    number, size_bytes = parse_part_number(part), request.content_length or 0
    check_part_size(size_bytes)
    if caller.claim.body_sha256 is None:
        raise SignatureProfileError("The signature does not cover the body.", reason="body-not-covered")
    row = PartRow(part=number, size_bytes=size_bytes, sha256=caller.claim.body_sha256)
    is_new = caller.gateway.evidence.put_part(
        row,
        partner=caller.partner,
        evidence_id=evidence_id,
        copy_body=lambda write: copy_signed_body(caller.claim, write=write),
    )
    return answer_json(
        StoredPart(part=row.part, sha256=row.sha256.hex()), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK
    )


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Evidence",
        summary="List the stored parts",
        purpose="After a broken connection, tells a client which parts to send again.",
        path={"evidence_id": EvidenceId},
        answers=(
            Answer(HTTPStatus.OK, "The parts in order, and the digest once the evidence is complete.", EvidenceState),
        ),
    )
)
def get_evidence(evidence_id: str) -> Response:
    """Answer with the parts in order, and the digest once complete; no parts once the desk has collected them."""
    caller = get_caller()
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    found = caller.gateway.evidence.find_state(partner=caller.partner, evidence_id=evidence_id)
    if found is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(found)


@rule(login=Login.PARTNER, limit="partner-evidence", csrf=CsrfRule.SIGNED, body_bytes=MAX_COMPLETE_BYTES)
@describe(
    Call(
        group="Evidence",
        summary="Complete the evidence",
        purpose=(
            "The gateway compares the stored parts with the digest that you name. A report may name evidence that "
            "is not yet complete: send a P1 first."
        ),
        body=CompletePost,
        path={"evidence_id": EvidenceId},
        answers=(Answer(HTTPStatus.OK, "Everything is stored under this digest.", CompleteReply),),
        problems=(problems.CONFLICTING_EVIDENCE, problems.INCOMPLETE_EVIDENCE),
    )
)
def post_evidence_complete(evidence_id: str) -> Response:
    """Answer 200 with the digest; 422 with a pointer for each missing part; 409 for another digest. Safe to repeat."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
    caller.gateway.limits.check("partner-evidence", subject=caller.partner)
    digest = caller.gateway.evidence.complete(post, partner=caller.partner, evidence_id=evidence_id)
    if digest is None:
        raise UnknownItemError("The partner has no evidence with this id.", reason="unknown-evidence")
    return answer_json(CompleteReply(digest=digest))
