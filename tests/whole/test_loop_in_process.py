"""The short commands of a loop that is opened for the tests run in the test's own process, one at a time."""

from tests.whole.loop_in_process import run_here_in_turn


def test_commands_run_here_in_their_order_and_the_output_of_each_is_given_back() -> None:
    template, version = run_here_in_turn(
        [("partner_sdk.cli", "account", "template", "--state", "nowhere"), ("gateway.cli", "init", "--help")]
    )
    assert '"operational_contact"' in template
    assert version.startswith("Usage: report-abuse-gateway init")
