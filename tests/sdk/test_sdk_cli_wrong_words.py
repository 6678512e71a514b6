"""`report-abuse-partner` with wrong words: usage, exit code 2, and the emergency words where a P1 was meant."""

import pytest

from partner_sdk._commands.runtime import EMERGENCY
from partner_sdk.button.page_contexts import DEFAULT_LIFETIME_SECONDS
from partner_sdk.cli import main
from tests.builders import EXAMPLE_REPORT

REPORT = str(EXAMPLE_REPORT)


@pytest.mark.parametrize(
    "words",
    [
        ("--priority=P1", "report", "submit", REPORT),
        ("--priority", "P1", "report", "submit", REPORT),
        ("--foo", "report", "submit", REPORT, "--priority", "P1"),
        ("--json", "report", "submit", REPORT, "--priority=p1"),
        ("--", "report", "submit", REPORT, "--priority", "P1"),
        ("reprot", "submit", REPORT, "--priority", "P1"),
        ("report", "--json", "submit", REPORT, "--priority", "P1", "--foo"),
        ("report", "submit", REPORT, "--priority", "P1", "--foo"),
    ],
)
def test_p1_behind_wrong_words_prints_the_usage_and_the_emergency_words(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "usage: report-abuse-partner" in said.err
    assert said.err.endswith(f"{EMERGENCY}\n")
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [("--json", "report", "submit", REPORT, "--priority", "P2"), ("--json",), ("fly",)])
def test_wrong_words_without_a_p1_print_the_usage_alone(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert "usage: report-abuse-partner" in said.err
    assert EMERGENCY not in said.err


def test_help_of_a_context_names_for_how_long_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("button", "context", "--help"))
    assert f"(default: {DEFAULT_LIFETIME_SECONDS:,})" in " ".join(capsys.readouterr().out.split())
