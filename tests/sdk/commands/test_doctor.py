"""`doctor`: each thing that is wrong is found, and comes with a sentence about how to fix it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from partner_sdk._commands.runtime import EXIT_FAILED
from partner_sdk.client import account
from partner_sdk.client._evidence_upload import EvidenceJournal, JournalEntry, JournalFile
from partner_sdk.client.account import KEYS_ARE_OLD_AFTER, Finding, examine
from partner_sdk.client.partner import Partner as Client
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import format_time, make_report_id, to_base64url
from partner_sdk.wire.mailbox import encode_body
from partner_sdk.wire.submission import Priority
from tests.builders import DAY, EXAMPLE_REPORT, NOW, House, Partner, StillClock
from tests.sdk.mailbox_builders import make_post, make_request, post_bodies, post_to
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_state, session_for

RAW = EXAMPLE_REPORT.read_bytes()


@pytest.fixture
def client(house: House, tmp_path: Path) -> Client:
    make_state(tmp_path / "partner", agency=house.agency)
    session = session_for(WsgiTransport(house.open_app("industry")))
    return Client.open(tmp_path / "partner", session=session, clock=StillClock(), sleep=lambda _: None)


def find(client: Client, name: str, *, days: int = 0, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Return the findings of one name that are not well, and check that each names its fix."""
    found = list(examine(client, now=NOW + days * DAY, environ=environ or {}))
    for one in found:
        assert (one.fix == "") == (one.verdict == "ok"), one
        assert one.fix == "" or one.fix.endswith("."), one
    return [one for one in found if one.name == name and one.verdict != "ok"]


def seal(client: Client, priority: Priority) -> str:
    return client.seal_report(parse_report(RAW, priority=priority), priority=priority)


def test_p1_that_waits_fails_and_the_mending_begins_with_999(client: Client) -> None:
    seal(client, "P1")
    (one,) = find(client, "spool")
    assert one.verdict == "fault"
    assert "a P1 among them" in one.detail
    assert one.fix.startswith("If a child is in danger now, call 999.")
    assert "spool flush" in one.fix


@pytest.mark.parametrize(("days", "verdict"), [(0, "warning"), (2, "fault")])
def test_report_that_waits_is_told_with_its_age_and_fails_after_a_day(client: Client, days: int, verdict: str) -> None:
    seal(client, "P3")
    (one,) = find(client, "spool", days=days)
    assert one.verdict == verdict
    assert format_time(NOW) in one.detail
    assert "999" not in one.fix


def test_submission_that_cannot_be_read_is_named(client: Client) -> None:
    report_id = seal(client, "P3")
    (client.state.folder / "submissions" / f"{report_id}.json").write_bytes(b"{")
    texts = [one.detail for one in find(client, "spool")]
    assert any(report_id in text for text in texts)


@pytest.mark.parametrize(("is_sealed", "fix"), [(True, "spool flush"), (False, "the same report submit")])
def test_evidence_that_waits_is_told(client: Client, is_sealed: bool, fix: str) -> None:
    report_id = seal(client, "P3") if is_sealed else make_report_id(NOW, bytes(10))
    file = JournalFile(
        digest=None,
        evidence_id=make_report_id(NOW, b"\2" * 10),
        file_id="file-1",
        has_new_id=False,
        path="/nowhere/file",
        sha256="0" * 64,
        size_bytes=5,
    )
    entry = JournalEntry(
        begun_at=format_time(NOW),
        cover=None,
        files=(file,),
        priority="P3",
        report_id=report_id,
        secret=to_base64url(bytes(32)),
        supplement_id=make_report_id(NOW, b"\3" * 10),
    )
    EvidenceJournal(client.state.folder).save(entry)
    (one,) = find(client, "evidence")
    assert report_id in one.detail
    assert fix in one.fix


def test_damaged_evidence_entry_is_told_and_stops_nothing(client: Client) -> None:
    folder = client.state.folder / "evidence"
    folder.mkdir(mode=0o700)
    (folder / f"{make_report_id(NOW, bytes(10))}.json").write_bytes(b"{")
    (folder / f"{make_report_id(NOW, bytes(10))}.json").chmod(0o600)
    (one,) = find(client, "evidence")
    assert one.verdict == "fault"


def test_requests_that_are_late_or_soon_due_are_told(client: Client, house: House) -> None:
    late = make_request(2, due_at=format_time(NOW - DAY))
    soon = make_request(3, due_at=format_time(NOW + DAY))
    far = make_request(4, due_at=format_time(NOW + 6 * DAY))
    post_bodies(house, *(encode_body(one) for one in (late, soon, far)), b"{}")
    client.collect_mailbox()
    found = find(client, "requests")
    assert [one.verdict for one in found] == ["warning", "fault", "warning"]
    assert "message 4 cannot be read" in found[0].detail
    assert late.request_id in found[1].fix
    assert soon.request_id in found[2].fix


def test_gap_in_the_mailbox_is_told_with_the_telephone(client: Client, house: House) -> None:
    post_to(house, make_post(1), make_post(3, previous="ab" * 32))
    client.collect_mailbox()
    (one,) = find(client, "mailbox")
    assert "phone the agency" in one.fix


def test_saved_message_that_is_damaged_is_told(client: Client, house: House) -> None:
    post_to(house, make_post(1))
    client.collect_mailbox()
    (client.state.folder / "mailbox" / "00000001.json").write_bytes(b"{")
    assert [one.verdict for one in find(client, "requests")] == ["fault"]


def test_file_that_others_can_read_is_named_with_the_command(client: Client) -> None:
    file = client.state.folder / "key-set.json"
    client.refresh_key_set()
    file.chmod(0o644)
    (one,) = find(client, "folder")
    assert str(file) in one.detail
    assert f"chmod -R go= {client.state.folder}" in one.fix


@pytest.mark.parametrize("name", ["folder", "submission key"])
def test_key_that_others_may_have_read_is_ended_by_the_agency_and_not_rotated(client: Client, name: str) -> None:
    (client.state.folder / "keys" / "submission.key").chmod(0o644)
    (one,) = find(client, name)
    assert "phone the agency: it revokes your keys and invites you again" in one.fix
    assert "rotate" not in one.fix


def test_many_open_files_are_counted_not_all_named(client: Client) -> None:
    for place in range(9):
        path = client.state.folder / f"file-{place}"
        path.touch(mode=0o644)
        path.chmod(0o644)
    (one,) = find(client, "folder")
    assert "and 6 more" in one.detail


def test_full_disk_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1024**2

    monkeypatch.setattr(account.shutil, "disk_usage", lambda _: Usage)
    (one,) = find(client, "disk")
    assert "only 1 MiB" in one.detail


def test_old_keys_are_to_be_rotated(client: Client) -> None:
    days = KEYS_ARE_OLD_AFTER.days + 60
    found = find(client, "submission key", days=days)
    assert [(one.verdict, one.fix) for one in found] == [("warning", "Run keys rotate.")]


def test_missing_key_is_told_with_what_is_left_to_do(client: Client) -> None:
    (client.state.folder / "keys" / "context.key").unlink()
    (one,) = find(client, "context key")
    assert "backup" in one.fix


@pytest.mark.parametrize(("answer", "words"), [(TimeoutError(), "network"), ((503, {}, b""), "Wait a few minutes")])
def test_gateway_that_does_not_answer_is_told_with_what_to_check(
    tmp_path: Path, answer: BaseException | tuple[int, dict[str, str], bytes], words: str
) -> None:
    make_state(tmp_path / "partner")
    session = session_for(ScriptedGateway(answer, answer))
    offline = Client.open(tmp_path / "partner", session=session, clock=StillClock(), sleep=lambda _: None)
    (one,) = find(offline, "key set")
    assert one.verdict == "fault"
    assert words in one.fix
    assert [clock.verdict for clock in find_again(tmp_path, answer, "clock")] == ["warning"]


def find_again(tmp_path: Path, answer: BaseException | tuple[int, dict[str, str], bytes], name: str) -> list[Finding]:
    session = session_for(ScriptedGateway(answer, answer))
    return find(Client.open(tmp_path / "partner", session=session, clock=StillClock(), sleep=lambda _: None), name)


def test_partner_that_is_not_approved_is_told_to_call(client: Client, house: House) -> None:
    house.publish(Partner().entry(state="suspended"), serial=2)
    (one,) = find(client, "approval")
    assert "Call the agency" in one.fix


def test_variables_that_change_the_way_are_told_without_their_values(client: Client, tmp_path: Path) -> None:
    there = tmp_path / "ca.pem"
    there.touch()
    environ = {
        "HTTPS_PROXY": "http://user:zebra@proxy",
        "REQUESTS_CA_BUNDLE": str(there),
        "CURL_CA_BUNDLE": "/nowhere/zebra.pem",
        "http_proxy": "",
    }
    found = find(client, "this machine", environ=environ)
    assert [one.detail.split()[0] for one in found] == ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY"]
    assert "names a file that does not exist" in found[1].detail
    assert "NO_PROXY" in found[2].fix
    assert not any("zebra" in one.detail + one.fix for one in found)


def test_command_prints_every_finding_with_its_fix(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_state(tmp_path / "partner", agency=house.agency)
    line = Terminal(tmp_path / "partner", WsgiTransport(house.open_app("industry")), capsys)
    (line.folder / "keys").chmod(0o755)
    assert line.run("doctor") == EXIT_FAILED
    rows = line.json()["findings"]
    assert isinstance(rows, list)
    assert any(row["name"] == "folder" and row["fix"].startswith("Run chmod -R go=") for row in rows)
    assert all(bool(row["fix"]) == (row["verdict"] != "ok") for row in rows)
