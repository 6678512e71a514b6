"""The commands `enrol` and `doctor`."""

from pathlib import Path

from partner_sdk.client.enrol import enrol
from partner_sdk.commands.account import read_registration
from partner_sdk.commands.delivery_words import say_fault
from partner_sdk.commands.frame import Call, CommandGroup, PartnerCall, read_input
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.doctor import examine
from partner_sdk.errors import ReportError
from partner_sdk.finding import describe_findings, is_well, spell_finding
from partner_sdk.wire.enrolment import MAX_INVITATION_BYTES, parse_invitation


def run_enrol(call: Call) -> int:
    """Answer an invitation: the environment is the invitation's."""
    args, surroundings = call.args, call.surroundings
    invitation = parse_invitation(read_input(args.invitation, max_bytes=MAX_INVITATION_BYTES))
    speaker = Speaker(invitation.environment)
    try:
        registration = (
            None
            if args.registration is None
            else read_registration(args.registration, environment=invitation.environment)
        )
    except ReportError as error:
        say_fault(speaker, error)
        return EXIT_FAILED
    made = enrol(
        invitation,
        folder=Path(args.state),
        ca_file=args.ca_file,
        session=surroundings.open_session(),
        clock=surroundings.clock,
        registration=registration,
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


def run_doctor(call: PartnerCall) -> int:
    """Say what works and what does not."""
    partner, speaker, args, surroundings = call.partner, call.speaker, call.args, call.surroundings
    findings = []
    for finding in examine(partner, now=surroundings.clock(), environ=surroundings.environ):
        findings.append(finding)
        if not args.json:
            for line in spell_finding(finding):
                speaker.say(line)
    if args.json:
        speaker.say_json(describe_findings(findings))
    return EXIT_DONE if is_well(findings) else EXIT_FAILED


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands."""
    enrol_command = top.add_alone("enrol", run=run_enrol, example="invitation.json")
    enrol_command.add_argument(
        "invitation", metavar="INVITATION", help="the file that the agency handed over (- for input)"
    )
    enrol_command.add_argument(
        "--registration", metavar="FILE", help="who is responsible here, sealed along (see account template)"
    )
    top.add("doctor", run=run_doctor, example="")
