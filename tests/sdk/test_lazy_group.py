"""A group of commands that loads only the command that runs."""

import gc
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from partner_sdk.lazy_group import LazyGroup, run_program

TABLE = {
    "zone": ("this:zone", "Print the zone."),
    "absent": ("no_such_module:absent", "A command that cannot be imported."),
}


@pytest.fixture
def program() -> LazyGroup:
    return LazyGroup("program", table=TABLE)


@pytest.fixture(autouse=True)
def command_module(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def zone() -> None:
        click.echo("UTC")

    module = type(sys)("this")
    vars(module)["zone"] = zone
    monkeypatch.setitem(sys.modules, "this", module)


def test_help_lists_the_table_in_its_order_and_imports_no_command(program: LazyGroup) -> None:
    result = CliRunner().invoke(program, ["--help"])
    assert result.exit_code == 0
    assert result.output.split("Commands:\n")[1].splitlines() == [
        "  zone    Print the zone.",
        "  absent  A command that cannot be imported.",
    ]
    assert CliRunner().invoke(program, ["-h"]).output == result.output


def test_command_is_imported_when_it_runs(program: LazyGroup) -> None:
    assert CliRunner().invoke(program, ["zone"]).output == "UTC\n"
    assert isinstance(CliRunner().invoke(program, ["absent"]).exception, ModuleNotFoundError)


@pytest.mark.parametrize("words", [[], ["fly"], ["--fly"]])
def test_wrong_usage_exits_with_2_and_imports_no_command(program: LazyGroup, words: list[str]) -> None:
    result = CliRunner().invoke(program, words)
    assert result.exit_code == 2
    assert "Usage: program" in result.stderr


def test_completion_offers_names_with_their_summaries_and_imports_no_command(program: LazyGroup) -> None:
    completion = ShellComplete(program, {}, "program", "_PROGRAM_COMPLETE")
    assert [(item.value, item.help) for item in completion.get_completions([], "")] == [
        (name, summary) for name, (_, summary) in TABLE.items()
    ]
    assert [item.value for item in completion.get_completions([], "z")] == ["zone"]


@pytest.mark.parametrize("is_on", [True, False])
def test_command_loads_without_a_search_for_garbage_which_goes_on_afterwards(
    program: LazyGroup, is_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "partner_sdk.lazy_group.import_module", lambda name: (seen.append(gc.isenabled()), sys.modules[name])[1]
    )
    try:
        if not is_on:
            gc.disable()
        assert CliRunner().invoke(program, ["zone"]).output == "UTC\n"
        assert (set(seen), gc.isenabled()) == ({False}, is_on)
    finally:
        gc.enable()


def test_new_modules_of_a_command_are_left_out_of_later_searches_for_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new_command.py").write_text("import click\n\n@click.command()\ndef new() -> None: ...\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    fresh = LazyGroup("program", table={"new": ("new_command:new", "A command of a module of its own.")})
    try:
        before = gc.get_freeze_count()
        assert CliRunner().invoke(fresh, ["new"]).exit_code == 0
        loaded = gc.get_freeze_count()
        assert loaded > before
        assert CliRunner().invoke(fresh, ["new"]).exit_code == 0
        assert gc.get_freeze_count() <= loaded
    finally:
        sys.modules.pop("new_command", None)


@pytest.mark.parametrize("words", [["zone"], ["fly"]])
def test_process_of_a_program_ends_without_a_search_for_garbage(
    program: LazyGroup, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[str] = []
    monkeypatch.setattr("partner_sdk.lazy_group.gc.freeze", lambda: frozen.append("all"))
    monkeypatch.setattr("sys.argv", ["program", *words])
    run_program(program, None, name="program")
    assert frozen == ["all"]


def test_process_that_runs_a_program_for_itself_goes_on_to_search_for_garbage(program: LazyGroup) -> None:
    before = gc.get_freeze_count()
    assert run_program(program, ["zone"], name="program") == 0
    assert gc.get_freeze_count() <= before
