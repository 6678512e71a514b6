"""The command `doctor`: lists faults and how to fix them (client/checkup.py)."""

import click

from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, Call, PartnerCommand, shared_options
from partner_sdk.client.checkup import examine
from partner_sdk.finding import describe_findings, format_finding, is_well


@click.command(cls=PartnerCommand, example="")
@shared_options
def doctor(call: Call) -> int:
    """List faults and how to fix them."""
    findings = []
    for finding in examine(call.partner, now=call.runtime.clock(), environ=call.runtime.environ):
        findings.append(finding)
        if not call.is_json:
            for line in format_finding(finding):
                call.speaker.say(line)
    if call.is_json:
        call.speaker.say_json(describe_findings(findings))
    return EXIT_DONE if is_well(findings) else EXIT_FAILED
