"""`report-abuse-gateway doctor`: says what is right with a gateway and what is not."""

import argparse

from gateway.clock import utc_now
from gateway.commands.frame import DONE, FAULT, Commands, add_command, add_json, add_state, print_json, say
from gateway.doctor import examine
from partner_sdk.finding import describe_findings, format_finding, is_well


def run_doctor(parsed: argparse.Namespace) -> int:
    """Run `doctor`, and return its exit code."""
    findings = examine(parsed.state, clock=utc_now)
    if parsed.json:
        print_json(describe_findings(findings))
    else:
        for line in (line for finding in findings for line in format_finding(finding)):
            say(line)
    return DONE if is_well(findings) else FAULT


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    command = add_command(commands, "doctor", run=run_doctor, example="--state /var/lib/report-abuse --json")
    add_state(command)
    add_json(command)
