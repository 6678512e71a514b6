"""Accepts a report from either door: checks, chains, signs and stores it, and returns the receipt.

Never opens an envelope. Never returns before the report and its statement are committed and synced. An error before
that stores nothing, and the sender can safely retry.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from gateway.key_state import AcceptedKeys, KeyState
from gateway.store import StorageUnavailableError, Store
from gateway.store.connections import Mark
from gateway.store.reports import (
    NewRow,
    NextPlace,
    StoredReport,
    find_next_place,
    find_report,
    insert_report,
    is_reference_taken,
)
from gateway.web.logs import METER
from partner_sdk.wire.canonical import (
    REFERENCE_RANDOM_BYTES,
    check_reference,
    format_time,
    get_reference_environment,
    make_reference,
)
from partner_sdk.wire.receipts import FIRST_PREVIOUS, SIGNED_INTAKE, Door, IntakeStatement
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import Environment, key_id_of, parse_statement, public_bytes
from partner_sdk.wire.submission import (
    PUBLIC_SENDER,
    SIGNED_SUBMISSION,
    ClearFields,
    check_clear_fields,
    clear_fields_of,
)

STAGE_SET_ASIDE = "set_aside"
REFERENCE_DRAWS = 8  # 45 random bits: with a million reports, one in 35 million needs a second draw


class ReceiptSigner:
    """Holds the gateway's receipt key and its random source."""

    __slots__ = ("_random", "_receipt_key", "key_id")

    def __init__(self, receipt_key: Ed25519PrivateKey, *, random: Callable[[int], bytes]) -> None:
        self._receipt_key = receipt_key
        self._random = random
        self.key_id = key_id_of(public_bytes(receipt_key))

    def draw_reference(self, environment: Environment) -> str:
        """Draw a reference; the caller checks that it is free."""
        return make_reference(environment, random=self._random(REFERENCE_RANDOM_BYTES))

    def sign(self, statement: IntakeStatement) -> bytes:
        """Return the signed bytes of an intake statement."""
        return SIGNED_INTAKE.sign(statement, self._receipt_key, key_id=self.key_id)


class IntakeError(Exception):
    """The report was refused, and nothing was stored."""


class NoActiveKeyError(IntakeError):
    """The agency has published no active sealing key, so no report can be accepted."""


class ReceiptKeyNotInUseError(NoActiveKeyError):
    """The agency has ended this process's receipt key, or never published it: the desk would refuse the report."""


class UnknownSealingKeyError(IntakeError):
    """The envelope is sealed to an unknown key, or to one that expires too soon."""


class ConflictingReportError(IntakeError):
    """This sender has already sent another report under this id."""


class EnvelopeMismatchError(IntakeError):
    """The signed statement does not match the envelope or the clear fields."""


class WrongEnvironmentError(IntakeError):
    """A sandbox report came to a live gateway, or a live report to a sandbox."""


class WrongDoorError(IntakeError):
    """The sender used the wrong door."""


class ReferenceTakenError(IntakeError):
    """The proposed reference now belongs to another report; draw a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A report at a door. `submission` is the partner's signed statement; the door has verified its signature.

    `reference` was drawn by the door before it sealed the report; without it the intake draws one. `extra_write` runs
    in the transaction of a new report, so that both are stored or neither.
    """

    door: Door
    envelope: bytes
    submission: bytes | None
    clear: ClearFields
    placement: str | None = None
    reference: str | None = None
    extra_write: "ExtraWrite | None" = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stored receipt. `is_new` is False when the same report was stored before."""

    receipt: bytes
    reference: str
    is_new: bool


ExtraWrite = Callable[[Connection, Accepted], None]
"""Makes further writes in the transaction of a new report."""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """The part of a stored report that its sender may read."""

    receipt: bytes
    stage: str
    outcome: str | None
    set_aside_reason: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A report and the values that its checks need."""

    report: NewReport
    keys: AcceptedKeys
    now: datetime
    envelope_sha256: bytes
    submission_sha256: bytes | None


def check_door(candidate: Candidate) -> None:
    """Raise WrongDoorError unless a partner's report is signed and came by the industry door, or neither.

    A report of the public form says which way it took, and no other does.
    """
    report = candidate.report
    is_partner = report.clear.partner != PUBLIC_SENDER
    marks = (report.door == "industry", report.submission is not None, report.clear.way is None)
    if any(mark != is_partner for mark in marks):
        raise WrongDoorError("The sender used the wrong door.")


def check_fields(candidate: Candidate) -> None:
    """Raise FormatError for clear fields that are not in canonical form."""
    check_clear_fields(candidate.report.clear)


def check_environment(candidate: Candidate) -> None:
    """Raise WrongEnvironmentError unless the report is for this gateway's environment."""
    if candidate.report.clear.environment != candidate.keys.key_set.environment:
        raise WrongEnvironmentError("The report is for another environment.")


def check_proposed_reference(candidate: Candidate) -> None:
    """Raise FormatError for a reference that is not canonical, WrongEnvironmentError for another environment's."""
    proposed = candidate.report.reference
    if proposed is None:
        return
    check_reference(proposed)
    if get_reference_environment(proposed) != candidate.report.clear.environment:
        raise WrongEnvironmentError("The reference belongs to another environment.")


def check_submission(candidate: Candidate) -> None:
    """Raise EnvelopeMismatchError unless the signed statement matches the envelope and the clear fields.

    Raises FormatError if it cannot be parsed. The door verifies its signature.
    """
    raw = candidate.report.submission
    if raw is None:
        return
    statement = SIGNED_SUBMISSION.peek(parse_statement(raw))
    if statement.envelope_sha256 != candidate.envelope_sha256.hex():
        raise EnvelopeMismatchError("The statement names another envelope.")
    if clear_fields_of(statement) != candidate.report.clear:
        raise EnvelopeMismatchError("The statement has other clear fields.")


def check_sealing_key(candidate: Candidate) -> None:
    """Raise UnknownSealingKeyError unless the agency can open the envelope; EnvelopeError if it is malformed.

    Active and retired keys are accepted until 7 days before their `open_until`, even when no key is active. Raises
    NoActiveKeyError when there is no active key to seal to instead.
    """
    key_id = Envelope.parse(candidate.report.envelope).key_id
    if candidate.keys.find_accepted_sealing_key(key_id, now=candidate.now) is not None:
        return
    if candidate.keys.find_active_sealing_key(now=candidate.now) is None:
        raise NoActiveKeyError("The agency has no active sealing key.")
    raise UnknownSealingKeyError("The envelope is sealed to a key that is not in use.")


CHECKS: tuple[Callable[[Candidate], None], ...] = (
    check_door,
    check_fields,
    check_environment,
    check_proposed_reference,
    check_submission,
    check_sealing_key,
)


class Intake:
    """Accepts reports for one gateway."""

    def __init__(
        self, store: Store, *, key_state: KeyState, signer: ReceiptSigner, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._key_state = key_state
        self._signer = signer
        self._clock = clock

    def accept(self, report: NewReport, *, keys: AcceptedKeys | None = None) -> Accepted:
        """Store a report and return its receipt once both are durable.

        `keys` is the key state that the door used for this request, if any. A repeated report gets the stored receipt.
        Raises IntakeError, FormatError, StorageUnavailableError and any error of `extra_write`; then nothing is stored.
        """
        began = time.perf_counter()
        accepted = self._accept(report, keys=keys or self._key_state.find_keys())
        METER.observe("receipt_seconds", time.perf_counter() - began, report.door)
        return accepted

    def _accept(self, report: NewReport, *, keys: AcceptedKeys | None) -> Accepted:
        candidate = self._make_candidate(report, keys=keys)
        try:
            for check in CHECKS:
                check(candidate)
            self.check_receipt_key(candidate.keys)
        except (UnknownSealingKeyError, NoActiveKeyError):
            # A sender that lost the answer may repeat its request after the key is gone: return the stored receipt.
            with self._store.read() as connection:
                stored = _find_stored(connection, report)
            if stored is None:
                raise
            return _repeat(stored, candidate)
        with self._store.write() as connection:
            stored = _find_stored(connection, report)
            if stored is not None:
                return _repeat(stored, candidate)
            accepted = self._store_new(connection, candidate)
            if report.extra_write is not None:
                report.extra_write(connection, accepted)
        return accepted

    def check_receipt_key(self, keys: AcceptedKeys) -> None:
        """Raise ReceiptKeyNotInUseError unless the desk would accept a report that is signed now."""
        if not keys.is_in_use(self._signer.key_id, now=self._clock()):
            raise ReceiptKeyNotInUseError("The receipt key of this process is not in use.")

    def draw_reference(self) -> str:
        """Draw a free reference, for a door that needs one before it seals.

        Raises StorageUnavailableError. The reference is not reserved: `accept` raises ReferenceTakenError if another
        report takes it first.
        """
        with self._store.read() as connection:
            return self._draw_free_reference(connection, self._key_state.environment)

    def find_receipt(self, *, partner: str, report_id: str) -> ReceiptView | None:
        """Return the receipt and stage of the sender's own report, or None."""
        with self._store.read() as connection:
            stored = find_report(
                connection, partner=partner, environment=self._key_state.environment, report_id=report_id
            )
        if stored is None:
            return None
        return ReceiptView(
            receipt=stored.intake,
            stage=stored.stage if stored.set_aside_reason is None else STAGE_SET_ASIDE,
            outcome=stored.outcome,
            set_aside_reason=stored.set_aside_reason,
        )

    def _make_candidate(self, report: NewReport, *, keys: AcceptedKeys | None) -> Candidate:
        if keys is None:
            raise NoActiveKeyError("The agency has not published its keys yet.")
        return Candidate(
            report=report,
            keys=keys,
            now=self._clock(),
            envelope_sha256=hashlib.sha256(report.envelope).digest(),
            submission_sha256=None if report.submission is None else hashlib.sha256(report.submission).digest(),
        )

    def _store_new(self, connection: Connection, candidate: Candidate) -> Accepted:
        """Chain, sign and insert under the writers' lock."""
        report, clear = candidate.report, candidate.report.clear
        now = self._clock()
        reference = report.reference or self._signer.draw_reference(clear.environment)
        place = find_next_place(connection, partner=clear.partner, reference=reference)
        if place is None:
            raise StorageUnavailableError("The database has no instance name yet.", reason="schema")
        if place.is_reference_taken:
            if report.reference is not None:
                raise ReferenceTakenError("Another report already has this reference.")
            reference = self._draw_free_reference(connection, clear.environment)
        statement = _make_statement(candidate, place=place, reference=reference, now=now)
        receipt = self._signer.sign(statement)
        intake_sha256 = hashlib.sha256(receipt).digest()
        self._store.advance_mark(Mark(place.position, intake_sha256))
        insert_report(
            connection,
            row=NewRow(
                position=place.position,
                sequence=statement.sequence,
                epoch=statement.epoch,
                report_id=clear.report_id,
                partner=clear.partner,
                environment=clear.environment,
                door=report.door,
                reference=statement.reference,
                kind=clear.kind,
                priority=clear.priority,
                placement=report.placement,
                received_at=now,
                envelope=report.envelope,
                envelope_sha256=candidate.envelope_sha256,
                submission=report.submission,
                submission_sha256=candidate.submission_sha256,
                intake=receipt,
                intake_sha256=intake_sha256,
            ),
        )
        return Accepted(receipt=receipt, reference=statement.reference, is_new=True)

    def _draw_free_reference(self, connection: Connection, environment: Environment) -> str:
        for _ in range(REFERENCE_DRAWS):
            reference = self._signer.draw_reference(environment)
            if not is_reference_taken(connection, reference=reference):
                return reference
        raise StorageUnavailableError("Every drawn reference was taken: the random source is broken.", reason="broken")


def _make_statement(candidate: Candidate, *, place: NextPlace, reference: str, now: datetime) -> IntakeStatement:
    report = candidate.report
    return IntakeStatement(
        clear=report.clear,
        door=report.door,
        envelope_sha256=candidate.envelope_sha256.hex(),
        environment=report.clear.environment,
        epoch=place.epoch,
        instance=place.instance,
        key_set_serial=candidate.keys.key_set.serial,
        placement=report.placement,
        previous=FIRST_PREVIOUS if place.previous_sha256 is None else place.previous_sha256.hex(),
        received_at=format_time(now),
        reference=reference,
        sequence=place.sequence,
        submission_sha256=None if candidate.submission_sha256 is None else candidate.submission_sha256.hex(),
    )


def _find_stored(connection: Connection, report: NewReport) -> StoredReport | None:
    clear = report.clear
    return find_report(connection, partner=clear.partner, environment=clear.environment, report_id=clear.report_id)


def _repeat(stored: StoredReport, candidate: Candidate) -> Accepted:
    """Return the stored receipt if the report is the same; raises ConflictingReportError.

    A partner's report is the same if its signed statement is, because that names the envelope. A public report has no
    statement: its envelope must be the same.
    """
    same = (stored.envelope_sha256, stored.submission_sha256)
    if same != (candidate.envelope_sha256, candidate.submission_sha256):
        raise ConflictingReportError("This id already belongs to another report.")
    return Accepted(receipt=stored.intake, reference=stored.reference, is_new=False)
