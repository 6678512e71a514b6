"""`report-abuse-partner`: exit codes that mean something, the environment on every line, the emergency words."""

import io
import json
import sys
from pathlib import Path

import pytest
import requests
from requests.adapters import BaseAdapter

from gateway.store.items import put_invitation
from gateway.testing.transport import WsgiTransport
from partner_sdk._commands.runtime import EMERGENCY, EXIT_FAILED, EXIT_NOT_DELIVERED
from partner_sdk.lazy_group import INTERRUPTED
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.enrolment import secret_sha256
from partner_sdk.wire.problems import NOT_A_REPORT
from tests.builders import (
    DAY,
    EXAMPLE_REPORT,
    NOW,
    PUBLIC_ORIGIN,
    Agency,
    House,
    Partner,
    make_house,
)
from tests.sdk.mailbox_builders import Post, make_post, post_to
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_digest, make_invitation, make_state

REPORT = str(EXAMPLE_REPORT)


class OneFailure(BaseAdapter):
    """Loses the first report, and passes everything else on."""

    def __init__(self, adapter: BaseAdapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.is_used = False

    def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
        if request.path_url == "/v1/reports" and not self.is_used:
            self.is_used = True
            raise TimeoutError
        return self.adapter.send(request, **settings)

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def sandbox(tmp_path: Path) -> House:
    house = make_house(tmp_path / "sandbox-gateway", agency=Agency(environment="sandbox"))
    house.publish(Partner(environment="sandbox").entry())
    return house


@pytest.fixture
def rehearsal(sandbox: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    make_state(tmp_path / "partner", agency=sandbox.agency, partner=Partner(environment="sandbox"))
    return Terminal(tmp_path / "partner", WsgiTransport(sandbox.open_app("industry")), capsys)


def test_submit_delivers_and_names_reference_and_receipt(line: Terminal) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P2") == 0
    said = line.json()
    assert said["delivered"] is True
    assert said["environment"] == "live"
    assert said["not_a_report"] is False
    assert Path(str(said["receipt_file"])).is_file()
    assert line.run("receipt", "verify", str(said["receipt_file"])) == 0
    assert str(said["reference"]) in line.out
    assert line.run("report", "status", str(said["report_id"])) == 0
    assert "received" in line.out
    assert line.run("report", "list") == 0
    (row,) = line.json()["receipts"]
    assert (row["reference"], row["kind"], row["priority"]) == (said["reference"], "initial", "P2")


def test_status_takes_the_reference_as_a_person_types_it(line: Terminal) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P2") == 0
    said = line.json()
    typed = str(said["reference"]).lower().replace("-", " ")
    assert line.run("report", "status", typed) == 0
    assert (line.json()["report_id"], line.json()["stage"]) == (said["report_id"], "received")
    assert line.run("report", "status", "K7QF-2M9TX-D") == EXIT_FAILED
    assert "`report list` shows them all" in line.err
    assert line.run("report", "status", "my report") == EXIT_FAILED
    assert "(bad-reference)" in line.err


def test_every_command_says_not_a_report_in_the_sandbox(rehearsal: Terminal, sandbox: House) -> None:
    post_to(sandbox, make_sandbox_digest())
    commands = [
        ("report", "submit", REPORT, "--priority", "P1"),
        ("report", "list"),
        ("spool", "flush"),
        ("inbox",),
        ("inbox", "--all"),
        ("inbox", "--show", "1"),
        ("digest",),
        ("doctor",),
    ]
    for words in commands:
        assert rehearsal.run(*words) == 0, words
        assert all(NOT_A_REPORT in one for one in rehearsal.err.splitlines()), words
        assert rehearsal.json()["not_a_report"] is True
        assert rehearsal.json()["environment"] == "sandbox"


def test_p1_that_is_not_delivered_prints_the_emergency_words_and_stays(broken_line: Terminal, line: Terminal) -> None:
    assert broken_line.run("report", "submit", REPORT, "--priority", "P1") == EXIT_NOT_DELIVERED
    assert EMERGENCY in broken_line.err
    assert "call 999" in EMERGENCY
    assert "NOT DELIVERED" in broken_line.err
    assert broken_line.run("report", "list") == 0
    assert len(broken_line.json()["undelivered"]) == 1


def test_emergency_words_come_with_the_first_wait_for_a_p1(line: Terminal) -> None:
    slow = Terminal(line.folder, OneFailure(line.adapter), line.capsys)
    assert slow.run("report", "submit", REPORT, "--priority", "P1") == 0
    assert slow.err.count(EMERGENCY) == 1
    slow = Terminal(line.folder, OneFailure(line.adapter), line.capsys)
    assert slow.run("report", "submit", REPORT, "--priority", "P3") == 0
    assert "Trying again" in slow.err
    assert EMERGENCY not in slow.err


def test_emergency_words_come_when_a_p1_is_stopped_by_hand(line: Terminal) -> None:
    stopped = Terminal(line.folder, ScriptedGateway(KeyboardInterrupt()), line.capsys)
    assert stopped.run("report", "submit", REPORT, "--priority", "P1") == INTERRUPTED
    assert stopped.err.count(EMERGENCY) == 1
    assert "Traceback" not in stopped.err


@pytest.mark.parametrize("content", ["{}", "not json", None])
def test_p1_that_cannot_be_read_prints_the_emergency_words(line: Terminal, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert line.run("report", "submit", str(file), "--priority", "P1") == EXIT_FAILED
    assert EMERGENCY in line.err
    assert line.json()["environment"] == "live"


def test_p1_from_a_folder_without_enrolment_prints_the_emergency_words(line: Terminal, tmp_path: Path) -> None:
    line.folder = tmp_path / "none"
    assert line.run("report", "submit", REPORT, "--priority", "P1") == EXIT_FAILED
    assert EMERGENCY in line.err
    assert line.json()["delivered"] is False
    assert line.json()["reason"] == "no-state"


def test_report_is_read_from_standard_input(line: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(EXAMPLE_REPORT.read_bytes())

    monkeypatch.setattr(sys, "stdin", Input)
    assert line.run("report", "submit", "-", "--priority", "P2") == 0


def test_discarded_report_is_gone(broken_line: Terminal) -> None:
    broken_line.run("report", "submit", REPORT, "--priority", "P3")
    report_id = str(broken_line.json()["report_id"])
    assert broken_line.run("report", "discard", report_id) == 0
    assert broken_line.run("report", "discard", report_id) == EXIT_FAILED
    assert "[live]" in broken_line.err


def make_sandbox_digest() -> Post:
    body = to_base64url(encode(make_digest(environment="sandbox")))
    return make_post(1, body=body, kind="digest", agency=Agency(environment="sandbox"))


def test_digest_comes_as_json(line: Terminal, house: House) -> None:
    assert line.run("digest") == EXIT_FAILED
    assert "No digest has arrived yet" in line.err
    post_to(house, make_post(1, body=to_base64url(encode(make_digest())), kind="digest"))
    assert line.run("digest") == 0
    assert line.json()["digest"] == json.loads(encode(make_digest()))
    assert line.run("digest", "--quarter", "2020-Q1") == EXIT_FAILED


def test_empty_inbox_says_so(line: Terminal) -> None:
    assert line.run("inbox") == 0
    assert line.json()["messages"] == []
    assert line.run("inbox", "--show", "5") == EXIT_FAILED


def test_enrol_makes_the_folder_and_names_what_to_compare(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with house.open_gateway().store.write() as connection:
        put_invitation(connection, secret_sha256=secret_sha256(bytes(32)), partner="new-chat", expires_at=NOW + 7 * DAY)
    invitation = make_invitation(house.agency, Partner(partner="new-chat"))
    file = tmp_path / "invitation.json"
    file.write_bytes(encode(invitation) + b"\n")
    line = Terminal(tmp_path / "new", WsgiTransport(house.open_app("industry")), capsys)
    assert line.run("enrol", str(file)) == 0
    assert invitation.root_fingerprint in line.out
    assert set(line.json()["key_ids"]) == {"submission", "context", "mailbox"}
    assert invitation.secret not in line.out + line.err
    assert line.run("doctor") == EXIT_FAILED
    assert "not approved yet" in line.out
    assert line.run("enrol", str(file)) == 0
    assert line.json()["partner"] == "new-chat"


def test_bad_invitation_fails_without_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "invitation.json"
    file.write_bytes(b"{}")
    line = Terminal(tmp_path / "new", ScriptedGateway(), capsys)
    assert line.run("enrol", str(file)) == EXIT_FAILED
    assert "bad-invitation" in line.err
    assert not line.folder.exists()


def test_doctor_fails_when_the_gateway_does_not_answer(broken_line: Terminal) -> None:
    assert broken_line.run("doctor") == EXIT_FAILED
    rows = broken_line.json()["findings"]
    assert any(PUBLIC_ORIGIN in row["detail"] for row in rows if row["verdict"] == "fault")
