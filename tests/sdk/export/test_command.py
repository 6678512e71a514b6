"""The command `report export`: documents for other programs, losses for people, nothing sent."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from partner_sdk.cli import main
from tests.builders import EXAMPLE_REPORT, FULL_REPORT
from tests.sdk.export.ncmec_schema import list_faults


def export(*words: str, path: Path = FULL_REPORT, priority: str = "P2") -> int:
    return main(["report", "export", str(path), "--priority", priority, *words])


def test_document_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--format", "ncmec-xml") == 0
    said = capsys.readouterr()
    assert list_faults(ET.fromstring(said.out.encode())) == []  # noqa: S314 - our own document
    assert "not-said: #/police: " in said.err
    assert "values have no element there and become free text" in said.err
    assert "Nothing was sent." in said.err


def test_document_goes_to_a_file_of_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.xml"
    assert export("--format", "ncmec-xml", "--out", str(target)) == 0
    assert list_faults(ET.fromstring(target.read_bytes())) == []  # noqa: S314 - our own document
    assert target.stat().st_mode & 0o077 == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert str(target) in said.err


def test_machine_gets_document_and_losses_in_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--format", "ncmec-xml", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["document"].startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert {loss["kind"] for loss in said["losses"]} == {"changed", "free-text", "not-said"}


def test_file_details_are_made_for_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--file-id", "file-1", "--ncmec-report", "4564654", "--ncmec-file", "b0754af7"]
    assert export("--format", "ncmec-file-xml", *names) == 0
    root = ET.fromstring(capsys.readouterr().out.encode())  # noqa: S314 - our own document
    assert (root.tag, root.findtext("reportId")) == ("fileDetails", "4564654")
    assert export("--format", "ncmec-file-xml", "--file-id", "file-1") == 1
    assert "(bad-ncmec-id)" in capsys.readouterr().err


def test_checklist_is_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--format", "uk-checklist", path=EXAMPLE_REPORT) == 0
    assert "MISSING   Telephone numbers" in capsys.readouterr().out
    assert export("--format", "uk-checklist", "--json", path=EXAMPLE_REPORT) == 0
    shown = json.loads(capsys.readouterr().out)
    target = tmp_path / "list.json"
    assert export("--format", "uk-checklist", "--json", "--out", str(target), path=EXAMPLE_REPORT) == 0
    assert json.loads(target.read_bytes())["items"] == shown["items"]


@pytest.mark.parametrize("kind", ["ncmec-xml", "uk-checklist"])
def test_export_is_never_written_over_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    assert export("--format", kind, "--out", str(target), path=EXAMPLE_REPORT) == 1
    assert "(file-exists)" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_suspect_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("2", "0", "-1"):
        assert export("--format", "ncmec-xml", "--suspect", number) == 1
        assert "(no-such-suspect)" in capsys.readouterr().err


def test_report_with_a_fault_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"schema_version": "1"}')
    assert export("--format", "ncmec-xml", "--json", path=path) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["reason"] == "bad-field"
    assert "#/category" in said.err


def test_kind_of_theirs_is_asked_for_where_ours_says_too_little(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    report = json.loads(EXAMPLE_REPORT.read_text())
    path.write_text(json.dumps({**report, "category": "risk_behaviour", "sub_label": "none"}))
    assert export("--format", "ncmec-xml", path=path) == 1
    assert "(no-incident-type)" in capsys.readouterr().err
    kind = "Unsolicited Obscene Material Sent to a Child"
    assert export("--format", "ncmec-xml", "--incident-type", kind, path=path) == 0
    assert kind in capsys.readouterr().out
