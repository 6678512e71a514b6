"""The commands `enrol`, `keys`, `account` and `doctor`: enrol a partner, change its keys, register it, find faults."""

import click
import msgspec

from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    FEW_EXIT_CODES,
    Call,
    PartnerCommand,
    PartnerGroup,
    Speaker,
    pick,
    read_input,
    say_example,
    shared_options,
)
from partner_sdk.client._keys import list_former_keys, list_mailbox_keys
from partner_sdk.client._partner_state import PARTNER_ROLES
from partner_sdk.client.account import (
    Rotation,
    describe_rotation,
    examine,
    find_sent_registration,
    renew_keys,
    send_registration,
)
from partner_sdk.client.account import enrol as answer_invitation
from partner_sdk.finding import describe_findings, is_well
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
    call.speaker.warn("Read the key ids and the root fingerprint to the agency by phone; `doctor` shows its approval.")
    call.speaker.warn(f"Delete {invitation}: its secret has been used.")
    fields = {
        "key_ids": made.key_ids,
        **pick(made.profile, "origin", "partner"),
        "root_fingerprint": found.root_fingerprint,
        "status": "waiting",
    }
    return call.answer(fields)


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
    return call.answer({"change_id": sent.change_id, "missing": list(gaps), "status": "waiting"})


@account.command(example="")
@shared_options
def show(call: Call) -> int:
    """Show the last registration sent.

    `missing` is what the agency will ask for. Without `sent_at` it did not arrive: run account update again.
    """
    sent = find_sent_registration(call.partner.state)
    fields = {
        "account": None if sent is None else msgspec.to_builtins(sent),
        "missing": [] if sent is None else list(list_registration_gaps(sent.registration)),
    }
    return call.answer(fields)


def read_registration(name: str, *, environment: Environment) -> Registration:
    """Return the registration of a file; raises `ReportError`, `LocalStateError`.

    A live agency is never sent the template as it was: `FormatError` (`unchanged-example`).
    """
    registration = parse_registration_file(read_input(name, max_bytes=MAX_REGISTRATION_BYTES))
    if environment == "live":
        check_filled_in(registration, examples=(TEMPLATE,))
    return registration


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
        call.speaker.warn("Nothing was sent: the new keys are in force. --anew requests different keys.")
    elif not rotation.is_done:
        call.speaker.warn(
            "Read both submission key ids to the agency by phone. Until it accepts the new keys, the old ones stay in "
            "use; then the next command, e.g. `doctor`, switches to the new ones."
        )
    return call.answer({**_to_fields(rotation), "changed_at": renewed.changed_at})


@keys.command("list", example="")
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
    return call.answer(fields)


def _to_fields(rotation: Rotation) -> dict[str, object]:
    return {
        "change_id": rotation.change_id,
        "key_ids": rotation.key_ids,
        "new_key_ids": rotation.new_key_ids,
        "status": "done" if rotation.is_done else "waiting",
    }


@click.command(cls=PartnerCommand, example="")
@shared_options
def doctor(call: Call) -> int:
    """List faults and how to fix them."""
    findings = list(examine(call.partner, now=call.runtime.clock(), environ=call.runtime.environ))
    return call.answer(describe_findings(findings), code=EXIT_DONE if is_well(findings) else EXIT_FAILED)
