"""The commands `enrol`, `keys` and `account`: enrol a partner, change its keys, register it."""

import json

import click
import msgspec

from partner_sdk._commands.runtime import (
    EXIT_DONE,
    FEW_EXIT_CODES,
    Call,
    PartnerCommand,
    PartnerGroup,
    Speaker,
    read_input,
    say_example,
    shared_options,
)
from partner_sdk.client._keys import list_former_keys, list_mailbox_keys
from partner_sdk.client._partner_state import PARTNER_ROLES
from partner_sdk.client.account import (
    Rotation,
    describe_rotation,
    find_sent_registration,
    renew_keys,
    send_registration,
)
from partner_sdk.client.account import enrol as answer_invitation
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import check_filled_in
from partner_sdk.wire.enrolment import (
    MAX_INVITATION_BYTES,
    MAX_REGISTRATION_BYTES,
    TEMPLATE,
    Registration,
    list_registration_gaps,
    parse_invitation,
    parse_registration_file,
)
from partner_sdk.wire.signing import Environment


@click.command(cls=PartnerCommand, example="invitation.json", exit_codes=FEW_EXIT_CODES)
@click.argument("invitation")
@click.option("--registration", metavar="FILE", help="Send this registration too, sealed (see account template).")
@shared_options
def enrol(call: Call, *, invitation: str, registration: str | None) -> int:
    """Answer the agency's invitation.

    INVITATION is the file from the agency; - reads standard input.
    """
    found = parse_invitation(read_input(invitation, max_bytes=MAX_INVITATION_BYTES))
    call.speaker = Speaker(found.environment)
    made = answer_invitation(
        found,
        folder=call.state,
        ca_file=call.ca_file,
        session=call.runtime.open_session(),
        clock=call.runtime.clock,
        registration=None if registration is None else read_registration(registration, environment=found.environment),
    )
    lines = (
        f"Enrolled as {made.profile.partner} at {made.profile.origin}; folder {call.state}.",
        f"Root fingerprint {found.root_fingerprint}",
        *_format_keys(made.key_ids),
        "Read these to the agency by phone. Run `doctor` to see when it has approved you.",
        f"Delete {invitation}: its secret has been used.",
    )
    return call.answer({"key_ids": made.key_ids, "partner": made.profile.partner, "status": "waiting"}, lines)


@click.group(cls=PartnerGroup)
def account() -> None:
    """Register this partner, or show its registration."""


@account.command(example="> account.json", exit_codes=FEW_EXIT_CODES)
@shared_options
def template(_: Call) -> int:
    """Write an example registration to fill in."""
    return say_example(TEMPLATE)


@account.command(example="account.json")
@click.argument("file")
@shared_options
def update(call: Call, *, file: str) -> int:
    """Send a registration for the agency to accept.

    FILE is the registration as JSON; - reads standard input.
    """
    registration = read_registration(file, environment=call.partner.profile.environment)
    sent = send_registration(call.partner, registration, now=call.runtime.clock())
    gaps = list_registration_gaps(registration)
    if not call.is_json:
        _warn_of_gaps(call, gaps)
    fields = {"change_id": sent.change_id, "missing": list(gaps), "status": "waiting"}
    return call.answer(fields, [f"Sent to the agency, change {sent.change_id}. A person there reads it."])


@account.command(example="--json")
@shared_options
def show(call: Call) -> int:
    """Show the last registration sent."""
    sent = find_sent_registration(call.partner.state)
    fields = {"account": None if sent is None else msgspec.to_builtins(sent)}
    if sent is None:
        return call.answer(fields, ["Nothing was registered from here: see account template and account update."])
    arrived = f"sent {sent.sent_at}" if sent.sent_at else "NOT SENT YET: run account update again"
    shown = json.dumps(msgspec.to_builtins(sent.registration), indent=2, ensure_ascii=False)
    call.answer(fields, [f"change {sent.change_id}, made {sent.made_at}, {arrived}", shown])
    if not call.is_json:
        _warn_of_gaps(call, list_registration_gaps(sent.registration))
    return EXIT_DONE


def read_registration(name: str, *, environment: Environment) -> Registration:
    """Return the registration of a file; raises `ReportError`, `LocalStateError`.

    A live agency is never sent the template as it was: `FormatError` (`unchanged-example`).
    """
    registration = parse_registration_file(read_input(name, max_bytes=MAX_REGISTRATION_BYTES))
    if environment == "live":
        check_filled_in(registration, examples=(TEMPLATE,))
    return registration


def _warn_of_gaps(call: Call, gaps: tuple[str, ...]) -> None:
    for gap in gaps:
        call.speaker.warn(f"Missing: {gap.replace('_', ' ')}. The agency will ask for it.")


@click.group(cls=PartnerGroup)
def keys() -> None:
    """List and change this partner's keys."""


@keys.command(example="")
@click.option("--ask-again", is_flag=True, help="Request the same new keys again after a refusal.")
@click.option("--anew", is_flag=True, help="Request different keys, even if the last change was less than 14 days ago.")
@shared_options
def rotate(call: Call, *, ask_again: bool, anew: bool) -> int:
    """Change to new keys, without a pause.

    The old ones work until the agency accepts the new ones.
    """
    renewed = renew_keys(call.partner, now=call.runtime.clock(), ask_again=ask_again, anew=anew)
    rotation = renewed.rotation
    if renewed.changed_at is not None:
        said = (
            f"The new keys have been in force since {renewed.changed_at}. Nothing was sent; --anew requests different "
            "keys."
        )
        return call.answer(_to_fields(rotation), [said, *_format_keys(rotation.key_ids)])
    if rotation.is_done:
        lines = [
            "The new keys are in force here, at the gateway and at the agency.",
            "The old keys are kept for at least 14 days, and until the agency has written to the new mailbox.",
            *_format_keys(rotation.key_ids),
        ]
    else:
        has = "still has" if renewed.had_begun else "has"
        lines = [
            f"The agency {has} to accept the new keys, change {rotation.change_id}.",
            f"submission key id {rotation.key_ids['submission']} (old)",
            f"submission key id {rotation.new_key_ids['submission']} (new)",
            "Read both to the agency by phone. Until it accepts them, the old keys stay in use.",
            "After that the next command, e.g. `doctor`, switches to the new keys and reports it.",
        ]
    return call.answer(_to_fields(rotation), lines)


@keys.command("list", example="--json")
@shared_options
def show_keys(call: Call) -> int:
    """List the keys of this folder."""
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
        *(f"{key.role} key id {key.key_id}, old: kept until the agency has used the new ones" for key in kept),
        *(f"mailbox key id {key.key_id}, old: still opens messages sealed to it" for key in former),
    )
    return call.answer(fields, lines)


def _format_keys(key_ids: dict[str, str]) -> list[str]:
    return [f"{role} key id {key_id}" for role, key_id in key_ids.items()]


def _to_fields(rotation: Rotation) -> dict[str, object]:
    return {
        "change_id": rotation.change_id,
        "key_ids": rotation.key_ids,
        "new_key_ids": rotation.new_key_ids,
        "status": "done" if rotation.is_done else "waiting",
    }
