"""A command loads only the modules it needs: its start is most of the cost of a short command."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import pytest

import gateway.cli
import gateway.desk.running.cli
from gateway.desk.office.wiring import open_desk
from tests.builders import EXAMPLE_REPORT
from tests.desk.people_builders import act_as

SENDING = ("requests", "urllib3", "http_message_signatures")
PAGES = ("flask", "werkzeug", "jinja2", "babel", "limits")
STORING = ("sqlalchemy", "alembic", "asyncio")
GRANIAN = ("granian", "multiprocessing")
COUNTING = ("opendp", "numpy")
DRAWING = ("fpdf", "fontTools", "PIL", "uharfbuzz")
HELP = (*SENDING, *PAGES, *STORING, *GRANIAN, *COUNTING)
# The shortest way to say at the end of a process what it loaded, whatever its command did.
TELL = """
import atexit, runpy, sys
atexit.register(lambda: print("LOADED", *sys.modules, sep="\\n"))
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
# Several commands, one after another in one process: the arguments of each come as a line of their own.
TELL_OF_SEVERAL = """
import sys
from importlib import import_module
main = import_module(sys.argv[1]).main
codes = [main(line.split("\\0") if line else []) for line in sys.stdin.read().splitlines()]
print("CODES", *codes)
print("LOADED", *sys.modules, sep="\\n")
"""


def list_loaded(module: str, *words: str, code: int = 0) -> set[str]:
    """Run a command as a process of its own and return every module that it had loaded when it ended."""
    command = [sys.executable, "-c", TELL, module, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return _read_loaded(done.stdout, module)


def list_loaded_by_all(module: str, commands: Mapping[tuple[str, ...], int]) -> set[str]:
    """Run commands in one new process and return every module that any of them loaded; check each exit code.

    A module that none of them may load needs one process for all: most of the cost is its imports.
    """
    lines = "\n".join("\0".join(words) for words in commands)
    command = [sys.executable, "-c", TELL_OF_SEVERAL, module]
    done = subprocess.run(command, input=lines + "\n", capture_output=True, text=True, timeout=120, check=True)
    (codes,) = re.findall(r"^CODES (.+)$", done.stdout, re.MULTILINE)
    assert [int(code) for code in codes.split()] == list(commands.values()), done.stderr
    return _read_loaded(done.stdout, module)


def list_imported(module: str) -> set[str]:
    """Return every module that a new process has loaded once it has imported this one."""
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules, sep='\\n')"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def _read_loaded(said: str, module: str) -> set[str]:
    loaded = set(said.partition("LOADED\n")[2].split())
    assert module.partition(".")[0] in loaded
    return loaded


@pytest.mark.parametrize("module", ["gateway.cli", "gateway.desk.running.cli", "partner_sdk.cli"])
def test_help_and_wrong_words_load_no_command(module: str) -> None:
    loaded = list_loaded_by_all(module, {("--help",): 0, ("fly",): 2, (): 2})
    assert loaded & set(HELP) == set()
    rooms = ("gateway.commands.", "gateway.desk.running.commands.", "partner_sdk._commands.")
    in_rooms = {name for name in loaded if name.startswith(rooms)}
    frames = {"partner_sdk.cli": {"runtime"}, "gateway.cli": {"terminal"}, "gateway.desk.running.cli": set()}
    assert {name.rpartition(".")[2] for name in in_rooms} == frames[module]
    assert [name for name in loaded if name.startswith("gateway.desk.") and name.endswith("commands")] == []


@pytest.mark.parametrize("program", ["gateway", "gateway.desk.running"])
@pytest.mark.parametrize(
    "before", [("--foo",), ("--json",), ("--priority=P1",), ("--state", "folder"), ("--",), ("-x", "-y")]
)
def test_option_before_the_command_is_a_usage_error(
    program: str, before: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    main: Callable[[tuple[str, ...]], int] = import_module(f"{program}.cli").main
    assert main((*before, "doctor", "--json")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    name = {"gateway": "report-abuse-gateway", "gateway.desk.running": "report-abuse-desk"}[program]
    assert re.fullmatch(rf"{name}: .+\. See `{name}( doctor)? --help`\.\n", said.err)


@pytest.mark.parametrize("program", ["gateway", "gateway.desk.running"])
@pytest.mark.parametrize("words", [("-h",), ("--help", "doctor")])
def test_help_before_a_command_is_the_help_of_the_program(
    program: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli = import_module(f"{program}.cli")
    assert cli.main(words) == 0
    first = capsys.readouterr().out
    assert re.match(r"Usage: report-abuse-(gateway|desk) \[OPTIONS\] COMMAND \[ARGS\]\.\.\.\n", first)
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == first


COMPLETED = {
    "report-abuse-gateway rot": ["rotate-receipt-key", "rotate-log-key"],
    "report-abuse-desk ke": ["keys"],
    "report-abuse-desk keys re": ["renew-delegation", "replace-sealing", "revoke"],
    "report-abuse-desk case list --al": ["--all"],
}


@pytest.mark.parametrize("typed", COMPLETED)
def test_shell_completes_commands_options_and_choices(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = typed.split(" ")
    monkeypatch.setenv(f"_{program.upper().replace('-', '_')}_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    module = "gateway.desk.running.cli" if program == "report-abuse-desk" else "gateway.cli"
    command = [sys.executable, "-c", TELL, module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    offered, _, loaded = done.stdout.partition("LOADED\n")
    assert [line.split(",")[1] for line in offered.splitlines()] == COMPLETED[typed]
    if len(words) < 3 and not words[-1].startswith("-"):
        assert set(loaded.split()) & {*HELP, "gateway.desk.office.wiring", "gateway.store"} == set()


def test_line_that_switches_completion_on_is_in_running_md() -> None:
    running = (Path(__file__).parents[2] / "docs" / "running.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`eval\s\"\$\((.+)\)\"`", running)
    for name in ("desk", "gateway"):
        variable, program = line.replace("DESK", name.upper()).replace("desk", name).split(" ")
        command = [Path(sys.executable).parent / program]
        environment = {**os.environ, **dict([variable.split("=")])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        assert f"complete -o nosort -F _report_abuse_{name}_completion report-abuse-{name}" in done.stdout


@pytest.mark.parametrize("words", [("--version",), ("--version", "doctor"), ("--version=2",)])
def test_gateway_and_desk_have_no_option_for_their_version(words: tuple[str, ...]) -> None:
    assert gateway.cli.main(words) == gateway.desk.running.cli.main(words) == 2


def test_help_of_a_first_word_of_the_desk_loads_no_command() -> None:
    loaded = list_loaded_by_all(
        "gateway.desk.running.cli", {(group, "--help"): 0 for group in ("case", "keys", "placement")}
    )
    assert loaded & {*HELP, "cryptography", "gateway.desk.office.wiring"} == set()
    assert [name for name in loaded if name.startswith("gateway.desk.") and name.endswith("commands")] == []


def test_command_of_the_desk_loads_neither_pages_nor_what_sends_before_it_sends() -> None:
    begun = ("case list", "digest list", "partner list", "collect")
    loaded = list_loaded_by_all("gateway.desk.running.cli", {(*words.split(), "--help"): 0 for words in begun})
    assert "gateway.desk.office.wiring" in loaded
    assert loaded & {*SENDING, *PAGES, *GRANIAN, *COUNTING, "alembic"} == set()


def test_command_of_the_desk_that_sends_nothing_never_loads_what_sends_nor_serve_its_pages(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    state = ("--state", str(folder))
    origins = ("--gateway-origin", "https://report.example", "--feed", "https://feed.report.example")
    assert list_loaded("gateway.desk.running.cli", "init", *state, *origins) & {*SENDING, *PAGES} == set()
    act_as(open_desk(folder), "a-person")
    sends_nothing = ("case list", "placement list", "people list", "keys list")
    loaded = list_loaded_by_all("gateway.desk.running.cli", {(*words.split(), *state): 0 for words in sends_nothing})
    assert "gateway.desk.store.engine" in loaded
    assert loaded & {*SENDING, *PAGES, "alembic"} == set()
    with socket.socket() as taken:  # `serve` ends where it would start its servers
        taken.bind(("127.0.0.1", 0))
        serving = ("serve", "--without-vault", "--port", str(taken.getsockname()[1]), *state)
        watching = list_loaded("gateway.desk.running.cli", *serving, code=2)
    assert "gateway.web.serving" in watching
    assert watching & {*SENDING, *PAGES, *GRANIAN, "alembic", "gateway.desk.running.app"} == set()


def test_process_that_watches_servers_loads_no_app() -> None:
    loaded = list_loaded("gateway.cli", "serve", "--help")
    assert {"gateway.web.serving", "gateway.store.store"} <= loaded
    assert {name for name in loaded if name.startswith(("gateway.desk", "gateway.testing"))} == set()
    assert loaded & {*PAGES, *SENDING, *GRANIAN, "alembic", "sqlalchemy.dialects.postgresql"} == set()


def test_process_above_the_workers_loads_no_app_and_no_database() -> None:
    loaded = list_imported("gateway.web.server_process")
    assert "granian.server" in loaded
    assert loaded & {*PAGES, *SENDING, "sqlalchemy", "gateway.app", "gateway.web.wsgi_bridge"} == set()


def test_pages_of_the_desk_load_nothing_that_draws_paper_or_counts() -> None:
    loaded = list_imported("gateway.desk.running.app")
    assert "gateway.desk.outgoing.package_content" in loaded
    assert loaded & {*DRAWING, *COUNTING, "requests", "webauthn"} == set()


def test_command_of_a_partner_that_sends_nothing_never_loads_what_sends() -> None:
    report, origin = (str(EXAMPLE_REPORT), "--priority", "P2"), ("--origin", "https://report.example")
    sends_nothing = (
        ("report", "preview", "--help"),
        ("report", "preview", *report),
        ("button", "check", "--help"),
        ("button", "snippet", "--placement", "example-chat-profile", *origin),
        ("button", "csp", *origin),
    )
    loaded = list_loaded_by_all("partner_sdk.cli", dict.fromkeys(sends_nothing, 0))
    assert {"partner_sdk._commands.reports", "partner_sdk._commands.button"} <= loaded
    sending = {"partner_sdk.client.partner", "partner_sdk.client.transport", "partner_sdk.client.http"}
    assert loaded & {*sending, *SENDING, *PAGES, "sqlalchemy"} == set()
    assert {name for name in loaded if name.startswith("gateway")} == set()


def test_command_of_a_partner_that_sends_loads_what_sends(tmp_path: Path) -> None:
    missing = ("--origin", "http://127.0.0.1:9", "--state", str(tmp_path / "none"))
    loaded = list_loaded("partner_sdk.cli", "button", "check", "http://127.0.0.1:9/", *missing, code=5)
    assert {"requests", "urllib3", "partner_sdk.client.transport"} <= loaded
