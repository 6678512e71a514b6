"""Files, new keys and registrations in the sandbox, by the SDK's own client."""

import json
from pathlib import Path

import pytest

from gateway.clock import utc_now
from gateway.desk.partners.account_changes import list_changes
from gateway.testing import Sandbox, scenarios
from partner_sdk import Partner
from partner_sdk.client.account import rotate_keys, send_registration
from partner_sdk.errors import FormatError, OpeningError, UnavailableError
from partner_sdk.wire import problems
from partner_sdk.wire.enrolment import TEMPLATE
from partner_sdk.wire.evidence import PART_BYTES
from tests.builders import EXAMPLE_REPORT, FULL_REPORT

RAW = EXAMPLE_REPORT.read_bytes()


def test_rotation_is_approved_by_the_desk_and_what_waited_still_counts(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.problem(problems.STORAGE_UNAVAILABLE, path="/v1/reports"), times=5)
    with pytest.raises(UnavailableError):
        partner.submit(RAW, priority="P2")
    before = partner.transport.key_id
    assert not rotate_keys(partner, now=utc_now()).is_done
    sandbox.run_desk()
    assert rotate_keys(partner, now=utc_now()).is_done
    caller = partner.status().caller
    assert caller is not None
    assert caller.key_id != before
    (attempt,) = partner.resume()
    assert attempt.receipt is not None
    sandbox.send_message({"text": "hello"})
    assert len(partner.collect_mailbox().messages) == 1


def test_registration_is_accepted_by_the_desk(sandbox: Sandbox, partner: Partner) -> None:
    send_registration(partner, TEMPLATE, now=utc_now())
    sandbox.run_desk()
    with sandbox._agency.desk.store.read() as connection:
        assert [one.state for one in list_changes(connection, with_decided=True)] == ["accepted"]


def test_change_signed_by_a_key_that_has_just_ended_stops_nothing_else(sandbox: Sandbox, partner: Partner) -> None:
    assert not rotate_keys(partner, now=utc_now()).is_done
    send_registration(partner, TEMPLATE, now=utc_now())
    sandbox.run_desk()
    assert rotate_keys(partner, now=utc_now()).is_done


@pytest.fixture
def with_files(tmp_path: Path) -> tuple[bytes, dict[str, Path]]:
    """The full report without the hashes of its files, and a file for each."""
    report = json.loads(FULL_REPORT.read_bytes())
    paths = {}
    for place, row in enumerate(report["files"]):
        for name in ("hashes", "size_bytes"):
            row.pop(name, None)
        paths[row["file_id"]] = tmp_path / f"{row['file_id']}.bin"
        paths[row["file_id"]].write_bytes(bytes([place + 1]) * (1 if place else PART_BYTES + 5))
    return json.dumps(report).encode(), paths


@pytest.mark.parametrize(("priority", "reports"), [("P1", 2), ("P2", 1)])
def test_files_arrive_sealed_and_can_be_read_by_the_test(
    sandbox: Sandbox, partner: Partner, with_files: tuple[bytes, dict[str, Path]], priority: str, reports: int
) -> None:
    raw, paths = with_files
    done = partner.submit(raw, priority=priority, evidence=paths)  # type: ignore[call-overload]  # a row of the table
    assert done.is_complete
    assert [one.doubt for one in sandbox.reports] == [None] * reports
    sealed = sandbox.reports[-1].sealed
    assert sealed is not None
    assert {one.file_id for one in sealed.evidence} == set(paths)
    for one in sealed.evidence:
        assert sandbox.read_evidence(one.evidence_id) == paths[one.file_id].read_bytes()


def test_evidence_that_has_not_come_or_is_not_named_is_not_there(
    sandbox: Sandbox, partner: Partner, with_files: tuple[bytes, dict[str, Path]]
) -> None:
    raw, paths = with_files
    sandbox.next_requests(scenarios.problem(problems.EVIDENCE_QUOTA, path="/v1/evidence/*"), times=50)
    done = partner.submit(raw, priority="P1", evidence=paths)
    assert done.error is not None
    assert (done.is_complete, done.error.reason) == (False, "evidence-quota")
    (stored,) = sandbox.reports
    assert stored.sealed is not None
    for one in stored.sealed.evidence:
        with pytest.raises(OpeningError):
            sandbox.read_evidence(one.evidence_id)
    with pytest.raises(KeyError):
        sandbox.read_evidence("019ab3c5-7340-7ff3-b7d7-b412be473e63")


def test_scenarios_that_are_cancelled_never_happen(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.problem(problems.STORAGE_UNAVAILABLE, path="/v1/reports"), times=5)
    sandbox.cancel_scenarios()
    assert sandbox.waiting_scenarios == []
    partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
    assert sandbox.waits == []


def test_file_that_is_no_sealed_report_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(FormatError):
        sandbox.import_file(b"{}")
