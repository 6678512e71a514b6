"""Every command in the documents exists: lines of blocks are parsed by the programs, and names in sentences looked up.

Commands of ```bash blocks are the guide's for other languages: tests/contract/test_any_language_guide.py.
"""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from gateway.checker.cli import program as checker_program
from gateway.commands.terminal import program as gateway_program
from gateway.desk.running.cli import program as desk_program
from partner_sdk.cli import program as partner_program
from partner_sdk.lazy_group import LazyGroup
from tests.command_lines import list_commands, parse
from tests.documents import NOT_RUN, RUN_BY, find_runner, list_blocks, list_documents
from tests.house.sources import ROOT, find_nodes

PROGRAMS = {
    "report-abuse-gateway": gateway_program,
    "report-abuse-desk": desk_program,
    "report-abuse-partner": partner_program,
    "report-abuse-checker": checker_program,
}
# What else a block may run.
OTHER_PROGRAMS = {
    "apt-get",
    "chmod",
    "cp",
    "curl",
    "echo",
    "export",
    "mkdir",
    "nginx",
    "rm",
    "sqlite3",
    "swapoff",
    "sysctl",
}
OTHER_PROGRAMS |= {"createdb", "createuser", "pg_basebackup", "pg_dump", "psql", "systemctl", "touch"}


def find_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield each line of the shell blocks and units, with its document."""
    for path in list_documents():
        for kind, block in re.findall(r"^ *```(sh|ini)\n(.*?)^ *```", path.read_text("utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                # What follows ` > ` is the shell's.
                command = line.partition("ExecStart=")[2] if kind == "ini" else line.partition(" > ")[0]
                if words := shlex.split(command, comments=True):
                    yield path.relative_to(ROOT).as_posix(), [Path(words[0]).name, *words[1:]]


LINES = list(find_lines())


@pytest.mark.parametrize("words", [words for _, words in LINES], ids=[f"{path}: {words}" for path, words in LINES])
def test_line_of_a_block_can_be_run(words: list[str]) -> None:
    name, *arguments = words
    if name in PROGRAMS:
        parse(PROGRAMS[name], arguments)  # raises for wrong words
    elif name == "make":
        assert all(is_make_target(word) for word in arguments if "=" not in word)
    elif name == "python":
        place = Path(*arguments[1].split(".")).with_suffix(".py") if arguments[0] == "-m" else Path(arguments[0])
        assert (ROOT / place).is_file()
    elif name == "pip":
        assert arguments[:2] == ["install", "./partner_sdk"]
        assert set(arguments[2:]) <= {".", ".[testing]", "./partner_sdk/console"}
    else:
        assert name in OTHER_PROGRAMS


def test_every_line_of_a_block_runs_in_a_test_or_is_in_the_closed_list() -> None:
    blocks = list(list_blocks())
    assert blocks
    unknown = [
        (block.document, line)
        for block in blocks
        for line in block.lines
        if find_runner(block) is None and strip(line) not in NOT_RUN
    ]
    assert unknown == []
    assert set(NOT_RUN) - {strip(line) for block in blocks for line in block.lines} == set()


def test_runner_of_each_section_runs_it() -> None:
    used = {find_runner(block) for block in list_blocks()}
    assert set(RUN_BY.values()) <= used
    for runner in set(RUN_BY.values()):
        file, _, name = runner.partition("::")
        tests = {node.name for node in find_nodes(ROOT / file, ast.FunctionDef)}
        assert name in tests if name else tests
        assert "list_lines(" in (ROOT / file).read_text("utf-8")


def strip(line: str) -> str:
    """Return a line with its words as the shell takes them."""
    return " ".join(shlex.split(line, comments=True))


def test_no_line_and_no_program_is_lost() -> None:
    assert {words[0] for _, words in LINES} >= set(PROGRAMS)
    kinds = [kind for path in list_documents() for kind in find_blocks_with_commands(path)]
    assert set(kinds) <= {"sh", "ini"}
    assert kinds


def find_blocks_with_commands(path: Path) -> list[str]:
    """Return the kind of each block of a document that has a command of ours at the start of a line."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", path.read_text("utf-8"), re.M | re.S)
    return [kind for kind, block in blocks if re.search(r"^(ExecStart=\S*|\$ *)?(report-abuse-|make )", block, re.M)]


def is_make_target(name: str) -> bool:
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # A file of that name would need nothing done either: the Makefile itself must name the target.
    declared = re.search(rf"^{re.escape(name)}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return done.returncode == 0 and declared is not None


def test_every_make_target_that_is_named_exists() -> None:
    texts = "\n".join(path.read_text("utf-8") for path in list_documents())
    named = set(re.findall(r"`make ([a-z]+)", texts)) | set(re.findall(r"^make ([a-z]+)", texts, re.MULTILINE))
    assert {"demo", "test", "tests", "help", "bench"} <= named
    assert [name for name in named if not is_make_target(name)] == []
    assert not is_make_target("no-such-target")
    assert not is_make_target("README.md")


def find_named() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the commands that sentences name, e.g. `keys rotate register`, with their document."""
    first = {word for program in PROGRAMS.values() for word in program.list_commands(click.Context(program))}
    for path in list_documents():
        text = re.sub(r"^ *```.*?^ *```", "", path.read_text("utf-8"), flags=re.M | re.S)
        for code in re.findall(r"`([^`]+)`", text):
            words = tuple(code.split())
            is_short = len(words) > 1 and words[0] in first and words[1] != "="  # `receipt = ...` is Python
            if words and (words[0] in PROGRAMS or is_short):
                yield path.relative_to(ROOT).as_posix(), words


def has_command(program: click.Command, words: Sequence[str]) -> bool:
    """Return whether a program has a command with these options; arguments may be missing or placeholders."""
    command, rest = program, list(words)
    context = click.Context(program, **program.context_settings)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest.pop(0))
        if found is None:
            return False
        command, context = found, click.Context(found, parent=context)
    parameters = command.get_params(context)
    if rest and not rest[0].startswith("-") and not any(isinstance(one, click.Argument) for one in parameters):
        return False
    options = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
    return {word.partition("=")[0] for word in rest if word.startswith("-")} <= options


def test_every_command_that_a_sentence_names_exists() -> None:
    named = list(find_named())
    assert named
    gone = []
    for path, words in named:
        programs = [PROGRAMS[words[0]]] if words[0] in PROGRAMS else list(PROGRAMS.values())
        spelled = words[1:] if words[0] in PROGRAMS else words
        if not any(has_command(program, spelled) for program in programs):
            gone.append((path, *words))
    assert gone == []


@pytest.mark.parametrize("words", [("keys", "rotated"), ("collect", "--all"), ("spool", "lists"), ("no-such", "list")])
def test_command_or_option_that_is_gone_is_noticed(words: tuple[str, ...]) -> None:
    assert not any(has_command(program, words) for program in PROGRAMS.values())


def test_every_command_is_shown_or_named_in_a_document() -> None:
    shown = [tuple(words) for _, words in LINES] + [words for _, words in find_named()]
    missing = []
    for name, program in PROGRAMS.items():
        for words, _ in list_commands(program):
            ways = (words, (name, *words))
            if not any(one[: len(way)] == way for one in shown for way in ways):
                missing.append((name, *words))
    assert missing == []


def test_summary_of_each_command_in_a_table_begins_its_help() -> None:
    count, wrong = 0, []
    groups: list[click.Command] = [gateway_program, desk_program]
    while groups:
        group = groups.pop()
        assert isinstance(group, LazyGroup)
        for name, (_, summary) in group.table.items():
            command = group.get_command(click.Context(group), name)
            assert command is not None
            wrong += [] if (command.help or "").startswith(summary) else [(group.name, name)]
            count += 1
            groups += [command] if isinstance(command, click.Group) else []
    assert count
    assert wrong == []
