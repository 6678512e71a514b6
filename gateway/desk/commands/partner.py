"""Commands about partners: invite, list, approve, suspend."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gateway.desk.commands.frame import (
    DONE,
    TRY_AGAIN,
    Commands,
    add_command,
    add_group,
    complain,
    get_actor,
    print_json,
    say,
)
from gateway.desk.keyring.publication import publish
from gateway.desk.partnership.partners import (
    approve_partner,
    invite_partner,
    list_partners,
    publish_invitations,
    suspend_partner,
    write_invitation,
)
from gateway.desk.wiring import open_desk
from partner_sdk.errors import TransportError, UnavailableError


def run_invite(parsed: argparse.Namespace) -> int:
    """Write an invitation file for a new partner and give its hash to the gateway.

    The file holds a one-time secret: hand it over by a trusted way.
    """
    desk = open_desk(parsed.state)
    invitation = invite_partner(
        desk,
        partner=parsed.partner,
        name=parsed.name,
        origin=parsed.origin or desk.config.gateway_origin,
        actor=get_actor(parsed),
    )
    write_invitation(parsed.out, invitation)
    if not parsed.json:
        say(f"The invitation of {invitation.partner} ({invitation.environment}) is in {parsed.out}.")
        say(f"It can be used once, until {invitation.expires_at}. It holds a secret.")
    try:
        publish_invitations(desk, desk.make_feed())
    except (TransportError, UnavailableError) as error:
        return _publish_later(error, done=f"The invitation is written to {parsed.out}")
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


def run_list(parsed: argparse.Namespace) -> int:
    """List partners, enrolments that wait for approval, and open invitations."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_partners(connection)
    if parsed.json:
        print_json({"partners": [asdict(row) for row in rows]})
        return DONE
    for row in rows:
        key = f"submission key {row.key_id}" if row.key_id else "-"
        say(f"{row.state:10} {row.partner:24} {key:31} {row.since}  {row.name}")
    if not rows:
        say("There is no partner yet. `partner invite` makes the first one.")
    return DONE


def run_approve(parsed: argparse.Namespace) -> int:
    """Put the keys of a checked enrolment into the register, sign it and publish it."""
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    approve_partner(desk, partner=parsed.partner, actor=actor)
    if not parsed.json:
        say(f"{parsed.partner} is approved.")
    return _publish_register(parsed, done=f"{parsed.partner} is approved")


def run_suspend(parsed: argparse.Namespace) -> int:
    """Stop taking reports of a partner, sign the register and publish it."""
    suspend_partner(open_desk(parsed.state), partner=parsed.partner, actor=get_actor(parsed))
    if not parsed.json:
        say(f"{parsed.partner} is suspended.")
    return _publish_register(parsed, done=f"{parsed.partner} is suspended")


def _publish_register(parsed: argparse.Namespace, *, done: str) -> int:
    try:
        published = publish(open_desk(parsed.state), actor=get_actor(parsed))
    except (TransportError, UnavailableError) as error:
        return _publish_later(error, done=done)
    if parsed.json:
        print_json({"partner": parsed.partner, "register_serial": published.register.serial})
    else:
        say(f"The gateway has register serial {published.register.serial}.")
    return DONE


def _publish_later(error: Exception, *, done: str) -> int:
    # Running the same command again would be refused: it is done here, and only the gateway does not know.
    return complain(f"{error} {done}; the gateway hears of it with the next `publish`.", code=TRY_AGAIN)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    group = add_group(commands, "partner", summary="Online services that report, and get digests.")
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
    invite.add_argument("--out", type=Path, required=True, metavar="FILE", help="the invitation file to write")
    add_command(group, "list", run=run_list, example="--json", group="partner")
    for name, run in (("approve", run_approve), ("suspend", run_suspend)):
        command = add_command(group, name, run=run, example="example-chat", group="partner")
        command.add_argument("partner", metavar="ID", help="the partner's id")
