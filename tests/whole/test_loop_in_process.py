"""The short commands of a loop that is opened for the tests run in the test's own process, one at a time."""

import pytest

from tests.whole.loop_in_process import run_alone_here


def test_one_command_runs_here_and_its_words_are_given_back() -> None:
    (said,) = run_alone_here([("partner_sdk.cli", "account", "template", "--state", "nowhere")])
    assert '"operational_contact"' in said


def test_more_than_one_command_at_once_is_refused_before_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    one = ("partner_sdk.cli", "account", "template", "--state", "nowhere")
    with pytest.raises(ValueError, match="processes of their own"):
        run_alone_here([one, one])
    assert capsys.readouterr().out == ""
