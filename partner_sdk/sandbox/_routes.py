"""The router of the sandbox: its calls, the shape of a request, and the answer to an error.

Checks come in the order of the gateway's: address, body, signature, content. A table of requests runs against both.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from partner_sdk.errors import ReportAbuseError
from partner_sdk.report import report_schema
from partner_sdk.sandbox._agency import SANDBOX, SandboxAgency
from partner_sdk.sandbox._answers import (
    Answer,
    ProblemAnswer,
    Request,
    SandboxPartners,
    Visit,
    answer_blank,
    answer_error,
    answer_json,
    answer_problem,
)
from partner_sdk.sandbox._items import SandboxAccounts, SandboxAdoptions, SandboxEnrolments, SandboxMailboxes
from partner_sdk.sandbox._reports import SandboxEvidenceStore, SandboxIntake
from partner_sdk.wire import problems
from partner_sdk.wire.account import MAX_ACCOUNT_BODY_BYTES
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES
from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES
from partner_sdk.wire.evidence import MAX_COMPLETE_BYTES, PART_BYTES
from partner_sdk.wire.mailbox_message import MAX_ACK_BODY_BYTES, mailbox_schema
from partner_sdk.wire.replies import ServiceCaller, ServiceStatus
from partner_sdk.wire.signature_profile import CONTENT_TYPE, PART_CONTENT_TYPE, is_unreserved_path
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

View = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One call: `{name}` in the path stands for one part of it. Without `body_bytes` it takes no body."""

    method: str
    path: str
    find_view: Callable[["SandboxGateway"], View]
    body_bytes: int = 0
    media_type: str = CONTENT_TYPE

    def find_parts(self, path: str) -> dict[str, str] | None:
        """Return the varying parts of a path, or None if it is another call's."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


class SandboxGateway:
    """All of `/v1`, over the parts of one sandbox. One request at a time."""

    def __init__(self, agency: SandboxAgency) -> None:
        self.agency = agency
        self.partners = SandboxPartners()
        self.enrolments = SandboxEnrolments(agency, self.partners)
        self.accounts = SandboxAccounts(agency)
        self.adoptions = SandboxAdoptions(agency)
        self.evidence = SandboxEvidenceStore()
        self.intake = SandboxIntake(agency, reference_evidence=self.evidence.reference)
        self.mailboxes = SandboxMailboxes(agency)
        self._lock = threading.Lock()

    def handle(self, request: Request, *, now: datetime) -> Answer:
        """Answer a request at the time `now`; never raises for a client's fault."""
        try:
            with self._lock:
                return self._dispatch(request, now=now)
        except ProblemAnswer as refused:
            return answer_problem(refused)
        except ReportAbuseError as error:
            return answer_error(error)

    def _dispatch(self, request: Request, *, now: datetime) -> Answer:
        path = unquote(request.path)
        matching = [(route, parts) for route in ROUTES if (parts := route.find_parts(path)) is not None]
        if not matching:
            raise ProblemAnswer(problems.NOT_FOUND)
        for route, parts in matching:
            if route.method == request.method:
                refused = _find_refusal(request, route)
                if refused is not None:
                    return refused
                if not is_unreserved_path(request.path):
                    raise ProblemAnswer(problems.MALFORMED_REQUEST)
                return route.find_view(self)(Visit(request, parts, now, route.media_type, self.partners))
        allowed = ", ".join(sorted({route.method for route, _ in matching}))
        raise ProblemAnswer(problems.METHOD_NOT_ALLOWED, headers={"Allow": allowed})


def _find_refusal(request: Request, route: Route) -> Answer | None:
    headers = request.headers
    if request.method == "GET":
        if request.body or "transfer-encoding" in headers:
            raise ProblemAnswer(problems.BODY_NOT_ALLOWED)
        return None
    if "transfer-encoding" in headers:
        return answer_blank(HTTPStatus.LENGTH_REQUIRED)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemAnswer(problems.UNSUPPORTED_MEDIA_TYPE)
    if len(request.body or b"") > route.body_bytes:
        raise ProblemAnswer(problems.BODY_TOO_LARGE)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (request.body or media_type) and media_type != route.media_type:
        raise ProblemAnswer(problems.UNSUPPORTED_MEDIA_TYPE)
    return None


def _get_status(visit: Visit) -> Answer:
    caller = None
    if "signature" in visit.request.headers or "signature-input" in visit.request.headers:
        partner = visit.get_call().partner
        caller = ServiceCaller(environment=SANDBOX, key_id=partner.key_id, partner=partner.partner)
    return answer_json(ServiceStatus(caller=caller, environment=SANDBOX, ready=True))


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/v1/status", lambda _: _get_status),
    Route("GET", "/v1/keys", lambda its: lambda _: Answer(status=HTTPStatus.OK, body=its.agency.bundle)),
    Route("GET", "/v1/schema/report.json", lambda _: lambda _: answer_json(report_schema())),
    Route("GET", "/v1/schema/mailbox.json", lambda _: lambda _: answer_json(mailbox_schema())),
    Route("POST", "/v1/enrol", lambda its: its.enrolments.post_enrol, MAX_ENROLMENT_BODY_BYTES),
    Route("POST", "/v1/account", lambda its: its.accounts.post_account, MAX_ACCOUNT_BODY_BYTES),
    Route("POST", "/v1/adoption", lambda its: its.adoptions.post_adoption, MAX_ADOPTION_BODY_BYTES),
    Route("POST", "/v1/reports", lambda its: its.intake.post_report, MAX_REPORT_BODY_BYTES),
    Route("GET", "/v1/reports/{report_id}", lambda its: its.intake.get_report),
    Route("PUT", "/v1/evidence/{evidence_id}/{part}", lambda its: its.evidence.put_part, PART_BYTES, PART_CONTENT_TYPE),
    Route("GET", "/v1/evidence/{evidence_id}", lambda its: its.evidence.get_state),
    Route("POST", "/v1/evidence/{evidence_id}/complete", lambda its: its.evidence.post_complete, MAX_COMPLETE_BYTES),
    Route("GET", "/v1/mailbox", lambda its: its.mailboxes.get_mailbox),
    Route("POST", "/v1/mailbox/{message_id}/ack", lambda its: its.mailboxes.post_ack, MAX_ACK_BODY_BYTES),
)
