"""Handing over through a bad line: delivered parts stay delivered, and nothing is sent twice."""

from pathlib import Path

import pytest
import requests

from partner_sdk.client._evidence_handover import HandedOver
from partner_sdk.client._evidence_upload import EvidenceJournal, Progress
from partner_sdk.client._receipts import write_sealed_file
from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import (
    EvidenceError,
    FormatError,
    LocalStateError,
    RefusedError,
    TransportError,
    UnavailableError,
)
from partner_sdk.wire.canonical import encode
from tests.builders import NOW
from tests.sdk.evidence_builders import (
    THREE_PARTS,
    Cut,
    EvidenceGateway,
    is_part,
    list_clear,
    make_plain,
    make_problem,
    make_report,
    open_partner,
    open_reference,
    write_plain,
)
from tests.sdk.sdk_builders import Answer

REPORT = make_report("file-1", "file-2")


def journal_of(folder: Path) -> EvidenceJournal:
    return EvidenceJournal(folder)


def test_p1_that_is_delivered_is_not_undone_by_a_cut_line_and_goes_on_without_sending_twice(tmp_path: Path) -> None:
    cut = Cut(parts=2)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", THREE_PARTS)})
    assert not handed.is_complete
    assert isinstance(handed.error, TransportError)
    assert [file.file_id for file in handed.waiting] == ["file-1"]
    assert client.state.find_receipt(handed.report_id) == handed.receipt.raw
    (held,) = gateway.held.values()
    assert len(held.parts) == 2
    assert not client.resume_evidence()[0].is_complete
    cut.is_cut, before = False, gateway.count("PUT")
    (resumed,) = open_partner(tmp_path / "p", gateway).resume_evidence()
    assert resumed.is_complete
    assert resumed.report_id == handed.report_id
    assert gateway.count("PUT") == before + 1
    assert len(gateway.held) == 1
    first, supplement = gateway.read_posts()
    assert first.evidence[0].evidence_id == supplement.evidence[0].evidence_id
    assert open_reference(gateway, supplement.evidence[0]) == make_plain(THREE_PARTS)
    assert client.resume_evidence() == []


def test_p2_does_not_wait_for_evidence_that_does_not_get_through(tmp_path: Path) -> None:
    cut = Cut(parts=1)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(REPORT, priority="P2", evidence={"file-1": write_plain(tmp_path, "a", THREE_PARTS)})
    assert isinstance(handed.error, TransportError)
    assert [one.digest for one in gateway.read_posts()[0].evidence] == [None]
    cut.is_cut = False
    (resumed,) = client.resume_evidence()
    assert resumed.is_complete
    assert [one.clear.kind for one in gateway.read_posts()] == ["initial", "supplement"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(make_problem(403, "evidence-quota"), RefusedError), (make_problem(503, "evidence-paused"), UnavailableError)],
)
def test_full_quota_or_a_pause_does_not_hold_the_report(tmp_path: Path, answer: Answer, kind: type[Exception]) -> None:
    gateway = EvidenceGateway(fault=lambda request: answer if is_part(request) else None)
    files = {"file-1": write_plain(tmp_path, "a", 1)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P2", evidence=files)
    assert isinstance(handed.error, kind)
    assert len(gateway.posts) == 1


def test_report_that_is_not_delivered_raises_and_its_evidence_follows_it_later(tmp_path: Path) -> None:
    down = [True]

    def fault(request: requests.PreparedRequest) -> Answer | None:
        if down and request.path_url == "/v1/reports":
            raise requests.ConnectionError
        return None

    gateway = EvidenceGateway(fault=fault)
    client = open_partner(tmp_path / "p", gateway)
    with pytest.raises(TransportError):
        client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", 5)})
    assert len(client.state.list_undelivered()) == 1
    assert client.resume_evidence() == []  # its report first
    assert gateway.count("PUT") == 0
    down.clear()
    client.resume()
    (handed,) = client.resume_evidence()
    assert handed.is_complete
    assert [one.kind for one in list_clear(gateway.posts)] == ["initial", "supplement"]


def interrupt(progress: Progress) -> None:
    if progress.stage == "sending":
        raise KeyboardInterrupt


def test_report_of_an_interrupted_submit_is_saved_and_a_flush_goes_on_with_the_parts_that_are_there(
    tmp_path: Path,
) -> None:
    """The process ends in the middle of the files: the report was on disk before the first part was sent."""
    gateway = EvidenceGateway()
    path = write_plain(tmp_path, "a", THREE_PARTS)
    with pytest.raises(KeyboardInterrupt):
        open_partner(tmp_path / "p", gateway).submit(
            REPORT, priority="P2", evidence={"file-1": path}, on_progress=interrupt
        )
    assert gateway.posts == []
    client = open_partner(tmp_path / "p", gateway)
    (attempt,) = client.resume()
    assert attempt.receipt is not None
    (handed,) = client.resume_evidence()
    assert handed.is_complete
    assert gateway.count("PUT") == 3
    assert len(gateway.held) == 1
    first, supplement = gateway.read_posts()
    assert (first.clear.kind, supplement.clear.kind) == ("initial", "supplement")
    assert first.report == REPORT
    assert open_reference(gateway, supplement.evidence[0]) == make_plain(THREE_PARTS)


def test_same_files_again_say_that_a_report_with_them_waits_already(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    with pytest.raises(KeyboardInterrupt):
        open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P2", evidence=files, on_progress=interrupt)
    (waiting,) = journal_of(tmp_path / "p").list_ids()
    lines: list[str] = []
    again = open_partner(tmp_path / "p", gateway, notify=lines.append)
    handed = again.submit(REPORT, priority="P2", evidence=files, again=True)
    assert handed.is_complete
    assert handed.report_id != waiting
    assert waiting in lines[0]
    assert "`spool flush` sends the rest of it" in lines[0]


def test_flush_beside_a_submit_leaves_the_report_until_its_digests_are_sealed(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    reasons: list[str | None] = []

    def flush_beside(progress: Progress) -> None:
        if progress.stage == "sending" and not reasons:
            beside = open_partner(tmp_path / "p", gateway)
            reasons.extend(None if one.error is None else one.error.reason for one in beside.resume())
            with pytest.raises(LocalStateError):
                write_sealed_file(beside.state, *beside.state.list_undelivered(), tmp_path / "out.json", now=NOW)

    client = open_partner(tmp_path / "p", gateway)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    handed = client.submit(REPORT, priority="P2", evidence=files, on_progress=flush_beside)
    assert reasons == ["in-use"]  # on disk when the first part was sent, and left to the submit that goes on
    assert handed.is_complete
    (sealed,) = gateway.read_posts()
    assert sealed.evidence[0].digest is not None
    assert not (tmp_path / "out.json").exists()


def give_up_a_submit(folder: Path, gateway: EvidenceGateway) -> tuple[Client, dict[str, Path]]:
    """Submit two files, of which the second is gone when its turn comes."""
    files = {"file-1": write_plain(folder, "a", 5), "file-2": write_plain(folder, "b", 6)}

    def remove(progress: Progress) -> None:
        if progress.stage == "sending":
            files["file-2"].unlink(missing_ok=True)

    client = open_partner(folder / "p", gateway)
    with pytest.raises(EvidenceError):
        client.submit(REPORT, priority="P2", evidence=files, on_progress=remove)
    write_plain(folder, "b", 6)
    return client, files


def test_submit_that_a_missing_file_stopped_leaves_nothing_waiting_and_goes_on_with_what_the_gateway_holds(
    tmp_path: Path,
) -> None:
    gateway = EvidenceGateway()
    client, files = give_up_a_submit(tmp_path, gateway)
    assert client.state.list_undelivered() == []
    lines: list[str] = []
    again = open_partner(tmp_path / "p", gateway, notify=lines.append)
    assert again.submit(REPORT, priority="P2", evidence=files).is_complete
    assert gateway.count("PUT") == 2
    assert "only the rest is sent now" in lines[0]


def test_crash_before_the_supplement_was_noted_sends_it_once(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    client = open_partner(tmp_path / "p", gateway)
    handed = client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", 5)})
    before = journal_of(tmp_path / "p").get(handed.report_id)
    cut.is_cut = False
    client.resume_evidence()
    journal_of(tmp_path / "p").save(before)  # the folder as a crash leaves it: the supplement is saved, the rest not
    (again,) = client.resume_evidence()
    assert again.is_complete
    assert [one.kind for one in list_clear(gateway.posts)] == ["initial", "supplement"]
    assert gateway.count("PUT") == 1 + 5  # five tries while the line was cut


def test_part_that_the_gateway_lost_is_sent_again_when_it_says_so(tmp_path: Path) -> None:
    def lose(request: requests.PreparedRequest) -> Answer | None:
        if request.path_url.endswith("/complete") and gateway.count("POST") == 1:
            (held,) = gateway.held.values()
            del held.parts[1]
        return None

    gateway = EvidenceGateway(fault=lose)
    files = {"file-1": write_plain(tmp_path, "a", THREE_PARTS)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P2", evidence=files)
    assert handed.is_complete
    assert gateway.count("PUT") == 4
    assert open_reference(gateway, gateway.read_posts()[0].evidence[0]) == make_plain(THREE_PARTS)


def test_evidence_that_is_complete_and_collected_is_not_sent_again(tmp_path: Path) -> None:
    """The answer to `complete` was lost, and the desk has taken the parts away meanwhile."""
    answers = iter([True] * 5)

    def fault(request: requests.PreparedRequest) -> Answer | None:
        if request.path_url.endswith("/complete") and next(answers, False):
            gateway._answer(request, request.body)
            raise requests.ConnectionError
        return None

    gateway = EvidenceGateway(fault=fault)
    client = open_partner(tmp_path / "p", gateway)
    client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", THREE_PARTS)})
    (held,) = gateway.held.values()
    assert held.digest is not None
    kept, held.parts = held.parts, {}
    gateway.fault = lambda request: (
        (200, {}, encode({"digest": held.digest})) if request.path_url.endswith("/complete") else None
    )
    (handed,) = client.resume_evidence()
    assert handed.is_complete
    assert gateway.count("PUT") == len(kept)


def test_passing_failures_of_a_part_are_tried_again_and_told(tmp_path: Path) -> None:
    failures = iter([(503, {"Retry-After": "1"}, b""), (429, {}, b"")])
    gateway = EvidenceGateway(fault=lambda request: next(failures, None) if is_part(request) else None)
    lines: list[str] = []
    handed = open_partner(tmp_path / "p", gateway, notify=lines.append).submit(
        REPORT, priority="P2", evidence={"file-1": write_plain(tmp_path, "a", 5)}
    )
    assert handed.is_complete
    assert gateway.count("PUT") == 3
    assert all(line.startswith("Part 0: ") for line in lines)
    assert len(lines) == 2


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_answer_for_another_part_is_not_believed_and_does_not_hold_the_report(tmp_path: Path, priority: str) -> None:
    other = encode({"part": 0, "sha256": "0" * 64})
    gateway = EvidenceGateway(fault=lambda request: (201, {}, other) if is_part(request) else None)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority=priority, evidence=files)
    assert isinstance(handed.error, FormatError)
    assert handed.error.reason == "wrong-part"
    assert len(gateway.posts) == 1


def test_digest_of_something_else_is_not_believed(tmp_path: Path) -> None:
    other = encode({"digest": "0" * 64})
    gateway = EvidenceGateway(fault=lambda request: (200, {}, other) if request.path_url.endswith("complete") else None)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P1", evidence=files)
    assert handed.error is not None
    assert (handed.error.reason, [file.file_id for file in handed.waiting]) == ("wrong-digest", ["file-1"])


def test_damaged_answer_ends_the_upload_and_no_thread_waits_for_ever(tmp_path: Path) -> None:
    gateway = EvidenceGateway(fault=lambda request: (201, {}, b"no") if is_part(request) else None)
    files = {"file-1": write_plain(tmp_path, "a", THREE_PARTS)}
    handed = open_partner(tmp_path / "p", gateway).submit(REPORT, priority="P1", evidence=files)
    assert handed.error is not None
    assert handed.error.reason == "malformed"


def test_two_processes_never_send_one_entry_at_once(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    lines: list[str] = []
    client = open_partner(tmp_path / "p", gateway, notify=lines.append)
    handed = client.submit(REPORT, priority="P1", evidence={"file-1": write_plain(tmp_path, "a", 5)})
    cut.is_cut = False
    with journal_of(tmp_path / "p").holding(handed.report_id):
        assert client.resume_evidence() == []
    assert "Another process" in lines[-1]
    assert client.resume_evidence()[0].is_complete


def test_damaged_entry_does_not_stop_the_others(tmp_path: Path) -> None:
    cut = Cut(parts=0)
    gateway = EvidenceGateway(fault=cut)
    lines: list[str] = []
    client = open_partner(tmp_path / "p", gateway, notify=lines.append)
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    bad = client.submit(REPORT, priority="P1", evidence=files)
    client.submit(REPORT, priority="P1", evidence=files)
    (tmp_path / "p" / "evidence" / f"{bad.report_id}.json").write_bytes(b"{")
    cut.is_cut = False
    assert [one.is_complete for one in client.resume_evidence()] == [True]
    assert "damaged" in lines[-1]


def test_entry_of_a_submit_that_was_given_up_is_dropped_with_its_secret_after_a_week(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    client, files = give_up_a_submit(tmp_path, gateway)
    (old,) = journal_of(tmp_path / "p").list_ids()
    client.session.clock.advance(days=8)
    handed = client.submit(REPORT, priority="P2", evidence=files)
    assert isinstance(handed, HandedOver)
    assert journal_of(tmp_path / "p").list_ids() == [handed.report_id]
    assert handed.report_id != old
    assert gateway.count("PUT") == 3
