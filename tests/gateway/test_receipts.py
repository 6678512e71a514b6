"""The signer of receipts: references that can be read aloud, statements that the published key verifies."""

import os
from collections.abc import Callable

import pytest

from gateway.intake import ReceiptSigner
from partner_sdk.errors import StatementError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import parse_reference
from partner_sdk.wire.receipts import FIRST_PREVIOUS, IntakeStatement, verify_intake
from partner_sdk.wire.signing import Environment
from tests.builders import NOW, Agency, make_clear_fields, verify_key_of


def make_signer(random: Callable[[int], bytes] = os.urandom) -> ReceiptSigner:
    return ReceiptSigner(load_signing_key(Agency().key(KeyRole.RECEIPT)), random=random)


def make_statement() -> IntakeStatement:
    return IntakeStatement(
        clear=make_clear_fields("example-chat"),
        door="industry",
        envelope_sha256="0" * 64,
        environment="live",
        epoch="epoch",
        instance="gateway-test",
        key_set_serial=1,
        placement=None,
        previous=FIRST_PREVIOUS,
        received_at=NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        reference="K7QF-2M9TX-D",
        sequence=1,
        submission_sha256="0" * 64,
    )


def test_a_statement_verifies_with_the_published_receipt_key_and_no_other() -> None:
    agency, statement = Agency(), make_statement()
    raw = make_signer().sign(statement)
    published = agency.key_set(receipt_keys=(verify_key_of(agency.key(KeyRole.RECEIPT)),))
    assert verify_intake(raw, key_set=published, now=NOW) == statement
    with pytest.raises(StatementError):
        verify_intake(raw, key_set=agency.key_set(receipt_keys=(verify_key_of(agency.key(KeyRole.FEED)),)), now=NOW)


def test_the_key_id_is_that_of_the_card() -> None:
    assert make_signer().key_id == Agency().key(KeyRole.RECEIPT).key_id


@pytest.mark.parametrize(("environment", "is_test"), [("live", False), ("sandbox", True)])
def test_references_are_spelled_for_their_environment_and_use_the_given_randomness(
    environment: Environment, is_test: bool
) -> None:
    signer = make_signer(lambda number: bytes(range(number)))
    reference = signer.draw_reference(environment)
    assert reference == signer.draw_reference(environment) == parse_reference(reference)
    assert reference.startswith("TEST-") == is_test
    assert len({make_signer().draw_reference(environment) for _ in range(200)}) == 200
