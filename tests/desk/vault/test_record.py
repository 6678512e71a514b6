"""The vault's record of openings: a line before each opening, chained, without content."""

import json
import os
import resource
import threading
from pathlib import Path

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.desk.vault import OpenBox
from gateway.desk.vault.record import MAX_LINE_BYTES, OPENINGS_FILE, OpeningRecord, RecordError
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.wire.sealing import Envelope, SealContext
from tests.desk.desk_loop import Loop
from tests.desk.view_builders import add_sealed_case

MARKER = "Marker-of-the-record-7731"
AT = "2026-11-25T09:30:00Z"
CONTEXT = SealContext(
    environment="live", purpose="report", sender="public", recipient="agency", id="report-1", kind="initial"
)


def make_request(**changes: str) -> OpenBox:
    values = {"actor": "A. Analyst", "reason": "read", "purpose": "report"} | changes
    return OpenBox(context=CONTEXT, envelope=bytes(100), **values)


def test_reading_a_case_is_recorded_with_person_reason_and_report_and_without_content(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    opened = open_case(desk, case_id, actor="A. Analyst")
    path = desk.paths.vault / OPENINGS_FILE
    (line,) = path.read_text("utf-8").splitlines()
    said = json.loads(line)
    assert (said["actor"], said["reason"], said["purpose"], said["sender"], said["id"]) == (
        *("A. Analyst", "read", "report", "public"),
        opened.case.report_id,
    )
    assert MARKER not in line
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_collecting_is_recorded_as_filing(loop: Loop) -> None:
    loop.send_public()
    loop.send_industry()
    before = len(list(OpeningRecord(loop.desk.paths.vault / OPENINGS_FILE).read()))
    loop.collect()
    lines = list(OpeningRecord(loop.desk.paths.vault / OPENINGS_FILE).read())[before:]
    assert [opening.reason for opening, _ in lines] == ["file", "file"]


def test_opening_that_fails_is_recorded_too(desk: Desk) -> None:
    vault = desk.load_vault(actor="A. Analyst", reason="read")
    with pytest.raises(OpeningError):
        vault.open_report(Envelope(key_id=bytes(8), box=bytes(2000)), context=CONTEXT)
    assert len(list(OpeningRecord(desk.paths.vault / OPENINGS_FILE).read())) == 1


def test_nothing_opens_without_a_record(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    (desk.paths.vault / OPENINGS_FILE).mkdir()  # a file cannot be written there, not even by root
    with pytest.raises(LocalStateError) as caught:
        open_case(desk, case_id, actor="A. Analyst")
    assert caught.value.reason == "not-recorded"


def test_record_goes_on_after_a_restart_and_in_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "vault" / OPENINGS_FILE
    first, second = OpeningRecord(path), OpeningRecord(path)
    for record in (first, second, second, first, OpeningRecord(path)):
        record.append(make_request(), at=AT)
    assert len(list(OpeningRecord(path).read())) == 5


def test_line_waits_until_another_process_has_added_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each has opened the file for itself, as two processes have, and the lock belongs to what was opened (flock(2)).
    first, second = (OpeningRecord(tmp_path / OPENINGS_FILE) for _ in range(2))
    is_writing, may_write = threading.Event(), threading.Event()
    write = OpeningRecord._write

    def write_late(record: OpeningRecord, descriptor: int, line: bytes, *, is_durable: bool) -> None:
        if record is first:
            is_writing.set()
            assert may_write.wait(60)
        write(record, descriptor, line, is_durable=is_durable)

    monkeypatch.setattr(OpeningRecord, "_write", write_late)
    early, late = (
        threading.Thread(target=one.append, args=(make_request(),), kwargs={"at": AT}) for one in (first, second)
    )
    early.start()
    assert is_writing.wait(60)
    late.start()
    late.join(0.2)  # without the lock it needs less
    is_waiting = late.is_alive()
    may_write.set()
    for thread in (early, late):
        thread.join()
    assert is_waiting
    assert len(list(first.read())) == 2


@pytest.mark.parametrize("change", ["alter", "remove", "insert", "swap"])
def test_changed_record_is_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / OPENINGS_FILE
    for number in range(4):
        OpeningRecord(path).append(make_request(actor=f"person {number}"), at=AT)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "alter": [lines[0].replace(b"person 0", b"person 9"), *lines[1:]],
        "remove": [lines[0], *lines[2:]],
        "insert": [*lines[:2], lines[1], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
    }
    path.write_bytes(b"".join(changed[change]))
    with pytest.raises(RecordError) as caught:
        list(OpeningRecord(path).read())
    assert caught.value.reason == "broken-record"


def test_line_that_lost_its_end_stays_and_the_chain_goes_on_behind_it(tmp_path: Path) -> None:
    path = tmp_path / OPENINGS_FILE
    for _ in range(2):
        OpeningRecord(path).append(make_request(), at=AT)
    os.truncate(path, path.stat().st_size - 10)
    OpeningRecord(path).append(make_request(), at=AT)
    assert len(path.read_bytes().splitlines()) == 3
    with pytest.raises(RecordError) as caught:
        list(OpeningRecord(path).read())
    assert caught.value.reason == "unreadable-line"
    assert "line 2" in str(caught.value).lower()


def test_line_that_the_disk_cuts_short_goes_again_and_the_next_one_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / OPENINGS_FILE
    record = OpeningRecord(path)
    record.append(make_request(), at=AT)
    former, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(LocalStateError) as caught:
            record.append(make_request(), at=AT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (former, hard))
    assert (caught.value.reason, "the disk is full" in str(caught.value)) == ("not-recorded", True)
    record.append(make_request(), at=AT)
    assert len(list(OpeningRecord(path).read())) == 2


def test_longest_line_fits_and_a_longer_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / OPENINGS_FILE
    OpeningRecord(path).append(make_request(actor="\x01" * 200), at=AT)
    assert path.stat().st_size < MAX_LINE_BYTES
    OpeningRecord(path).append(make_request(), at=AT)
    assert len(list(OpeningRecord(path).read())) == 2
    with pytest.raises(FormatError):
        OpeningRecord(path).append(make_request(actor="x" * 201), at=AT)
