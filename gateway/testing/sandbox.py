"""`Sandbox`: an agency in one object for the tests of an online service. NOT A REPORT, ever.

An adapter leads every request of its sessions to the gateway in this process without a socket; a session reaches no
other address.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from flask import Flask
from requests import PreparedRequest, Response, Session
from requests.exceptions import ConnectionError as NoConnectionError

from gateway.app import make_app
from gateway.config import utc_now
from gateway.desk.cases.actions.ledger import list_entries, open_entries, withdraw_action, write_entry
from gateway.desk.cases.actions.model import ActionKind, get_action
from gateway.desk.collection.importing import import_report
from gateway.desk.keyring.key_set import replace_sealing_key
from gateway.desk.keyring.publication import publish
from gateway.desk.outbox.queue import queue_stage
from gateway.desk.partners.account_changes import revoke_key
from gateway.testing.agency import (
    ORIGIN,
    STAFF,
    SandboxAgency,
    SandboxEntry,
    SandboxReport,
    copy_template,
    make_synthetic_digest,
    make_temporary_folder,
    release_example,
)
from gateway.testing.scenarios import Scenario
from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk.client.account import enrol
from partner_sdk.client.transport import make_session
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.digest import Digest, encode_digest
from partner_sdk.wire.enrolment import Invitation
from partner_sdk.wire.mailbox import DeskEntryKind, MessageKind
from partner_sdk.wire.problems import NOT_A_REPORT
from partner_sdk.wire.submission import Outcome, SetAsideReason

DEFAULT_PARTNER: Final = "example-service"


class _Adapter(WsgiTransport):
    """Plays the waiting scenarios; a request for another address gets no connection."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.waiting: list[Scenario] = []

    def answer(self, request: PreparedRequest) -> Response:
        """Play the first scenario that hits this request, or let the gateway answer."""
        if not (request.url or "").startswith(f"{ORIGIN}/"):
            self.requests.pop()
            raise NoConnectionError("A sandbox reaches no address but its own.")
        scenario = next((one for one in self.waiting if one.matches(request)), None)
        if scenario is None:
            return super().answer(request)
        self.waiting.remove(scenario)
        return scenario.play(request, super().answer)


class Sandbox:
    """An agency that lives as long as this object. Use it as a context manager.

    Its environment is `sandbox` and cannot be another: there is no parameter, and every key is made here.
    """

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._skew = timedelta(0)
        self._folder = make_temporary_folder()
        folder = Path(self._folder.name)
        if clock is utc_now:
            copy_template(folder)
        self._agency = SandboxAgency(folder, clock=self._now)
        app = make_app(
            self._agency.config, ("industry",), state=self._agency.gateway_state, gateway=self._agency.gateway
        )
        self._adapter = _Adapter(app)
        self._sessions: list[Session] = []
        self.waits: list[float] = []

    def __enter__(self) -> "Sandbox":
        """Return the sandbox itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sandbox."""
        self.close()

    def __repr__(self) -> str:
        """Name the sandbox: a repr ends in logs."""
        return f"<Sandbox: {NOT_A_REPORT}>"

    def close(self) -> None:
        """Close every session and database, and delete the folder. Safe to repeat."""
        while self._sessions:
            self._sessions.pop().close()
        self._agency.close()
        self._folder.cleanup()

    # Partners

    @property
    def origin(self) -> str:
        """The address of the gateway; no network knows it."""
        return ORIGIN

    @property
    def requests(self) -> list[PreparedRequest]:
        """Every request that reached the gateway, the oldest first."""
        return self._adapter.requests

    def session(self) -> Session:
        """Return a `requests` session that ends in this sandbox, for `Partner.open` and `enrol`."""
        session = make_session()
        session.trust_env = False  # no proxy of this machine stands between
        for scheme in ("https://", "http://"):
            session.mount(scheme, self._adapter)
        self._sessions.append(session)
        return session

    def invite(self, partner: str = DEFAULT_PARTNER, *, name: str = "Example Service") -> Invitation:
        """Return an invitation, as the agency hands one out; raises `PartnerError` for an unusable name."""
        return self._agency.invite(partner, name=name)

    def enrol(self, folder: Path, partner: str = DEFAULT_PARTNER, **settings: Any) -> Partner:
        """Answer an invitation with the SDK's own `enrol`, and return a partner that is approved and ready.

        `folder` becomes the partner's folder. `settings` go to `Partner.open`.
        """
        enrol(self.invite(partner), folder=folder, session=self.session(), clock=self._clock)
        self._agency.approve()
        return self.open_partner(folder, **settings)

    def open_partner(self, folder: Path, **settings: Any) -> Partner:
        """Open a folder that was enrolled in this sandbox. Its waits between tries are noted in `waits`, not waited."""
        defaults: dict[str, Any] = {"session": self.session(), "clock": self._clock, "sleep": self.waits.append}
        return Partner.open(folder, **{**defaults, **settings})

    # The desk

    def run_desk(self) -> None:
        """Let the automatic desk do everything that waits for it.

        It approves partners and changes of their accounts, opens each report and releases the outcome `used`. After the
        first report of a partner it also asks one question, releases a digest of fixed figures, and sends a request to
        keep data, a referral and an alert.
        """
        self._agency.work()

    @property
    def reports(self) -> list[SandboxReport]:
        """Every filed report, then every report set aside. Reading this lets the desk collect."""
        return self._agency.list_reports()

    def read_evidence(self, evidence_id: str) -> bytes:
        """Return the file behind evidence, opened by the desk with the reference of a report.

        Raises `KeyError` if no report names it, `OpeningError` if it does not open or has not come whole.
        """
        named = [(report.clear.partner, report.sealed) for report in self.reports if report.sealed is not None]
        references = {one.evidence_id: (partner, one) for partner, sealed in named for one in sealed.evidence}
        partner, reference = references[evidence_id]
        return self._agency.read_evidence(partner, reference)

    def import_file(self, sealed: bytes) -> bytes:
        """Let the desk take a report from a sealed file, and return the file for `receipt add`.

        Raises `FormatError` for another file, and `ValueError` for a report that the desk sets aside.
        """
        imported = import_report(self._agency.desk, sealed, actor=STAFF)
        if imported.receipt is None:
            raise ValueError("The desk set this report aside: it has no receipt.")
        return imported.receipt

    def set_progress(
        self,
        report_id: str,
        *,
        stage: Literal["collected", "set_aside", "opened"],
        outcome: Outcome | None = None,
        set_aside_reason: SetAsideReason | None = None,
    ) -> None:
        """Let the desk collect a report and publish this stage of it.

        Only `set_aside` has a reason, and needs one; only `opened` can have an outcome: else raises `ValueError`.
        Raises `KeyError` for an unknown report.
        """
        if (stage == "set_aside") != (set_aside_reason is not None) or (outcome is not None and stage != "opened"):
            raise ValueError("`set_aside` needs a reason and no other stage has one; only `opened` has an outcome.")
        partners = {one.clear.report_id: one.clear.partner for one in self.reports}
        with self._agency.desk.store.write() as connection:
            queue_stage(
                connection,
                partner=partners[report_id],
                report_id=report_id,
                now=self._now(),
                stage="opened" if stage == "opened" else "collected",
                outcome=outcome,
                set_aside_reason=set_aside_reason,
            )
        self._agency.send()

    def send_question(self, reference: str, question: str) -> str:
        """Ask the partner about the report of this reference; return the id that its answer must name."""
        return self._agency.ask(reference, question)

    def send_message(
        self, body: Mapping[str, Any], *, kind: MessageKind = "welcome", partner: str = DEFAULT_PARTNER
    ) -> str:
        """Put a message into a partner's mailbox and return its id; the same message again keeps its id.

        `body` has the shape that `kind` asks for. Raises `PartnerError` for a partner that is not enrolled.
        """
        return self._agency.write(partner, kind=kind, body=encode(body))

    def send_example(self, kind: ActionKind, *, partner: str = DEFAULT_PARTNER) -> str:
        """Send a partner an example of a package, a request, a referral or an alert; return the id of its message.

        All but an alert are about the first report of the sandbox. Packages go to `example-service`,
        `example-police` and `sandbox-1`; after one, the desk holds back every referral about that report. Raises
        `ValueError` without a report, and for a package to another partner.
        """
        case_id = None if kind == "alert" else self._agency.find_assessed_case()
        message_id = release_example(self._agency.desk, kind, partner=partner, case_id=case_id, actor=STAFF)
        self._agency.send()
        return message_id

    def write_to_thread(self, message_id: str, kind: DeskEntryKind, text: str = "") -> None:
        """Let the desk write about an example: `question`, `answer`, `note`, `reminder`, `close`, or a `recall`."""
        desk = self._agency.desk
        with desk.store.write() as connection:
            if kind == "recall":
                withdraw_action(desk, connection, message_id, reason=text, actor=STAFF)
            else:
                write_entry(desk, connection, get_action(connection, message_id), kind=kind, text=text, actor=STAFF)
        self._agency.send()

    def read_thread(self, message_id: str) -> list[SandboxEntry]:
        """Return everything written about an example, of both sides, as the desk has it."""
        self._agency.collect()
        desk = self._agency.desk
        with desk.store.read() as connection:
            action, entries = get_action(connection, message_id), list_entries(connection, message_id)
        texts = open_entries(desk, action, entries, actor=STAFF)
        found = ((one, texts[one.entry_id]) for one in entries if one.entry_id in texts)
        return [
            SandboxEntry(one.direction, one.kind, said.by, said.text, said.outcome, said.report_id)
            for one, said in found
        ]

    def send_digest(self, digest: Digest | None = None, *, partner: str = DEFAULT_PARTNER) -> str:
        """Put a digest, or the one of fixed figures, into a partner's mailbox; return the id of the message."""
        body = encode_digest(digest or make_synthetic_digest(partner, now=self._now()))
        return self._agency.write(partner, kind="digest", body=body)

    # Faults

    def next_requests(self, scenario: Scenario, *, times: int = 1) -> None:
        """Let a scenario of `gateway.testing.scenarios` happen to the next `times` requests that it hits."""
        self._adapter.waiting += [scenario] * times

    @property
    def waiting_scenarios(self) -> list[str]:
        """The names of the scenarios that have not happened yet: none should be left at the end of a test."""
        return [scenario.name for scenario in self._adapter.waiting]

    def cancel_scenarios(self) -> None:
        """Let no waiting scenario happen."""
        self._adapter.waiting.clear()

    def rotate_sealing_key(self) -> None:
        """Publish a new sealing key. Boxes to the former one are still taken, as at a live agency."""
        replace_sealing_key(self._agency.desk, actor=STAFF)
        publish(self._agency.desk, actor=STAFF)

    def shift_clock(self, **step: float) -> None:
        """Let the agency's clock run ahead (or behind) of the partner's, as `timedelta` names its steps."""
        self._skew += timedelta(**step)

    def revoke_key(self, partner: str = DEFAULT_PARTNER) -> None:
        """Revoke a partner's keys: its requests get 401 from now on, until it enrols again by `invite`."""
        revoke_key(self._agency.desk, partner=partner, actor=STAFF)
        publish(self._agency.desk, actor=STAFF)

    def _now(self) -> datetime:
        return self._clock() + self._skew
