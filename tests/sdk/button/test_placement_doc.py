"""docs/placement.md matches the code: commands, pictures and the words of the button."""

import re
import shlex
from pathlib import Path

import pytest

from partner_sdk._commands.button import BY_NOTHING, BY_TLS_ALONE
from partner_sdk.button.frameworks import FLAVOURS
from partner_sdk.button.snippet import WORDS, make_policy
from partner_sdk.cli import program
from tests.command_lines import parse
from tests.pictures import MOST_BYTES, PICTURES, WRONGS
from tests.sdk.renew_button_release import ORIGIN, REPOSITORY
from tests.sdk.sdk_builders import ScriptedGateway, Terminal

DOC = (REPOSITORY / "docs" / "placement.md").read_text(encoding="utf-8")
# What follows ` > ` is the shell's.
COMMANDS = [
    shlex.split(line.partition(" > ")[0])[1:] for line in DOC.splitlines() if line.startswith("report-abuse-partner ")
]
README = (REPOSITORY / "partner_sdk" / "README.md").read_text(encoding="utf-8")
README_COMMANDS = [
    shlex.split(line)[1:] for line in README.splitlines() if line.startswith("report-abuse-partner button ")
]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_parses(words: list[str]) -> None:
    assert parse(program, words).command.name in words


# What needs a network or a folder of keys is tried elsewhere.
ALONE = [
    words
    for words in (*COMMANDS, *README_COMMANDS)
    if words[1] in {"snippet", "csp", "adopt"}
    if "request.json" not in words
]


def test_lines_run_as_they_stand_for_a_service_without_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    alone = Terminal(tmp_path / "no-folder", ScriptedGateway(), capsys)
    assert {words[1] for words in ALONE} == {"snippet", "csp", "adopt"}
    assert [" ".join(words) for words in ALONE if alone.run(*words) != 0] == []


def test_commands_of_all_kinds_are_shown() -> None:
    assert {words[1] for words in COMMANDS} >= {"adopt", "snippet", "csp", "check"}


def test_way_to_type_is_installed_before_it_is_used() -> None:
    assert DOC.index("\npip install") < DOC.index("\nreport-abuse-partner ")


def test_warnings_of_an_unproven_agency_are_explained() -> None:
    for warning in (BY_TLS_ALONE, BY_NOTHING):
        assert f'"{warning.partition(":")[0]}"' in DOC


def test_sentence_is_quoted_as_it_is() -> None:
    quoted = " ".join(line.removeprefix("> ") for line in DOC.splitlines() if line.startswith("> "))
    assert quoted == WORDS["en"].sentence
    assert f'"{WORDS["en"].label}"' in DOC


def test_every_flavour_has_its_row() -> None:
    table = DOC.split("| `--for` |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE) == list(FLAVOURS)


def test_policy_is_the_one_that_the_command_prints() -> None:
    assert f"`{make_policy(ORIGIN, form='script', by='host').line}`" in DOC


def test_every_picture_is_small_is_shown_and_has_words_for_it() -> None:
    front = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    in_guide = re.findall(r"!\[([^\]]+)\]\(pictures/([a-z-]+\.png)\)", DOC)
    in_front = [
        (words, name) for name, words in re.findall(r'<img src="docs/pictures/([^"]+)" [^>]*alt="([^"]+)">', front)
    ]
    assert (len({name for _, name in in_guide}), [name for _, name in in_front]) == (
        11,
        ["chat.png", "form.png", "desk.png"],
    )
    shown = [*in_guide, *in_front]
    assert {name for _, name in shown} == {path.name for path in PICTURES.iterdir()}
    for words, name in shown:
        raw = (PICTURES / name).read_bytes()
        assert raw.startswith(PNG)
        assert len(raw) <= MOST_BYTES
        assert len(words.split()) >= 6
        assert words.startswith("Not like this: ") == (name.removesuffix(".png") in {one.name for one in WRONGS})
