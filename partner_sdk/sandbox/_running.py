"""`Sandbox`: a whole gateway and agency in one object, for the tests of an online service. NOT A REPORT, ever.

An adapter leads every request of its session into this process without a socket; the session can reach nothing else.
"""

import io
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from partner_sdk.client._receipts import Receipt
from partner_sdk.client.account import enrol
from partner_sdk.client.http import read_clock
from partner_sdk.client.partner import Partner
from partner_sdk.client.transport import make_session
from partner_sdk.sandbox._agency import SandboxAgency, SandboxReport, open_evidence
from partner_sdk.sandbox._answers import ORIGIN, Answer, Request, list_headers
from partner_sdk.sandbox._reports import SandboxEvidence
from partner_sdk.sandbox._routes import SandboxGateway
from partner_sdk.sandbox.scenarios import Scenario, Script
from partner_sdk.wire.account import AccountChange
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, encode, format_time, make_report_id
from partner_sdk.wire.digest import Digest
from partner_sdk.wire.enrolment import Invitation
from partner_sdk.wire.feed_messages import Outcome
from partner_sdk.wire.keys import KeySet
from partner_sdk.wire.mailbox_message import InformationRequest, MessageKind, SetAsideReason, encode_body
from partner_sdk.wire.problems import NOT_A_REPORT
from partner_sdk.wire.replies import Stage


class SandboxAdapter(BaseAdapter):
    """Answers every request of a session in this process; a request for another address gets no connection.

    `requests` keeps each request, so that a test can look at it.
    """

    def __init__(
        self,
        handle: Callable[[Request], Answer],
        *,
        script: Script,
        clock: Callable[[], datetime],
        took: Callable[[Request], None],
    ) -> None:
        super().__init__()
        self._handle = handle
        self._script = script
        self._clock = clock
        self._took = took

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer one request, or raise what `requests` raises when there is no answer."""
        parts = urlsplit(request.url or "")
        if f"{parts.scheme}://{parts.netloc}" != ORIGIN:
            raise requests.exceptions.ConnectionError("A sandbox reaches no address but its own.")
        asked = Request(
            method=request.method or "GET",
            path=parts.path or "/",
            query=parts.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=_read_body(request.body),
        )
        self._took(asked)
        scenario = self._script.take(asked)
        answer = self._handle(asked) if scenario is None else scenario.play(asked, self._handle)
        return self._make_response(request, answer)

    def close(self) -> None:
        """There is nothing to close."""

    def _make_response(self, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
        response = requests.Response()
        response.status_code = int(answer.status)
        response.reason = HTTPStatus(answer.status).phrase
        response.headers = CaseInsensitiveDict(list_headers(answer, date=format_datetime(self._clock(), usegmt=True)))
        response.raw = io.BytesIO(answer.body)
        response.url = request.url or ""
        response.request = request
        response.encoding = "utf-8"
        return response


def make_sandbox_session(adapter: SandboxAdapter) -> requests.Session:
    """Return a session of the SDK whose every request ends in the sandbox, whatever the address."""
    session = make_session()
    session.trust_env = False  # no proxy of this machine stands between
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


def _read_body(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if hasattr(body, "read"):
        return bytes(body.read())
    return b"".join(body) if isinstance(body, Iterable) else bytes(body)


DEFAULT_PARTNER: Final = "example-service"
QUESTION_DUE_AFTER: Final = timedelta(days=14)


class Sandbox:
    """A gateway that lives as long as this object. Use it as a context manager.

    Its environment is `sandbox` and cannot be another: there is no parameter, and every key is made here.
    """

    def __init__(self, *, clock: Callable[[], datetime] = read_clock) -> None:
        self._clock = clock
        self._skew = timedelta(0)
        self._gateway = SandboxGateway(SandboxAgency(clock()))
        self._script = Script()
        self._sessions: list[requests.Session] = []
        self.requests: list[Request] = []
        self.waits: list[float] = []

    def __enter__(self) -> "Sandbox":
        """Return the sandbox itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every session that was opened."""
        self.close()

    def __repr__(self) -> str:
        """Name the sandbox: a repr ends in logs."""
        return f"<Sandbox: {NOT_A_REPORT}, {len(self.reports)} received>"

    def close(self) -> None:
        """Close every session that was opened."""
        while self._sessions:
            self._sessions.pop().close()

    # Partners

    @property
    def origin(self) -> str:
        """The address that partners of this sandbox speak with; no network knows it."""
        return ORIGIN

    @property
    def key_set(self) -> KeySet:
        """The key set that is published now."""
        return self._gateway.agency.key_set

    def session(self) -> requests.Session:
        """Return a `requests` session that ends in this sandbox, for `Partner.open` and `enrol`."""
        adapter = SandboxAdapter(self._handle, script=self._script, clock=self._now, took=self.requests.append)
        session = make_sandbox_session(adapter)
        self._sessions.append(session)
        return session

    def invite(self, partner: str = DEFAULT_PARTNER, *, name: str = "Example Service") -> Invitation:
        """Return an invitation, as the agency hands one out; raises `FormatError` for a name that cannot be."""
        return self._gateway.enrolments.invite(partner, name=name, now=self._clock())

    def enrol(self, folder: Path, partner: str = DEFAULT_PARTNER, **settings: Any) -> Partner:
        """Answer an invitation with the SDK's own `enrol`, and return a partner that is approved and ready.

        `folder` becomes the partner's folder. `settings` go to `Partner.open`.
        """
        enrol(self.invite(partner), folder=folder, session=self.session(), clock=self._clock)
        return self.open_partner(folder, **settings)

    def open_partner(self, folder: Path, **settings: Any) -> Partner:
        """Open a folder that was enrolled in this sandbox. Its waits between tries are noted in `waits`, not waited."""
        defaults: dict[str, Any] = {"session": self.session(), "clock": self._clock, "sleep": self.waits.append}
        return Partner.open(folder, **{**defaults, **settings})

    # Received

    @property
    def reports(self) -> list[SandboxReport]:
        """Every stored report, the oldest first, with its opened content."""
        return self._gateway.intake.list_reports()

    @property
    def evidence(self) -> Mapping[str, SandboxEvidence]:
        """Every piece of evidence by its id, sealed as it came."""
        return self._gateway.evidence.list_all()

    def read_evidence(self, evidence_id: str) -> bytes:
        """Return the file behind evidence, opened with the reference of a report.

        Raises `KeyError` if no report names it, `OpeningError` if it does not open or has not come whole.
        """
        named = (one for report in self.reports if report.sealed is not None for one in report.sealed.evidence)
        references = {one.evidence_id: one for one in named}
        return open_evidence(self.evidence[evidence_id].sealed, reference=references[evidence_id])

    @property
    def account_changes(self) -> list[AccountChange]:
        """Every change of keys or of a registration that was approved, the oldest first."""
        return list(self._gateway.accounts.changes)

    def set_progress(
        self,
        report_id: str,
        *,
        stage: Stage,
        outcome: Outcome | None = None,
        set_aside_reason: SetAsideReason | None = None,
    ) -> None:
        """Let a report be collected, set aside for a reason, or opened, with an outcome.

        Raises `KeyError` for one that is not here.
        """
        self._gateway.intake.set_progress(report_id, stage=stage, outcome=outcome, set_aside_reason=set_aside_reason)

    # Mailbox

    def send_message(
        self, body: Mapping[str, Any], *, kind: MessageKind = "welcome", partner: str = DEFAULT_PARTNER
    ) -> str:
        """Put a message into a partner's mailbox, signed and sealed by this sandbox's agency; return its id.

        `body` has the shape that `kind` asks for. Raises `KeyError` for a partner that did not enrol.
        """
        return self._put(encode(body), kind=kind, partner=partner)

    def send_question(self, receipt: Receipt, question: str, *, partner: str = DEFAULT_PARTNER) -> str:
        """Ask a partner about a report that it holds a receipt for; return the id that its answer must name."""
        now = self._clock()
        request = InformationRequest(
            due_at=format_time(now + QUESTION_DUE_AFTER),
            legal_basis="None: this is a rehearsal.",
            purpose="To rehearse an answer.",
            question=question,
            reference=receipt.reference,
            report_id=receipt.report_id,
            request_id=make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES)),
        )
        self._put(encode_body(request), kind="information-request", partner=partner)
        return request.request_id

    def send_digest(self, digest: Digest, *, partner: str = DEFAULT_PARTNER) -> str:
        """Put a digest into a partner's mailbox; return the id of the message."""
        return self._put(encode(digest), kind="digest", partner=partner)

    def is_acknowledged(self, message_id: str) -> bool:
        """Return whether a message was saved by its partner."""
        return self._gateway.mailboxes.is_acknowledged(message_id)

    def _put(self, body: bytes, *, kind: MessageKind, partner: str) -> str:
        known = self._gateway.partners.get(partner)
        return self._gateway.mailboxes.send(known, kind=kind, body=body, now=self._clock())

    # Faults

    def next_requests(self, scenario: Scenario, *, times: int = 1) -> None:
        """Let a scenario of `partner_sdk.sandbox.scenarios` happen to the next `times` requests that it is for."""
        self._script.add(scenario, times=times)

    @property
    def waiting_scenarios(self) -> list[str]:
        """The names of the scenarios that have not happened yet: none should be left at the end of a test."""
        return list(self._script.list_waiting())

    def rotate_sealing_key(self) -> None:
        """Publish a new sealing key and destroy the old one: boxes to it are refused as `unknown-agency-key`.

        A partner that has the old key set seals to the old key until it fetches `/v1/keys` again.
        """
        self._gateway.agency.rotate_sealing_key(self._clock())

    def shift_clock(self, **step: float) -> None:
        """Let the gateway's clock run ahead (or behind) of the partner's, as `timedelta` names its steps."""
        self._skew += timedelta(**step)

    def revoke_key(self, partner: str = DEFAULT_PARTNER) -> None:
        """Suspend a partner: its requests are answered with 401 from now on."""
        self._gateway.partners.get(partner).is_suspended = True

    def restore_key(self, partner: str = DEFAULT_PARTNER) -> None:
        """Lift the suspension of a partner."""
        self._gateway.partners.get(partner).is_suspended = False

    def _now(self) -> datetime:
        return self._clock() + self._skew

    def _handle(self, request: Request) -> Answer:
        return self._gateway.handle(request, now=self._now())
