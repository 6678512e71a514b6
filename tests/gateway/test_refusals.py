"""The one table from errors to problems: complete, and never an echo."""

import inspect

import pytest

from gateway import intake
from gateway.databases import database
from gateway.evidence import keeper
from gateway.signed_request import TABLE, get_problem, list_faults
from gateway.store import evidence, items
from partner_sdk import errors
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.submission import ReportPost

# Errors that no door of the gateway can meet: they belong to the partner's side or are a problem already.
ELSEWHERE = {
    "EnrolmentError",
    "EvidenceError",
    "RefusalError",
    "LocalStateError",
    "MailboxError",
    "OpeningError",
    "RepeatedReportError",
    "ReportAbuseError",
    "ReportError",
    "SealingError",
    "TransportError",
}


def errors_of(module: object) -> list[type[Exception]]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == getattr(module, "__name__", "")
    ]


def test_every_error_of_intake_and_store_has_a_problem():
    rooms = (intake, keeper, evidence, database, items, items)
    kinds = [kind for module in rooms for kind in errors_of(module)]
    kinds.remove(intake.IntakeError)
    listed = {kind for kind, _reason, _problem in TABLE}

    assert len(kinds) >= 12
    assert [kind for kind in kinds if not set(kind.__mro__) & listed] == []


def test_every_error_of_the_wire_has_a_problem_or_belongs_elsewhere():
    kinds = [kind for kind in errors_of(errors) if not issubclass(kind, errors.ProblemError)]
    listed = {kind for kind, _reason, _problem in TABLE}

    assert len(kinds) >= 14
    assert {kind.__name__ for kind in kinds if not set(kind.__mro__) & listed} == ELSEWHERE


@pytest.mark.parametrize(("kind", "reason", "problem"), TABLE)
def test_row_of_the_table_decides(kind: type[Exception], reason: str, problem: problems.Problem):
    error = kind.__new__(kind)
    error.reason = reason or "another-reason"

    assert get_problem(error) is problem


def test_error_that_the_table_does_not_know_is_no_problem_of_ours():
    with pytest.raises(KeyError):
        get_problem(ZeroDivisionError())


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (b"{}", ["#/envelope"]),
        (b'{"envelope":1}', ["#/envelope"]),
        (b'{"marker":1}', []),
        (b"[", []),
        (b"null", []),
        (b'{"statement":"marker"}', ["#/statement"]),
    ],
)
def test_faults_of_a_body_name_places_of_the_model_alone(raw: bytes, pointers: list[str]):
    with pytest.raises(FormatError) as caught:
        parse_exact(raw, kind=ReportPost, max_bytes=1000)

    faults = list_faults(caught.value)
    assert [fault.pointer for fault in faults] == pointers
    assert not any("marker" in fault.detail for fault in faults)
