"""`report-abuse-desk`: the words, the JSON and the exit codes, against a gateway over real HTTP on loopback."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from gateway.app import make_app
from gateway.config import StateFolder, load_config, utc_now
from gateway.desk.office.terminal import DONE, LOOK, TRY_AGAIN, WRONG_USE, say
from gateway.desk.office.wiring import open_desk
from gateway.desk.partners.enrolments import invite_partner, publish_invitations
from gateway.desk.running.cli import main, program
from gateway.guidance.agency import AGENCY_EXAMPLE
from gateway.new_gateway import NewGateway, create_gateway
from gateway.testing.transport import WsgiTransport
from gateway.wiring import make_gateway
from partner_sdk.lazy_group import ExampleCommand
from tests.builders import PUBLIC_ORIGIN, Partner, StillClock
from tests.builders.local_servers import run_server
from tests.command_lines import list_commands, parse
from tests.desk.account_builders import approve_as_on_page
from tests.desk.desk_loop import DOORS_PORT, FEED_ORIGIN, FEED_PORT, Loop
from tests.desk.made_models import copy_model
from tests.desk.people_builders import ACTOR, give_every_role


@dataclass
class Said:
    """The output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON object on standard output."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """Runs commands on one desk folder."""

    state: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Said:
        self.capture.readouterr()
        code = main([*words, "--state", str(self.state)])
        out, err = self.capture.readouterr()
        return Said(code, out, err)


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path / "desk", capsys)


@pytest.fixture
def desk(terminal: Terminal, tmp_path: Path) -> Terminal:
    """A desk that `init` has just made, and beside it a gateway with its pin that does not answer."""
    copy_model("commands", make_by_commands, into=tmp_path)
    return terminal


def make_by_commands(folder: Path) -> None:
    state = folder / "gateway"
    words = ["init", "--gateway-origin", PUBLIC_ORIGIN, "--feed", FEED_ORIGIN, "--name", "Tess Analyst"]
    assert main([*words, "--state", str(folder / "desk")]) == DONE
    give_every_role(open_desk(folder / "desk").store, "t-analyst")
    create_gateway(
        NewGateway(
            state=state,
            pin_file=folder / "desk" / "agency.pin",
            origin=PUBLIC_ORIGIN,
            host="127.0.0.1",
            port=DOORS_PORT,
            feed_port=FEED_PORT,
            instance="gateway-1",
            agency_name="The agency",
            banner="",
        ),
        clock=utc_now,
    )


@pytest.fixture
def loop(desk: Terminal, tmp_path: Path) -> Iterator[Loop]:
    """The gateway, answering on a socket."""
    state = tmp_path / "gateway"
    gateway = make_gateway(load_config(state), state=state)
    app = make_app(gateway.config, ("feed",), state=state, gateway=gateway)
    with run_server(make_server("127.0.0.1", FEED_PORT, app)):
        yield Loop(tmp_path, open_desk(desk.state), gateway, app, WsgiTransport(app), StillClock(utc_now()))


def publish(desk: Terminal, loop: Loop) -> None:
    assert desk.run("gateway", "add", str(StateFolder(loop.folder / "gateway").card)).code == DONE
    published = desk.run("publish", "--json")
    assert [published.json[name] for name in ("key_set_serial", "register_serial")] == [1, 1]


def enrol(desk: Terminal, loop: Loop) -> None:
    invite_and_answer(loop)
    assert desk.run("collect", "--json").json["enrolments_waiting"] == ["example-chat"]
    approve_as_on_page(loop.desk.paths.state, "example-chat")


def invite_and_answer(loop: Loop) -> None:
    invitation = invite_partner(
        loop.desk, partner="example-chat", name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR
    )
    publish_invitations(loop.desk, loop.desk.make_feed())
    loop.answer(invitation, partner=Partner())


def test_desk_without_the_agencys_settings_names_the_line_to_run(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.desk.paths.agency.unlink()
    for command in (["case", "list"], ["doctor"]):
        assert main([*command, "--state", str(loop.desk.paths.state)]) in {1, 2}
        said = capsys.readouterr()
        assert f"cp {AGENCY_EXAMPLE} {loop.desk.paths.agency}" in said.out + said.err


def test_whole_loop_by_commands(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    enrol(desk, loop)
    loop.send_public()
    loop.send_industry(created_at=utc_now())
    collected = desk.run("collect", "--reconcile", "--json")
    assert (collected.code, collected.json["filed"], collected.json["quarantined"]) == (DONE, 2, 0)
    assert collected.json["reconciled"]["compared"] == 2
    listed = desk.run("case", "list", "--json").json["cases"]
    assert {case["door"] for case in listed} == {"public", "industry"}
    assert [partner["state"] for partner in desk.run("partner", "list", "--json").json["partners"]] == ["active"]
    assert desk.run("audit", "check", "--json").json["entries"] >= 10
    assert desk.run("alarms").code == DONE
    findings = desk.run("doctor", "--json").json["findings"]
    # A live desk that alerts nobody is not well, and nothing else is amiss here.
    assert {one["name"] for one in findings if one["verdict"] == "fault"} == {"escalation"}


def test_refused_enrolment_names_the_partner_and_the_reason_once(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    enrol(desk, loop)
    assert "active     example-chat" in desk.run("partner", "list").out
    invite_and_answer(loop)
    said = desk.run("collect")
    assert said.code == LOOK
    assert "enrolments refused: count 1, partner example-chat, reason key-in-use" in said.out
    assert "This needs a person." in said.out
    invite_and_answer(loop)
    said = desk.run("collect", "--json")
    assert said.code == LOOK
    assert said.json["enrolments_refused"] == [{"count": 1, "partner": "example-chat", "reason": "key-in-use"}]
    assert desk.run("collect").code == DONE  # told once: what was refused is kept and acknowledged


def test_quarantined_row_makes_exit_code_1_and_is_listed(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    loop.send_public()
    loop.gateway_sql("UPDATE reports SET envelope = x'00'")
    collected = desk.run("collect")
    assert collected.code == LOOK
    assert "quarantine reasons: envelope-mismatch 1" in collected.out
    (row,) = desk.run("quarantine", "--json").json["quarantined"]
    assert (row["reason"], row["priority"], row["alarmed"]) == ("envelope-mismatch", "P1", True)
    alarms = desk.run("alarms", "--json")
    assert (alarms.code, [one["kind"] for one in alarms.json["alarms"]]) == (LOOK, ["envelope-mismatch"])
    assert desk.run("alarms", "--clear", "1").code == DONE
    assert desk.run("alarms", "--clear", "1").code == WRONG_USE


def test_gateway_that_does_not_answer_makes_exit_code_3(desk: Terminal) -> None:
    assert desk.run("collect").code == TRY_AGAIN


def test_doctor_says_what_is_missing_and_how_to_mend_each_of_it(desk: Terminal) -> None:
    found = desk.run("doctor", "--json")
    assert found.code == LOOK
    fixes = {one["name"]: one["fix"] for one in found.json["findings"] if one["verdict"] != "ok"}
    assert all(fixes.values()), fixes
    assert "curl" in fixes["gateway"]
    verdicts = {(one["name"], one["verdict"]) for one in found.json["findings"]}
    assert {("openings", "ok"), ("audit", "ok"), ("lists", "fault"), ("gateway", "fault")} <= verdicts
    for path in (desk.state / "keys").glob("sealing-*.key"):
        path.unlink()
    desk.state.chmod(0o755)
    faults = {one["name"] for one in desk.run("doctor", "--json").json["findings"] if one["verdict"] == "fault"}
    assert {"folder", "keys"} <= faults
    for path in (desk.state / "keys").glob("register.key"):
        path.unlink()
    (lost,) = [one for one in desk.run("doctor", "--json").json["findings"] if one["name"] == "keys"]
    assert "runbooks" in lost["fix"]


def test_root_is_refused_in_the_folder_of_another_user(desk: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(desk.state, 65_534, 65_534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused = desk.run("doctor")
    assert (refused.code, "runuser" in refused.err) == (WRONG_USE, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("publish",), "gateway add"),
        (("gateway", "add", "nowhere.card"), "is missing"),
        (("init", "--gateway-origin", PUBLIC_ORIGIN, "--feed", "https://feed.example"), "not empty"),
    ],
)
def test_wrong_use_says_what_to_do(desk: Terminal, words: tuple[str, ...], expected: str) -> None:
    said = desk.run(*words)
    assert said.code == WRONG_USE
    assert said.err.startswith("report-abuse-desk: ")
    assert expected in said.err
    assert said.out == ""


def test_command_on_an_empty_folder_says_to_init(terminal: Terminal) -> None:
    said = terminal.run("collect")
    assert (said.code, "report-abuse-desk init" in said.err) == (WRONG_USE, True)


def test_init_refuses_a_feed_without_tls_beyond_this_machine(terminal: Terminal) -> None:
    said = terminal.run("init", "--gateway-origin", PUBLIC_ORIGIN, "--feed", "http://feed.example")
    assert (said.code, "feed_url" in said.err) == (WRONG_USE, True)
    assert not terminal.state.exists()


def test_summaries_name_every_command_of_their_group(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("case", "signoff"):
        assert main([group, "--help"]) == DONE
        said = capsys.readouterr().out
        summary = said.split("\n\n")[1]
        commands = re.findall(r"^  (\w+) ", said.partition("Commands:\n")[2].partition("\n\n")[0], re.MULTILINE)
        assert len(commands) >= 2
        assert set(commands) == set(re.findall(r"\w+", summary.partition(": ")[2]))


def test_no_line_of_any_command_holds_a_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\x1b[2J\ntwo\x07\u202ethree four\N{NO-BREAK SPACE}five")
    bad = "\N{REPLACEMENT CHARACTER}"
    assert capsys.readouterr().out == (f"one{bad}[2J{bad}two{bad}{bad}three four\N{NO-BREAK SPACE}five\n")


def test_new_epoch_waits_for_a_person(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    loop.send_public()
    assert desk.run("collect").code == DONE
    epoch = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    loop.gateway_sql("UPDATE instance SET epoch = ?", epoch)
    loop.send_public()
    said = desk.run("collect")
    assert (said.code, f"new epochs: gateway-1/{epoch}" in said.out) == (LOOK, True)
    assert desk.run("alarms", "--clear", "1").code == DONE
    assert desk.run("collect", "--json").json["new_epochs"] == []


def test_every_command_has_a_summary_an_example_json_and_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    commands = list(list_commands(program))
    assert len(commands) >= 50
    for words, command in commands:
        assert isinstance(command, ExampleCommand)
        assert main([*words, "--help"]) == DONE
        text = capsys.readouterr().out
        assert f"Example:\n  report-abuse-desk {' '.join(words)} {command.example}\n" in text, words
        assert "Exit codes:" in text, words
        assert "--json" in text, words
        assert (command.help or "").strip(), words
        assert parse(program, [*words, *shlex.split(command.example)]).command is command, words


def test_key_rotation_is_done_by_publish_alone(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    assert len(list((desk.state / "keys").glob("sealing-*.key"))) == 2
    assert desk.run("publish", "--json").json["key_set_serial"] == 1


def test_no_progress_is_shown_away_from_a_terminal(desk: Terminal, loop: Loop) -> None:
    publish(desk, loop)
    loop.send_public()
    assert desk.run("collect").err == ""


def test_reader_that_closes_the_pipe_early_gets_no_traceback(desk: Terminal) -> None:
    command = f"{sys.executable} -m gateway.desk.running.cli doctor --state {desk.state} | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
