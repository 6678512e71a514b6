"""`Partner`: the client of an online service, to submit reports, keep receipts and read its mailbox.

Everything is kept in the partner's own folder (_partner_state.py). A report is sealed and saved before it is sent, and
it counts as delivered only when a receipt for exactly these bytes was verified and saved. For one thread at a time.
"""

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import overload

import requests

from partner_sdk.client._evidence_handover import (
    Attempt,
    HandedOver,
    OnProgress,
    flush,
    hand_over,
    ignore_progress,
    resume_evidence,
)
from partner_sdk.client._keys import find_newer_key, finish_switch
from partner_sdk.client._partner_state import GatewaySession, PartnerProfile, PartnerState
from partner_sdk.client._receipts import (
    ComparedReceipt,
    PublicLog,
    Receipt,
    check_kept_receipt,
    compare_receipts,
    deliver_submission,
    fetch_progress,
    list_kept_receipts,
    open_log,
)
from partner_sdk.client._submissions import Question, ReportToSend, find_earlier_reference, list_requests, seal_report
from partner_sdk.client.exchange import DEFAULT_POLICY, MAX_SMALL_REPLY_BYTES, RetryPolicy
from partner_sdk.client.http import read_clock
from partner_sdk.client.mailbox import (
    Delivery,
    Mailbox,
    OpenedMessage,
    read_digest,
    read_message,
    wait_for_deliveries,
)
from partner_sdk.client.threads import Threads
from partner_sdk.client.transport import Transport
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.digest import Digest
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.mailbox import MAX_WAIT_SECONDS
from partner_sdk.wire.signing import KeySet
from partner_sdk.wire.submission import Priority, ReportKind, ReportProgress, ServiceStatus


class Partner:
    """One enrolled service. Open it with `Partner.open`."""

    def __init__(
        self,
        state: PartnerState,
        *,
        transport: Transport,
        clock: Callable[[], datetime] = read_clock,
        policy: RetryPolicy = DEFAULT_POLICY,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.state = state
        self.transport = transport
        self.session = GatewaySession(
            state,
            transport,
            clock=clock,
            policy=policy,
            sleep=sleep,
            jitter=jitter,
            random_bytes=random_bytes,
            notify=notify,
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        ca_file: Path | None = None,
        session: requests.Session | None = None,
        clock: Callable[[], datetime] = read_clock,
        policy: RetryPolicy = DEFAULT_POLICY,
        sleep: Callable[[float], None] = time.sleep,
        notify: Callable[[str], None] = lambda _: None,
    ) -> "Partner":
        """Open the folder of an enrolled partner. `notify` gets a line when something waits or looks odd.

        Environment and address come from the folder. Raises `LocalStateError`.
        """
        state = PartnerState.open(folder)
        finish_switch(state)
        transport = Transport(
            state.profile.origin,
            private_key=state.load_submission_key(),
            ca_file=ca_file,
            session=session,
            clock=clock,
            find_newer_key=partial(find_newer_key, state, clock=clock, notify=notify),
        )
        return cls(state, transport=transport, clock=clock, policy=policy, sleep=sleep, notify=notify)

    @property
    def profile(self) -> PartnerProfile:
        """The partner's id, environment and address."""
        return self.state.profile

    # Reports

    @overload
    def submit(
        self,
        report: bytes | IndustryReport,
        *,
        priority: Priority,
        kind: ReportKind = ...,
        earlier_reference: str | None = ...,
        again: bool = ...,
    ) -> Receipt: ...

    @overload
    def submit(
        self,
        report: bytes | IndustryReport,
        *,
        priority: Priority,
        kind: ReportKind = ...,
        earlier_reference: str | None = ...,
        again: bool = ...,
        evidence: Mapping[str, Path],
        on_progress: OnProgress = ...,
        on_receipt: Callable[[Receipt], None] = ...,
    ) -> HandedOver: ...

    def submit(
        self,
        report: bytes | IndustryReport,
        *,
        priority: Priority,
        kind: ReportKind = "initial",
        earlier_reference: str | None = None,
        again: bool = False,
        evidence: Mapping[str, Path] | None = None,
        on_progress: OnProgress = ignore_progress,
        on_receipt: Callable[[Receipt], None] = lambda _: None,
    ) -> Receipt | HandedOver:
        """Seal, save and send a report (JSON bytes of at most `MAX_REPORT_BYTES`, or the model); return its receipt.

            receipt = partner.submit(Path("report.json").read_bytes(), priority="P1")
            handed = partner.submit(report, priority="P2", evidence={"file-1": Path("chat.png")})

        A response needs no `earlier_reference`: it goes to the report that the saved request is about, and no other.
        `evidence` names a file for each `file_id` that is handed over; then the result is a `HandedOver`: the receipt,
        and which files still wait. Raises `ReportError` and `EvidenceError` before anything is saved, and
        `RepeatedReportError` for the same P2 or P3 within an hour, unless `again`: a P1 always goes. When sending
        fails (`TransportError`, `ProblemError`) or the receipt is not valid (`StatementError`), the sealed report
        stays in the folder and `resume` sends it again, then `resume_evidence` its files.
        """
        from partner_sdk.report import parse_report  # here: the reading of reports is a third of the SDK's import

        raw = report if isinstance(report, bytes) else encode(report)
        checked = parse_report(raw, priority=priority, kind=kind)
        if evidence is not None:
            earlier = find_earlier_reference(self.state, checked, kind=kind, given=earlier_reference)
            sent = ReportToSend(checked, priority, kind, earlier, again)
            return hand_over(self.session, sent, files=evidence, on_progress=on_progress, on_receipt=on_receipt)
        return self.deliver(
            self.seal_report(checked, priority=priority, kind=kind, earlier_reference=earlier_reference, again=again)
        )

    def resume_evidence(self, *, on_progress: OnProgress = ignore_progress) -> list[HandedOver]:
        """Go on with the files of every delivered report; parts that the gateway holds are not sent again."""
        return resume_evidence(self.session, on_progress=on_progress)

    def seal_report(
        self,
        report: IndustryReport,
        *,
        priority: Priority,
        kind: ReportKind = "initial",
        earlier_reference: str | None = None,
        evidence: tuple[EvidenceReference, ...] = (),
        report_id: str | None = None,
        replaces: bool = False,
        again: bool = False,
        on_saved: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Seal, sign and save a report without sending it; return its id for `deliver` (a new one by default).

        It is on disk, under the key set that is saved here, before the network is asked for a newer one: `on_saved`
        hears its id then. Where the newer one names another key, the saved report is sealed again to that. Without a
        saved key set one is fetched first. With `replaces` it takes the place of the saved one, which was never sent.
        Raises `SealingError` (`nothing-saved`, `no-active-key`), `KeySetError`, `RepeatedReportError`: none is saved.
        """
        sent = ReportToSend(report, priority, kind, earlier_reference, again)
        return seal_report(
            self.session, sent, evidence=evidence, report_id=report_id, replaces=replaces, on_saved=on_saved
        )

    def deliver(self, report_id: str, *, is_patient: bool = True) -> Receipt:
        """Send a saved submission until it is stored or `policy` gives up; save and return the verified receipt.

        Without patience it is sent once. A report with a receipt, from another process too, is not sent again.
        """
        return deliver_submission(self.session, report_id, is_patient=is_patient)

    def resume(self) -> list[Attempt]:
        """Send every sealed report that has no receipt yet, P1 first; one that fails does not stop the others.

        Never raises for a report: each `Attempt` has its `receipt` or its `error`, e.g. a `TransportError`.
        """
        return list(flush(self.state, deliver=self.deliver))

    def get_progress(self, report_id: str) -> ReportProgress:
        """Ask how far an own report is, and save its receipt once more; raises `RefusedError` for any other.

        Raises `StatementError` for one that was not sent from this folder, or if the receipt is not valid.
        """
        return fetch_progress(self.session, report_id)

    # Receipts

    def receipts(self) -> list[Receipt]:
        """Return the saved receipts, oldest first, without any network."""
        return list_kept_receipts(self.state, by="gateway")

    def compare_receipts(
        self, *, log: PublicLog | None = None, on_progress: Callable[[int, int], None] = lambda *_: None
    ) -> list[ComparedReceipt]:
        """Compare every saved receipt of the gateway, byte for byte, with the one that the gateway has now.

        With `log` each must stand in that too. `on_progress` gets how many are done, and of how many. Raises the errors
        of sending, after the usual patience.
        """
        find_fault = None if log is None else log.find_fault
        return list(compare_receipts(self.session, find_fault=find_fault, on_progress=on_progress))

    def open_log(self) -> PublicLog | None:
        """Return the gateway's public log, or None if the agency lists none; raises `LogError` if it contradicts."""
        return open_log(self.session)

    def check_receipt(self, raw: bytes) -> Receipt:
        """Verify a receipt offline against the saved key set and the saved submission.

        Raises `FormatError` and `StatementError` (`receipt-mismatch` if it is for nothing that was sent from here).
        """
        return check_kept_receipt(self.state, raw, now=self.session.clock())

    # Mailbox

    def collect_mailbox(self, *, wait_seconds: int = 0) -> Delivery:
        """Fetch, open, check, save and acknowledge waiting messages; return new messages and alarms.

        With `wait_seconds` (at most `MAX_WAIT_SECONDS`) an empty mailbox is answered as soon as a message comes.
        """
        mailbox = Mailbox(self.state, key_set=self.session.get_key_set(), now=self.session.clock())
        return mailbox.collect(self.transport, wait_seconds=wait_seconds)

    def wait_for_messages(
        self, *, wait_seconds: int = MAX_WAIT_SECONDS, for_seconds: float | None = None
    ) -> Iterator[Delivery]:
        """Yield each delivery with a message or an alarm as it comes, for ever or `for_seconds`.

            for delivery in partner.wait_for_messages():
                for opened in delivery.messages:
                    print(opened.message.kind)

        A gateway that is away is asked again for as long, less and less often; `notify` hears of it. Raises the other
        errors of sending. Use a `Partner` of its own in another thread to send meanwhile.
        """
        return wait_for_deliveries(
            lambda: self.collect_mailbox(wait_seconds=wait_seconds),
            wait_seconds=wait_seconds,
            for_seconds=for_seconds,
            sleep=self.session.sleep,
            jitter=self.session.jitter,
            notify=self.session.notify,
        )

    def messages(self) -> list[OpenedMessage]:
        """Return every message that was saved, in order, without any network."""
        return [read_message(self.state, number) for number in self.state.list_messages()]

    def questions(self) -> list[Question]:
        """Return the agency's questions in the saved messages, the soonest due first; `state` is e.g. `open`."""
        kept = list_requests(self.state)
        for number in kept.unreadable:
            self.session.notify(
                f"The question in message {number} cannot be read: update this program, or tell the agency."
            )
        return list(kept.questions)

    def answer(
        self,
        question: Question | str,
        report: bytes | IndustryReport,
        *,
        priority: Priority,
        evidence: Mapping[str, Path] = MappingProxyType({}),
    ) -> HandedOver:
        """Seal, save and send a report of kind `response` that names an open question (or its id), as `submit` does.

        `report` need not name it. Raises `ReportError` before anything is sealed: `other-request`, `unknown-request`,
        `not-open`; its fault names the questions that are open.
        """
        from partner_sdk.report import parse_report

        raw = report if isinstance(report, bytes) else encode(report)
        request_id = question if isinstance(question, str) else question.request_id
        checked = parse_report(raw, priority=priority, kind="response", answers=request_id)
        return self.submit(checked, priority=priority, kind="response", evidence=evidence)

    @property
    def threads(self) -> Threads:
        """The agency's packages, requests, referrals and alerts, with your entries about them."""
        return Threads(self.session)

    def digests(self) -> list[Digest]:
        """Return every digest that was saved, oldest first; raises `MailboxError` for one that is not ours."""
        return [read_digest(one, profile=self.profile) for one in self.messages() if one.message.kind == "digest"]

    # Keys and status

    def status(self) -> ServiceStatus:
        """Ask the gateway which partner it recognises; raises `NotAuthorisedError` until the agency approves."""
        reply = self.transport.send("GET", "/v1/status", max_bytes=MAX_SMALL_REPLY_BYTES)
        return parse_exact(reply.body, kind=ServiceStatus, max_bytes=MAX_SMALL_REPLY_BYTES)

    def refresh_key_set(self) -> KeySet:
        """Fetch the key set, check it against the pinned root and the newest one seen, save and return it."""
        return self.session.refresh_key_set()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()
