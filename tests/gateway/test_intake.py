"""The one path for reports: refusals, chaining, signing, and nothing half stored."""

import functools
import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from gateway.intake import (
    CHECKS,
    REFERENCE_DRAWS,
    Accepted,
    ConflictingReportError,
    EnvelopeMismatchError,
    Intake,
    IntakeError,
    NewReport,
    NoActiveKeyError,
    ReceiptSigner,
    ReferenceTakenError,
    UnknownSealingKeyError,
    WrongDoorError,
    WrongEnvironmentError,
)
from gateway.store import StorageUnavailableError, reports
from gateway.store.items import find_draft, put_draft
from gateway.store.store import begin_epoch
from gateway.wiring import Gateway
from partner_sdk.errors import EnvelopeError, FormatError
from partner_sdk.key_files import load_signing_key
from partner_sdk.wire.receipts import FIRST_PREVIOUS, IntakeStatement, verify_intake, verify_receipt
from tests.builders import (
    DAY,
    NOW,
    Agency,
    House,
    Partner,
    make_box,
    make_clear_fields,
    make_house,
    sign_for_envelope,
)
from tests.gateway.store_builders import new_industry_report, new_public_report

pytestmark = pytest.mark.databases("sqlite", "postgresql")

DRAFT = b"\x07" * 32


def open_receipt(gateway: Gateway, receipt: bytes) -> IntakeStatement:
    keys = gateway.key_state.find_keys()
    assert keys is not None
    return verify_intake(receipt, key_set=keys.key_set, now=NOW)


def stored_rows(gateway: Gateway) -> int:
    return int(gateway.store.look("SELECT count(*) FROM reports")[0][0])


def change(report: NewReport, **changes: Any) -> NewReport:
    fields = {name: getattr(report, name) for name in NewReport.__slots__}
    return NewReport(**{**fields, **changes})


def test_a_partners_receipt_verifies_offline_and_names_its_submission(gateway: Gateway, partner: Partner) -> None:
    report = new_industry_report(partner)
    accepted = gateway.intake.accept(report)
    keys = gateway.key_state.find_keys()
    assert keys is not None
    assert report.submission is not None
    statement = verify_receipt(accepted.receipt, key_set=keys.key_set, submission=report.submission, now=NOW)
    assert statement == IntakeStatement(
        clear=report.clear,
        door="industry",
        envelope_sha256=hashlib.sha256(report.envelope).hexdigest(),
        environment="live",
        epoch="epoch-of-tests",
        instance="gateway-test",
        key_set_serial=1,
        placement=None,
        previous=FIRST_PREVIOUS,
        received_at="2026-11-25T08:30:00Z",
        reference=accepted.reference,
        sequence=1,
        submission_sha256=hashlib.sha256(report.submission).hexdigest(),
    )


def test_a_public_report_carries_its_placement_and_no_submission(gateway: Gateway) -> None:
    accepted = gateway.intake.accept(new_public_report(placement="example-chat"))
    statement = open_receipt(gateway, accepted.receipt)
    assert (statement.door, statement.placement, statement.submission_sha256) == ("public", "example-chat", None)
    assert gateway.store.look("SELECT placement, submission, door FROM reports") == [("example-chat", None, "public")]


def test_each_statement_names_its_senders_one_before_and_counts_no_other_sender(
    gateway: Gateway, partner: Partner
) -> None:
    senders = (new_public_report, functools.partial(new_industry_report, partner))
    chains: tuple[list[bytes], list[bytes]] = ([], [])
    for turn in (0, 1, 1, 0, 0, 1, 0, 1):
        chains[turn].append(gateway.intake.accept(senders[turn]()).receipt)
    for receipts in chains:
        statements = [open_receipt(gateway, receipt) for receipt in receipts]
        assert [statement.sequence for statement in statements] == [1, 2, 3, 4]
        assert statements[0].previous == FIRST_PREVIOUS
        for before, after in itertools.pairwise(range(4)):
            assert statements[after].previous == hashlib.sha256(receipts[before]).hexdigest()


@pytest.mark.databases("sqlite")  # tests/gateway/store/test_postgresql.py looks at the other plan
def test_a_place_is_found_by_index_alone_however_many_reports_there_are(gateway: Gateway) -> None:
    """It is looked up while every other writer waits."""
    with gateway.store.read() as connection:
        statement = "EXPLAIN QUERY PLAN " + str(reports._PLACE._statement.compile(dialect=connection.dialect))
        plan = connection.connection.cursor().execute(statement, ("ABCD-EFGH-J", "public", "public")).fetchall()
    steps = [detail for *_, detail in plan]
    # The table of instances has one row, ever.
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN instance"]
    assert sum(step.startswith("SEARCH reports") for step in steps) == 4


def test_a_new_epoch_begins_a_chain_of_its_own_and_gives_no_number_twice(gateway: Gateway, partner: Partner) -> None:
    for _ in range(2):
        gateway.intake.accept(new_industry_report(partner))
    begin_epoch(gateway.store, epoch="epoch-after-restore", now=NOW)
    receipts = [gateway.intake.accept(new_industry_report(partner)).receipt for _ in range(2)]
    first, second = (open_receipt(gateway, receipt) for receipt in receipts)
    assert [(s.epoch, s.sequence) for s in (first, second)] == [("epoch-after-restore", 3), ("epoch-after-restore", 4)]
    assert first.previous == FIRST_PREVIOUS
    assert second.previous == hashlib.sha256(receipts[0]).hexdigest()


@pytest.mark.parametrize("door", ["industry", "public"])
def test_the_same_report_again_gets_the_same_bytes_and_is_stored_once(
    gateway: Gateway, partner: Partner, door: str
) -> None:
    report = new_industry_report(partner) if door == "industry" else new_public_report()
    first, again = gateway.intake.accept(report), gateway.intake.accept(report)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.receipt, again.reference) == (first.receipt, first.reference)
    assert stored_rows(gateway) == 1


def test_another_report_under_the_same_id_conflicts_and_keeps_the_first(gateway: Gateway, partner: Partner) -> None:
    report = new_industry_report(partner)
    gateway.intake.accept(report)
    with pytest.raises(ConflictingReportError):
        gateway.intake.accept(new_industry_report(partner, report_id=report.clear.report_id))
    assert report.submission is not None
    # The same box under another signed statement is another report too.
    later = sign_for_envelope(report.clear, report.envelope, private_key=partner.submission_key, created_at=NOW + DAY)
    with pytest.raises(ConflictingReportError):
        gateway.intake.accept(change(report, submission=later))
    public = new_public_report()
    gateway.intake.accept(public)
    with pytest.raises(ConflictingReportError):
        gateway.intake.accept(change(public, envelope=make_box(Agency().sealing_key)))
    assert gateway.store.look("SELECT envelope FROM reports ORDER BY position") == [
        (report.envelope,),
        (public.envelope,),
    ]


def test_two_partners_may_use_the_same_report_id(gateway: Gateway, partner: Partner) -> None:
    report = new_industry_report(partner)
    gateway.intake.accept(report)
    other = new_industry_report(Partner("other-chat"), report_id=report.clear.report_id)
    assert gateway.intake.accept(other).is_new
    assert gateway.intake.find_receipt(partner="third-chat", report_id=report.clear.report_id) is None


def test_a_sender_finds_its_own_receipt_and_stage(gateway: Gateway, partner: Partner) -> None:
    report = new_industry_report(partner)
    accepted = gateway.intake.accept(report)
    view = gateway.intake.find_receipt(partner=partner.partner, report_id=report.clear.report_id)
    assert view is not None
    assert (view.receipt, view.stage, view.outcome) == (accepted.receipt, "received", None)
    assert gateway.intake.find_receipt(partner="public", report_id=report.clear.report_id) is None


def other_envelope(report: NewReport) -> NewReport:
    return change(report, envelope=make_box(Agency().sealing_key))


def other_fields(report: NewReport) -> NewReport:
    return change(report, clear=make_clear_fields("example-chat", priority="P1", report_id=report.clear.report_id))


def unknown_key(_report: NewReport) -> NewReport:
    return new_industry_report(Partner(), envelope=make_box(Agency().other_sealing_key("stranger")))


def way(report: NewReport, *, of: str | None) -> NewReport:
    return change(report, clear=msgspec.structs.replace(report.clear, way=of))


def bad_id(report: NewReport) -> NewReport:
    return change(report, clear=make_clear_fields("example-chat", report_id="not-an-id"))


def cut_envelope(_report: NewReport) -> NewReport:
    return new_industry_report(Partner(), envelope=make_box(Agency().sealing_key)[:900])


def sandbox(_report: NewReport) -> NewReport:
    return new_industry_report(Partner(), environment="sandbox")


REFUSALS = [
    (lambda report: change(report, door="public"), WrongDoorError),
    (lambda report: change(report, submission=None), WrongDoorError),
    (lambda _report: change(new_public_report(), door="industry"), WrongDoorError),
    (lambda report: change(new_public_report(), submission=report.submission), WrongDoorError),
    (lambda report: way(report, of="plain"), WrongDoorError),
    (lambda _report: way(new_public_report(), of=None), WrongDoorError),
    (bad_id, FormatError),
    (sandbox, WrongEnvironmentError),
    (other_envelope, EnvelopeMismatchError),
    (other_fields, EnvelopeMismatchError),
    (lambda report: change(report, submission=b"{}"), FormatError),
    (cut_envelope, EnvelopeError),
    (unknown_key, UnknownSealingKeyError),
    (lambda report: change(report, reference="TEST-C5H6-6S35C-3"), WrongEnvironmentError),
]


@pytest.mark.parametrize(("spoil", "error"), REFUSALS)
def test_a_report_that_fails_a_check_is_not_stored(
    gateway: Gateway, partner: Partner, spoil: Any, error: type[Exception]
) -> None:
    report = new_industry_report(partner)
    with pytest.raises(error):
        gateway.intake.accept(spoil(report))
    assert stored_rows(gateway) == 0
    assert gateway.intake.accept(report).is_new


def test_every_check_has_a_report_that_it_refuses(
    gateway: Gateway, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any one of the checks at least one of the refusals above is stored or fails otherwise."""
    assert len(CHECKS) == 6
    for left_out in CHECKS:
        monkeypatch.setattr("gateway.intake.CHECKS", tuple(check for check in CHECKS if check is not left_out))
        outcomes = [outcome(gateway, spoil(new_industry_report(partner))) for spoil, _error in REFUSALS]
        assert outcomes != [error for _spoil, error in REFUSALS], left_out.__name__


def outcome(gateway: Gateway, report: NewReport) -> type[Exception] | None:
    try:
        gateway.intake.accept(report)
    except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
        return type(error)
    return None


def test_nothing_is_taken_before_the_first_key_set(tmp_path: Any, partner: Partner) -> None:
    gateway = make_house(tmp_path / "unpublished").open_gateway()
    for report in (new_industry_report(partner), new_public_report()):
        with pytest.raises(NoActiveKeyError):
            gateway.intake.accept(report)
    assert stored_rows(gateway) == 0


@pytest.mark.parametrize("state", ["pending", "destroyed"])
def test_nothing_is_taken_when_the_agency_has_no_key_to_seal_to(house: House, partner: Partner, state: str) -> None:
    key = house.agency.other_sealing_key(house.agency.name, state=state)
    house.publish(partner.entry(), serial=2, sealing_keys=(key,))
    gateway = house.open_gateway()
    with pytest.raises(NoActiveKeyError):
        gateway.intake.accept(new_industry_report(partner))
    assert stored_rows(gateway) == 0


def test_a_box_for_a_retired_key_is_taken_because_the_agency_can_open_it(house: House, partner: Partner) -> None:
    key = house.agency.other_sealing_key(house.agency.name, state="retired")
    house.publish(partner.entry(), serial=2, sealing_keys=(key,))
    gateway = house.open_gateway()
    accepted = gateway.intake.accept(new_industry_report(partner))
    assert open_receipt(gateway, accepted.receipt).key_set_serial == 2


def test_a_stored_report_gets_its_receipt_again_after_its_key_has_gone(house: House, partner: Partner) -> None:
    gateway = house.open_gateway()
    report = new_industry_report(partner)
    first = gateway.intake.accept(report)
    house.publish(partner.entry(), serial=2, sealing_keys=(house.agency.other_sealing_key("next"),))
    assert gateway.intake.accept(report) == Accepted(first.receipt, first.reference, is_new=False)
    with pytest.raises(UnknownSealingKeyError):
        gateway.intake.accept(new_industry_report(partner))
    conflicting = new_industry_report(partner, report_id=report.clear.report_id)
    with pytest.raises(ConflictingReportError):
        gateway.intake.accept(conflicting)


def put_sent(connection: Connection, accepted: Accepted) -> None:
    box = accepted.reference.encode()
    assert put_draft(connection, draft_id=DRAFT, version=1, box=box, expires_at=NOW + DAY)


def test_the_extra_write_is_stored_together_with_a_new_report_and_only_with_it(gateway: Gateway) -> None:
    report = new_public_report(extra_write=put_sent)
    accepted = gateway.intake.accept(report)
    gateway.intake.accept(report)  # a second put_sent would fail its own assertion
    draft = find_draft(gateway.store, draft_id=DRAFT, now=NOW)
    assert draft is not None
    assert draft.box.decode() == accepted.reference


def test_a_failing_extra_write_takes_the_report_back(gateway: Gateway) -> None:
    def fail(connection: Connection, accepted: Accepted) -> None:
        put_sent(connection, accepted)
        raise LookupError("another tab was faster")

    with pytest.raises(LookupError):
        gateway.intake.accept(new_public_report(extra_write=fail))
    assert stored_rows(gateway) == 0
    assert gateway.store.look("SELECT count(*) FROM drafts") == [(0,)]
    assert open_receipt(gateway, gateway.intake.accept(new_public_report()).receipt).sequence == 1


def make_intake(house: House, gateway: Gateway, draws: Iterator[bytes]) -> Intake:
    signer = ReceiptSigner(load_signing_key(house.receipt_key), random=lambda _number: next(draws))
    return Intake(gateway.store, key_state=gateway.key_state, signer=signer, clock=house.clock)


def test_a_taken_reference_is_drawn_again(house: House, gateway: Gateway) -> None:
    intake = make_intake(house, gateway, iter([b"aaaaaa", b"aaaaaa", b"aaaaaa", b"bbbbbb"]))
    first, second = intake.accept(new_public_report()), intake.accept(new_public_report())
    assert first.reference != second.reference
    assert stored_rows(gateway) == 2


def test_broken_randomness_refuses_rather_than_give_a_reference_twice(house: House, gateway: Gateway) -> None:
    draws = itertools.repeat(b"aaaaaa")
    intake = make_intake(house, gateway, draws)
    intake.accept(new_public_report())
    with pytest.raises(StorageUnavailableError):
        intake.accept(new_public_report())
    assert stored_rows(gateway) == 1
    assert REFERENCE_DRAWS > 2


def test_a_report_is_durable_before_its_receipt_is_given(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that fails after everything else succeeded gives no receipt and leaves no row."""
    attempts = []

    def fail(self: Connection) -> None:
        attempts.append(self)
        raise StorageUnavailableError("The disk went away.", reason="broken")

    monkeypatch.setattr(Connection, "commit", fail)
    with pytest.raises(StorageUnavailableError):
        gateway.intake.accept(new_public_report())
    monkeypatch.undo()
    assert len(attempts) == 1
    assert stored_rows(gateway) == 0
    assert gateway.intake.accept(new_public_report()).is_new


def test_every_refusal_of_the_intake_is_an_intake_error() -> None:
    named = (
        NoActiveKeyError,
        UnknownSealingKeyError,
        ConflictingReportError,
        EnvelopeMismatchError,
        WrongEnvironmentError,
        WrongDoorError,
        ReferenceTakenError,
    )
    assert set(named) == set(IntakeError.__subclasses__())


def test_a_receipt_key_that_the_desk_has_not_published_is_no_reason_to_lose_a_report(
    house: House, partner: Partner
) -> None:
    house.publish(partner.entry(), serial=2, receipt_keys=())
    assert house.open_gateway().intake.accept(new_public_report()).is_new
