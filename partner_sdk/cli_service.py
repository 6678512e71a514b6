"""The commands `enrol` and `doctor`."""

import argparse
from pathlib import Path

from partner_sdk.cli_output import EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.cli_reports import read_input
from partner_sdk.cli_surroundings import Surroundings
from partner_sdk.client import Partner
from partner_sdk.doctor import examine
from partner_sdk.enrol import enrol
from partner_sdk.enrolment import MAX_INVITATION_BYTES, parse_invitation

_WORDS = {"ok": "ok  ", "look": "LOOK", "fail": "FAIL"}


def run_enrol(args: argparse.Namespace, *, surroundings: Surroundings) -> int:
    """Answer an invitation: the environment is the invitation's."""
    invitation = parse_invitation(read_input(args.invitation, max_bytes=MAX_INVITATION_BYTES))
    speaker = Speaker(invitation.environment)
    made = enrol(
        invitation,
        folder=Path(args.state),
        ca_file=args.ca_file,
        session=surroundings.open_session(),
        clock=surroundings.clock,
    )
    if args.json:
        speaker.say_json({"key_ids": made.key_ids, "partner": made.profile.partner, "status": "waiting"})
        return EXIT_DONE
    speaker.say(f"Enrolled as {made.profile.partner} at {made.profile.origin}; folder {args.state}.")
    speaker.say(f"Root fingerprint {invitation.root_fingerprint}")
    for role, key_id in made.key_ids.items():
        speaker.say(f"{role} key id {key_id}")
    speaker.say("Read these to the agency by phone; once it has approved you, `doctor` says so.")
    speaker.say(f"Delete {args.invitation}: its secret is used up.")
    return EXIT_DONE


def run_doctor(partner: Partner, speaker: Speaker, args: argparse.Namespace, *, surroundings: Surroundings) -> int:
    """Say what works and what does not."""
    findings = []
    for finding in examine(partner, now=surroundings.clock(), environ=surroundings.environ):
        findings.append(finding)
        if not args.json:
            speaker.say(f"{_WORDS[finding.outcome]}  {finding.name}: {finding.text}")
    if args.json:
        rows = [{"name": one.name, "outcome": one.outcome, "text": one.text} for one in findings]
        speaker.say_json({"findings": rows})
    return EXIT_FAILED if any(finding.outcome == "fail" for finding in findings) else EXIT_DONE
