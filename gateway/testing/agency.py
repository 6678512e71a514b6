"""The agency of a sandbox: a real gateway and a real desk in one folder, and a staff that acts by itself. NOT A REPORT.

The staff approves every partner and every change of keys, opens each report and releases its outcome, asks each partner
one question, and sends it one digest and an example of everything else that an agency sends about a case: actions of
the real desk, with invented and mild contents. At a live agency a person decides each of these. Never speaks for live:
its keys are made here, for the environment `sandbox`.
"""

import atexit
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from sqlalchemy import and_, select

from gateway.app import make_app
from gateway.config import load_config, utc_now
from gateway.desk.cases.actions.ledger import (
    Direction,
    EntryKind,
    collect_entries,
    draft_action,
    release_action,
)
from gateway.desk.cases.actions.model import KINDS, ActionKind
from gateway.desk.cases.assessing import Assessment, assess_case, find_assessment
from gateway.desk.cases.closing import schedule_outcome
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseRow, get_case, list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.outbox_run import send_due
from gateway.desk.cases.watch import publish_staffing
from gateway.desk.collection.collect import collect_reports
from gateway.desk.collection.evidence_collecting import collect_evidence
from gateway.desk.collection.evidence_holdings import find_held, get_parts, open_file
from gateway.desk.collection.quarantine import list_quarantined, read_waiting
from gateway.desk.collection.row_checks import BY_GATEWAY
from gateway.desk.digests.payload import make_cell
from gateway.desk.digests.tables import QUARTER_TABLES, Table
from gateway.desk.keyring.case_boxes import get_box
from gateway.desk.keyring.key_set import get_last_closed_quarter
from gateway.desk.keyring.publication import FirstPerson, add_gateway, make_desk, publish
from gateway.desk.office.config import DeskConfig, DeskPaths
from gateway.desk.office.organisations import PartnerError, find_partner_kind
from gateway.desk.office.people.register import RISK_ASSESSMENT, get_account, set_authority
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outgoing.service_requests import Asking, ask_service
from gateway.desk.partners.account_changes import accept_change, collect_account_changes
from gateway.desk.partners.adoption import collect_adoptions
from gateway.desk.partners.enrolments import approve_partner, collect_enrolments, invite_partner, publish_invitations
from gateway.desk.partners.mailbox import write_message
from gateway.desk.store.schema import CASE_ACTIONS, CASES, REPORTS
from gateway.exchange.feed import GatewayCard
from gateway.new_gateway import NewGateway, create_gateway
from gateway.public_log import publish_log
from gateway.testing.transport import WsgiTransport
from gateway.web.logs import format_exception
from gateway.wiring import make_gateway
from partner_sdk.client.transport import make_session
from partner_sdk.errors import OpeningError
from partner_sdk.report import IndustryReport, SealedIndustryReport, parse_sealed_report
from partner_sdk.wire.canonical import decode, format_time, to_base64url
from partner_sdk.wire.digest import DIGEST_VERSION, TOTAL, Digest, DigestTable, encode_digest
from partner_sdk.wire.enrolment import Invitation
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.mailbox import (
    AskedAccount,
    InformationRequest,
    MessageBody,
    MessageKind,
    Package,
    PreservationRequest,
    ReferralFacts,
    ServiceAlert,
    TermsReferral,
    encode_body,
)
from partner_sdk.wire.public_log import origin_of
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.submission import ClearFields, report_context

# The partners that a sandbox's register of destinations knows as bodies that take packages: the ready one, one of the
# name, and the first that enrols over HTTP.
BODIES: Final = {
    "example-service": "sandbox_service",
    "example-police": "sandbox_police",
    "sandbox-1": "sandbox_first",
}
# After a partner's first report the desk sends these by itself. Of a case that is with the police no referral goes out.
_TO_A_SERVICE: Final[tuple[ActionKind, ...]] = ("preservation-request", "terms-referral", "alert")
_TO_A_BODY: Final[tuple[ActionKind, ...]] = ("preservation-request", "alert", "package")
_IS_A_BODY: Final = frozenset({"example-police", "sandbox-1"})
_REGISTER: Final = """[{key}]
name = "{partner}, of a sandbox"
group = "police"
takes = ["package", "crisis"]
checked_on = {today}
source = "https://sandbox-gateway.invalid/"
channel = "mailbox"
partner = "{partner}"

"""
_ACCOUNTS: Final = (AskedAccount(kind="username", value="mild_example"),)
_PURPOSE: Final = "To rehearse an answer."
_NO_LAW: Final = "None: this is a rehearsal."


@dataclass(frozen=True, slots=True)
class SandboxEntry:
    """One entry of a thread at the desk of a sandbox; `direction` is `in` from the partner, `out` to it."""

    direction: Direction
    kind: EntryKind
    by: str
    text: str
    outcome: str | None
    report_id: str | None


def release_example(desk: Desk, kind: ActionKind, *, partner: str, case_id: str | None, actor: str) -> str:
    """Draft and release an example for a partner, and return the id of its message, which the next sending writes.

    Raises `ValueError` for a package to a partner that is not in `BODIES`, and without a case for any kind but an
    alert; `ActionError` for a partner that is not enrolled.
    """
    if KINDS[kind].to_body and partner not in BODIES:
        raise ValueError(f"Packages of a sandbox go to {' or '.join(BODIES)}.")
    if case_id is None and KINDS[kind].is_about_case:
        raise ValueError("It is about a case: submit a report first.")
    action_id = desk.make_id()
    body = encode_body(_make_body(desk, kind, action_id=action_id, partner=partner))
    with desk.store.write() as connection:
        draft_action(
            desk,
            connection,
            kind=kind,
            case_id=case_id if KINDS[kind].is_about_case else None,
            recipient=BODIES[partner] if KINDS[kind].to_body else partner,
            way="mailbox",
            body=body,
            actor=actor,
            covers=1 if kind == "package" else None,
            action_id=action_id,
        )
        release_action(desk, connection, action_id, signature="example", actor=actor)
    return action_id


def _make_body(desk: Desk, kind: ActionKind, *, action_id: str, partner: str) -> MessageBody:
    due_at = format_time(desk.clock() + timedelta(days=7))
    match kind:
        case "package":
            return _make_package(desk, action_id=action_id, partner=partner)
        case "information-request":
            return InformationRequest(
                accounts=_ACCOUNTS,
                due_at=due_at,
                legal_basis=_NO_LAW,
                purpose=_PURPOSE,
                question="Which other accounts used the same device?",
                request_id=action_id,
            )
        case "preservation-request":
            return PreservationRequest(
                accounts=_ACCOUNTS,
                due_at=due_at,
                legal_basis=_NO_LAW,
                preserve_until=format_time(desk.clock() + timedelta(days=90)),
                purpose=_PURPOSE,
            )
        case "terms-referral":
            return TermsReferral(
                account=_ACCOUNTS[0],
                facts=ReferralFacts(
                    explanation="The profile says that its owner is eleven.",
                    good_faith=True,
                    locations=("https://chat.example/u/mild_example",),
                ),
                rule="Minimum age",
            )
        case "alert":
            return ServiceAlert(
                advice="Look at new accounts that send one link to many.",
                audience="Services with live streams",
                expires_at=due_at,
                pattern="Accounts ask viewers to go on in another app.",
            )
        case _:
            raise ValueError("There is an example of each kind of message, and of no other action.")


def _make_package(desk: Desk, *, action_id: str, partner: str) -> Package:
    # Loaded here: the maker of PDFs brings numpy, and most tests of a partner need no package.
    from gateway.desk.outgoing.package_archive import build_archive
    from gateway.desk.outgoing.package_content import (
        Condition,
        LegalGround,
        Line,
        Officer,
        PackageContent,
        Redaction,
        SafeContact,
        Section,
        SourceReport,
    )

    now = format_time(desk.clock())
    content = PackageContent(
        package_id=action_id,
        environment=desk.config.environment,
        reference="TEST-K7QF-2M9TX-D",
        title="An example of a package",
        issued_at=now,
        issuer="Sandbox",
        recipient=partner,
        marking="NOT A REPORT",
        is_urgent=True,
        safe_contact=SafeContact(say="There is no child: this is a rehearsal."),
        summary="An adult asks a child for the name of its school. All of it is invented.",
        redaction=Redaction(hides_reporter=False, reason="Nobody reported this."),
        assessment=(Line(label="Child at immediate risk", text="No"),),
        legal=(
            LegalGround(
                title="Rehearsal",
                law=_NO_LAW,
                say="It passes on nothing.",
                reason="A test.",
                source="nothing: no law is needed for invented words",
                checked_on=f"{desk.clock():%Y-%m-%d}",
            ),
        ),
        handling=(Condition(title="Delete", say="Delete it after the test."),),
        officer=Officer(name="Sandbox", role="Supporting officer"),
        reports=(
            SourceReport(
                key="r1",
                reference="TEST-K7QF-2M9TX-D",
                sender="Sandbox",
                received_at=now,
                sealed_sha256=hashlib.sha256(b"").hexdigest(),
                sections=(Section(title="The story", lines=(Line(label="Story", text="Invented."),)),),
            ),
        ),
    )
    archive = build_archive(content, sign=desk.load_signer().sign)
    return Package(
        archive=to_base64url(archive),
        archive_sha256=hashlib.sha256(archive).hexdigest(),
        title=content.title,
        urgent=content.is_urgent,
    )


Clock = Callable[[], datetime]
# The name of a step of the staff, for a message about its failure, and the step.
Step = tuple[str, Callable[[], object]]

STAFF: Final = "sandbox"
# RFC 6761 §6.4: a name under `invalid` never leads anywhere, so nothing of a sandbox can go astray.
ORIGIN: Final = "https://sandbox-gateway.invalid"
FEED_ORIGIN: Final = "https://sandbox-feed.invalid"
QUESTION: Final = "Which other accounts used the same device? [message]"
ASSESSMENT: Final = Assessment(
    immediate_risk="no",
    urgent="no",
    urgent_dissemination="no",
    best_placed="nobody",  # a referral of a case for action would be held back
    priority="P3",
    kind="something_else",
    age_band="unknown",
    reasons="This is a rehearsal.",
)
TOTAL_SHOWN: Final = 240
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder in it is made by `tempfile`, for its owner alone
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024


class SandboxStepError(Exception):
    """Steps of the staff failed. They are taken again in the next round, and none of the others waited for them."""

    def __init__(self, failures: Sequence[tuple[str, Exception]]) -> None:
        # A message may hold words of a report; that of a missing module does not, and is what its reader needs.
        named = (
            f"{name} ({error if isinstance(error, ImportError) else format_exception(error)})"
            for name, error in failures
        )
        super().__init__(f"The sandbox's desk could not {'; '.join(named)}. It tries again in its next round.")


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """One report at the desk of a sandbox. NOT A REPORT: no person reads it.

    `doubt` is the desk's reason for setting the report aside, e.g. `does-not-open`; `sealed` is then None.
    """

    clear: ClearFields
    reference: str
    sealed: SealedIndustryReport | None
    doubt: str | None = None

    @property
    def report(self) -> IndustryReport:
        """The report as the agency reads it; raises `OpeningError` if it cannot."""
        if self.sealed is None:
            raise OpeningError("The desk set this report aside.", reason=self.doubt or "does-not-open")
        return self.sealed.report


class SandboxAgency:
    """Gateway and desk in `folder`, made there if it is empty. `origin` is where partners reach the gateway."""

    def __init__(self, folder: Path, *, origin: str = ORIGIN, clock: Clock = utc_now) -> None:
        self._left: dict[str, list[Step]] = {}
        is_new = not (folder / "desk").exists()
        card = _make_folders(folder, origin=origin, now=clock()) if is_new else None
        self.gateway_state = folder / "gateway"
        self.config = load_config(self.gateway_state)
        self.gateway = make_gateway(self.config, state=self.gateway_state, clock=clock)
        self._feed_session = make_session()
        feed = make_app(self.config, ("feed",), state=self.gateway_state, gateway=self.gateway)
        self._feed_session.mount(FEED_ORIGIN, WsgiTransport(feed))
        self.desk = open_desk(folder / "desk", clock=clock, session=self._feed_session)
        if card is not None:
            # Both partners take packages over their mailbox.
            rows = (_REGISTER.format(key=key, partner=name, today=clock().date()) for name, key in BODIES.items())
            self.desk.paths.destinations.write_text("".join(rows), encoding="utf-8")
            add_gateway(self.desk, card, actor=STAFF)
            publish(self.desk, actor=STAFF)
            with self.desk.store.write() as connection:
                # A sandbox is for tests, and may be kept for years.
                set_authority(
                    connection, STAFF, kind=RISK_ASSESSMENT, until=date.max, actor=STAFF, now=self.desk.clock()
                )
            self._publish_log()

    def close(self) -> None:
        """Close databases and sessions; the folder stays."""
        self._feed_session.close()
        self.desk.store.close()
        self.gateway.store.close()

    def invite(self, partner: str, *, name: str) -> Invitation:
        """Invite a partner and publish the invitation; raises `PartnerError` for an unusable id or name."""
        invitation = invite_partner(
            self.desk, partner=partner, name=name, origin=self.config.public_origin, actor=STAFF
        )
        publish_invitations(self.desk, self.desk.make_feed())
        return invitation

    def work(self) -> None:
        """Do everything that waits for the staff.

        Raises `SandboxStepError` after all other work if a step about a report failed.
        """
        self.approve()
        self.collect()
        with self.desk.store.read() as connection:
            unread = [case for case in list_cases(connection) if case.opened_at is None]
        for case in sorted(unread, key=lambda case: (case.received_at, case.case_id)):
            self._left[case.case_id] = self._open(case)
        failures = self._take_steps()
        self.send()
        if failures:
            raise SandboxStepError(failures)

    def _take_steps(self) -> list[tuple[str, Exception]]:
        """Take each case's steps in their order; one that fails waits for the next round, and hides none behind it."""
        failures = list[tuple[str, Exception]]()
        for case_id, steps in list(self._left.items()):
            left = list[Step]()
            for name, step in steps:
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - whatever it is, the other steps go on, and `work` raises it
                    failures.append((name, error))
                    left.append((name, step))
            if left:
                self._left[case_id] = left
            else:
                del self._left[case_id]
        return failures

    def has_partner(self, partner: str) -> bool:
        """Tell whether a partner was ever approved."""
        with self.desk.store.read() as connection:
            return find_partner_kind(connection, partner) is not None

    def approve(self) -> None:
        """Approve every partner that has enrolled and every change of keys or registration."""
        feed = self.desk.make_feed()
        partners = collect_enrolments(self.desk, feed, actor=STAFF).waiting
        for partner in partners:
            approve_partner(self.desk, partner=partner, actor=STAFF)
        changes = collect_account_changes(self.desk, feed, actor=STAFF).waiting
        for change in changes:
            with suppress(PartnerError):  # e.g. signed by a key that the change before has just ended
                accept_change(self.desk, change_id=change.change_id, actor=STAFF)
        if partners or changes:
            publish(self.desk, actor=STAFF)

    def collect(self) -> None:
        """Collect reports, evidence, requests for the button, and partners' entries, and renew the form's promise."""
        self._publish_log()
        feed = self.desk.make_feed()
        collect_reports(self.desk, feed, actor=STAFF)
        collect_evidence(self.desk, feed, actor=STAFF)
        collect_adoptions(self.desk, feed, actor=STAFF)
        collect_entries(self.desk, feed, actor=STAFF)
        publish_staffing(self.desk)

    def send(self) -> None:
        """Send stages and mailbox messages to the gateway."""
        send_due(self.desk, only=("stage", "message")).raise_first()

    def write(self, partner: str, *, kind: MessageKind, body: bytes) -> str:
        """Put a message into a partner's mailbox, and return its id; the same kind and body again is the same one."""
        message = write_message(self.desk, partner=partner, kind=kind, body=body, actor=STAFF)
        self.send()
        return message.message_id

    def ask(self, reference: str, question: str) -> str:
        """Open the case of a report, ask its partner, and return the id that the answer names."""
        self.collect()
        with self.desk.store.read() as connection:
            case = get_case(connection, reference)
        if case.opened_at is None:
            open_case(self.desk, reference, actor=STAFF)
        self._assess(case)
        request_id = self._ask(case, question)
        self.send()
        return request_id

    def find_assessed_case(self) -> str | None:
        """Collect, and return the case of the first report, opened and assessed, or None without any report."""
        self.collect()
        with self.desk.store.read() as connection:
            cases = sorted(list_cases(connection), key=lambda case: (case.received_at, case.case_id))
            if not cases:
                return None
            case = get_lead(connection, cases[0].case_id)
        if case.opened_at is None:
            open_case(self.desk, case.case_id, actor=STAFF)
        self._assess(case)
        return case.case_id

    def _ask(self, case: CaseRow, question: str) -> str:
        asking = Asking(
            request_id=self.desk.make_id(),
            kind="information-request",
            recipient=case.partner,
            law="own_report",
            purpose="To rehearse an answer.",
            necessity="None: this is a rehearsal.",
            question=question,
        )
        return ask_service(self.desk, case.case_id, asking, actor=STAFF).action_id

    def list_reports(self) -> list[SandboxReport]:
        """Collect, and return every filed report in the order of collecting, then every report set aside."""
        self.collect()
        vault = self.desk.load_vault(actor=STAFF, reason="read")
        of_case = and_(*(CASES.c[name] == REPORTS.c[name] for name in ("environment", "partner", "report_id")))
        query = select(REPORTS, CASES.c.case_id).join(CASES, of_case).order_by(REPORTS.c.id)
        with self.desk.store.read() as connection:
            rows = [
                (row, get_box(connection, row.case_id, bytes(row.envelope), kind="report", row_id=row.report_id))
                for row in connection.execute(query).all()
            ]
            reasons = {row.id: row.reason for row in list_quarantined(connection)}
        found = []
        for row, box in rows:
            intake = SIGNED_INTAKE.peek(bytes(row.intake))
            plain = vault.open_report(box, context=report_context(intake.clear))
            found.append(SandboxReport(intake.clear, intake.reference, parse_sealed_report(plain)))
        for row_id, raw, _ in read_waiting(self.desk, channel=BY_GATEWAY):
            intake = SIGNED_INTAKE.peek(bytes(decode(raw, kind=dict[str, msgspec.Raw])["intake"]))
            found.append(SandboxReport(intake.clear, intake.reference, None, reasons[row_id]))
        return found

    def read_evidence(self, partner: str, reference: EvidenceReference) -> bytes:
        """Return the file that a report names; raises `OpeningError` if it does not open or has not come whole."""
        self.collect()
        with self.desk.store.read() as connection:
            held = find_held(connection, partner=partner, evidence_id=reference.evidence_id)
        if held is None:
            raise OpeningError("Some of the evidence is missing.", reason="does-not-open")
        parts = get_parts(self.desk.paths.evidence, partner=partner, evidence_id=reference.evidence_id)
        return b"".join(open_file(parts, held, reference=reference))

    def _assess(self, case: CaseRow) -> None:
        """Assess a case once: no question and no outcome goes out before that."""
        with self.desk.store.read() as connection:
            is_assessed = find_assessment(connection, get_lead(connection, case.case_id)) is not None
        if not is_assessed:
            assess_case(self.desk, case.case_id, ASSESSMENT, actor=STAFF)

    def _publish_log(self) -> None:
        gateway = self.gateway
        origin = origin_of(self.config.public_origin)
        publish_log(gateway.store, state=self.gateway_state, origin=origin, clock=gateway.clock, random=gateway.random)

    def _open(self, case: CaseRow) -> list[Step]:
        """Open a report and return its next steps; a partner's first one brings a message of each kind."""
        opened = open_case(self.desk, case.case_id, actor=STAFF).case
        if opened.joined_to is not None:
            return []
        partner, case_id = opened.partner, opened.case_id
        steps: list[Step] = [("assess a case", partial(self._assess, opened))]
        with self.desk.store.read() as connection:
            asked = select(CASE_ACTIONS.c.action_id).where(CASE_ACTIONS.c.recipient == partner)
            is_asked = connection.execute(asked.limit(1)).first() is not None
        if not is_asked:
            steps.append(("ask a question", partial(self._ask, opened, QUESTION)))
            for kind in _TO_A_BODY if partner in _IS_A_BODY else _TO_A_SERVICE:
                example = partial(release_example, self.desk, kind, partner=partner, case_id=case_id, actor=STAFF)
                steps.append((f"send an example of a {kind}", example))
        outcome = partial(schedule_outcome, self.desk, case_id, outcome="used", hold_until=None, actor=STAFF)
        digest = encode_digest(make_synthetic_digest(partner, now=self.desk.clock()))
        write = partial(write_message, self.desk, partner=partner, kind="digest", body=digest, actor=STAFF)
        return [*steps, ("release an outcome", outcome), ("send a digest", write)]


def make_synthetic_digest(partner: str, *, now: datetime) -> Digest:
    """Return a digest of the last closed quarter with the real tables and fixed, made-up figures.

    No noise is drawn, so OpenDP (265 MB) is not needed. `synthetic` is true, and a quarter's bytes are always the same.
    """
    quarter = get_last_closed_quarter(now)
    tables = [_fill_table(table) for table in QUARTER_TABLES]
    return Digest(
        digest_version=DIGEST_VERSION,
        partner=partner,
        environment="sandbox",
        span="quarter",
        period=quarter.name,
        first_day=quarter.first_day.isoformat(),
        last_day=quarter.last_day.isoformat(),
        made_at=format_time(quarter.ends_at),
        synthetic=True,
        status="published",
        epsilon_micro=sum(table.epsilon_micro for table in tables),
        interval_permille=950,
        total=make_cell(TOTAL, title="All incidents", value=TOTAL_SHOWN, low=TOTAL_SHOWN - 20, high=TOTAL_SHOWN + 20),
        tables=tables,
        missing_tables=[],
        recommendations=[],
    )


def _fill_table(table: Table) -> DigestTable:
    """Halve the value from label to label, so that the last cells fall below the smallest number shown."""
    left, cells = TOTAL_SHOWN, []
    for label, title in table.labels:
        left //= 2
        cells.append(make_cell(label, title=title, value=left, low=max(0, left - 8), high=left + 8))
    return DigestTable(table.name, table.title, False, table.epsilon_micro, table.sensitivity, cells, table.note)


def _make_folders(folder: Path, *, origin: str, now: datetime) -> GatewayCard:
    """Make the desk's folder and the gateway's, each with its keys; return the gateway's card for the desk."""
    config = DeskConfig(environment="sandbox", gateway_origin=origin, feed_url=FEED_ORIGIN, agency_name="Sandbox")
    first = FirstPerson(name="Sandbox", account=get_account(), handle=STAFF)
    make_desk(folder / "desk", config=config, now=now, random=secrets.token_bytes, first=first)
    new = NewGateway(
        state=folder / "gateway",
        pin_file=DeskPaths(folder / "desk").pin,
        origin=origin,
        host="127.0.0.1",
        port=8800,
        feed_port=8801,
        feed_origin=FEED_ORIGIN,
        instance="sandbox",
        agency_name="Sandbox",
        banner="Sandbox: NOT A REPORT.",
    )
    return create_gateway(new, clock=lambda: now)


def make_temporary_folder() -> "TemporaryDirectory[str]":
    """Make a folder that goes with its object: in memory where there is room, unless `TMPDIR` names another place.

    Each step of gateway and desk waits for the disk, and nothing of a sandbox is worth that.
    """
    is_memory = "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK)
    has_room = is_memory and shutil.disk_usage(MEMORY).free >= LEAST_FREE_BYTES
    return TemporaryDirectory(prefix="report-abuse-sandbox-", dir=MEMORY if has_room else None)


@cache
def _make_template() -> "TemporaryDirectory[str]":
    """Make one agency in this process; every sandbox with the clock of this machine starts as its copy."""
    folder = make_temporary_folder()
    atexit.register(folder.cleanup)
    SandboxAgency(Path(folder.name)).close()
    return folder


def copy_template(folder: Path) -> None:
    """Fill a folder with an agency that is made once for the process: making one takes half a second."""
    shutil.copytree(_make_template().name, folder, dirs_exist_ok=True)
