"""Reports and evidence of the sandbox: the gateway's checks, real signed receipts with TEST- references, sealed parts.

Parts are kept in memory (WIRE.md §6.6).
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final

import msgspec

from partner_sdk.errors import StatementError
from partner_sdk.sandbox._agency import SANDBOX, SandboxAgency, SandboxReport, read_report
from partner_sdk.sandbox._answers import Answer, ProblemAnswer, SandboxPartner, Visit, answer_json
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import (
    check_report_id,
    encode,
    format_time,
    parse_any_spelling,
    parse_base64url,
    to_base64url,
)
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.evidence import (
    MAX_COMPLETE_BYTES,
    CompletePost,
    CompleteReply,
    EvidenceState,
    StoredPart,
    check_part_size,
    list_evidence_faults,
    parse_part_number,
)
from partner_sdk.wire.feed_messages import Outcome
from partner_sdk.wire.intake import FIRST_PREVIOUS, IntakeStatement, sign_intake
from partner_sdk.wire.keys import accepts_envelope
from partner_sdk.wire.mailbox_message import SetAsideReason
from partner_sdk.wire.reference import RANDOM_BYTES, make_reference
from partner_sdk.wire.replies import Stage
from partner_sdk.wire.submission import (
    ENVELOPE_FAULT,
    MAX_REPORT_BODY_BYTES,
    ReportPost,
    SubmissionStatement,
    check_clear_fields,
    clear_fields_of,
    open_own_submission,
)

INSTANCE: Final = "sandbox"


@dataclass(slots=True)
class _Stored:
    report: SandboxReport
    stage: Stage = "received"
    outcome: Outcome | None = None
    set_aside_reason: SetAsideReason | None = None


class SandboxIntake:
    """Takes reports and keeps them, in memory, in the order in which they came."""

    def __init__(self, agency: SandboxAgency, *, reference_evidence: Callable[[str, tuple[str, ...]], None]) -> None:
        self._agency = agency
        self._reference_evidence = reference_evidence
        self._epoch = str(uuid.uuid4())
        self._stored: dict[tuple[str, str], _Stored] = {}
        self._heads: dict[str, tuple[int, str]] = {}  # by partner: newest number and digest of its chain

    def list_reports(self) -> list[SandboxReport]:
        """Return the stored reports, the oldest first."""
        return [stored.report for stored in self._stored.values()]

    def post_report(self, visit: Visit) -> Answer:
        """Answer 201 with the receipt of a new report, 200 with the stored receipt of the same report again."""
        call, now = visit.get_call(), visit.now
        post = parse_any_spelling(call.read_body(), kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
        statement = encode(post.statement)
        submission = open_own_submission(
            statement, keys=call.partner.statement_keys, partner=call.partner.partner, environment=SANDBOX
        )
        envelope = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
        if hashlib.sha256(envelope).hexdigest() != submission.envelope_sha256:
            raise StatementError(
                "The statement names another envelope.", reason="envelope-mismatch", faults=(ENVELOPE_FAULT,)
            )
        clear = clear_fields_of(submission)
        check_clear_fields(clear)
        place = (clear.partner, clear.report_id)
        accepts = self._accepts_key_of(envelope, now=now)
        known = self._stored.get(place)
        if known is None:
            if not accepts:
                raise ProblemAnswer(problems.UNKNOWN_AGENCY_KEY)
            report = self._store(submission, envelope=envelope, statement=statement, now=now)
            self._stored[place] = _Stored(report)
            self._reference_evidence(clear.partner, clear.evidence_ids)
            return Answer(status=HTTPStatus.CREATED, body=report.receipt)
        if known.report.statement != statement:
            raise ProblemAnswer(problems.CONFLICTING_REPORT)
        return Answer(status=HTTPStatus.OK, body=known.report.receipt)

    def get_report(self, visit: Visit) -> Answer:
        """Answer with receipt, stage and outcome of a partner's own report."""
        stored = self._stored.get((visit.get_call().partner.partner, visit.parts["report_id"]))
        if stored is None:
            raise ProblemAnswer(problems.NOT_FOUND)
        progress = {name: getattr(stored, name) for name in ("outcome", "set_aside_reason", "stage")}
        return answer_json({**progress, "receipt": msgspec.Raw(stored.report.receipt)})

    def set_progress(
        self,
        report_id: str,
        *,
        stage: Stage,
        outcome: Outcome | None = None,
        set_aside_reason: SetAsideReason | None = None,
    ) -> None:
        """Return how far a stored report is; raises `KeyError` for one that is not here."""
        found = [stored for (_, known_id), stored in self._stored.items() if known_id == report_id]
        if not found:
            raise KeyError(report_id)
        found[0].stage, found[0].outcome, found[0].set_aside_reason = stage, outcome, set_aside_reason

    def _accepts_key_of(self, envelope: bytes, *, now: datetime) -> bool:
        key = self._agency.find_sealing_key(to_base64url(Envelope.parse(envelope).key_id))
        return key is not None and accepts_envelope(key, now=now)

    def _store(
        self, submission: SubmissionStatement, *, envelope: bytes, statement: bytes, now: datetime
    ) -> SandboxReport:
        clear = clear_fields_of(submission)
        sequence, previous = self._heads.get(clear.partner, (0, FIRST_PREVIOUS))
        reference = make_reference(SANDBOX, random=secrets.token_bytes(RANDOM_BYTES))
        receipt = sign_intake(
            IntakeStatement(
                clear=clear,
                door="industry",
                envelope_sha256=submission.envelope_sha256,
                environment=SANDBOX,
                epoch=self._epoch,
                instance=INSTANCE,
                key_set_serial=self._agency.key_set.serial,
                placement=None,
                previous=previous,
                received_at=format_time(now),
                reference=reference,
                sequence=sequence + 1,
                submission_sha256=hashlib.sha256(statement).hexdigest(),
            ),
            receipt_key=self._agency.receipt_key,
        )
        self._heads[clear.partner] = (sequence + 1, hashlib.sha256(receipt).hexdigest())
        sealed, doubt = read_report(self._agency, envelope, clear=clear)
        return SandboxReport(
            clear=clear,
            reference=reference,
            receipt=receipt,
            envelope=envelope,
            statement=statement,
            sealed=sealed,
            doubt=doubt,
        )


@dataclass(frozen=True, slots=True)
class SandboxPart:
    """One part as it came: its number from 0, and its sealed bytes."""

    part: int
    raw: bytes

    @property
    def size_bytes(self) -> int:
        """How many sealed bytes came."""
        return len(self.raw)

    @property
    def sha256(self) -> bytes:
        """Their SHA-256, 32 bytes."""
        return hashlib.sha256(self.raw).digest()

    def describe(self) -> StoredPart:
        """Return the progress that a partner is told."""
        return StoredPart(part=self.part, sha256=self.sha256.hex())


@dataclass(slots=True)
class SandboxEvidence:
    """One piece of evidence as the sandbox holds it, still sealed: its parts by number, its digest once complete."""

    parts: dict[int, SandboxPart] = field(default_factory=dict)
    digest: str | None = None

    @property
    def ordered(self) -> list[SandboxPart]:
        """All parts in order."""
        return [self.parts[number] for number in sorted(self.parts)]

    @property
    def sealed(self) -> bytes:
        """The bytes of all parts in order."""
        return b"".join(part.raw for part in self.ordered)

    @property
    def is_complete(self) -> bool:
        """Whether its sender said that this is all, and the digest agreed."""
        return self.digest is not None


class SandboxEvidenceStore:
    """All evidence of all partners; an id belongs to its partner, and no other learns of it."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], SandboxEvidence] = {}

    def list_all(self) -> Mapping[str, SandboxEvidence]:
        """Return evidence by its id."""
        return {evidence_id: one for (_, evidence_id), one in self._stored.items()}

    def reference(self, partner: str, evidence_ids: tuple[str, ...]) -> None:
        """Note the evidence that a report names, also ids of which nothing has come yet."""
        for evidence_id in evidence_ids:
            self._stored.setdefault((partner, evidence_id), SandboxEvidence())

    def put_part(self, visit: Visit) -> Answer:
        """Answer 201 for a new part, 200 for these very bytes again, 409 for others."""
        call, evidence_id = visit.get_call(), visit.parts["evidence_id"]
        check_report_id(evidence_id)
        number = parse_part_number(visit.parts["part"])
        check_part_size(call.sent_bytes)
        came = SandboxPart(number, call.read_body())
        place = (call.partner.partner, evidence_id)
        evidence = self._stored.get(place, SandboxEvidence())
        kept = evidence.parts.get(number)
        if (kept is not None and kept != came) or (kept is None and evidence.is_complete):
            raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
        evidence.parts[number] = came
        self._stored[place] = evidence
        status = HTTPStatus.CREATED if kept is None else HTTPStatus.OK
        return answer_json(came.describe(), status=status)

    def get_state(self, visit: Visit) -> Answer:
        """Answer with the parts that are there, in order."""
        evidence = self._get(visit.get_call().partner, visit.parts["evidence_id"])
        parts = tuple(part.describe() for part in evidence.ordered)
        return answer_json(EvidenceState(digest=evidence.digest, parts=parts))

    def post_complete(self, visit: Visit) -> Answer:
        """Answer 200 if all parts are there and stand under this digest."""
        call = visit.get_call()
        post = parse_any_spelling(call.read_body(), kind=CompletePost, max_bytes=MAX_COMPLETE_BYTES)
        evidence = self._get(call.partner, visit.parts["evidence_id"])
        if evidence.is_complete:
            if evidence.digest != post.digest:
                raise ProblemAnswer(problems.CONFLICTING_EVIDENCE)
            return answer_json(CompleteReply(digest=post.digest))
        faults = list_evidence_faults(evidence.ordered, post=post)
        if faults:
            raise ProblemAnswer(problems.INCOMPLETE_EVIDENCE, faults=faults)
        evidence.digest = post.digest
        return answer_json(CompleteReply(digest=post.digest))

    def _get(self, partner: SandboxPartner, evidence_id: str) -> SandboxEvidence:
        evidence = self._stored.get((partner.partner, evidence_id))
        if evidence is None:
            raise ProblemAnswer(problems.NOT_FOUND)
        return evidence
