"""A partner's reports: accepts a sealed report with its signed statement, returns a receipt, and shows the progress.

Never opens the envelope, never answers before both are durable (gateway/intake.py), and answers 404 alike for an
unknown report and for another partner's.
"""

import hashlib
from http import HTTPStatus

import msgspec
from flask import Response
from sqlalchemy import Connection

from gateway.description.document import Answer, Call, describe
from gateway.intake import Accepted, ExtraWrite, NewReport
from gateway.refusals import UnknownItemError
from gateway.signed_request import Caller, answer_bytes, answer_json, get_caller, read_signed_body
from gateway.store.evidence import reference_evidence
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.errors import StatementError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import ReportId, encode, parse_any_spelling, parse_base64url
from partner_sdk.wire.receipts import IntakeStatement
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES
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
    caller.gateway.limits.check(get_limit_name(statement), subject=caller.partner)
    envelope = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    check_envelope(statement, envelope=envelope)
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


def get_limit_name(statement: SubmissionStatement) -> str:
    """Return the name of the limit that counts this report; P1 has its own, so that a flood cannot stop it."""
    return "partner-report-p1" if statement.priority == "P1" else "partner-report"


def check_envelope(statement: SubmissionStatement, *, envelope: bytes) -> None:
    """Raise `StatementError` (`envelope-mismatch`) unless the statement names exactly these bytes."""
    if hashlib.sha256(envelope).hexdigest() != statement.envelope_sha256:
        raise StatementError(
            "The statement names another envelope.", reason="envelope-mismatch", faults=(ENVELOPE_FAULT,)
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
