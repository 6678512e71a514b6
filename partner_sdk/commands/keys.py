"""The commands `keys rotate` and `keys list`."""

from datetime import datetime

from partner_sdk.client.former_keys import FORMER_KEYS_KEPT_FOR, list_changes, list_former_keys
from partner_sdk.client.key_rotation import Rotation, describe_rotation, rotate_keys
from partner_sdk.client.partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.pending_keys import list_mailbox_keys
from partner_sdk.commands.frame import CommandGroup, PartnerCall
from partner_sdk.commands.output import EXIT_DONE, Speaker
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_time


def run_rotate(call: PartnerCall) -> int:
    """Begin a rotation or go on with one; the old keys work until the agency has put the new ones in force."""
    partner, speaker = call.partner, call.speaker
    had_begun, now = not describe_rotation(partner.state).is_done, call.surroundings.clock()
    changed_at = None if had_begun or call.args.anew else _find_last_change(partner.state, now=now)
    if changed_at is not None:
        # Another command went over since: whoever runs this only to see that must not ask for a third set.
        partner.status()  # a refusal may lead back to the keys of before, and then there is something to ask
        rotation = describe_rotation(partner.state)
        if rotation.is_done:
            if call.args.json:
                speaker.say_json(_to_fields(rotation))
                return EXIT_DONE
            speaker.say(f"The new keys are in force since {changed_at}. Nothing was asked; --anew asks for yet others.")
            _say_keys(speaker, rotation.key_ids)
            return EXIT_DONE
    rotation = rotate_keys(partner, now=now, ask_again=call.args.ask_again)
    if call.args.json:
        speaker.say_json(_to_fields(rotation))
        return EXIT_DONE
    if rotation.is_done:
        speaker.say("The new keys are in force here, and the gateway says that they are at the agency.")
        speaker.say("The former ones are kept until the agency has written to the new mailbox, 14 days at least.")
        _say_keys(speaker, rotation.key_ids)
        return EXIT_DONE
    speaker.say(
        f"The agency {'still has' if had_begun else 'has'} to accept the new keys, change {rotation.change_id}."
    )
    speaker.say(f"submission key id {rotation.key_ids['submission']} (old)")
    speaker.say(f"submission key id {rotation.new_key_ids['submission']} (new)")
    speaker.say("Read both to the agency by phone. Until it accepts them, everything goes on with the old keys.")
    speaker.say("Afterwards the next command, `doctor` too, goes over to the new keys by itself and says so.")
    return EXIT_DONE


def run_list(call: PartnerCall) -> int:
    """List the keys of this folder, without any network."""
    state, speaker = call.partner.state, call.speaker
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
    if call.args.json:
        speaker.say_json(
            {
                **_to_fields(rotation),
                "created_at": {role: key.created_at for role, key in current.items()},
                "former_keys": [key.key_id for key in kept],
                "former_mailbox_keys": [key.key_id for key in former],
            }
        )
        return EXIT_DONE
    for role, key in current.items():
        speaker.say(f"{role} key id {key.key_id}, made {key.created_at}")
    for role, key_id in rotation.new_key_ids.items():
        speaker.say(f"{role} key id {key_id}, new: waits for the agency, change {rotation.change_id}")
    for key in kept:
        speaker.say(f"{key.role} key id {key.key_id}, of before: kept until the agency has used the new ones")
    for key in former:
        speaker.say(f"mailbox key id {key.key_id}, of before: still opens what was sealed to it")
    return EXIT_DONE


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands."""
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


def _say_keys(speaker: Speaker, key_ids: dict[str, str]) -> None:
    for role, key_id in key_ids.items():
        speaker.say(f"{role} key id {key_id}")


def _to_fields(rotation: Rotation) -> dict[str, object]:
    return {
        "change_id": rotation.change_id,
        "key_ids": rotation.key_ids,
        "new_key_ids": rotation.new_key_ids,
        "status": "done" if rotation.is_done else "waiting",
    }
