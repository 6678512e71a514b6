"""`report-abuse-partner button snippet` and `csp`: with a partner's folder, without one, and in error."""

from pathlib import Path

import pytest

from partner_sdk._commands.runtime import EXIT_FAILED
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOURS
from partner_sdk.button.snippet import SCRIPT_INTEGRITY
from partner_sdk.cli import main
from tests.builders import PUBLIC_ORIGIN
from tests.sdk.button.button_builders import read_golden, read_link
from tests.sdk.renew_button_release import ORIGIN, PLACEMENT
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_state


@pytest.fixture
def alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A command line without a folder of a partner, and without a network."""
    return Terminal(tmp_path / "nothing", ScriptedGateway(), capsys)


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A command line of an enrolled partner, without a network."""
    make_state(tmp_path / "partner")
    return Terminal(tmp_path / "partner", ScriptedGateway(), capsys)


def test_snippet_without_a_folder_needs_the_address_and_is_the_golden_file(alone: Terminal) -> None:
    assert alone.run("button", "snippet", "--placement", PLACEMENT) == EXIT_FAILED
    assert "--origin https://" in alone.err
    assert "(no-origin)" in alone.err
    assert alone.run("button", "snippet", "--placement", PLACEMENT, "--origin", ORIGIN) == 0
    assert alone.out == read_golden("en", "script")
    assert alone.err == ""


def test_snippet_takes_the_address_of_the_folder_and_has_no_mark(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", PLACEMENT, "--language", "cy", "--form", "link") == 0
    assert line.out == read_golden("cy", "link").replace(ORIGIN, PUBLIC_ORIGIN)
    assert "theme's link colour" in line.err
    assert line.run("button", "snippet", "--placement", PLACEMENT, "--origin", ORIGIN) == 0
    assert line.out == read_golden("en", "script")


def test_link_id_for_tests_comes_with_a_word_to_replace_it(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", "test", "--origin", ORIGIN) == 0
    assert line.out == read_golden("en", "script").replace(PLACEMENT, "test")
    assert "Put your own in its place before your page goes live" in line.err


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_snippet_of_every_flavour_is_written_to_a_file(flavour: str, line: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    command = ("button", "snippet", "--placement", PLACEMENT, "--for", flavour, "--size", "56")
    assert line.run(*command) == 0
    printed = line.out
    assert line.run(*command, "--out", str(file)) == 0
    assert f"In your tree it is {FILE_NAMES[flavour]}." in line.out
    written = file.read_text(encoding="utf-8")
    assert written.rstrip("\n") == printed.rstrip("\n")
    assert PUBLIC_ORIGIN in written


@pytest.mark.parametrize(
    "words",
    [
        *(("--size", "28"), ("--language", "fr"), ("--for", "angular"), ("--theme", "dark"), ("--form", "button")),
        ("--label", "Help"),
    ],
)
def test_wish_that_was_not_agreed_is_wrong_usage(words: tuple[str, ...], line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", PLACEMENT, *words) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--placement", "Example Chat"), "bad-placement"),
        (("--placement", PLACEMENT, "--origin", "http://report.example"), "bad-origin"),
        (("--placement", PLACEMENT, "--out", "/nowhere/at/all.html"), "cannot-write"),
    ],
)
def test_mistake_is_named_and_nothing_is_printed(words: tuple[str, ...], reason: str, line: Terminal) -> None:
    assert line.run("button", "snippet", *words) == EXIT_FAILED
    assert f"({reason})" in line.err
    assert line.out == ""


def test_folder_that_is_none_is_named(alone: Terminal) -> None:
    assert alone.run("button", "check", "page.html", "--state", "nosuch") == 2
    assert "nosuch is not the folder of an enrolled partner" in alone.err
    assert alone.run("button", "context", "page.json", "--state", "nosuch") == EXIT_FAILED
    assert "give yours with --state" in alone.err


def test_csp_prints_the_line_and_what_is_not_needed(line: Terminal) -> None:
    assert line.run("button", "csp") == 0
    said = line.json()
    assert said["line"] == f"script-src {PUBLIC_ORIGIN}/button/"
    assert any(one.startswith("style-src") for one in said["never"])
    assert line.run("button", "csp", "--by", "hash") == 0
    assert line.json()["line"] == f"script-src '{SCRIPT_INTEGRITY}'"
    assert line.run("button", "csp", "--form", "link", "--by", "hash") == EXIT_FAILED


def test_link_of_every_printed_snippet_is_the_placement(line: Terminal) -> None:
    assert line.run("button", "snippet", "--placement", "example-chat-dm", "--form", "link") == 0
    assert read_link(line.out) == f"{PUBLIC_ORIGIN}/?from=example-chat-dm"


@pytest.mark.parametrize("words", ["snippet", "csp", "adopt"])
def test_help_lists_no_exit_code_that_the_command_cannot_give(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["button", *words.split(), "--help"]) == 0
    said = capsys.readouterr().out.partition("Exit codes:")[2]
    assert [line.split()[0] for line in said.splitlines() if line.strip()] == ["0", "1", "2"]
