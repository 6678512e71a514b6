"""Requests and answers of the sandbox, and the partner that signed a request (WIRE.md §7).

Every answer says NOT A REPORT, and every refusal has the gateway's shape.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from partner_sdk.errors import FieldFault, ReportAbuseError, SignatureProfileError
from partner_sdk.sandbox._agency import SANDBOX
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.problems import (
    ENVIRONMENT_HEADER,
    MEDIA_TYPE,
    Problem,
    find_error_detail,
    find_error_problem,
    format_environment,
    list_error_faults,
    make_document,
)
from partner_sdk.wire.signature_profile import (
    CONTENT_TYPE,
    STAND_IN_KEY,
    SignatureClaim,
    check_claim,
    check_content_digest,
    explain_refusal,
    parse_signature_headers,
)
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES

# RFC 6761 §6.4: a name under `invalid` never leads anywhere, so nothing of the sandbox can go astray.
ORIGIN: Final = "https://sandbox-gateway.invalid"


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request. `path` is as it was spelled, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def target_uri(self) -> str:
        """The address that the client must have signed."""
        return f"{ORIGIN}{self.path}?{self.query}" if self.query else f"{ORIGIN}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a client; the headers of every answer are added to `headers`."""

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


class ProblemAnswer(Exception):  # noqa: N818 - it is an answer; nothing has gone wrong in the sandbox
    """Ends a request with one row of the problem table."""

    def __init__(
        self,
        problem: Problem,
        *,
        detail: str | None = None,
        faults: Sequence[FieldFault] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem.slug)
        self.problem = problem
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds
        self.headers = dict(headers or {})


def answer_json(value: object, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Answer with a value in canonical JSON."""
    return Answer(status=status, body=encode(value))


def answer_error(error: ReportAbuseError) -> Answer:
    """Refuse as the gateway does for this error; one that its table does not know is a fault of the sandbox (500)."""
    problem = find_error_problem(error) or problems.INTERNAL_ERROR
    return answer_problem(ProblemAnswer(problem, detail=find_error_detail(error), faults=list_error_faults(error)))


def answer_problem(refused: ProblemAnswer) -> Answer:
    """Return the problem document, shaped as the gateway's."""
    problem, request_id = refused.problem, str(uuid.uuid4())
    document = make_document(
        problem, origin=ORIGIN, request_id=request_id, detail=refused.detail, faults=refused.faults
    )
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        document.pop("detail", None)
    return _answer_document(document, problem.status, request_id, refused)


def answer_blank(status: HTTPStatus) -> Answer:
    """Return a refusal that means no more than its status (RFC 9457 §4.2.1)."""
    request_id = str(uuid.uuid4())
    document = {
        "instance": f"urn:uuid:{request_id}",
        "status": int(status),
        "title": status.phrase,
        "type": "about:blank",
    }
    return Answer(status=status, body=encode(document), content_type=MEDIA_TYPE, headers={"X-Request-Id": request_id})


def list_headers(answer: Answer, *, date: str) -> dict[str, str]:
    """Return every header of an answer; `date` is that of the sandbox's clock."""
    return {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        "Date": date,
        "X-Request-Id": str(uuid.uuid4()),
        **answer.headers,
        ENVIRONMENT_HEADER: format_environment(SANDBOX),
    }


def _answer_document(document: dict[str, object], status: int, request_id: str, refused: ProblemAnswer) -> Answer:
    headers = {"X-Request-Id": request_id, **refused.headers}
    seconds = refused.problem.retry_after_seconds
    if refused.retry_after_seconds is not None:
        seconds = refused.retry_after_seconds
    if seconds is not None:
        headers["Retry-After"] = str(seconds)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Signature tag="report-abuse"'
    return Answer(status=status, body=encode(document), content_type=MEDIA_TYPE, headers=headers)


@dataclass(slots=True)
class SandboxPartner:
    """One partner: its public keys as its enrolment named them. Former keys verify statements and nothing else."""

    partner: str
    key_id: str
    submission_key: str
    mailbox_key: SealingKey
    is_suspended: bool = False
    former_keys: dict[str, bytes] = field(default_factory=dict)

    @property
    def raw_submission_key(self) -> bytes:
        """The 32 raw bytes of the key that signs requests."""
        return parse_base64url(self.submission_key, length=PUBLIC_KEY_BYTES)

    @property
    def statement_keys(self) -> dict[str, bytes]:
        """Key id to raw key for all keys that may have signed a statement of this partner."""
        return {**self.former_keys, self.key_id: self.raw_submission_key}


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A partner and its request: the signature holds, and the body is checked when it is read."""

    partner: SandboxPartner
    claim: SignatureClaim
    sent: bytes

    @property
    def sent_bytes(self) -> int:
        """The size of the body, before it is known to be the signed one."""
        return len(self.sent)

    def read_body(self) -> bytes:
        """Return the body if it is the one that was signed; raises `SignatureProfileError` (`wrong-digest`)."""
        check_content_digest(self.claim, body=self.sent)
        return self.sent


class SandboxPartners:
    """All partners of one sandbox, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, SandboxPartner] = {}

    def put(self, partner: SandboxPartner) -> None:
        """Approve a partner; a new enrolment takes the place of the old one."""
        self._by_name[partner.partner] = partner

    def get(self, name: str) -> SandboxPartner:
        """Return a partner; raises `KeyError` for one that did not enrol."""
        return self._by_name[name]

    def get_caller(self, request: Request, *, now: datetime, content_type: str = CONTENT_TYPE) -> SignedCall:
        """Return the active partner that signed this request; raises `SignatureProfileError` for every cause alike."""
        if request.headers.get("content-type", "") not in ("", content_type):
            raise ProblemAnswer(problems.UNSUPPORTED_MEDIA_TYPE)
        names = ("content-type", "content-digest", "signature", "signature-input")
        headers = {name: request.headers.get(name, "") for name in names}
        asked: dict[str, Any] = {
            "method": request.method,
            "target_uri": request.target_uri,
            "has_body": request.method in {"POST", "PUT"},
            "now": now,
        }
        try:
            claim = parse_signature_headers(headers, content_type=content_type)
            known = self._find_active(claim.key_id)
            check_claim(claim, public_key=STAND_IN_KEY if known is None else known.raw_submission_key, **asked)
        except SignatureProfileError as error:
            error.advice = explain_refusal(headers, content_type=content_type, find_key=self._find_key, **asked)
            raise
        if known is None:
            raise SignatureProfileError("The key is not known here.", reason="unknown-key")
        return SignedCall(partner=known, claim=claim, sent=request.body or b"")

    def _find_active(self, key_id: str) -> SandboxPartner | None:
        return next((one for one in self._by_name.values() if one.key_id == key_id and not one.is_suspended), None)

    def _find_key(self, key_id: str) -> bytes | None:
        known = self._find_active(key_id)
        return None if known is None else known.raw_submission_key


@dataclass(frozen=True, slots=True)
class Visit:
    """One request at its call: the varying parts of its path, and the time of the sandbox."""

    request: Request
    parts: Mapping[str, str]
    now: datetime
    media_type: str
    partners: SandboxPartners

    def get_call(self) -> SignedCall:
        """Return who signed it; raises `SignatureProfileError`."""
        return self.partners.get_caller(self.request, now=self.now, content_type=self.media_type)
