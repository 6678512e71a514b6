"""What reaches a terminal: one filter for every line, so that no sender moves the cursor or turns the text around."""

import io
import json

import pytest

from partner_sdk._commands.runtime import Runtime, Speaker
from partner_sdk.cli import main
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode
from tests.builders import Agency, StillClock
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
