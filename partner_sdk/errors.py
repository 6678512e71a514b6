"""Every error that this package raises, and nothing else crosses its border.

```
ReportAbuseError            .reason: one kebab-case slug a machine can compare
├── RefusalError            the base of errors whose reasons are few and fixed
├── FormatError             bytes from outside that are not the one spelling of WIRE.md
│   └── EnvelopeError       a sealed box: malformed, too large, unknown version or suite
├── SealingError            the agency's key is bad or may not seal now
├── OpeningError            a box does not open: wrong key, altered, other context, bad padding
├── StatementError          a signed statement: unknown key, bad signature, other kind, other content
├── KeySetError             key set or pin: stale, expired, not signed by the pinned root
├── RegisterError           partner register: stale, expired, not signed for this key set
├── ReportError             a report misses or garbles fields; .faults lists JSON pointers
├── RepeatedReportError     the same report was sealed in the last hour; .report_id and .reference name it
├── EnrolmentError          an invitation or an enrolment cannot be used
├── MailboxError            a message is not for us, out of order, or not the agency's
├── LogError                a log is forked, rolled back or unreadable, or the public one misses a report
├── LocalStateError         the partner's own folder is missing, damaged or readable by others
├── EvidenceError           a file cannot be handed over: missing, too large, changed while it was read
├── SignatureProfileError   a request is not signed by the profile of WIRE.md §7
├── TransportError          no reply: time-out, connection, TLS (safe to retry with the same report id)
└── ProblemError            the gateway replied with a problem; has .type .title .status .detail .request_id
    ├── NotAuthorisedError      401
    ├── ConflictError           409
    ├── RateLimitedError        429, .retry_after_seconds
    ├── UnavailableError        5xx, .retry_after_seconds (safe to retry with the same report id)
    └── RefusedError            any other refusal
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

ReasonT = TypeVar("ReasonT", bound=str)


class ReportAbuseError(Exception):
    """The root of the tree. `reason` is a kebab-case slug; the message is for a person and never echoes a report."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RefusalError(ReportAbuseError, Generic[ReasonT]):
    """An error with its only reasons, e.g. `RefusalError[Literal["too-early"]]`: the type checker holds them."""

    reason: ReasonT

    if TYPE_CHECKING:

        def __init__(self, message: str, *, reason: ReasonT) -> None: ...


class FormatError(ReportAbuseError):
    """Bytes from outside are not in their one spelling."""


class EnvelopeError(FormatError):
    """A sealed box is malformed, too large, or of an unknown version or suite."""


class SealingError(ReportAbuseError):
    """Sealing is not possible with this key."""


class OpeningError(ReportAbuseError):
    """A box does not open."""


class KeySetError(ReportAbuseError):
    """A key set or a pin cannot be trusted."""


class RegisterError(ReportAbuseError):
    """A partner register cannot be trusted."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of one field: `pointer` is an RFC 6901 JSON pointer behind `#`, `detail` the way to fix it."""

    pointer: str
    detail: str


class ReportError(ReportAbuseError):
    """A report misses or garbles fields."""

    def __init__(self, message: str, *, reason: str, faults: Sequence[FieldFault] = ()) -> None:
        super().__init__(message, reason=reason)
        self.faults = tuple(faults)


class RepeatedReportError(ReportAbuseError):
    """The same report was sealed here in the last hour, and this one was not. Send it with `again=True` if it is meant.

    `reference` is None while the first one has no receipt of the gateway.
    """

    def __init__(self, message: str, *, reason: str, report_id: str, reference: str | None) -> None:
        super().__init__(message, reason=reason)
        self.report_id = report_id
        self.reference = reference


class StatementError(ReportAbuseError):
    """A signed statement does not verify; `faults` names places in it where they are known."""

    def __init__(self, message: str, *, reason: str, faults: Sequence[FieldFault] = ()) -> None:
        super().__init__(message, reason=reason)
        self.faults = tuple(faults)


class EnrolmentError(ReportAbuseError):
    """An invitation or an enrolment cannot be used."""


class MailboxError(ReportAbuseError):
    """A message is not for us, out of order, or not the agency's."""


class LogError(ReportAbuseError):
    """The public log does not hold: forked, rolled back, unreadable, or without an entry that it must have."""


class LocalStateError(ReportAbuseError):
    """The partner's own folder cannot be used."""


class EvidenceError(ReportAbuseError):
    """A file cannot be handed over as evidence."""


class SignatureProfileError(ReportAbuseError):
    """A request is not signed by the profile of WIRE.md §7; every cause becomes one 401.

    `advice` names the rule that was broken, where the signature itself holds under a key that is known: only its holder
    may be told.
    """

    def __init__(self, message: str, *, reason: str, advice: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.advice = advice


class TransportError(ReportAbuseError):
    """No reply came. Retrying with the same report id is safe."""


class ProblemError(ReportAbuseError):
    """The gateway replied with an RFC 9457 problem."""

    def __init__(
        self,
        *,
        type: str,  # noqa: A002 - the member name of RFC 9457 §3.1.1
        title: str,
        status: int,
        detail: str,
        request_id: str | None,
        faults: Sequence[FieldFault] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{title} ({status}). {detail}".strip(), reason=type.rsplit("/", 1)[-1])
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds


class NotAuthorisedError(ProblemError):
    """401: the request is not signed by a key of the register, for any cause."""


class ConflictError(ProblemError):
    """409: this id is taken by other content."""


class RateLimitedError(ProblemError):
    """429: wait `retry_after_seconds`, then send the same again."""


class UnavailableError(ProblemError):
    """5xx: wait `retry_after_seconds`, then send the same again."""


class RefusedError(ProblemError):
    """Any other refusal: fix the request first."""
