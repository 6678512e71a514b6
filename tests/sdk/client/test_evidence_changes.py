"""Files that change, vanish or come back between two tries: never sealed under a name that is not theirs."""

import os
from pathlib import Path

import pytest
import requests

from partner_sdk.client._evidence_upload import Progress
from partner_sdk.errors import (
    EvidenceError,
)
from partner_sdk.report.reading import NARRATIVE
from tests.sdk.evidence_builders import (
    THREE_PARTS,
    Cut,
    EvidenceGateway,
    is_part,
    make_plain,
    make_problem,
    make_report,
    open_partner,
    open_reference,
    write_plain,
)
from tests.sdk.sdk_builders import Answer

REPORT = make_report("file-1", "file-2")


def test_file_that_changed_between_two_tries_starts_anew_under_a_new_id_and_says_so(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    lines: list[str] = []
    client = open_partner(tmp_path / "p", gateway, notify=lines.append)
    path = write_plain(tmp_path, "a", 5)
    client.submit(REPORT, priority="P1", evidence={"file-1": path})
    path.write_bytes(b"something else")
    cut.is_cut = False
    (handed,) = client.resume_evidence()
    assert handed.is_complete
    first, supplement = gateway.read_posts()
    assert first.evidence[0].evidence_id != supplement.evidence[0].evidence_id
    assert open_reference(gateway, supplement.evidence[0]) == b"something else"
    assert supplement.report.incident.narrative.endswith("under a new evidence id: file-1.")
    assert any("starts again" in line for line in lines)


def test_file_that_is_only_touched_goes_on_under_its_id(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    path = write_plain(tmp_path, "a", 5)
    client.submit(REPORT, priority="P1", evidence={"file-1": path})
    os.utime(path, (1, 1))
    cut.is_cut = False
    client.resume_evidence()
    first, supplement = gateway.read_posts()
    assert first.evidence[0].evidence_id == supplement.evidence[0].evidence_id


def test_file_that_vanishes_does_not_stop_the_others_and_can_come_back(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    gone, there = write_plain(tmp_path, "a", 5), write_plain(tmp_path, "b", 6)
    client.submit(REPORT, priority="P1", evidence={"file-1": gone, "file-2": there})
    gone.unlink()
    cut.is_cut = False
    (handed,) = client.resume_evidence()
    assert [file.file_id for file in handed.waiting] == ["file-1"]
    assert isinstance(handed.error, EvidenceError)
    assert handed.error.reason == "no-such-file"
    write_plain(tmp_path, "a", 5)
    (handed,) = client.resume_evidence()
    assert handed.is_complete


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_file_that_changes_after_it_was_measured_starts_anew_under_a_new_id(tmp_path: Path, priority: str) -> None:
    gateway = EvidenceGateway()
    path = write_plain(tmp_path, "a", 5)
    lines: list[str] = []

    def change(progress: Progress) -> None:
        if progress.file_id == "file-2" and progress.stage == "reading":
            path.write_bytes(b"other")  # file-1 was measured before, and is not sent yet

    files = {"file-1": path, "file-2": write_plain(tmp_path, "b", 5)}
    client = open_partner(tmp_path / "p", gateway, notify=lines.append)
    handed = client.submit(REPORT, priority=priority, evidence=files, on_progress=change)
    assert handed.is_complete
    assert [line for line in lines if "starts again under a new evidence id" in line] == lines
    last = gateway.read_posts()[-1]
    assert open_reference(gateway, last.evidence[0]) == b"other"
    # Only a report that names the old id needs a word about the new one.
    assert ("under a new evidence id: file-1" in last.report.incident.narrative) is (priority == "P1")


def test_file_that_changed_before_the_report_was_sealed_needs_no_word_in_the_supplement(tmp_path: Path) -> None:
    cut = Cut(parts=1)
    gateway = EvidenceGateway(fault=cut)
    path = write_plain(tmp_path, "a", THREE_PARTS)

    def change(progress: Progress) -> None:
        if progress.file_id == "file-2" and progress.stage == "reading":
            path.write_bytes(make_plain(THREE_PARTS, label="other"))

    client = open_partner(tmp_path / "p", gateway)
    files = {"file-1": path, "file-2": write_plain(tmp_path, "b", 5)}
    assert not client.submit(REPORT, priority="P2", evidence=files, on_progress=change).is_complete
    cut.is_cut = False
    assert client.resume_evidence()[0].is_complete
    first, supplement = gateway.read_posts()
    assert first.clear.evidence_ids == supplement.clear.evidence_ids
    assert supplement.report.incident.narrative == NARRATIVE


def test_file_that_is_written_while_it_is_measured_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    path = write_plain(tmp_path, "a", 5)
    client = open_partner(tmp_path / "p", gateway)
    with pytest.raises(EvidenceError) as caught:
        client.submit(
            REPORT,
            priority="P1",
            evidence={"file-1": path},
            on_progress=lambda _: os.truncate(path, 1),
        )
    assert caught.value.reason == "file-changed"
    assert gateway.log == []


def test_gateway_that_holds_other_bytes_under_the_id_is_given_a_new_one(tmp_path: Path) -> None:
    refused: list[str] = []

    def fault(request: requests.PreparedRequest) -> Answer | None:
        if is_part(request) and not refused:
            refused.append(request.path_url)
            return make_problem(409, "conflicting-evidence")
        return None

    gateway = EvidenceGateway(fault=fault)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P2", evidence=files)
    assert handed.is_complete
    (reference,) = gateway.read_posts()[0].evidence
    assert reference.evidence_id not in refused[0]
