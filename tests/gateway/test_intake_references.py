"""References that a door draws before it seals: free when drawn, checked again when the report is stored."""

import itertools
from collections.abc import Iterator

import pytest

from gateway.intake import REFERENCE_DRAWS, Intake, ReceiptSigner, ReferenceTakenError, WrongEnvironmentError
from gateway.store import StorageUnavailableError
from gateway.wiring import Gateway
from partner_sdk.errors import FormatError
from partner_sdk.key_files import load_signing_key
from partner_sdk.wire.receipts import SIGNED_INTAKE
from tests.builders import House
from tests.gateway.store_builders import new_public_report

REFERENCE = "C5H6-6S35C-3"


@pytest.fixture
def gateway(house: House) -> Gateway:
    """A gateway that takes reports."""
    return house.open_gateway()


def make_intake(house: House, gateway: Gateway, draws: Iterator[bytes]) -> Intake:
    signer = ReceiptSigner(load_signing_key(house.receipt_key), random=lambda _number: next(draws))
    return Intake(gateway.store, key_state=gateway.key_state, signer=signer, clock=house.clock)


def stored_references(house: House) -> list[str]:
    with house.open_gateway().store.read() as connection:
        return list(connection.exec_driver_sql("SELECT reference FROM reports ORDER BY position").scalars())


def test_proposed_reference_is_the_one_that_is_signed_and_stored(house: House, gateway: Gateway) -> None:
    reference = gateway.intake.draw_reference()
    accepted = gateway.intake.accept(new_public_report(reference=reference))
    assert accepted.reference == reference
    assert SIGNED_INTAKE.peek(accepted.receipt).reference == reference
    assert stored_references(house) == [reference]


def test_reference_that_was_given_away_meanwhile_is_refused_and_nothing_is_stored(
    house: House, gateway: Gateway
) -> None:
    gateway.intake.accept(new_public_report(reference=REFERENCE))
    written = []
    report = new_public_report(reference=REFERENCE, extra_write=lambda *_: written.append(True))
    with pytest.raises(ReferenceTakenError):
        gateway.intake.accept(report)
    assert (stored_references(house), written) == ([REFERENCE], [])


def test_same_report_again_keeps_its_first_reference(gateway: Gateway) -> None:
    report = new_public_report(reference=REFERENCE)
    again = new_public_report(envelope=report.envelope, reference="0000-00000-H")
    first = gateway.intake.accept(report)
    second = gateway.intake.accept(
        type(again)(
            door="public", envelope=report.envelope, submission=None, clear=report.clear, reference=again.reference
        )
    )
    assert (second.reference, second.is_new, second.receipt) == (REFERENCE, False, first.receipt)


def test_drawn_reference_is_one_that_no_report_has(house: House, gateway: Gateway) -> None:
    intake = make_intake(house, gateway, iter([b"aaaaaa", b"aaaaaa", b"bbbbbb"]))
    taken = intake.draw_reference()
    intake.accept(new_public_report(reference=taken))
    assert intake.draw_reference() != taken


def test_broken_randomness_draws_no_reference(house: House, gateway: Gateway) -> None:
    intake = make_intake(house, gateway, itertools.repeat(b"aaaaaa"))
    intake.accept(new_public_report(reference=intake.draw_reference()))
    with pytest.raises(StorageUnavailableError):
        intake.draw_reference()
    assert REFERENCE_DRAWS > 2


@pytest.mark.parametrize("reference", ["c5h66s35c3", "C5H6-6S35C-4", "", "one"])
def test_reference_that_is_not_in_its_one_spelling_is_refused(house: House, gateway: Gateway, reference: str) -> None:
    with pytest.raises(FormatError):
        gateway.intake.accept(new_public_report(reference=reference))
    assert stored_references(house) == []


def test_reference_of_another_environment_is_refused(house: House, gateway: Gateway) -> None:
    with pytest.raises(WrongEnvironmentError):
        gateway.intake.accept(new_public_report(reference=f"TEST-{REFERENCE}"))
    assert stored_references(house) == []
