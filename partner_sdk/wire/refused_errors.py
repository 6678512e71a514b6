"""From this package's own errors to the problem that a caller gets: one table, for a gateway and for the sandbox.

Never echoes what was sent: a decoder's text may name a field or a value of the sender, so only its place is kept.
"""

from collections.abc import Iterable
from typing import Final

from partner_sdk.errors import (
    EnvelopeError,
    FieldFault,
    FormatError,
    KeySetError,
    RegisterError,
    SignatureProfileError,
    StatementError,
)
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import list_misfit_faults
from partner_sdk.wire.problems import Problem

ErrorRow = tuple[type[Exception], str, Problem]
"""The kind of error, the reason that it carries (`ANY` for every one), and the problem."""

ANY: Final = ""
# The first row that fits decides: a reason stands before the rest of its kind, a kind before the one that it is of.
SDK_ERRORS: Final[tuple[ErrorRow, ...]] = (
    (SignatureProfileError, ANY, problems.NOT_AUTHORISED),
    (EnvelopeError, "too-large", problems.BODY_TOO_LARGE),
    (EnvelopeError, ANY, problems.MALFORMED_ENVELOPE),
    (FormatError, "too-large", problems.BODY_TOO_LARGE),
    (FormatError, "not-canonical", problems.NOT_CANONICAL),
    (FormatError, ANY, problems.MALFORMED_REQUEST),
    (StatementError, "envelope-mismatch", problems.ENVELOPE_MISMATCH),
    (StatementError, ANY, problems.STATEMENT_REFUSED),
    (KeySetError, "stale-serial", problems.STALE_SERIAL),
    (KeySetError, "forked-serial", problems.STALE_SERIAL),
    (KeySetError, ANY, problems.REFUSED_LIST),
    (RegisterError, "stale-serial", problems.STALE_SERIAL),
    (RegisterError, "forked-serial", problems.STALE_SERIAL),
    (RegisterError, "no-key-set", problems.NOT_READY),
    (RegisterError, ANY, problems.REFUSED_LIST),
)


def find_error_problem(error: Exception, *, table: Iterable[ErrorRow] = SDK_ERRORS) -> Problem | None:
    """Return the problem of the first row that fits, or None for an error that the table does not know."""
    reason = getattr(error, "reason", ANY)
    return next(
        (problem for kind, wanted, problem in table if isinstance(error, kind) and wanted in (ANY, reason)), None
    )


def list_error_faults(error: Exception) -> tuple[FieldFault, ...]:
    """Return the places of faults in a body: those of a statement, or the one that the decoder named."""
    if isinstance(error, StatementError):
        return error.faults
    if type(error) is not FormatError:
        return ()
    if error.reason == "duplicate-key":
        return (FieldFault("#", "Give each key once in an object."),)
    return tuple(list_misfit_faults(str(error))) if error.reason == "malformed" else ()


def find_error_detail(error: Exception) -> str | None:
    """Return what the caller is told in place of the problem's advice, or None: always our own words."""
    return error.advice if isinstance(error, SignatureProfileError) else None
