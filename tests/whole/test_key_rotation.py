"""A partner goes over to new keys while it submits: no report is refused or lost, and each is filed once."""

from pathlib import Path

import pytest

from gateway.desk.cases.model import list_cases
from partner_sdk.client._keys import find_pending
from partner_sdk.client.partner import Partner
from partner_sdk.errors import NotAuthorisedError
from partner_sdk.key_files import KeyRole
from partner_sdk.report import IndustryReport, parse_report
from tests.desk.account_builders import REPORT, Service
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path, is_enrolled=False)


@pytest.fixture
def service(loop: Loop, tmp_path: Path) -> Service:
    service = Service(loop, tmp_path / "partner")
    service.enrol()
    return service


def list_filed(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return sorted(case.reference for case in list_cases(connection))


def submit(partner: Partner) -> str:
    return partner.submit(REPORT, priority="P2", again=True).reference


def test_rotation_under_a_stream_of_reports_refuses_and_loses_none(loop: Loop, service: Service) -> None:
    # Two processes of long standing, each with the old key in its memory, and one that seals for later.
    first, second, spooling = service.open(), service.open(), service.open()
    old = service.open().state.read_key(KeyRole.SUBMISSION).key_id
    references = [submit(first), submit(second)]
    waiting = [spooling.seal_report(parsed(), priority="P2", again=True) for _ in range(3)]
    rotation = service.rotate()
    references += [submit(first), submit(second)]  # the question is asked
    loop.collect()
    taken = service.take_changes()
    assert [change.change_id for change in taken.waiting] == [rotation.change_id]
    references += [submit(first), submit(second)]  # it waits for a person; the desk collects these afterwards
    service.accept(rotation.change_id)
    # From here the register names the new key alone, and no process has heard of it.
    references += [submit(first), submit(second), submit(first)]
    assert find_pending(first.state) is None
    new = first.state.read_key(KeyRole.SUBMISSION).key_id
    assert (new, first.transport.key_id, second.transport.key_id) == (
        rotation.new_key_ids["submission"],
        new,
        new,
    )
    assert new != old
    references += [attempt.receipt.reference for attempt in spooling.resume() if attempt.receipt is not None]
    assert len(references) == 9 + len(waiting)
    loop.collect()
    assert list_filed(loop) == sorted(references)
    assert loop.count("quarantine") == 0
    assert service.rotate().is_done is False  # and the next one begins


def parsed() -> IndustryReport:
    return parse_report(REPORT, priority="P2")


def test_what_lay_in_the_spool_for_longer_than_the_grace_is_signed_again_and_taken(
    loop: Loop, service: Service
) -> None:
    partner = service.open()
    report_id = partner.seal_report(parsed(), priority="P2", again=True)
    before = partner.state.find_submission(report_id)
    rotation = service.rotate()
    service.take_changes()
    service.accept(rotation.change_id)
    loop.clock.advance(days=14)
    loop.publish()
    (attempt,) = service.open().resume()
    assert attempt.receipt is not None
    after = partner.state.find_submission(report_id)
    assert before is not None
    assert after is not None
    assert (after[1].envelope, after[1].statement.payload) == (before[1].envelope, before[1].statement.payload)
    assert after[1].statement.signatures[0].keyid == rotation.new_key_ids["submission"]
    loop.collect()
    assert list_filed(loop) == [attempt.receipt.reference]


def test_report_whose_reply_was_lost_before_its_key_ended_keeps_its_first_receipt(loop: Loop, service: Service) -> None:
    partner = service.open()
    reference = submit(partner)
    (report_id,) = partner.state.list_receipts()
    (service.folder / "receipts" / f"{report_id}.json").unlink()
    rotation = service.rotate()
    service.take_changes()
    service.accept(rotation.change_id)
    loop.clock.advance(days=14)
    loop.publish()
    assert service.open().deliver(report_id).reference == reference
    loop.collect()
    assert list_filed(loop) == [reference]


def test_mailbox_opens_what_was_sealed_before_during_and_after_a_rotation(loop: Loop, service: Service) -> None:
    service.tell("before")
    rotation = service.rotate()
    service.tell("asked")
    service.take_changes()
    service.accept(rotation.change_id)
    service.tell("after")
    assert service.read() == [b'{"text":"before"}', b'{"text":"asked"}', b'{"text":"after"}']
    again = service.rotate()
    service.take_changes()
    service.accept(again.change_id)
    service.tell("later")
    assert service.read() == [b'{"text":"later"}']


def test_lost_folder_is_enrolled_again_and_the_old_key_ends(loop: Loop, service: Service, tmp_path: Path) -> None:
    old = service.open()
    submit(old)
    service.tell("read already")
    assert service.read() == [b'{"text":"read already"}']
    service.tell("not read")
    renewed = Service(loop, tmp_path / "renewed")
    renewed.enrol()
    with pytest.raises(NotAuthorisedError):
        submit(old)
    assert send_out(loop.desk, "message") == 2
    # Everything comes again: the folder that had read the first one is lost, and the chain is whole.
    assert renewed.read() == [b'{"text":"read already"}', b'{"text":"not read"}']
    submit(renewed.open())
    loop.collect()
    with loop.desk.store.read() as connection:
        cases = list_cases(connection)
    assert [case.partner for case in cases] == ["example-chat", "example-chat"]
    assert renewed.read() == []
