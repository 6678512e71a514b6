/**
 * Every error that this package raises; nothing of a lower library crosses its border.
 *
 * ```
 * ReportAbuseError            .reason: one kebab-case slug that a program can compare
 * ├── FormatError             bytes from outside that are not in the one spelling of WIRE.md
 * │   └── EnvelopeError       a sealed box: malformed, too large, unknown version or suite
 * ├── SealingError            the agency has no key that may seal now
 * ├── OpeningError            a box does not open: wrong key, altered, another context, bad padding
 * ├── StatementError          a signed statement: unknown key, bad signature, another kind
 * ├── KeySetError             a key set: stale, expired, not signed by the pinned root
 * ├── ReportError             a report misses or garbles fields; .faults lists JSON pointers
 * ├── EnrolmentError          an invitation cannot be used
 * ├── ReceiptError            a receipt is for another report than was sent
 * ├── MailboxError            a message is not for this partner, out of order, or not the agency's
 * ├── LogError                the public log is forked, rolled back or unreadable, or misses a receipt
 * ├── LocalStateError         the partner's own folder is missing, damaged or readable by others
 * ├── EvidenceError           a file cannot be handed over, or a sealed one does not open
 * ├── TransportError          no reply: time-out, connection, TLS (safe to send again)
 * └── ProblemError            the gateway replied with a problem: .type .title .status .detail .requestId .faults
 *     ├── NotAuthorisedError  401
 *     ├── ConflictError       409
 *     ├── RateLimitedError    429, .retryAfterSeconds
 *     ├── UnavailableError    5xx, .retryAfterSeconds (safe to send again)
 *     └── RefusedError        any other refusal
 * ```
 */

/** One fault of one field: `pointer` is a JSON pointer behind `#`, `detail` the way to fix it. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

/** The root of the tree. The message is for a person and never repeats words of a report. */
export class ReportAbuseError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.reason = reason;
  }
}

export class FormatError extends ReportAbuseError {}

export class EnvelopeError extends FormatError {}

export class SealingError extends ReportAbuseError {}

export class OpeningError extends ReportAbuseError {}

export class StatementError extends ReportAbuseError {}

export class KeySetError extends ReportAbuseError {}

export class EnrolmentError extends ReportAbuseError {}

export class ReceiptError extends ReportAbuseError {}

export class MailboxError extends ReportAbuseError {}

export class LogError extends ReportAbuseError {}

export class LocalStateError extends ReportAbuseError {}

export class EvidenceError extends ReportAbuseError {}

export class TransportError extends ReportAbuseError {}

export class ReportError extends ReportAbuseError {
  readonly faults: readonly FieldFault[];

  constructor(reason: string, message: string, faults: readonly FieldFault[] = []) {
    super(reason, [message, ...faults.map((fault) => `${fault.pointer}: ${fault.detail}`)].join("\n"));
    this.faults = faults;
  }
}

/** The members of a problem (RFC 9457) that the gateway answered with. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string | null;
  readonly faults: readonly FieldFault[];
  readonly retryAfterSeconds: number | null;
}

export class ProblemError extends ReportAbuseError implements Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string | null;
  readonly faults: readonly FieldFault[];
  readonly retryAfterSeconds: number | null;

  constructor(problem: Problem) {
    super(problem.type.split("/").at(-1) ?? "", `${problem.title} (${problem.status}). ${problem.detail}`.trim());
    this.type = problem.type;
    this.title = problem.title;
    this.status = problem.status;
    this.detail = problem.detail;
    this.requestId = problem.requestId;
    this.faults = problem.faults;
    this.retryAfterSeconds = problem.retryAfterSeconds;
  }
}

export class NotAuthorisedError extends ProblemError {}

export class ConflictError extends ProblemError {}

export class RateLimitedError extends ProblemError {}

export class UnavailableError extends ProblemError {}

export class RefusedError extends ProblemError {}
