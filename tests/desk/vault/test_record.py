"""The vault's record of openings: a line before each opening, chained, without content."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.vault import OpenBox
from gateway.desk.vault.record import MAX_LINE_BYTES, OPENINGS_FILE, OpeningRecord, RecordError
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.wire.envelope import Envelope, SealContext
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
    desk.paths.vault.mkdir(mode=0o700)
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


def test_two_processes_that_write_at_once_keep_the_chain(tmp_path: Path) -> None:
    path = tmp_path / OPENINGS_FILE
    writer = (
        "import sys; from pathlib import Path; from tests.desk.vault.test_record import make_request, AT;"
        "from gateway.desk.vault.record import OpeningRecord; record = OpeningRecord(Path(sys.argv[1]));"
        "[record.append(make_request(reason='file'), at=AT) for _ in range(300)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", writer, str(path)]) for _ in range(2)]
    try:
        assert [process.wait(60) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert len(list(OpeningRecord(path).read())) == 600


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
