"""From what can go wrong to the problem that the caller gets: the one table of the industry door and the feed.

Never echoes what was sent: a decoder's text may name a field or a value of the sender, so only its place is kept.
"""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Blueprint, Response

from gateway.evidence.keeper import EvidencePausedError, EvidenceQuotaError, IncompleteEvidenceError
from gateway.intake import (
    ConflictingReportError,
    EnvelopeMismatchError,
    NoActiveKeyError,
    ReferenceTakenError,
    UnknownSealingKeyError,
    WrongDoorError,
    WrongEnvironmentError,
)
from gateway.store import StorageUnavailableError
from gateway.store.account_changes import ConflictingChangeError
from gateway.store.enrolments import ConflictingEnrolmentError
from gateway.store.evidence import ConflictingEvidenceError
from gateway.store.invitations import ConflictingInvitationError
from gateway.store.mailbox import ConflictingMessageError
from gateway.store.replies import ConflictingReplyError
from gateway.web.logs import log_failure
from gateway.web.problem_pages import make_problem_response
from partner_sdk.errors import (
    EnvelopeError,
    FieldFault,
    FormatError,
    KeySetError,
    RegisterError,
    ReportAbuseError,
    SignatureProfileError,
    StatementError,
)
from partner_sdk.wire import problems
from partner_sdk.wire.misfit import list_misfit_faults
from partner_sdk.wire.problems import Problem


class NotReadyError(ReportAbuseError):
    """The agency has not published its keys yet, so no caller can be known."""


class UnknownInvitationError(ReportAbuseError):
    """No open invitation has this secret."""


class UnknownItemError(ReportAbuseError):
    """The caller has nothing under this id."""


ANY = ""
# The kind of error, the reason that it carries (ANY for the rest), the problem. The nearest class decides.
TABLE: tuple[tuple[type[Exception], str, Problem], ...] = (
    (SignatureProfileError, ANY, problems.NOT_AUTHORISED),
    (FormatError, "too-large", problems.BODY_TOO_LARGE),
    (FormatError, "not-canonical", problems.NOT_CANONICAL),
    (FormatError, ANY, problems.MALFORMED_REQUEST),
    (EnvelopeError, "too-large", problems.BODY_TOO_LARGE),
    (EnvelopeError, ANY, problems.MALFORMED_ENVELOPE),
    (StatementError, "envelope-mismatch", problems.ENVELOPE_MISMATCH),
    (StatementError, ANY, problems.STATEMENT_REFUSED),
    (NotReadyError, ANY, problems.NOT_READY),
    (UnknownInvitationError, ANY, problems.UNKNOWN_INVITATION),
    (UnknownItemError, ANY, problems.NOT_FOUND),
    (NoActiveKeyError, ANY, problems.NO_ACTIVE_KEY),
    (UnknownSealingKeyError, ANY, problems.UNKNOWN_AGENCY_KEY),
    (ConflictingReportError, ANY, problems.CONFLICTING_REPORT),
    (ReferenceTakenError, ANY, problems.CONFLICTING_REPORT),
    (EnvelopeMismatchError, ANY, problems.ENVELOPE_MISMATCH),
    (WrongEnvironmentError, ANY, problems.STATEMENT_REFUSED),
    (WrongDoorError, ANY, problems.STATEMENT_REFUSED),
    (ConflictingMessageError, ANY, problems.CONFLICTING_MESSAGE),
    (ConflictingReplyError, ANY, problems.CONFLICTING_MESSAGE),
    (ConflictingChangeError, ANY, problems.CONFLICTING_MESSAGE),
    (ConflictingInvitationError, ANY, problems.CONFLICTING_MESSAGE),
    # An invitation is for one box: for any other it is used.
    (ConflictingEnrolmentError, ANY, problems.UNKNOWN_INVITATION),
    (KeySetError, "stale-serial", problems.STALE_SERIAL),
    (KeySetError, "forked-serial", problems.STALE_SERIAL),
    (KeySetError, ANY, problems.REFUSED_LIST),
    (RegisterError, "stale-serial", problems.STALE_SERIAL),
    (RegisterError, "forked-serial", problems.STALE_SERIAL),
    (RegisterError, "no-key-set", problems.NOT_READY),
    (RegisterError, ANY, problems.REFUSED_LIST),
    (ConflictingEvidenceError, ANY, problems.CONFLICTING_EVIDENCE),
    (EvidenceQuotaError, ANY, problems.EVIDENCE_QUOTA),
    (EvidencePausedError, ANY, problems.EVIDENCE_PAUSED),
    (IncompleteEvidenceError, ANY, problems.INCOMPLETE_EVIDENCE),
    (StorageUnavailableError, ANY, problems.STORAGE_UNAVAILABLE),
)
_PROBLEMS = {(kind, reason): problem for kind, reason, problem in TABLE}


def register_refusals(blueprint: Blueprint) -> None:
    """Answer the errors of the table inside this blueprint; what is no error of ours stays the app's."""
    for kind in dict.fromkeys(kind for kind, _reason, _problem in TABLE):
        blueprint.register_error_handler(kind, answer_refusal)


def answer_refusal(error: Exception) -> Response:
    """Return the problem document of an error of the table."""
    problem = get_problem(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_failure(error, event=problem.slug)
    return make_problem_response(problem, faults=tuple(_find_faults(error)))


def get_problem(error: Exception) -> Problem:
    """Return the row of an error; raises `KeyError` for one that the table does not know."""
    reason = getattr(error, "reason", ANY)
    for kind in type(error).__mro__:
        found = _PROBLEMS.get((kind, reason)) or _PROBLEMS.get((kind, ANY))
        if found is not None:
            return found
    raise KeyError(type(error).__name__)


def _find_faults(error: Exception) -> Iterator[FieldFault]:
    """Yield the places of faults: those of the evidence, or the one that the decoder of a body named."""
    if isinstance(error, IncompleteEvidenceError):
        yield from error.faults
        return
    if type(error) is not FormatError or error.reason != "malformed":
        return
    yield from list_misfit_faults(str(error))
