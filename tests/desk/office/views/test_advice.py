"""Only an administrator reads a command on a page: no other role of the desk has a shell."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
from markupsafe import escape

from gateway.desk.cases import watch
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.suggestions import PROGRAM
from gateway.desk.office.views import page
from gateway.desk.office.wiring import Desk
from tests.desk.view_builders import Browser, add_sealed_case

DESK = Path(page.__file__).parents[2]
TEMPLATES = DESK / "office" / "views" / "templates"
# Refusals that pages show as they are, and the reasons of those that commands alone give.
SHOWN = ("CaseError", "ActionError", "CaseFileError", "ReplyError")
OF_COMMANDS = {"no-identifier-key", "not-confirmed"}


def advise(desk: Desk, role: Role | None, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    signed_in = None if role is None else SimpleNamespace(roles={role})
    monkeypatch.setattr(page, "find_signed_in", lambda: signed_in)
    monkeypatch.setattr(page, "get_desk", lambda: desk)
    return str(escape(page.format_advice(text)))


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: getattr(role, "value", "signed out"))
def test_only_an_administrator_reads_a_command(desk: Desk, role: Role | None, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "Publish <first>: `report-abuse-desk publish`."
    read = advise(desk, role, advice, monkeypatch)
    if role is Role.ADMINISTRATOR:
        command = f"<code>report-abuse-desk publish --state {desk.paths.state}</code>"
        assert read == f"Publish &lt;first&gt;: {command}."
        return
    assert read == "Publish &lt;first&gt;."
    assert advise(desk, role, "Run `collect`, and read its output.", monkeypatch) == "Ask your administrator."
    assert advise(desk, role, "Which one?", monkeypatch) == "Which one?"
    for code in watch.ADVICE:
        read = advise(desk, role, watch.format_advice(code), monkeypatch)
        assert PROGRAM not in read
        assert read.endswith(".")


def test_no_template_names_a_command_but_as_advice() -> None:
    lines = [line for file in TEMPLATES.rglob("*.html") for line in file.read_text().splitlines() if PROGRAM in line]
    assert any("is not in the index of identifiers" in line for line in lines)
    assert [line for line in lines if line.count(PROGRAM) != line.count("| advice }}")] == []


def test_no_refusal_that_a_page_shows_names_a_command() -> None:
    found, named = 0, list[str]()
    for file in DESK.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SHOWN:
                words = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                texts = [one for one in words if isinstance(one, str)]
                found += 1
                if OF_COMMANDS.isdisjoint(texts):
                    named += [one for one in texts if "`" in one or "--" in one or PROGRAM in one]
    assert found > 100
    assert named == []


def test_alarm_on_the_first_page_sends_an_analyst_to_the_administrator(desk: Desk) -> None:
    add_sealed_case(desk, marker="M")
    page_of_cases = Browser(desk).sign_in("a-analyst", [Role.ANALYST]).get("/").text
    assert "No report has been collected" in page_of_cases or "Ask your administrator." not in page_of_cases
    assert PROGRAM not in page_of_cases
