"""The frame of the commands: each line names its environment, wrong words end in usage, and 999 is never lost."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import partner_sdk
from partner_sdk._commands.runtime import EMERGENCY, EXIT_FAILED, Runtime, Speaker
from partner_sdk.cli import main, program
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, Agency, StillClock
from tests.command_lines import list_commands, parse
from tests.sdk.sdk_builders import ScriptedGateway, make_state, run_partner, session_for

STEERING = "a\x1b[1A\x1b[2Kb\x07\x7f\x9b\u202ec\u200b\x00"
HARMLESS = "a?[1A?[2Kb????c??"


def test_lines_have_printable_characters_only(capsys: pytest.CaptureFixture[str]) -> None:
    speaker = Speaker("live")
    speaker.say(f"{STEERING}\nZoë")
    speaker.warn(STEERING)
    assert capsys.readouterr() == (f"[live] {HARMLESS}\n[live] Zoë\n", f"[live] {HARMLESS}\n")


def test_json_has_printable_characters_only_and_keeps_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    Speaker("live").say_json({"text": STEERING})
    out = capsys.readouterr().out
    assert json.loads(out)["text"] == STEERING
    assert all(line.isprintable() for line in out.removesuffix("\n").split("\n"))


@pytest.mark.parametrize("is_enrolled", [True, False])
def test_error_that_ends_a_command_passes_the_filter(tmp_path, capsys, monkeypatch, is_enrolled: bool) -> None:
    agency = Agency()
    if is_enrolled:
        make_state(tmp_path / "partner", agency=agency)

    def fail(*_: object, **__: object) -> int:
        raise LocalStateError(STEERING, reason="no-such-file")

    monkeypatch.setattr("partner_sdk._commands.account.say_example", fail)
    runtime = Runtime(clock=StillClock(), open_session=lambda: session_for(ScriptedGateway()))
    assert main(["account", "template", "--state", str(tmp_path / "partner")], runtime=runtime) == 1
    label = "[live] " if is_enrolled else ""
    assert capsys.readouterr().err == f"{label}{HARMLESS} (no-such-file)\n"


def test_mailbox_list_with_steering_words_prints_none_of_them(tmp_path, capsys) -> None:
    agency = Agency()
    make_state(tmp_path / "partner", agency=agency)
    rows = [{"envelope": "AA", "message_id": STEERING + "No new messages."}]
    gateway = ScriptedGateway((200, {}, agency.bundle()), (200, {}, encode({"messages": rows})))
    runtime = Runtime(clock=StillClock(), open_session=lambda: session_for(gateway))
    assert main(["inbox", "--state", str(tmp_path / "partner")], runtime=runtime) == 4
    said = capsys.readouterr()
    assert "ALARM (bad-message-id)" in said.err
    assert "No new messages" not in said.err
    gateway.check_used(2)


REPORT = str(EXAMPLE_REPORT)


@pytest.mark.parametrize(
    "words",
    [
        ("--priority=P1", "report", "submit", REPORT),
        ("--priority", "P1", "report", "submit", REPORT),
        ("--foo", "report", "submit", REPORT, "--priority", "P1"),
        ("reprot", "submit", REPORT, "--priority", "P1"),
        ("report", "submit", REPORT, "--priority", "P1", "--foo"),
        ("report", "submit", REPORT, "--prioritty=p1"),
        ("report", "submit", "--priority=p1"),
    ],
)
def test_p1_behind_wrong_words_prints_the_usage_and_the_emergency_words(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "See `report-abuse-partner" in said.err
    assert said.err.endswith(f"{EMERGENCY}\n")
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [("--json", "report", "submit", REPORT, "--priority", "P2"), ("--json",), ("fly",)])
def test_wrong_words_without_a_p1_print_the_usage_alone(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert "See `report-abuse-partner" in said.err
    assert EMERGENCY not in said.err


@pytest.mark.parametrize(
    "words",
    [(), ("report",), ("report", "submit"), ("report", "submit", "x"), ("report", "submit", "x", "--priority", "P4")],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    shown = "Usage: report-abuse-partner" if len(words) < 2 else "See `report-abuse-partner report submit --help`."
    assert shown in capsys.readouterr().err


HELP = [
    (),
    ("enrol",),
    ("report", "submit"),
    ("report", "preview"),
    ("report", "list"),
    ("report", "status"),
    ("report", "discard"),
    ("thread", "list"),
    ("spool", "status"),
    ("spool", "flush"),
    ("spool", "write"),
    ("receipt", "add"),
    ("receipt", "verify"),
    ("inbox",),
    ("digest",),
    ("doctor",),
]


def test_overview_has_the_first_line_of_the_help_of_each_command() -> None:
    assert len(program.table) >= 12
    for name, (_, summary) in program.table.items():
        command = program.get_command(click.Context(program), name)
        assert command is not None
        assert (command.name, (command.help or "").partition("\n")[0]) == (name, summary)


def test_every_command_has_an_example_that_parses_and_a_summary_that_is_shown_whole() -> None:
    every = list(list_commands(program))
    assert len(every) >= 24
    for words, command in every:
        context = click.Context(command, info_name=f"report-abuse-partner {' '.join(words)}")
        shown = command.get_help(context).partition("\nExample:\n  ")[2].partition("\n")[0]
        _, *example = shlex.split(shown.partition(" > ")[0])
        assert tuple(example[: len(words)]) == words
        assert parse(program, example).command is command
        assert "Exit codes:" in context.get_help()
        assert command.get_short_help_str(limit=64).rstrip(".") == (command.help or "").partition(".")[0], words


@pytest.mark.parametrize("priority", ["p1", "P1"])
def test_priority_is_read_in_either_case(tmp_path: Path, capsys: pytest.CaptureFixture[str], priority: str) -> None:
    make_state(tmp_path / "partner", agency=Agency())
    gateway = ScriptedGateway(*[TimeoutError()] * 30)
    words = ("report", "submit", REPORT, "--priority", priority)
    assert run_partner(*words, folder=tmp_path / "partner", adapter=gateway) == EXIT_FAILED
    assert "--help" not in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("--version", "doctor"), 0), (("--version=2",), 2)])
def test_version_is_printed(words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    assert capsys.readouterr().out == ("" if code else f"{partner_sdk.__version__}\n")


COMPLETED = {
    "report s": ["submit", "status"],
    "report submit --priority ": ["p1", "p2", "p3"],  # read in either case
}


def test_line_that_switches_completion_on_is_in_the_readme() -> None:
    readme = (Path(partner_sdk.__file__).parent / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`eval \"\$\((.+)\)\"`", readme)
    assert line == "_REPORT_ABUSE_PARTNER_COMPLETE=bash_source report-abuse-partner"
    command = Path(sys.executable).parent / "report-abuse-partner"
    asked = {**os.environ, "_REPORT_ABUSE_PARTNER_COMPLETE": "bash_source"}
    done = subprocess.run([command], env=asked, capture_output=True, text=True, timeout=60, check=True)
    assert "complete -o nosort -F _report_abuse_partner_completion report-abuse-partner" in done.stdout


@pytest.mark.parametrize("typed", COMPLETED)
def test_shell_completes_words_options_and_choices(typed: str) -> None:
    words = f"report-abuse-partner {typed}"
    place = str(len(words.split(" ")) - 1)
    asked = {"_REPORT_ABUSE_PARTNER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": place}
    command = [sys.executable, "-c", "import sys, partner_sdk.cli; sys.exit(partner_sdk.cli.main())"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split(",")[1] for line in done.stdout.splitlines()] == COMPLETED[typed]
