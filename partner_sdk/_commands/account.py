"""The commands `enrol`, `keys` and `account`: how a partner enrols, changes its keys and registers."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec

from partner_sdk._commands.delivery import say_fault
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, Call, CommandGroup, PartnerCall, Speaker, read_input
from partner_sdk.client._keys import FORMER_KEYS_KEPT_FOR, list_changes, list_former_keys, list_mailbox_keys
from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.account import (
    Rotation,
    describe_rotation,
    enrol,
    find_sent_registration,
    rotate_keys,
    send_registration,
)
from partner_sdk.errors import ReportError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import check_filled_in, parse_time
from partner_sdk.wire.enrolment import MAX_INVITATION_BYTES, parse_invitation
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.registration import (
    MAX_REGISTRATION_BYTES,
    TEMPLATE,
    Registration,
    list_registration_gaps,
    parse_registration_file,
)


def run_template(_: Call) -> int:
    """Write a registration of a made-up service, to be filled in."""
    # No mark in front: this becomes a file, and nothing of it is a report.
    Speaker(None).say(json.dumps(msgspec.to_builtins(TEMPLATE), indent=2, ensure_ascii=False))
    return EXIT_DONE


def run_update(call: PartnerCall) -> int:
    """Send a registration, sealed; a person at the agency accepts it or asks for more."""
    speaker, args = call.speaker, call.args
    try:
        registration = read_registration(args.file, environment=call.partner.profile.environment)
    except ReportError as error:
        say_fault(speaker, error)
        return EXIT_FAILED
    sent = send_registration(call.partner, registration, now=call.runtime.clock())
    gaps = list_registration_gaps(registration)
    if not args.json:
        say_gaps(speaker, gaps)
    fields = {"change_id": sent.change_id, "missing": list(gaps), "status": "waiting"}
    return call.answer(fields, [f"Sent to the agency, change {sent.change_id}. A person there reads it."])


def run_show(call: PartnerCall) -> int:
    """Show the registration that was sent last, without any network."""
    speaker, sent = call.speaker, find_sent_registration(call.partner.state)
    if call.args.json:
        speaker.say_json({"account": None if sent is None else msgspec.to_builtins(sent)})
        return EXIT_DONE
    if sent is None:
        speaker.say("Nothing was registered from here: see account template and account update.")
        return EXIT_DONE
    arrived = f"sent {sent.sent_at}" if sent.sent_at else "NOT SENT YET: run account update again"
    speaker.say(f"change {sent.change_id}, made {sent.made_at}, {arrived}")
    speaker.say(json.dumps(msgspec.to_builtins(sent.registration), indent=2, ensure_ascii=False))
    say_gaps(speaker, list_registration_gaps(sent.registration))
    return EXIT_DONE


def read_registration(name: str, *, environment: Environment) -> Registration:
    """Return the registration of a file; raises `ReportError`, `LocalStateError`.

    A live agency is never sent the template as it was: `FormatError` (`unchanged-example`).
    """
    registration = parse_registration_file(read_input(name, max_bytes=MAX_REGISTRATION_BYTES))
    if environment == "live":
        check_filled_in(registration, examples=(TEMPLATE,))
    return registration


def say_gaps(speaker: Speaker, gaps: tuple[str, ...]) -> None:
    """Warn of each item that the law asks for and the registration lacks."""
    for gap in gaps:
        speaker.warn(f"Missing: {gap.replace('_', ' ')}. The agency will ask for it.")


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands."""
    _add_enrol(top)
    _add_keys(top)
    account = top.add_group("account")
    account.add_alone("template", run=run_template, summary="write an example to fill in", example="> account.json")
    update = account.add("update", run=run_update, summary="send a registration to the agency", example="account.json")
    update.add_argument("file", metavar="FILE", help="the registration as JSON (- for standard input)")
    account.add("show", run=run_show, summary="show the registration that was sent last", example="--json")


def run_enrol(call: Call) -> int:
    """Answer an invitation: the environment is the invitation's."""
    args, runtime = call.args, call.runtime
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
        session=runtime.open_session(),
        clock=runtime.clock,
        registration=registration,
    )
    lines = (
        f"Enrolled as {made.profile.partner} at {made.profile.origin}; folder {args.state}.",
        f"Root fingerprint {invitation.root_fingerprint}",
        *_format_keys(made.key_ids),
        "Read these to the agency by phone; once it has approved you, `doctor` says so.",
        f"Delete {args.invitation}: its secret is used up.",
    )
    fields = {"key_ids": made.key_ids, "partner": made.profile.partner, "status": "waiting"}
    return replace(call, speaker=speaker).answer(fields, lines)


def _add_enrol(top: CommandGroup) -> None:
    command = top.add_alone("enrol", run=run_enrol, example="invitation.json")
    command.add_argument("invitation", metavar="INVITATION", help="the file that the agency handed over (- for input)")
    command.add_argument(
        "--registration", metavar="FILE", help="who is responsible here, sealed along (see account template)"
    )


def run_rotate(call: PartnerCall) -> int:
    """Begin a rotation or go on with one; the old keys work until the agency has put the new ones in force."""
    partner = call.partner
    had_begun, now = not describe_rotation(partner.state).is_done, call.runtime.clock()
    changed_at = None if had_begun or call.args.anew else _find_last_change(partner.state, now=now)
    if changed_at is not None:
        # Another command went over since: a run that only shows that must not ask for a third set.
        partner.status()  # a refusal may lead back to the keys of before, and then there is something to ask
        rotation = describe_rotation(partner.state)
        if rotation.is_done:
            said = f"The new keys are in force since {changed_at}. Nothing was asked; --anew asks for yet others."
            return call.answer(_to_fields(rotation), [said, *_format_keys(rotation.key_ids)])
    rotation = rotate_keys(partner, now=now, ask_again=call.args.ask_again)
    if rotation.is_done:
        lines = [
            "The new keys are in force here, and the gateway says that they are at the agency.",
            "The former ones are kept until the agency has written to the new mailbox, 14 days at least.",
            *_format_keys(rotation.key_ids),
        ]
    else:
        lines = [
            f"The agency {'still has' if had_begun else 'has'} to accept the new keys, change {rotation.change_id}.",
            f"submission key id {rotation.key_ids['submission']} (old)",
            f"submission key id {rotation.new_key_ids['submission']} (new)",
            "Read both to the agency by phone. Until it accepts them, everything goes on with the old keys.",
            "Afterwards the next command, `doctor` too, goes over to the new keys by itself and says so.",
        ]
    return call.answer(_to_fields(rotation), lines)


def run_list(call: PartnerCall) -> int:
    """List the keys of this folder, without any network."""
    state = call.partner.state
    rotation = describe_rotation(state)
    current = {role.value: state.read_key(role) for role in PARTNER_ROLES}
    named = set(rotation.key_ids.values()) | set(rotation.new_key_ids.values())
    former = [key for key in list_mailbox_keys(state) if key.key_id not in named]
    kept = [
        key
        for role in (KeyRole.SUBMISSION, KeyRole.CONTEXT)
        for key in list_former_keys(state, role)
        if key.key_id not in named
    ]
    fields = {
        **_to_fields(rotation),
        "created_at": {role: key.created_at for role, key in current.items()},
        "former_keys": [key.key_id for key in kept],
        "former_mailbox_keys": [key.key_id for key in former],
    }
    waits = f"new: waits for the agency, change {rotation.change_id}"
    lines = (
        *(f"{role} key id {key.key_id}, made {key.created_at}" for role, key in current.items()),
        *(f"{line}, {waits}" for line in _format_keys(rotation.new_key_ids)),
        *(f"{key.role} key id {key.key_id}, of before: kept until the agency has used the new ones" for key in kept),
        *(f"mailbox key id {key.key_id}, of before: still opens what was sealed to it" for key in former),
    )
    return call.answer(fields, lines)


def _add_keys(top: CommandGroup) -> None:
    keys = top.add_group("keys")
    rotate = keys.add("rotate", run=run_rotate, summary="go over to new keys, without a pause", example="")
    rotate.add_argument(
        "--ask-again", action="store_true", help="ask once more for the same new keys, after the agency refused them"
    )
    rotate.add_argument(
        "--anew", action="store_true", help="ask for yet other keys, though the last change is younger than 14 days"
    )
    keys.add("list", run=run_list, summary="list the keys of this folder", example="--json")


def _find_last_change(state: PartnerState, *, now: datetime) -> str | None:
    """Return when the keys were changed, if that is younger than the former ones are kept."""
    young = [one.changed_at for one in list_changes(state) if parse_time(one.changed_at) + FORMER_KEYS_KEPT_FOR > now]
    return max(young, default=None)


def _format_keys(key_ids: dict[str, str]) -> list[str]:
    return [f"{role} key id {key_id}" for role, key_id in key_ids.items()]


def _to_fields(rotation: Rotation) -> dict[str, object]:
    return {
        "change_id": rotation.change_id,
        "key_ids": rotation.key_ids,
        "new_key_ids": rotation.new_key_ids,
        "status": "done" if rotation.is_done else "waiting",
    }
