"""Requests and answers of the sandbox: every answer says NOT A REPORT, every refusal is shaped as the gateway's."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from partner_sdk.errors import FieldFault, ReportAbuseError
from partner_sdk.sandbox.agency import SANDBOX
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.environment import ENVIRONMENT_HEADER, spell_environment
from partner_sdk.wire.problems import MEDIA_TYPE, Problem, make_document
from partner_sdk.wire.refused_errors import find_error_detail, find_error_problem, list_error_faults
from partner_sdk.wire.signature_profile import CONTENT_TYPE

# RFC 6761 §6.4: a name under `invalid` never leads anywhere, so nothing of the sandbox can go astray.
ORIGIN: Final = "https://sandbox-gateway.invalid"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. `path` is as it was spelled, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def target_uri(self) -> str:
        """What the client must have signed."""
        return f"{ORIGIN}{self.path}?{self.query}" if self.query else f"{ORIGIN}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets; the headers of every answer are added to `headers`."""

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
        ENVIRONMENT_HEADER: spell_environment(SANDBOX),
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
