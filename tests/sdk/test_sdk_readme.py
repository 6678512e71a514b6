"""The README of the SDK matches the code: every command parses, every name and file exists."""

import re
import shlex
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from gateway.testing.transport import WsgiTransport
from partner_sdk._commands import runtime as cli_output
from partner_sdk._commands.runtime import EMERGENCY
from partner_sdk.cli import program
from partner_sdk.client import _partner_state as partner_state
from partner_sdk.client._evidence_upload import EvidenceJournal
from partner_sdk.client.account import send_registration
from partner_sdk.client.partner import Partner as Client
from partner_sdk.lazy_group import INTERRUPTED
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import TEMPLATE
from partner_sdk.wire.mailbox import encode_body
from tests.builders import EXAMPLE_REPORT, NOW, House, make_house
from tests.command_lines import list_commands, parse
from tests.sdk.client.rotation_builders import AGENCY, World
from tests.sdk.client.test_key_rotation import REPORT
from tests.sdk.evidence_builders import make_report, write_plain
from tests.sdk.mailbox_builders import REQUEST
from tests.sdk.sdk_builders import make_state, session_for

SDK = Path(__file__).parents[2] / "partner_sdk"
README = (SDK / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line)[1:] for line in README.splitlines() if line.startswith("report-abuse-partner ")]


def test_every_command_is_shown() -> None:
    every = {command for _, command in list_commands(program)}
    assert len(every) >= 25
    assert {parse(program, words).command for words in COMMANDS} == every


def test_exit_codes_are_those_of_the_command() -> None:
    table = dict(re.findall(r"^\| ([0-9]+) \| (.*?) \|$", README, re.MULTILINE))
    in_help = dict(re.findall(r"^  ([0-9]+)  (.*)$", cli_output.EXIT_CODES, re.MULTILINE))
    own = {value for name, value in vars(cli_output).items() if name.startswith("EXIT_") and name != "EXIT_CODES"}
    assert table == in_help
    assert set(table) == {str(code) for code in (*own, 2, INTERRUPTED)}
    assert set(table) == {"0", "1", "2", "3", "4", "5", "130"}


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


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder of a partner that has done everything there is to do."""
    place = tmp_path_factory.mktemp("partner")
    world = World(make_house(place / "house", agency=AGENCY))
    world.enrol(place / "partner")
    world.rotate()
    world.decide()
    assert world.rotate()
    world.tell()
    client = world.open()
    client.collect_mailbox()
    send_registration(client, TEMPLATE, now=NOW)
    sent = client.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
    client.state.save_receipt(sent.report_id, b"{}", by="desk")
    asked = msgspec.structs.replace(REQUEST, reference=sent.reference, report_id=sent.report_id)
    world.tell(body=encode_body(asked), kind="information-request", posted_as=asked.request_id)
    client.collect_mailbox()
    client.threads.write(asked.request_id, kind="question", by="Anna Example", text="Which account?")
    answer = msgspec.structs.replace(REPORT, answers_request=asked.request_id)
    client.submit(answer, priority="P2", kind="response")
    handed = client.submit(make_report("file-1"), priority="P1", evidence={"file-1": write_plain(place, "film", 1000)})
    assert handed.is_complete
    # Left by `enrol`, and by a change of root.
    (world.folder / "submissions" / f".{sent.report_id}.json.lock").touch()
    (world.folder / "enrolment.json").write_bytes(b"{}")
    (world.folder / "pin.json").write_bytes(encode(AGENCY.pin()))
    assert world.rotate() is False
    # There while a process sends, and after one that was killed.
    journal = EvidenceJournal(client.state.folder)
    with journal.holding(handed.report_id), client.state.holding_submission(sent.report_id):
        yield world.folder


def check_describes(names: Collection[str], folder: Path) -> None:
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    by_name = {name: {path.relative_to(folder) for path in folder.glob(name)} for name in names}
    assert [name for name, paths in by_name.items() if not paths] == []
    assert found == set().union(*by_name.values())


def test_folder_is_described_file_by_file(full_folder: Path) -> None:
    table = README.split("## Your folder")[1].split("##")[0]
    check_describes(re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE), full_folder)


def test_folder_is_described_in_the_code_too(full_folder: Path) -> None:
    block = (partner_state.__doc__ or "").split("```")[1]
    names = [re.sub("ID|NUMBER", "*", line.split()[0]) for line in block.strip().splitlines()]
    check_describes(names, full_folder)


def test_leaked_key_needs_a_new_folder() -> None:
    assert "A new invitation needs a new `--state` folder" in README.split("If a key may have leaked")[1]


def test_every_import_that_is_promised_can_be_imported() -> None:
    rows = re.findall(r"`(partner_sdk(?:\.[a-z]+)*)`", README.partition("Other stable imports")[2].partition("\n\n")[0])
    assert {"partner_sdk.report", "partner_sdk.console", "partner_sdk.console.check"} < set(rows)
    assert [name for name in rows if import_module(name).__name__ != name] == []
