"""`case list` and `case show` match the pages, for people and for machines."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest

from gateway.desk.cases import commands as case_commands
from gateway.desk.cases.closing import schedule_outcome, take_back
from gateway.desk.cases.model import CaseError
from gateway.desk.cli import main
from gateway.desk.terminal import DONE
from partner_sdk.report import encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import NOW, make_clear_fields, make_industry_report
from tests.builders.reports import SealedReport, sign_for_envelope
from tests.desk.asking_builders import ask
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import file, find, make_full_report, make_fullest_report, read, set_partner
from tests.desk.people_builders import ACTOR
from tests.desk.work_builders import make_ready


@dataclass
class Terminal:
    """Runs commands on the desk of a loop."""

    loop: Loop
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        self.capture.readouterr()
        code = main([*words, "--state", str(self.loop.desk.paths.state)])
        out, err = self.capture.readouterr()
        return code, out, err

    def read_json(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--json")
        assert (code, err) == (DONE, "")
        return json.loads(out)


@pytest.fixture
def terminal(loop: Loop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # With the clock of the loop: its keys are of that time.
    monkeypatch.setattr(case_commands, "open_desk", lambda state: loop.desk)
    return Terminal(loop, capsys)


def test_list_tells_source_new_reports_and_retraction(terminal: Terminal, loop: Loop) -> None:
    set_partner(loop.desk, type="police", country="IE")
    found = read(loop)
    later = file(loop, kind="retraction", earlier_reference=found.reference)
    code, out, _ = terminal.run("case", "list")
    header, line = out.splitlines()
    assert (code, "CAME BY" in header) == (DONE, True)
    for mark in (found.reference, "police IE", "TAKEN BACK BY ITS SENDER", "NEW: retraction", "2 reports"):
        assert mark in line
    assert later.reference not in line
    (listed,) = terminal.read_json("case", "list")["cases"]
    assert listed["source"] == {"country": "IE", "name": "Example Chat", "type": "police"}
    assert listed["later"] == {"count": 1, "is_taken_back": True, "unread": ["retraction"]}


def test_words_of_a_partner_never_become_a_command_of_this_desk(terminal: Terminal, loop: Loop) -> None:
    command = "report-abuse-desk partner suspend example-chat"
    report = make_full_report()
    report = msgspec.structs.replace(report, reporter=msgspec.structs.replace(report.reporter, own_reference=command))
    found = file(loop, report)
    loop.clock.advance(hours=1)
    later = msgspec.structs.replace(report, change_reason=command)
    taken_back = file(loop, later, kind="retraction", earlier_reference=found.reference)
    set_partner(loop.desk, name=command, type="police", country="IE")
    out = terminal.run("case", "show", found.reference)[1].splitlines()
    assert f"Source: Police, IE: {command}" in out
    assert f"Their own number: {command}" in out  # without the --state that makes it ready to run
    assert f"THE PARTNER TAKES IT BACK ({taken_back.reference}): {command}" in out


def test_show_prints_the_first_report_whole_and_then_what_came_later(terminal: Terminal, loop: Loop) -> None:
    found = file(loop, make_full_report(linked_reports=("K7QF-2M9TX-D",)))
    loop.clock.advance(hours=1)
    report = make_full_report(change_reason="A test of ours.", uk_link="no")
    later = file(loop, report, kind="retraction", earlier_reference=found.reference)
    code, out, _ = terminal.run("case", "show", found.reference)
    lines = out.splitlines()
    order = [
        f"THE PARTNER TAKES IT BACK ({later.reference}): A test of ours.",
        "The 2 reports of this case:",
        "WHY IT IS URGENT",
        "SUSPECTS (1)",
        "CONVERSATION (2 messages)",
        "PARTICULARS",
    ]
    places = [lines.index(line) for line in order]
    assert (code, places) == (DONE, sorted(places))
    assert lines.index("PARTICULARS") < next(i for i, line in enumerate(lines) if line.startswith("RETRACTION "))
    for said in (
        "Their own number: example-ticket-7",
        "belongs to K7QF-2M9TX-D (not at this desk)",
        "  Former names: Not held: none exists",
        "Suspect 1, 2026-11-24 18:20:00 UTC, to Child 1, text: [message]",
    ):
        assert said in out


def test_show_gives_the_reasons_of_the_rank_first_and_what_is_missing_in_one_line(
    terminal: Terminal, loop: Loop
) -> None:
    found = file(loop, make_industry_report(), priority="P1")
    _, out, _ = terminal.run("case", "show", found.reference)
    lines = out.splitlines()
    assert "sent as P1" in lines[1]
    assert lines[2].startswith("Crisis lane, score ")
    assert lines[3].strip() == "30 Sent as P1"
    (missing,) = (number for number, line in enumerate(lines) if "missing" in line)
    assert lines[missing].startswith("Completeness: 4 of 100, as counted by this desk; 46 missing: Incident: Signs of ")
    assert lines[missing].endswith("; ....")
    assert lines.index("WHY IT IS URGENT") < missing


def test_show_prints_every_word_of_the_fullest_report(terminal: Terminal, loop: Loop) -> None:
    report, words = make_fullest_report()
    found = file(loop, report)
    code, out, _ = terminal.run("case", "show", found.reference)
    assert (code, [word for word in words if word not in out]) == (DONE, [])


def test_what_a_sender_typed_cannot_pass_for_a_line_of_ours(terminal: Terminal, loop: Loop) -> None:
    incident = msgspec.structs.replace(
        make_industry_report().incident, narrative="one\nPriority: P3\x1b[2J\rWARNING: no"
    )
    found = file(loop, make_industry_report(incident=incident), priority="P1")
    _, out, _ = terminal.run("case", "show", found.reference)
    assert not set(out) & {"\x1b", "\r"}
    assert [line for line in out.splitlines() if line.startswith("Priority")] == ["Priority: P1"]
    assert not [line for line in out.splitlines() if line.startswith("WARNING: no")]


def test_show_tells_machines_the_same_and_never_what_opens_evidence(terminal: Terminal, loop: Loop) -> None:
    evidence_id = make_report_id(NOW, bytes(10))
    secret = "S" * 42 + "A"
    reference = EvidenceReference(
        digest=None, evidence_id=evidence_id, file_id="file-1", secret=secret, sha256="0" * 64, size_bytes=1
    )
    clear = make_clear_fields("example-chat", evidence_ids=(evidence_id,))
    content = msgspec.structs.replace(make_sealed_report(make_full_report(), clear=clear), evidence=(reference,))
    envelope = seal(encode_sealed_report(content), key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key)
    accepted = loop.send_industry(SealedReport(clear=clear, envelope=envelope, statement=statement))
    loop.collect()
    code, out, _ = terminal.run("case", "show", accepted.reference, "--json")
    shown = json.loads(out)
    assert code == DONE
    assert secret not in out
    assert shown["report"]["report"]["sub_label"] == "off_platform_move"
    assert shown["report"]["evidence"][0]["evidence_id"] == evidence_id
    assert [one["case"]["reference"] for one in shown["reports"]] == [accepted.reference]
    assert set(shown) >= {"case", "doubts", "linked_reports", "outcomes", "source"}
    assert secret not in terminal.run("case", "show", accepted.reference)[1]


def test_doubt_about_an_unknown_earlier_report_is_told(terminal: Terminal, loop: Loop) -> None:
    found = file(loop, kind="supplement", earlier_reference="K7QF-2M9TX-D")
    assert "WARNING: K7QF-2M9TX-D is not at this desk." in terminal.run("case", "show", found.reference)[1]
    (doubt,) = terminal.read_json("case", "show", found.reference)["doubts"]
    assert doubt.startswith("K7QF-2M9TX-D is not at this desk.")


def test_clock_of_a_request_is_in_the_list(terminal: Terminal, loop: Loop) -> None:
    found = read(loop)
    ask(loop, found.reference)
    assert "request: 7 days left" in terminal.run("case", "list")[1]


def test_outcome_is_shown_until_it_is_told(terminal: Terminal, loop: Loop) -> None:
    found = read(loop)
    make_ready(loop.desk, found.reference)
    schedule_outcome(loop.desk, found.reference, outcome="used", hold_until=date(2027, 6, 1), actor=ACTOR)
    # Summer time: the day begins an hour earlier in UTC.
    assert "waits until 2027-05-31T23:00:00Z" in terminal.run("case", "show", found.reference)[1]
    with pytest.raises(CaseError, match="take it back first"):
        schedule_outcome(loop.desk, found.reference, outcome="actioned", hold_until=None, actor=ACTOR)
    take_back(loop.desk, found.reference, actor=ACTOR)
    assert "OUTCOME used: " in terminal.run("case", "show", found.reference)[1]
    with pytest.raises(CaseError, match="No outcome is waiting"):
        take_back(loop.desk, found.reference, actor=ACTOR)


def test_no_outcome_is_told_about_a_report_of_the_public(loop: Loop) -> None:
    reference = loop.send_public(under_18="no").reference
    loop.collect()
    with pytest.raises(CaseError, match="A person sent this"):
        schedule_outcome(loop.desk, reference, outcome="used", hold_until=None, actor=ACTOR)
    assert find(loop, reference).opened_at is None
