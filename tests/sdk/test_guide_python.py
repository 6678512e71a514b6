"""The guide for newcomers works: its very lines are run, and every name in it exists."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import utc_now
from gateway.testing import Sandbox, scenarios
from partner_sdk import Partner
from partner_sdk.client._receipts import write_sealed_file
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import check_reference

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "guides" / "python.md"
TEXT = GUIDE.read_text(encoding="utf-8")
FIRST, OWN_REPORT, ANSWERS, OWN_TEST = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_first_program_is_ten_lines_and_runs_as_it_stands() -> None:
    lines = [line for line in FIRST.splitlines() if line.strip()]
    assert len(lines) <= 10
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST], capture_output=True, text=True, timeout=100, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(r"```\n(TEST-.*?)```", TEXT, re.DOTALL)
    (first, second), (first_shown, second_shown) = done.stdout.splitlines(), shown.splitlines()
    assert second == second_shown
    for reference, moment in (first.split(), first_shown.split()):
        assert re.fullmatch(r"TEST-[0-9A-Z]{4}-[0-9A-Z]{5}-[0-9A-Z]", reference)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)
    check_reference(first.split()[0])


def test_program_about_a_fault_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Sandbox() as sandbox:
        run(OWN_REPORT, partner=sandbox.enrol(tmp_path / "partner"))
    assert re.fullmatch(r"bad-field #/\w+\n", capsys.readouterr().out)


def test_program_that_answers_questions_answers_each_open_one_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    with Sandbox() as sandbox:
        partner = sandbox.enrol(tmp_path / "partner")
        receipt = partner.submit(Path("partner_sdk/examples/report.json").read_bytes(), priority="P2")
        request_id = sandbox.send_question(receipt.reference, "From which port?")
        run(ANSWERS, partner=partner)
        first, second = capsys.readouterr().out.splitlines()
        assert first.endswith(f"{receipt.reference} From which port?")
        check_reference(second)
        run(ANSWERS, partner=partner)
        assert capsys.readouterr().out == ""
        answer = sandbox.reports[-1]
        assert answer.report.answers_request == request_id
        assert (answer.clear.kind, answer.clear.earlier_reference) == ("response", receipt.reference)
        assert [one.state for one in partner.questions()] == ["answered"]


def test_test_of_the_guide_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    names = run(OWN_TEST)
    test: Callable[..., None] = names["test_report_survives_a_lost_answer"]
    with Sandbox() as sandbox:
        test(sandbox, tmp_path)
        assert sandbox.waiting_scenarios == []


def test_every_call_of_the_table_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = re.findall(r"^\| [^|`]* \| (.*`.*) \|$", TEXT.split("## Test your own code")[1], re.MULTILINE)
    calls = [call for row in rows for call in re.findall(r"`([^`]+)`", row)]
    assert len(calls) >= 15
    with Sandbox() as sandbox:
        partner: Partner = sandbox.enrol(tmp_path / "partner")
        receipt = partner.submit((REPOSITORY / "partner_sdk/examples/report.json").read_bytes(), priority="P2")
        write_sealed_file(partner.state, receipt.report_id, tmp_path / "sealed-report.json", now=utc_now())
        monkeypatch.chdir(tmp_path)
        known = {"FieldFault": FieldFault, "Path": Path, "problems": problems, "receipt": receipt}
        for call in calls:
            made = eval(call, {**known, "sandbox": sandbox, "scenarios": scenarios})  # noqa: S307 - our own guide
            assert (made is not None) == call.startswith(
                ("scenarios.", "sandbox.send_", "sandbox.read_thread", "sandbox.import_file")
            )
    played = {name for name in dir(scenarios) if callable(getattr(scenarios, name)) and name.islower()}
    named = set(re.findall(r"scenarios\.(\w+)", TEXT))
    assert named <= played
    assert {"timeout", "duplicate", "conflict", "answer_lost", "rate_limited", "unavailable"} <= named


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102 - our own guide
    return names
