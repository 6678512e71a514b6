"""Commands about partners: invite, list, approve, suspend, revoke a key."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Final

from gateway.desk.commands import partner_changes
from gateway.desk.commands.frame import (
    DONE,
    Commands,
    add_command,
    add_group,
    get_actor,
    print_json,
    say,
)
from gateway.desk.keyring.commands import publish_later, publish_register
from gateway.desk.partnership.account_changes import list_changes
from gateway.desk.partnership.approval import approve_partner
from gateway.desk.partnership.invitation_files import hold_invitation_file
from gateway.desk.partnership.invitations import end_invitation, invite_partner, publish_invitations
from gateway.desk.partnership.key_ends import revoke_key, suspend_partner
from gateway.desk.partnership.partners import PARTNER_TYPES, PartnerState, get_partner, list_partners
from gateway.desk.placements.register import PlacementState, list_placements
from gateway.desk.wiring import open_desk
from partner_sdk.errors import TransportError, UnavailableError

_IN_REGISTER: Final[tuple[PlacementState, ...]] = ("agreed",)
# By the state before: what is said of it, and what stands if the gateway can not be told.
_SUSPENDED: Final[dict[PartnerState, tuple[str, str]]] = {
    "active": ("is suspended. If it may go on later, invite it again with `partner invite`.", "is suspended"),
    "suspended": ("is suspended already, and stays so since the first time.", "was suspended before"),
    "revoked": ("stays revoked, which is more than suspended: none of its keys is in force.", "stays revoked"),
}


def run_invite(parsed: argparse.Namespace) -> int:
    """Write an invitation file for a new partner and give its hash to the gateway.

    The file holds a one-time secret: hand it over by a trusted way.
    """
    desk = open_desk(parsed.state)
    with hold_invitation_file(parsed.out) as keep:
        invitation = invite_partner(
            desk,
            partner=parsed.partner,
            name=parsed.name,
            origin=parsed.origin or desk.config.gateway_origin,
            actor=get_actor(parsed),
            type=parsed.type,
            country=parsed.country,
            keep=keep,
        )
    if not parsed.json:
        say(f"The invitation of {invitation.partner} ({invitation.environment}) is in {parsed.out}.")
        say(f"It can be used once, until {invitation.expires_at}. It holds a secret.")
    try:
        publish_invitations(desk, desk.make_feed())
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=f"The invitation is written to {parsed.out}")
    if parsed.json:
        print_json(
            {
                "environment": invitation.environment,
                "expires_at": invitation.expires_at,
                "invitation": str(parsed.out),
                "partner": invitation.partner,
            }
        )
    return DONE


def run_end_invitation(parsed: argparse.Namespace) -> int:
    """End the open invitation of a partner, and refuse the enrolment that waits for approval, if there is one.

    Its keys, if it has any, and the places of its button stay as they are. What comes with the invitation from now on
    is refused when it is collected.
    """
    desk = open_desk(parsed.state)
    ended = end_invitation(desk, partner=parsed.partner, actor=get_actor(parsed))
    if parsed.json:
        print_json({"partner": parsed.partner, **asdict(ended)})
        return DONE
    say(f"The invitation of {parsed.partner} has ended: nobody can enrol with it.")
    if ended.enrolments:
        say("The enrolment that waited is refused.")
    with desk.store.read() as connection:
        agreed = list_placements(connection, owner=parsed.partner, states=_IN_REGISTER)
    if agreed:
        places = "1 place of its button stays" if len(agreed) == 1 else f"{len(agreed)} places of its button stay"
        say(f"{places}: report-abuse-desk placement list --owner {parsed.partner}")
    return DONE


def run_list(parsed: argparse.Namespace) -> int:
    """List partners, enrolments that wait for approval, and open invitations."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_partners(connection)
    if parsed.json:
        print_json({"partners": [asdict(row) for row in rows]})
        return DONE
    for row in rows:
        key = f"submission key {row.key_id}" if row.key_id else "-"
        kind = row.type if row.country is None else f"{row.type} {row.country}"
        change = "1 change waits" if row.changes == 1 else f"{row.changes} changes wait"
        waits = f"  {change}: see `partner changes`" if row.changes else ""
        say(f"{row.state:10} {row.partner:24} {kind:19} {key:31} {row.since}  {row.name}{waits}")
    if not rows:
        say("There is no partner yet. `partner invite` makes the first one.")
    return DONE


def run_approve(parsed: argparse.Namespace) -> int:
    """Put the keys of a checked enrolment into the register, sign it and publish it."""
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    approve_partner(desk, partner=parsed.partner, actor=actor)
    if not parsed.json:
        say(f"{parsed.partner} is approved.")
    code = publish_register(parsed, partner=parsed.partner, done=f"{parsed.partner} is approved")
    with desk.store.read() as connection:
        waits = any(change.partner == parsed.partner for change in list_changes(connection))
    if waits and not parsed.json:
        say(f"It asks for changes too. Next: report-abuse-desk partner show {parsed.partner}")
    return code


def run_suspend(parsed: argparse.Namespace) -> int:
    """Stop taking reports of a partner, sign the register and publish it.

    Its buttons stay: a child on its pages can press one all the same. `placement suspend` is for those, and for a
    service without keys, which is no partner.
    """
    desk = open_desk(parsed.state)
    said, stands = _SUSPENDED[suspend_partner(desk, partner=parsed.partner, actor=get_actor(parsed))]
    if not parsed.json:
        say(f"{parsed.partner} {said}")
        with desk.store.read() as connection:
            agreed = list_placements(connection, owner=parsed.partner, states=_IN_REGISTER)
        if agreed:
            places = "1 place of its button stays" if len(agreed) == 1 else f"{len(agreed)} places of its button stay"
            say(f"{places}: report-abuse-desk placement list --owner {parsed.partner}")
    return publish_register(parsed, partner=parsed.partner, done=f"{parsed.partner} {stands}")


def run_revoke_key(parsed: argparse.Namespace) -> int:
    """End the key of a partner that was lost or stolen, at once and without any grace, and publish the register.

    Without --key all keys of the partner end: invite it again under the same id, and its reports stay its own. With
    --key a former key ends, and what it signed for ends too: the keys that followed it and the registrations; invite
    the partner again. Only if it says by phone that those are its own, add --keep-successor. What
    the gateway took in before and this desk has not seen yet is set aside; ask the partner, then file it with
    `set-aside retry --accept-ended-key`.
    """
    desk = open_desk(parsed.state)
    ended = revoke_key(
        desk,
        partner=parsed.partner,
        key_id=parsed.key,
        keep_successor=parsed.keep_successor,
        actor=get_actor(parsed),
    )
    if not parsed.json:
        say(f"Ended for {parsed.partner}: {', '.join(ended)}.")
        with desk.store.read() as connection:
            state = get_partner(connection, parsed.partner, now=desk.clock()).state
        if state == "revoked":
            say(f"No key of {parsed.partner} is in force: invite it again with `partner invite`.")
    return publish_register(parsed, partner=parsed.partner, done=f"The keys of {parsed.partner} are revoked")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    group = add_group(commands, "partner")
    invite = add_command(
        group,
        "invite",
        run=run_invite,
        example='"Example Chat" --partner example-chat --out example-chat.invitation',
        group="partner",
    )
    invite.add_argument("name", metavar="NAME", help="the partner's name, as people know it")
    invite.add_argument("--partner", required=True, metavar="ID", help="its id: a-z, 0-9 and hyphens, for good")
    invite.add_argument("--origin", metavar="URL", help="where it reaches the gateway (default: as in desk.toml)")
    invite.add_argument(
        "--type", choices=PARTNER_TYPES, help="what it is (default: as before, or a service if it is new)"
    )
    invite.add_argument("--country", metavar="CODE", help="the country of an agency, like GB")
    invite.add_argument("--out", type=Path, required=True, metavar="FILE", help="the invitation file to write")
    add_command(group, "list", run=run_list, example="--json", group="partner")
    for name, run in (("approve", run_approve), ("end-invitation", run_end_invitation), ("suspend", run_suspend)):
        command = add_command(group, name, run=run, example="example-chat", group="partner")
        command.add_argument("partner", metavar="ID", help="the partner's id")
    revoke = add_command(group, "revoke-key", run=run_revoke_key, example="example-chat", group="partner")
    revoke.add_argument("partner", metavar="ID", help="the partner's id")
    revoke.add_argument("--key", metavar="KEY-ID", help="one former key, and what it signed for")
    revoke.add_argument(
        "--keep-successor", action="store_true", help="the partner said by phone that its later keys are its own"
    )
    partner_changes.add_commands(group)
