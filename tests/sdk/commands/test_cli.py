"""The frame of the commands: each line names its environment, wrong words end in usage, and 999 is never lost."""

import io
import json

import pytest

from partner_sdk._commands.runtime import EMERGENCY, Runtime, Speaker
from partner_sdk.button.page_contexts import DEFAULT_LIFETIME_SECONDS
from partner_sdk.cli import main
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, Agency, StillClock
from tests.sdk.sdk_builders import ScriptedGateway, make_state, session_for

STEERING = "a\x1b[1A\x1b[2Kb\x07\x7f\x9b\u202ec\u200b\x00"
HARMLESS = "a?[1A?[2Kb????c??"


def test_lines_have_printable_characters_only() -> None:
    out, err = io.StringIO(), io.StringIO()
    speaker = Speaker("live", out=out, err=err)
    speaker.say(f"{STEERING}\nZoë")
    speaker.warn(STEERING)
    assert out.getvalue() == f"[live] {HARMLESS}\n[live] Zoë\n"
    assert err.getvalue() == f"[live] {HARMLESS}\n"


def test_csv_has_printable_characters_only() -> None:
    out = io.StringIO()
    Speaker("live", out=out).say_csv(f"label\n{STEERING}\n")
    assert out.getvalue() == f"environment,label\nlive,{HARMLESS}\n"


def test_json_has_printable_characters_only_and_keeps_the_value() -> None:
    out = io.StringIO()
    Speaker("live", out=out).say_json({"text": STEERING})
    assert json.loads(out.getvalue())["text"] == STEERING
    assert all(line.isprintable() for line in out.getvalue().removesuffix("\n").split("\n"))


@pytest.mark.parametrize("is_enrolled", [True, False])
def test_error_that_ends_a_command_passes_the_filter(tmp_path, capsys, monkeypatch, is_enrolled: bool) -> None:
    agency = Agency()
    if is_enrolled:
        make_state(tmp_path / "partner", agency=agency)

    def fail(*_: object, **__: object) -> int:
        raise LocalStateError(STEERING, reason="no-such-file")

    monkeypatch.setattr("partner_sdk.cli._run", fail)
    runtime = Runtime(clock=StillClock(), open_session=lambda: session_for(ScriptedGateway()))
    assert main(["doctor", "--state", str(tmp_path / "partner")], runtime=runtime) == 1
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
        ("--json", "report", "submit", REPORT, "--priority=p1"),
        ("--", "report", "submit", REPORT, "--priority", "P1"),
        ("reprot", "submit", REPORT, "--priority", "P1"),
        ("report", "--json", "submit", REPORT, "--priority", "P1", "--foo"),
        ("report", "submit", REPORT, "--priority", "P1", "--foo"),
    ],
)
def test_p1_behind_wrong_words_prints_the_usage_and_the_emergency_words(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "usage: report-abuse-partner" in said.err
    assert said.err.endswith(f"{EMERGENCY}\n")
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [("--json", "report", "submit", REPORT, "--priority", "P2"), ("--json",), ("fly",)])
def test_wrong_words_without_a_p1_print_the_usage_alone(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert "usage: report-abuse-partner" in said.err
    assert EMERGENCY not in said.err


def test_help_of_a_context_names_for_how_long_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("button", "context", "--help"))
    assert f"(default: {DEFAULT_LIFETIME_SECONDS:,})" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "words",
    [(), ("report",), ("report", "submit"), ("report", "submit", "x"), ("report", "submit", "x", "--priority", "P4")],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("report", "submit", "x", "--priority", "P1", "--knid", "response"),
        ("report", "submit", "x", "--priority=p1"),
        ("report", "submit", "--priority", "P1"),
    ],
)
def test_wrong_usage_of_a_p1_says_999_and_shows_the_usage_of_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage: report-abuse-partner report submit [-h]" in said
    assert said.rstrip().endswith(EMERGENCY)


def test_wrong_usage_without_a_p1_has_no_emergency_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("report", "submit", "x", "--priority", "P2", "--knid", "response"))
    said = capsys.readouterr().err
    assert "unrecognized arguments: --knid response" in said
    assert "999" not in said


HELP = [
    (),
    ("enrol",),
    ("report", "submit"),
    ("report", "preview"),
    ("report", "list"),
    ("report", "status"),
    ("report", "discard"),
    ("receipt", "verify"),
    ("inbox",),
    ("digest",),
    ("doctor",),
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_has_an_example_and_the_exit_codes(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert f"report-abuse-partner {' '.join(words)}" in said
    assert "example:" in said
    assert "exit codes:" in said
