"""How the command line is used: wrong usage, the usage of the command that was meant, the help of each."""

import pytest

from partner_sdk._commands.runtime import EMERGENCY
from partner_sdk.cli import main


@pytest.mark.parametrize(
    "words",
    [(), ("report",), ("report", "submit"), ("report", "submit", "x"), ("report", "submit", "x", "--priority", "P4")],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("report", "submit", "x", "--priority", "P1", "--knid", "response"),
        ("report", "submit", "x", "--priority=p1"),
        ("report", "submit", "--priority", "P1"),
    ],
)
def test_wrong_usage_of_a_p1_says_999_and_shows_the_usage_of_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage: report-abuse-partner report submit [-h]" in said
    assert said.rstrip().endswith(EMERGENCY)


def test_wrong_usage_without_a_p1_has_no_emergency_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("report", "submit", "x", "--priority", "P2", "--knid", "response"))
    said = capsys.readouterr().err
    assert "unrecognized arguments: --knid response" in said
    assert "999" not in said


HELP = [
    (),
    ("enrol",),
    ("report", "submit"),
    ("report", "preview"),
    ("report", "list"),
    ("report", "status"),
    ("report", "discard"),
    ("receipt", "verify"),
    ("inbox",),
    ("digest",),
    ("doctor",),
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_has_an_example_and_the_exit_codes(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert f"report-abuse-partner {' '.join(words)}" in said
    assert "example:" in said
    assert "exit codes:" in said
