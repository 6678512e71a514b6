"""Scenarios fail as a real gateway fails, for the number of requests that the test sets."""

import pytest

from gateway.testing import Sandbox, scenarios
from partner_sdk import Partner
from partner_sdk.errors import (
    FieldFault,
    ProblemError,
    RateLimitedError,
    RefusedError,
    TransportError,
    UnavailableError,
)
from partner_sdk.wire import problems
from tests.builders import EXAMPLE_REPORT

RAW = EXAMPLE_REPORT.read_bytes()


def count_posts(sandbox: Sandbox) -> int:
    return sum(request.path_url == "/v1/reports" for request in sandbox.requests)


def test_validation_problem_names_the_fields(sandbox: Sandbox, partner: Partner) -> None:
    fault = FieldFault("#/statement/payload", "Add this field: it is required.")
    sandbox.next_requests(scenarios.validation_problem(fault))
    with pytest.raises(RefusedError) as caught:
        partner.submit(RAW, priority="P2")
    assert (caught.value.status, caught.value.reason) == (400, "malformed-request")
    assert caught.value.faults == (fault,)
    assert sandbox.reports == []


def test_duplicate_is_answered_with_200_and_its_receipt(sandbox: Sandbox, partner: Partner) -> None:
    statuses: list[int] = []
    session = sandbox.session()
    session.hooks["response"].append(lambda answer, **_: statuses.append(answer.status_code))
    sandbox.next_requests(scenarios.duplicate())
    client = sandbox.open_partner(partner.state.folder, session=session)
    receipts = [client.submit(RAW, priority="P2") for _ in range(2)]
    assert [status for status in statuses if status != 200] == [201]  # the second report, without the scenario
    assert [one.reference for one in sandbox.reports] == [one.reference for one in receipts]
    assert sandbox.waiting_scenarios == []


def test_rate_limit_is_waited_for_as_it_says(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.problem(problems.RATE_LIMITED, path="/v1/reports", retry_after_seconds=7))
    partner.submit(RAW, priority="P2")
    assert len(sandbox.waits) == 1
    assert sandbox.waits[0] >= 7


@pytest.mark.parametrize(
    ("scenario", "reason"), [(scenarios.timeout(), "timeout"), (scenarios.no_connection(), "connection")]
)
def test_no_answer_is_a_transport_error(
    sandbox: Sandbox, partner: Partner, scenario: scenarios.Scenario, reason: str
) -> None:
    sandbox.next_requests(scenario)
    with pytest.raises(TransportError) as caught:
        partner.status()
    assert caught.value.reason == reason
    assert partner.status().ready


def test_lost_answer_is_asked_for_again_and_stored_once(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.answer_lost())
    receipt = partner.submit(RAW, priority="P1")
    assert count_posts(sandbox) == 2
    assert [one.reference for one in sandbox.reports] == [receipt.reference]


def test_clock_of_the_gateway_is_followed(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.shift_clock(hours=7)
    assert partner.status().caller is not None
    assert abs(partner.transport.clock_offset_seconds - 7 * 3600) <= 1


@pytest.mark.parametrize("row", problems.PROBLEMS, ids=lambda row: row.slug)
def test_every_problem_of_the_table_can_be_played(sandbox: Sandbox, partner: Partner, row: problems.Problem) -> None:
    sandbox.next_requests(scenarios.problem(row))
    with pytest.raises(ProblemError) as caught:
        partner.status()
    assert (caught.value.reason, caught.value.status) == (row.slug, row.status)
    assert caught.value.retry_after_seconds == row.retry_after_seconds
    assert partner.status().ready


def test_scenario_happens_as_often_as_it_was_asked_for_and_in_order(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.unavailable(), times=2)
    sandbox.next_requests(scenarios.rate_limited())
    assert sandbox.waiting_scenarios == ["storage-unavailable", "storage-unavailable", "rate-limited"]
    for kind in (UnavailableError, UnavailableError, RateLimitedError):
        with pytest.raises(kind):
            partner.status()
    assert partner.status().ready


def test_scenario_of_a_report_waits_for_one(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.conflict())
    assert partner.status().ready
    assert sandbox.waiting_scenarios == ["conflicting-report"]
