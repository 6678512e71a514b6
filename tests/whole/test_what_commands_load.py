"""A command loads what it needs and no more: its start is most of what a short command costs."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import gateway.cli
import gateway.desk.cli
import partner_sdk.cli

SENDING = ("requests", "urllib3", "http_message_signatures")
PAGES = ("flask", "werkzeug", "jinja2", "babel", "flask_limiter")
STORING = ("sqlalchemy", "alembic", "asyncio")
GRANIAN = ("granian", "multiprocessing")
COUNTING = ("opendp", "numpy")
HELP = (*SENDING, *PAGES, *STORING, *GRANIAN, *COUNTING)
# The shortest way to say at the end of a process what it loaded, whatever its command did.
TELL = """
import atexit, runpy, sys
atexit.register(lambda: print("LOADED", *sys.modules, sep="\\n"))
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

PROGRAMS: dict[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[], argparse.ArgumentParser]]] = {
    "report-abuse-gateway": (gateway.cli.make_overview, gateway.cli.make_parser),
    "report-abuse-desk": (gateway.desk.cli.make_overview, gateway.desk.cli.make_parser),
    "report-abuse-partner": (partner_sdk.cli.make_overview, lambda: partner_sdk.cli.make_parser({})),
}


def list_loaded(module: str, *words: str, code: int = 0) -> set[str]:
    """Run a command as a process of its own and return every module that it had loaded when it ended."""
    command = [sys.executable, "-c", TELL, module, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    loaded = set(done.stdout.partition("LOADED\n")[2].split())
    assert module.partition(".")[0] in loaded
    return loaded


@pytest.mark.parametrize("program", PROGRAMS)
def test_overview_says_of_each_command_what_the_command_says_of_itself(program: str) -> None:
    make_overview, make_parser = PROGRAMS[program]
    assert make_overview().format_help() == make_parser().format_help()


@pytest.mark.parametrize("module", ["gateway.cli", "gateway.desk.cli", "partner_sdk.cli"])
@pytest.mark.parametrize(("words", "code"), [(("--help",), 0), (("fly",), 2), ((), 2)])
def test_help_and_wrong_words_load_no_command(module: str, words: tuple[str, ...], code: int) -> None:
    loaded = list_loaded(module, *words, code=code)
    assert loaded & set(HELP) == set()
    rooms = ("gateway.commands.", "gateway.desk.commands.", "partner_sdk.commands.")
    assert {name for name in loaded if name.startswith(rooms)} <= {
        "gateway.commands.frame",
        "gateway.desk.commands.frame",
        "partner_sdk.commands.frame",
        "partner_sdk.commands.output",
    }


@pytest.mark.parametrize("words", [("case",), ("digest",), ("partner",), ("placement",), ("collect",), ("figures",)])
def test_command_of_the_desk_loads_neither_pages_nor_what_sends_before_it_sends(words: tuple[str, ...]) -> None:
    loaded = list_loaded("gateway.desk.cli", *words, "--help")
    assert "gateway.desk.wiring" in loaded
    assert loaded & {*SENDING, *PAGES, *GRANIAN, *COUNTING, "alembic"} == set()


def test_command_of_the_desk_that_sends_nothing_never_loads_what_sends(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "desk"))
    origins = ("--gateway-origin", "https://report.example", "--feed", "https://feed.report.example")
    assert list_loaded("gateway.desk.cli", "init", *state, *origins) & {*SENDING, *PAGES} == set()
    for words in (("case", "list"), ("placement", "list"), ("audit", "check")):
        loaded = list_loaded("gateway.desk.cli", *words, *state)
        assert "gateway.desk.store.engine" in loaded
        assert loaded & {*SENDING, *PAGES, "alembic"} == set()


def test_process_that_watches_servers_loads_no_app() -> None:
    loaded = list_loaded("gateway.cli", "serve", "--help")
    assert {"gateway.web.serving", "gateway.store.store"} <= loaded
    assert loaded & {*PAGES, *SENDING, *GRANIAN, "alembic", "sqlalchemy.dialects.postgresql"} == set()


def test_process_above_the_workers_loads_no_app_and_no_database() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, gateway.web.server_process; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "granian.server" in loaded
    assert loaded & {*PAGES, *SENDING, "sqlalchemy", "gateway.app", "gateway.web.wsgi_bridge"} == set()


def test_command_of_a_partner_that_runs_alone_loads_nothing_of_an_enrolled_partner() -> None:
    loaded = list_loaded("partner_sdk.cli", "report", "export", "--help")
    assert "partner_sdk.commands.export" in loaded
    assert "sqlalchemy" not in loaded
    assert {name for name in loaded if name.startswith("gateway")} == set()
