"""Handing over: the order for each priority, the content of the reports, and the journal."""

import hashlib
import stat
from pathlib import Path

import msgspec
import pytest

from partner_sdk.client._evidence_upload import EvidenceJournal, Progress
from partner_sdk.errors import (
    EvidenceError,
    LocalStateError,
    ReportError,
)
from partner_sdk.report.model import FileHash
from partner_sdk.report.reading import NARRATIVE
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.submission import Priority
from tests.sdk.evidence_builders import (
    THREE_PARTS,
    Cut,
    EvidenceGateway,
    list_clear,
    make_plain,
    make_report,
    open_partner,
    open_reference,
    write_plain,
)

REPORT = make_report("file-1", "file-2")


def journal_of(folder: Path) -> EvidenceJournal:
    return EvidenceJournal(folder)


def read_journal(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / "evidence").glob("*.json"))


@pytest.mark.parametrize("priority", ["P2", "P3"])
def test_evidence_goes_first_and_the_report_carries_its_digest(tmp_path: Path, priority: str) -> None:
    gateway = EvidenceGateway()
    files = {"file-1": write_plain(tmp_path, "a", THREE_PARTS, label="one"), "file-2": write_plain(tmp_path, "b", 0)}
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(REPORT, priority=priority, evidence=files)
    assert handed.is_complete
    assert handed.supplement is None
    assert client.resume_evidence() == []
    (sealed,) = gateway.read_posts()
    assert [one.file_id for one in sealed.evidence] == ["file-1", "file-2"]
    assert sealed.clear.evidence_ids == tuple(one.evidence_id for one in sealed.evidence)
    assert [one.digest for one in sealed.evidence] == [gateway.held[one.evidence_id].digest for one in sealed.evidence]
    assert [open_reference(gateway, one) for one in sealed.evidence] == [make_plain(THREE_PARTS, label="one"), b""]
    assert gateway.log[-1] == "POST /v1/reports"
    assert gateway.count("PUT") == 4
    assert gateway.count("GET /v1/evidence") == 0
    assert sealed.evidence[0].secret.encode() not in read_journal(tmp_path / "p")


def test_p1_goes_first_and_a_supplement_brings_the_digests(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    heard: list[str] = []
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(
        REPORT,
        priority="P1",
        evidence={"file-2": write_plain(tmp_path, "b", 70_000)},
        on_receipt=lambda receipt: heard.append(f"{receipt.reference} {gateway.count('PUT')}"),
    )
    assert handed.is_complete
    assert heard == [f"{handed.reference} 0"]
    first, supplement = gateway.read_posts()
    assert [one.digest for one in first.evidence] == [None]
    assert first.report == REPORT
    assert (supplement.clear.kind, supplement.clear.priority) == ("supplement", "P3")
    assert supplement.clear.earlier_reference == handed.reference
    assert supplement.clear.evidence_ids == first.clear.evidence_ids
    (reference,) = supplement.evidence
    assert reference.digest == gateway.held[reference.evidence_id].digest
    assert open_reference(gateway, reference) == make_plain(70_000)
    assert gateway.log.index("POST /v1/reports") < gateway.log.index(f"PUT /v1/evidence/{reference.evidence_id}/0")
    assert handed.supplement is not None
    assert {one.report_id for one in client.receipts()} == {handed.report_id, handed.supplement.report_id}


def test_supplement_says_nothing_about_anybody(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    files = {"file-1": write_plain(tmp_path, "a", 1)}
    open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P1", evidence=files)
    cover = gateway.read_posts()[1].report
    assert cover.incident.narrative == NARRATIVE
    assert (cover.suspects, cover.children, cover.other_people, cover.conversations) == ((), (), (), ())
    assert cover.incident.places == ()
    assert [file.file_id for file in cover.files] == ["file-1"]
    assert cover.reporter.organisation == REPORT.reporter.organisation


def test_each_report_has_a_secret_of_its_own(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    files = {"file-1": write_plain(tmp_path, "a", 1), "file-2": write_plain(tmp_path, "b", 2)}
    for _ in range(2):
        client.submit(REPORT, priority="P2", evidence=files, again=True)
    secrets = [{one.secret for one in sealed.evidence} for sealed in gateway.read_posts()]
    assert [len(one) for one in secrets] == [1, 1]
    assert secrets[0] != secrets[1]
    assert gateway.count("PUT") == 4


def test_secret_of_a_sealed_report_is_never_used_for_another(tmp_path: Path) -> None:
    gateway = EvidenceGateway(fault=Cut(parts=0))
    client = open_partner(tmp_path / "p", gateway)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    for _ in range(2):
        client.submit(REPORT, priority="P1", evidence=files)
    one, two = gateway.read_posts()
    assert one.evidence[0].secret != two.evidence[0].secret
    assert one.evidence[0].evidence_id != two.evidence[0].evidence_id


def test_journal_is_private_and_forgets_the_secret_once_all_is_done(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", 5)})
    secret = gateway.read_posts()[0].evidence[0].secret.encode()
    assert secret in read_journal(tmp_path / "p")
    (path,) = (tmp_path / "p" / "evidence").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    cut.is_cut = False
    client.resume_evidence()
    assert secret not in read_journal(tmp_path / "p")
    entry = journal_of(tmp_path / "p").get(handed.report_id)
    assert entry.is_done
    assert [file.digest for file in entry.files] == [held.digest for held in gateway.held.values()]
    with pytest.raises(LocalStateError):
        entry.get_secret()
    assert {path.suffix for path in (tmp_path / "p" / "evidence").iterdir()} == {".json"}


def test_journal_never_holds_a_word_of_the_report(tmp_path: Path) -> None:
    client = open_partner(tmp_path / "p", EvidenceGateway(fault=Cut(parts=0)))
    client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", 5)})
    journal = read_journal(tmp_path / "p")
    assert NARRATIVE.encode() in journal
    for words in (REPORT.incident.narrative, REPORT.incident.time_meaning, REPORT.children[0].service_user_id):
        assert encode(words).strip(b'"') not in journal


def test_progress_covers_reading_and_sending_and_ends_at_the_whole(tmp_path: Path) -> None:
    seen: list[Progress] = []
    files = {"file-1": write_plain(tmp_path, "a", THREE_PARTS)}
    open_partner(tmp_path / "p", EvidenceGateway()).submit(
        REPORT, priority="P2", evidence=files, on_progress=seen.append
    )
    for stage in ("reading", "sending"):
        of_stage = [one for one in seen if one.stage == stage]
        done = [one.done_bytes for one in of_stage]
        assert done == sorted(done)
        assert done[-1] == of_stage[-1].total_bytes
        assert len(of_stage) >= 3


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"file-9": "a"}, "No file in the report has this file_id"),
        ({"a": "file-1"}, "swap them"),
    ],
)
def test_file_that_the_report_does_not_list_is_a_fault_and_nothing_is_sent(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    gateway = EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    with pytest.raises(ReportError) as caught:
        client.submit(REPORT, priority="P1", evidence={name: Path(path) for name, path in files.items()})
    (fault,) = caught.value.faults
    assert fault.pointer == "#/files"
    assert words in fault.detail
    assert gateway.log == []


def test_listed_file_need_not_be_handed_over(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    files = {"file-2": write_plain(tmp_path, "b", 5)}
    assert open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P2", evidence=files).is_complete


def test_missing_file_is_told_before_anything_is_sealed_or_sent(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    with pytest.raises(EvidenceError) as caught:
        client.submit(REPORT, priority="P1", evidence={"file-1": tmp_path / "none"})
    assert caught.value.reason == "no-such-file"
    assert gateway.log == []
    assert client.state.list_undelivered() == []


def test_no_file_at_all_is_a_report_without_evidence(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P1", evidence={})
    assert handed.is_complete
    assert [one.evidence_ids for one in list_clear(gateway.posts)] == [()]
    assert not (tmp_path / "p" / "evidence").exists()


def test_more_files_than_a_report_may_name_are_refused_before_one_is_read(tmp_path: Path) -> None:
    names = [f"file-{number}" for number in range(1001)]
    gateway = EvidenceGateway()
    with pytest.raises(ReportError) as caught:
        open_partner(tmp_path / "p", gateway).submit(
            make_report(*names), priority="P2", evidence=dict.fromkeys(names, tmp_path / "none")
        )
    assert "at most 250 files" in caught.value.faults[0].detail


@pytest.mark.parametrize("priority", ["P1", "P2"])
@pytest.mark.parametrize(
    ("changes", "field"),
    [({"size_bytes": 6}, "size_bytes"), ({"hashes": (FileHash(type="sha256", value="0" * 64),)}, "hashes")],
)
def test_file_that_is_not_what_the_report_says_is_a_fault_before_anything_is_sealed(
    tmp_path: Path, changes: dict[str, object], field: str, priority: Priority
) -> None:
    report = make_report("file-0", "file-1")
    files = (report.files[0], msgspec.structs.replace(report.files[1], **changes))
    report, gateway = msgspec.structs.replace(report, files=files), EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    with pytest.raises(ReportError) as caught:
        client.submit(report, priority=priority, evidence={"file-1": write_plain(tmp_path, "a", 5)})
    assert caught.value.reason == "other-file"
    (fault,) = caught.value.faults
    assert fault.pointer == f"#/files/1/{field}"
    assert "hand over the reported file" in fault.detail
    assert gateway.log == []
    assert client.state.list_undelivered() == []


def test_file_that_is_what_the_report_says_goes(tmp_path: Path) -> None:
    path = write_plain(tmp_path, "a", 5)
    said = {
        "size_bytes": 5,
        "hashes": (FileHash(type="sha256", value=hashlib.sha256(path.read_bytes()).hexdigest().upper()),),
    }
    report = make_report("file-1")
    report = msgspec.structs.replace(report, files=(msgspec.structs.replace(report.files[0], **said),))
    assert (
        open_partner(tmp_path / "p", EvidenceGateway())
        .submit(report, priority="P1", evidence={"file-1": path})
        .is_complete
    )
