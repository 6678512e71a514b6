"""The one path by which a report comes in, for both doors: check it, chain it, sign it, store it, return the receipt.

Never opens an envelope. Never returns before the report and its statement are committed and synced; whatever goes
wrong before that leaves nothing behind, and the sender can safely try the same again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from gateway.key_state import AcceptedKeys, KeyState
from gateway.store import StorageUnavailableError, Store
from gateway.store.high_water import Mark
from gateway.store.reports import (
    NewRow,
    NextPlace,
    StoredReport,
    find_next_place,
    find_report,
    insert_report,
    is_reference_taken,
)
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.intake import FIRST_PREVIOUS, Door, IntakeStatement, sign_intake
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.reference import RANDOM_BYTES, check_reference, get_reference_environment, make_reference
from partner_sdk.wire.statements import key_id_of, parse_statement, public_bytes
from partner_sdk.wire.submission import (
    PUBLIC_SENDER,
    ClearFields,
    check_clear_fields,
    clear_fields_of,
    peek_submission,
)


class ReceiptSigner:
    """Holds the gateway's receipt key and its source of randomness."""

    __slots__ = ("_random", "_receipt_key", "key_id")

    def __init__(self, receipt_key: Ed25519PrivateKey, *, random: Callable[[int], bytes]) -> None:
        self._receipt_key = receipt_key
        self._random = random
        self.key_id = key_id_of(public_bytes(receipt_key))

    def draw_reference(self, environment: Environment) -> str:
        """Draw a reference; the caller makes sure that nobody has it yet."""
        return make_reference(environment, random=self._random(RANDOM_BYTES))

    def sign(self, statement: IntakeStatement) -> bytes:
        """Return the signed bytes of an intake statement."""
        return sign_intake(statement, receipt_key=self._receipt_key, key_id=self.key_id)


STAGE_SET_ASIDE = "set_aside"
REFERENCE_DRAWS = 8  # 45 random bits: with a million reports a second draw is needed once in 35 million


class IntakeError(Exception):
    """A report was not taken, and nothing of it was stored."""


class NoActiveKeyError(IntakeError):
    """The agency has published no key to seal to: nothing can be taken now."""


class UnknownSealingKeyError(IntakeError):
    """The envelope is sealed to a key that the agency does not have, or will not have for long enough."""


class ConflictingReportError(IntakeError):
    """This sender has sent another report under the same id."""


class EnvelopeMismatchError(IntakeError):
    """The signed statement is about another envelope or other clear fields."""


class WrongEnvironmentError(IntakeError):
    """A sandbox report came to a live gateway, or the other way round."""


class WrongDoorError(IntakeError):
    """The sender does not belong at this door."""


class ReferenceTakenError(IntakeError):
    """The reference that the door proposes was given to another report meanwhile: draw another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A report at a door. `submission` is the partner's signed statement, whose signature the door has checked.

    `reference` is one that the door has drawn before it sealed; without it the intake draws one. `extra_write` runs in
    the same transaction as a report that is new, so that both are stored or neither.
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
    """The stored bytes of the receipt. `is_new` is False when the same report was stored before."""

    receipt: bytes
    reference: str
    is_new: bool


ExtraWrite = Callable[[Connection, Accepted], None]
"""Writes more in the transaction of a report that is new."""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """What a sender may learn of its own report."""

    receipt: bytes
    stage: str
    outcome: str | None
    set_aside_reason: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A report on its way through the checks, with what they look at."""

    report: NewReport
    keys: AcceptedKeys
    now: datetime
    envelope_sha256: bytes
    submission_sha256: bytes | None


def check_door(candidate: Candidate) -> None:
    """Raise WrongDoorError unless partners come signed by the industry door and everybody else by the public one."""
    report = candidate.report
    is_partner = report.clear.partner != PUBLIC_SENDER
    if is_partner != (report.door == "industry") or is_partner != (report.submission is not None):
        raise WrongDoorError("The sender does not belong at this door.")


def check_fields(candidate: Candidate) -> None:
    """Raise FormatError for clear fields that are not in their one spelling."""
    check_clear_fields(candidate.report.clear)


def check_environment(candidate: Candidate) -> None:
    """Raise WrongEnvironmentError unless the report is for the environment of this gateway's key set."""
    if candidate.report.clear.environment != candidate.keys.key_set.environment:
        raise WrongEnvironmentError("The report is for another environment.")


def check_proposed_reference(candidate: Candidate) -> None:
    """Raise FormatError for a proposed reference in another spelling, WrongEnvironmentError for one of elsewhere."""
    proposed = candidate.report.reference
    if proposed is None:
        return
    check_reference(proposed)
    if get_reference_environment(proposed) != candidate.report.clear.environment:
        raise WrongEnvironmentError("The reference is of another environment.")


def check_submission(candidate: Candidate) -> None:
    """Raise EnvelopeMismatchError unless the signed statement names this envelope and these clear fields.

    Its signature is the door's to check. FormatError if it cannot be read.
    """
    raw = candidate.report.submission
    if raw is None:
        return
    statement = peek_submission(parse_statement(raw))
    if statement.envelope_sha256 != candidate.envelope_sha256.hex():
        raise EnvelopeMismatchError("The statement is about another envelope.")
    if clear_fields_of(statement) != candidate.report.clear:
        raise EnvelopeMismatchError("The statement has other clear fields.")


def check_sealing_key(candidate: Candidate) -> None:
    """Raise UnknownSealingKeyError unless the agency will be able to open the envelope; EnvelopeError if it is none.

    Active and retired keys are taken until 7 days before their `open_until`, also when no key can be sealed to any
    more. NoActiveKeyError when a sender could not do better, because there is no key to seal to.
    """
    key_id = Envelope.parse(candidate.report.envelope).key_id
    if candidate.keys.find_accepted_sealing_key(key_id, now=candidate.now) is not None:
        return
    if candidate.keys.find_active_sealing_key(now=candidate.now) is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
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
    """Takes reports for one gateway."""

    def __init__(
        self, store: Store, *, key_state: KeyState, signer: ReceiptSigner, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._key_state = key_state
        self._signer = signer
        self._clock = clock

    def accept(self, report: NewReport, *, keys: AcceptedKeys | None = None) -> Accepted:
        """Take a report and return its receipt once both are durable.

        `keys` are those that the door has judged this request by, if it has. The same report again gives the stored
        receipt. Raises IntakeError, FormatError or StorageUnavailableError, and what `extra_write` raises; then
        nothing is stored.
        """
        candidate = self._make_candidate(report, keys=keys or self._key_state.find_keys())
        try:
            for check in CHECKS:
                check(candidate)
        except (UnknownSealingKeyError, NoActiveKeyError):
            # A lost answer may be asked for again after the key has gone: what is stored is not refused.
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

    def draw_reference(self) -> str:
        """Draw a reference that no report has now, for a door that needs it before it seals.

        Raises StorageUnavailableError. It is not reserved: `accept` raises ReferenceTakenError if somebody was faster.
        """
        with self._store.read() as connection:
            return self._draw_free_reference(connection, self._key_state.environment)

    def find_receipt(self, *, partner: str, report_id: str) -> ReceiptView | None:
        """Return the receipt and stage of a sender's own report, or None."""
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
        """Chain, sign and insert under the writer lock: no other report can take this place."""
        report, clear = candidate.report, candidate.report.clear
        now = self._clock()
        place = find_next_place(connection, partner=clear.partner)
        if place is None:
            raise StorageUnavailableError("The database has no instance name yet.", reason="schema")
        statement = self._make_statement(connection, candidate, place=place, now=now)
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

    def _make_statement(
        self, connection: Connection, candidate: Candidate, *, place: NextPlace, now: datetime
    ) -> IntakeStatement:
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
            reference=self._get_reference(connection, report),
            sequence=place.sequence,
            submission_sha256=None if candidate.submission_sha256 is None else candidate.submission_sha256.hex(),
        )

    def _get_reference(self, connection: Connection, report: NewReport) -> str:
        if report.reference is None:
            return self._draw_free_reference(connection, report.clear.environment)
        if is_reference_taken(connection, reference=report.reference):
            raise ReferenceTakenError("Another report has this reference.")
        return report.reference

    def _draw_free_reference(self, connection: Connection, environment: Environment) -> str:
        for _ in range(REFERENCE_DRAWS):
            reference = self._signer.draw_reference(environment)
            if not is_reference_taken(connection, reference=reference):
                return reference
        raise StorageUnavailableError(
            "No free reference was drawn: the source of randomness is broken.", reason="broken"
        )


def _find_stored(connection: Connection, report: NewReport) -> StoredReport | None:
    clear = report.clear
    return find_report(connection, partner=clear.partner, environment=clear.environment, report_id=clear.report_id)


def _repeat(stored: StoredReport, candidate: Candidate) -> Accepted:
    """Return the stored receipt if this is the same report again; raises ConflictingReportError.

    A partner's report is the same if its whole signed statement is, and so the envelope that it names; a public one,
    which has none, if its envelope is.
    """
    same = (stored.envelope_sha256, stored.submission_sha256)
    if same != (candidate.envelope_sha256, candidate.submission_sha256):
        raise ConflictingReportError("This id is taken by another report.")
    return Accepted(receipt=stored.intake, reference=stored.reference, is_new=False)
