"""What a command suggests can be pasted: it names the state folder, quoted for a shell, and once."""

import argparse
import shlex
from pathlib import Path

import pytest

from gateway.desk.cli import main, make_parser
from gateway.desk.terminal import ALONE, add_state, naming_state, print_json, say, say_lines
from gateway.desk.wiring import Desk
from tests.desk.adoption_builders import add_waiting
from tests.desk.view_builders import Clock, make_test_desk

STATE = Path("/srv/my desk")
NAMED = "--state '/srv/my desk'"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "my desk", Clock())


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Next: report-abuse-desk partner show ex", f"Next: report-abuse-desk partner show {NAMED} ex"),
        (
            '  or: report-abuse-desk adoption decline 1 --why "…"',
            f'  or: report-abuse-desk adoption decline {NAMED} 1 --why "…"',
        ),
        ("Run `report-abuse-desk publish`.", f"Run `report-abuse-desk publish {NAMED}`."),
        ("Read: report-abuse-desk digest show d1; then", f"Read: report-abuse-desk digest show {NAMED} d1; then"),
        ("Then: report-abuse-desk publish --state x", "Then: report-abuse-desk publish --state x"),
        ("Next: report-abuse-desk stale-data --days 9", "Next: report-abuse-desk stale-data --days 9"),
        ("report-abuse-desk collect and wait", f"report-abuse-desk collect {NAMED} and wait"),
    ],
)
def test_suggested_command_names_the_state_folder_once(said: str, wanted: str) -> None:
    with naming_state(STATE):
        assert add_state(said) == wanted
    assert add_state(said) == said


def test_what_somebody_else_wrote_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "report-abuse-desk publish"
    with naming_state(STATE):
        say_lines(text)
        say(f"  Message              {text}")
        print_json({"text": text})
    assert NAMED not in capsys.readouterr().out


def test_words_that_stand_alone_are_those_of_the_parser() -> None:
    (first,) = (one for one in make_parser()._actions if isinstance(one, argparse._SubParsersAction))
    alone = [
        name
        for name, parser in first.choices.items()
        if not any(isinstance(one, argparse._SubParsersAction) for one in parser._actions)
    ]
    assert sorted(alone) == sorted((*ALONE, "stale-data"))


def test_every_line_that_a_request_suggests_is_understood(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    request_id = add_waiting(desk)
    assert main(("adoption", "show", request_id, "--state", str(desk.paths.state))) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "report-abuse-desk " in line]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line.partition("report-abuse-desk ")[2].replace("--surface …", "--surface profile"))
        assert make_parser(words[0]).parse_args(words).state == desk.paths.state


@pytest.mark.parametrize("deed", ["show", "suspend"])
def test_request_for_the_button_is_not_taken_for_a_partner_that_nobody_knows(
    desk: Desk, capsys: pytest.CaptureFixture[str], deed: str
) -> None:
    request_id, state = add_waiting(desk), str(desk.paths.state)
    assert main(("partner", deed, request_id, "--state", state)) == 2
    said = capsys.readouterr().err
    assert "is a request for the button, not a partner" in said
    assert f"report-abuse-desk adoption show --state {shlex.quote(state)} {request_id}\n" in said


def test_partner_that_is_only_invited_is_said_to_enrol_first(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    state, file = str(desk.paths.state), str(desk.paths.state / "one.invitation")
    main(("partner", "invite", "Example Show", "--partner", "example-show", "--out", file, "--state", state))
    assert main(("partner", "show", "example-show", "--state", state)) == 0
    assert "the partner runs first `report-abuse-partner enrol FILE`" in capsys.readouterr().out


def test_command_in_a_refusal_names_the_state_folder(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(desk.paths.state)
    assert main(("placement", "show", "example-chat", "--state", state)) == 2
    assert f"report-abuse-desk placement list --state {shlex.quote(state)}" in capsys.readouterr().err
