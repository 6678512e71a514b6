"""Submission statements: a partner's signed statement about a sealed report."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import encode, make_report_id, parse_base64url, parse_exact
from partner_sdk.wire.signing import StatementKind, parse_statement, sign_statement
from partner_sdk.wire.submission import (
    SIGNED_SUBMISSION,
    ClearFields,
    ReportPost,
    StatedFields,
    SubmissionStatement,
    check_clear_fields,
    check_partner_id,
    clear_fields_of,
    report_context,
)
from tests.builders import NOW, Agency, Partner, make_clear_fields, seal_report

PARTNER = Partner()
REPORT = seal_report(PARTNER, key=Agency().sealing_key)
KEYS = {PARTNER.entry().key_id: parse_base64url(PARTNER.entry().submission_key)}
STATEMENT = SIGNED_SUBMISSION.open(REPORT.statement, keys=KEYS)
ID = make_report_id(NOW, bytes(10))


def test_signed_submission_opens_for_its_envelope() -> None:
    statement = SIGNED_SUBMISSION.open(REPORT.statement, keys=KEYS)
    assert clear_fields_of(statement) == REPORT.clear
    assert statement.envelope_sha256 == hashlib.sha256(REPORT.envelope).hexdigest()


def test_other_signer_is_refused() -> None:
    with pytest.raises(StatementError) as caught:
        SIGNED_SUBMISSION.open(REPORT.statement, keys={})
    assert caught.value.reason == "unknown-key"


def test_clear_fields_are_the_first_part_of_the_statement() -> None:
    stated = set(StatedFields.__struct_fields__)
    assert set(SubmissionStatement.__struct_fields__) - stated == {"created_at", "envelope_sha256"}
    assert set(ClearFields.__struct_fields__) - stated == {"way"}
    assert len(stated) == 8


def test_way_is_left_out_where_there_is_none_and_no_partner_states_one() -> None:
    clear = make_clear_fields("public", way="phone")
    assert encode(clear) == encode(msgspec.structs.replace(clear, way=None))[:-1] + b',"way":"phone"}'
    stated = {**msgspec.to_builtins(STATEMENT), "way": "phone"}
    raw = sign_statement(stated, kind=StatementKind.SUBMISSION, private_keys=(PARTNER.submission_key,))
    with pytest.raises(FormatError):
        SIGNED_SUBMISSION.open(raw, keys=KEYS)


def test_context_of_a_report_names_every_clear_field_that_routes() -> None:
    context = report_context(REPORT.clear)
    clear = REPORT.clear
    assert (context.purpose, context.recipient) == ("report", "agency")
    assert (context.environment, context.sender, context.id) == (clear.environment, clear.partner, clear.report_id)
    assert (context.kind, context.priority, context.schema_version) == (clear.kind, clear.priority, "1")


@pytest.mark.parametrize(
    "changes",
    [
        {"partner": "public"},
        {"partner": "agency"},
        {"partner": ""},
        {"report_id": "x"},
        {"earlier_reference": "k7qf-2m9tx-4"},
        {"earlier_reference": "x"},
        {"evidence_ids": ("x",)},
        {"evidence_ids": (ID, ID)},
        {"evidence_ids": tuple(make_report_id(NOW, n.to_bytes(10, "big")) for n in range(1001))},
        {"created_at": "now"},
        {"envelope_sha256": "AB" * 32},
        {"envelope_sha256": "ab" * 31},
    ],
)
def test_misspelled_field_is_not_signed(changes: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        SIGNED_SUBMISSION.sign(msgspec.structs.replace(STATEMENT, **changes), PARTNER.submission_key)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "other"}, {"priority": "P4"}, {"environment": "test"}, {"schema_version": "2"}, {"partner": "agency"}],
)
def test_misspelled_field_is_refused_though_it_is_signed(changes: dict[str, object]) -> None:
    changed = msgspec.structs.replace(STATEMENT, **changes)
    raw = sign_statement(changed, kind=StatementKind.SUBMISSION, private_keys=(PARTNER.submission_key,))
    with pytest.raises(FormatError):
        SIGNED_SUBMISSION.open(raw, keys=KEYS)


def test_public_reports_use_the_reserved_sender() -> None:
    check_clear_fields(make_clear_fields("public"))


@pytest.mark.parametrize("name", ["a", "example-chat", "a1", "0", "a" * 64, "a--b"])
def test_partner_id_is_taken(name: str) -> None:
    check_partner_id(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a b", "a" * 65, "ä", "public", "agency", "a\n", "a/b"])
def test_partner_id_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        check_partner_id(name)


def test_body_prints_back_identically_with_the_statement_inside() -> None:
    post = parse_exact(REPORT.body, kind=ReportPost, max_bytes=len(REPORT.body))
    assert encode(post) == REPORT.body
    assert encode(post.statement) == REPORT.statement
    assert post.statement == parse_statement(REPORT.statement)


@given(st.binary(max_size=80))
def test_any_bytes_give_an_own_error(raw: bytes) -> None:
    with pytest.raises((FormatError, StatementError)):
        SIGNED_SUBMISSION.open(raw, keys=KEYS)
