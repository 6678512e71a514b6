"""Maps errors to problems, for the industry door and the feed.

SDK errors have their rows in `partner_sdk/wire/problems.py`, gateway errors here. Never echoes the request.
"""

from http import HTTPStatus

from flask import Blueprint, Response

from gateway.evidence.keeper import EvidencePausedError, EvidenceQuotaError, IncompleteEvidenceError
from gateway.exchange.feed import ENROLMENT
from gateway.intake import (
    ConflictingReportError,
    EnvelopeMismatchError,
    NoActiveKeyError,
    ReceiptKeyNotInUseError,
    ReferenceTakenError,
    UnknownSealingKeyError,
    WrongDoorError,
    WrongEnvironmentError,
)
from gateway.store import StorageUnavailableError
from gateway.store.evidence import ConflictingEvidenceError
from gateway.store.items import ConflictingInvitationError, ConflictingItemError, NoRoomError
from gateway.web.logs import log_failure
from gateway.web.rules import make_problem_response
from partner_sdk.errors import FieldFault, ReportAbuseError
from partner_sdk.wire import problems
from partner_sdk.wire.problems import (
    ANY,
    SDK_ERRORS,
    ErrorRow,
    Problem,
    find_error_detail,
    find_error_problem,
    list_error_faults,
)


class NotReadyError(ReportAbuseError):
    """The agency has not published its keys yet, so no caller can be authenticated."""


class UnknownInvitationError(ReportAbuseError):
    """No open invitation has this secret."""


class UnknownItemError(ReportAbuseError):
    """The caller owns nothing with this id."""


# The first matching row wins.
TABLE: tuple[ErrorRow, ...] = (
    *SDK_ERRORS,
    (NotReadyError, ANY, problems.NOT_READY),
    (UnknownInvitationError, ANY, problems.UNKNOWN_INVITATION),
    (UnknownItemError, ANY, problems.NOT_FOUND),
    (ReceiptKeyNotInUseError, ANY, problems.STORAGE_UNAVAILABLE),
    (NoActiveKeyError, ANY, problems.NO_ACTIVE_KEY),
    (UnknownSealingKeyError, ANY, problems.UNKNOWN_AGENCY_KEY),
    (ConflictingReportError, ANY, problems.CONFLICTING_REPORT),
    (ReferenceTakenError, ANY, problems.CONFLICTING_REPORT),
    (EnvelopeMismatchError, ANY, problems.ENVELOPE_MISMATCH),
    (WrongEnvironmentError, ANY, problems.STATEMENT_REFUSED),
    (WrongDoorError, ANY, problems.STATEMENT_REFUSED),
    # An invitation accepts one box: for any other it counts as used.
    (ConflictingItemError, ENROLMENT.name, problems.UNKNOWN_INVITATION),
    (ConflictingItemError, ANY, problems.CONFLICTING_MESSAGE),
    (NoRoomError, ANY, problems.ADOPTION_FULL),
    (ConflictingInvitationError, ANY, problems.CONFLICTING_MESSAGE),
    (ConflictingEvidenceError, ANY, problems.CONFLICTING_EVIDENCE),
    (EvidenceQuotaError, ANY, problems.EVIDENCE_QUOTA),
    (EvidencePausedError, ANY, problems.EVIDENCE_PAUSED),
    (IncompleteEvidenceError, ANY, problems.INCOMPLETE_EVIDENCE),
    (StorageUnavailableError, ANY, problems.STORAGE_UNAVAILABLE),
)


def register_refusals(blueprint: Blueprint) -> None:
    """Answer the errors of the table inside this blueprint; the app handles all others."""
    for kind in dict.fromkeys(kind for kind, _reason, _problem in TABLE):
        blueprint.register_error_handler(kind, answer_refusal)


def answer_refusal(error: Exception) -> Response:
    """Return the problem document of an error of the table."""
    problem = get_problem(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_failure(error, event=problem.slug)
    return make_problem_response(problem, detail=find_error_detail(error), faults=list_faults(error))


def get_problem(error: Exception) -> Problem:
    """Return the problem for an error; raises `KeyError` if the table has none."""
    found = find_error_problem(error, table=TABLE)
    if found is None:
        raise KeyError(type(error).__name__)
    return found


def list_faults(error: Exception) -> tuple[FieldFault, ...]:
    """Return a JSON pointer for each fault: in the evidence, or in the body that could not be decoded."""
    return error.faults if isinstance(error, IncompleteEvidenceError) else list_error_faults(error)
