"""A command's suggestions can be pasted: they name the state folder, quoted for a shell, once."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.desk.cases.watch import ADVICE, format_advice
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.terminal import WRONG_USE, Call, print_json, say
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main, program
from tests.command_lines import parse
from tests.desk.view_builders import Clock, make_test_desk
from tests.house.sources import ROOT


def find_suggestions() -> set[str]:
    """Return the words of each `suggest(...)` of the desk up to its first value or option, e.g. `people link`."""
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "gateway" / "desk").rglob("*.py"))
    found = re.findall(r"suggest\(f?[\"']([a-z -]+?)(?: -| [A-Z{]|[\"'])", sources)
    assert "publish" in found
    return set(found)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "my desk", Clock())


def test_text_of_a_stranger_stays_as_it_is(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    text = "report-abuse-desk publish"
    with click.Context(program, info_name="report-abuse-desk") as context:
        context.params["call"] = Call(desk.paths.state, as_json=False)
        assert suggest("publish") == f"{text} --state {shlex.quote(str(desk.paths.state))}"
        say(text)
        say(f"  Message              {text}")
        print_json({"text": text})
    assert "--state" not in capsys.readouterr().out


@pytest.mark.parametrize("code", ADVICE)
def test_advice_of_an_alarm_names_a_command_of_the_desk_with_its_folder(code: str, desk: Desk) -> None:
    command = ADVICE[code][2]
    with click.Context(program, info_name="report-abuse-desk") as context:
        context.params["call"] = Call(desk.paths.state, as_json=False)
        said = format_advice(code)
    state = shlex.quote(str(desk.paths.state))
    assert ("`" in said) == bool(command)
    assert not command or f"`report-abuse-desk {command} --state {state}`" in said
    assert not command or parse(program, [*command.split(), "--state", state])


def test_command_is_suggested_without_a_folder_where_no_command_runs() -> None:
    assert suggest("people link ex") == "report-abuse-desk people link ex"


def test_folder_of_the_environment_is_used_and_suggestions_leave_it_out(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_ABUSE_DESK_STATE", str(desk.paths.state))
    monkeypatch.setattr("gateway.desk.office.people.register.get_account", lambda: "of-nobody")
    assert main(("case", "list")) == WRONG_USE
    assert "report-abuse-desk people account HANDLE --account of-nobody. " in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(find_suggestions()))
def test_every_suggested_command_exists(command: str) -> None:
    found: click.Command | None = program
    for word in command.split():
        if not isinstance(found, click.Group):
            break  # an argument
        found = found.get_command(click.Context(found), word)
        assert found is not None, command
    assert not isinstance(found, click.Group), command


def test_command_in_a_refusal_names_the_state_folder(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(desk.paths.state)
    assert main(("publish", "--state", state)) == WRONG_USE
    assert f" --state {shlex.quote(state)}` first.\n" in capsys.readouterr().err
