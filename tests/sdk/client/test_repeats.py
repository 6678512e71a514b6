"""The same report twice within an hour: a P2 or P3 asks, and a P1 always goes."""

import hashlib
from pathlib import Path

import pytest
from msgspec import structs

from partner_sdk.client.exchange import DEFAULT_POLICY
from partner_sdk.errors import RepeatedReportError, TransportError
from partner_sdk.report import IndustryReport
from partner_sdk.report.model import FileHash
from tests.builders import EXAMPLE_REPORT, StillClock, make_industry_report
from tests.sdk.client.test_client import KEYS, RAW, ReceivingGateway, open_client, posts_of
from tests.sdk.evidence_builders import EvidenceGateway, make_report, open_partner, write_plain
from tests.sdk.sdk_builders import Terminal

REPORT = str(EXAMPLE_REPORT)


def open_live(tmp_path: Path, *, clock: StillClock | None = None, **settings: object):
    gateway = ReceivingGateway(KEYS)
    return open_client(tmp_path / "p", gateway, clock=clock, **settings), gateway


@pytest.mark.parametrize("priority", ["P2", "P3"])
def test_same_report_is_refused_for_an_hour_with_the_reference_of_the_first(tmp_path: Path, priority: str) -> None:
    clock = StillClock()
    client, gateway = open_live(tmp_path, clock=clock)
    first = client.submit(RAW, priority=priority)
    for minutes in (0, 59):
        clock.advance(minutes=minutes)
        with pytest.raises(RepeatedReportError) as caught:
            client.submit(make_industry_report(), priority=priority)
        assert (caught.value.reason, caught.value.report_id) == ("sent-before", first.report_id)
        assert caught.value.reference == first.reference
        assert first.reference in str(caught.value)
    assert "59 minutes ago" in str(caught.value)
    clock.advance(minutes=2)
    client.submit(RAW, priority=priority)
    assert len(posts_of(gateway)) == 2


def test_again_sends_it_and_the_next_one_asks_about_that(tmp_path: Path) -> None:
    client, gateway = open_live(tmp_path)
    client.submit(RAW, priority="P2")
    second = client.submit(RAW, priority="P2", again=True)
    with pytest.raises(RepeatedReportError) as caught:
        client.submit(RAW, priority="P2")
    assert caught.value.report_id == second.report_id
    assert len(posts_of(gateway)) == 2


def test_p1_is_never_held_back_and_another_priority_kind_or_word_is_another_report(tmp_path: Path) -> None:
    said: list[str] = []
    client, gateway = open_live(tmp_path, notify=said.append)
    for priority in ("P3", "P2", "P1"):
        first = client.submit(RAW, priority=priority)
    client.submit(RAW, priority="P2", kind="supplement", earlier_reference=first.reference)
    client.submit(RAW.replace(b"Example", b"Another"), priority="P2")
    assert said == []
    client.submit(RAW, priority="P1")
    assert len(posts_of(gateway)) == 6
    assert [first.report_id in line and "A P1 is never held back" in line for line in said] == [True]


@pytest.mark.parametrize("kind", ["receipts", "submissions", "recent"])
def test_damaged_file_of_the_first_one_holds_nothing_back(tmp_path: Path, kind: str) -> None:
    client, gateway = open_live(tmp_path)
    client.submit(RAW, priority="P1")
    for path in [path for path in (tmp_path / "p" / kind).rglob("*") if path.is_file() or path.is_symlink()]:
        path.unlink()
        path.write_bytes(b"damaged")
    client.submit(RAW, priority="P1")
    assert len(posts_of(gateway)) == 2


def test_report_that_waits_is_named_with_the_way_to_send_it_and_a_discarded_one_does_not_count(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS, *[TimeoutError()] * DEFAULT_POLICY.tries))
    with pytest.raises(TransportError):
        client.submit(RAW, priority="P2")
    (waiting,) = client.state.list_undelivered()
    with pytest.raises(RepeatedReportError, match="`spool flush`") as caught:
        client.submit(RAW, priority="P2")
    assert (caught.value.report_id, caught.value.reference) == (waiting, None)
    client.state.discard_submission(waiting)
    client.submit(RAW, priority="P2")


def test_nothing_is_kept_but_digests_under_the_partners_own_key_and_only_for_two_hours(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        clock = StillClock()
        client, _ = open_live(tmp_path / folder, clock=clock)
        for _ in range(3):
            clock.advance(hours=2)
            client.submit(RAW, priority="P2")
        kept = list((tmp_path / folder / "p" / "recent").rglob("*"))
        names.append([path.name for path in kept if path.is_symlink()])
        assert all(len(name) == 64 for name in names[-1])
        assert len(names[-1]) == 1  # of three, hours apart
    assert names[0] == names[1]  # the same key in these tests


def name_hash(report: IndustryReport, path: Path) -> IndustryReport:
    """Return a report that names the hash of its only file."""
    (file,) = report.files
    named = FileHash(type="sha256", value=hashlib.sha256(path.read_bytes()).hexdigest())
    return structs.replace(report, files=(structs.replace(file, hashes=(named,)),))


def test_files_are_not_read_for_a_repeated_report(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    files = {"file-1": write_plain(tmp_path, "a", 1)}
    report = name_hash(make_report("file-1"), files["file-1"])
    client.submit(report, priority="P2", evidence=files)
    files["file-1"].unlink()
    kept = set((tmp_path / "p" / "evidence").iterdir())
    with pytest.raises(RepeatedReportError):
        client.submit(report, priority="P2", evidence=files)
    assert set((tmp_path / "p" / "evidence").iterdir()) == kept


def test_command_sends_the_same_report_only_with_again(line: Terminal) -> None:
    submit = ("report", "submit", REPORT, "--priority", "P2")
    assert line.run(*submit) == 0
    assert line.run(*submit) == 1
    assert "give --again" in line.err
    said = line.json()
    assert (said["delivered"], said["reason"]) == (False, "sent-before")
    assert sorted(said["same_as"]) == ["reference", "report_id"]
    assert line.run(*submit, "--again") == 0
    assert line.run("report", "list") == 0
    assert len(line.json()["receipts"]) == 2


def test_other_file_under_the_same_words_is_another_report(tmp_path: Path) -> None:
    client = open_partner(tmp_path / "p", EvidenceGateway())
    first, other = write_plain(tmp_path, "a", 1), write_plain(tmp_path, "b", 2)
    client.submit(make_report("file-1"), priority="P2", evidence={"file-1": first})
    client.submit(make_report("file-1"), priority="P2", evidence={"file-1": other})  # no hash tells them apart
    with pytest.raises(RepeatedReportError):
        client.submit(make_report("file-1"), priority="P2", evidence={"file-1": other})
