"""The README of the SDK says what is so: every command parses, every name and file exists."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_sdk.cli import make_parser
from partner_sdk.client.partner import Partner as Client
from partner_sdk.client.partner_state import MailboxPosition
from partner_sdk.commands import output as cli_output
from partner_sdk.commands.frame import EMERGENCY
from partner_sdk.wire.mailbox_message import FIRST_PREVIOUS
from tests.builders import EXAMPLE_REPORT, NOW, House
from tests.sdk.sdk_builders import make_state, session_for
from tests.wsgi_transport import WsgiTransport

SDK = Path(__file__).parents[2] / "partner_sdk"
README = (SDK / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line)[1:] for line in README.splitlines() if line.startswith("report-abuse-partner ")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_parses(words: list[str]) -> None:
    assert make_parser({}).parse_args(words)


def list_commands(parser: argparse.ArgumentParser) -> Iterator[object]:
    """Yield what each command runs."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser.get_default("command")
    for action in below:
        for child in action.choices.values():
            yield from list_commands(child)


def test_every_command_is_shown() -> None:
    every = set(list_commands(make_parser({})))
    assert len(every) >= 25
    assert {make_parser({}).parse_args(words).command for words in COMMANDS} == every


def test_exit_codes_are_those_of_the_command() -> None:
    table = dict(re.findall(r"^\| ([0-9]) \| (.*?) \|$", README, re.MULTILINE))
    in_help = dict(re.findall(r"^  ([0-9])  (.*)$", cli_output.EXIT_CODES, re.MULTILINE))
    codes = {
        str(value) for name, value in vars(cli_output).items() if name.startswith("EXIT_") and name != "EXIT_CODES"
    }
    assert table == in_help
    assert set(table) == codes == {"0", "1", "2", "3", "4"}


def test_emergency_words_are_quoted() -> None:
    assert EMERGENCY.split(".")[0] in README


def test_example_runs_as_it_stands(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    folder = tmp_path / "partner"
    make_state(folder, agency=house.agency)
    (tmp_path / "report.json").write_bytes(EXAMPLE_REPORT.read_bytes())
    monkeypatch.chdir(tmp_path)
    wire = WsgiTransport(house.open_app("industry"))
    original = Client.open

    def open_here(path: Path, **settings: object) -> Client:
        assert str(path) == "/var/lib/report-abuse"
        return original(folder, session=session_for(wire), clock=house.clock, **settings)

    monkeypatch.setattr(Client, "open", open_here)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{5}-[0-9A-Z]\n", capsys.readouterr().out)
    assert len(wire.requests) >= 3


def test_named_calls_exist() -> None:
    rows = re.findall(r"^\| (`[a-z_]+\(.*?`) \|", README, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z_]+)\(", row)}
    assert len(names) >= 11
    assert all(callable(getattr(Client, name)) for name in names)


def test_folder_is_described_file_by_file(tmp_path: Path, house: House) -> None:
    state = make_state(tmp_path / "partner", agency=house.agency)
    wire = WsgiTransport(house.open_app("industry"))
    client = Client.open(state.folder, session=session_for(wire), clock=house.clock)
    client.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
    state.save_message(1, b"x")
    state.save_position(MailboxPosition(number=1, sha256=FIRST_PREVIOUS))
    (state.folder / "enrolment.json").write_bytes(b"{}")
    table = README.split("## Your folder")[1].split("##")[0]
    named = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert len(named) >= 9
    found = {path.relative_to(state.folder) for path in state.folder.rglob("*") if path.is_file()}
    described = {path.relative_to(state.folder) for name in named for path in state.folder.glob(name)}
    assert found == described
    assert NOW


def test_leaked_key_needs_a_new_folder() -> None:
    assert "A new invitation needs a new `--state` folder" in README.split("If a key may have leaked")[1]


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 2
    assert [link for link in links if not (SDK / link).exists()] == []
