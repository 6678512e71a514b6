"""Commands for services that ask for the button: list, show, invite, agree, decline, decline-unreadable."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.desk.keyring.commands import publish_later, publish_register
from gateway.desk.partners.adoption_clearing import decline_unreadable, get_unreadable
from gateway.desk.partners.adoption_decisions import (
    Mail,
    Place,
    agree_place,
    decline_adoption,
    invite_adopter,
)
from gateway.desk.partners.adoption_labels import (
    SEND_YOURSELF,
    format_asking,
    format_codes,
    format_declined_together,
    format_key_missing,
    format_not_understood,
    format_unreadable,
)
from gateway.desk.partners.adoptions import (
    get_adoption,
    list_adoptions,
    open_adoption,
    read_adoption,
)
from gateway.desk.partners.invitations import hold_invitation_file, publish_invitations
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.labels import format_no_page
from gateway.desk.placements.register import SURFACES
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import (
    DONE,
    FILE,
    LOOK,
    Call,
    desk_command,
    print_json,
    print_result,
    say,
    say_lines,
    say_typed,
)
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.wire.adoption import format_request_number

_REQUEST = click.argument("request_id", metavar="REQUEST", help="Its id in `adoption list`.")
_QUOTED = click.argument("request_id", metavar="REQUEST", help="Its id in `adoption list`, or the short number there.")
_OWNER = click.option("--owner", required=True, metavar="ID", help="The permanent id that you choose for it.")
_KNOWN_OWNER = click.option(
    "--known-owner", is_flag=True, help="The id is known here, and you called its owner: the request is theirs."
)
_EXAMPLE_ID = "0199c0de-0000-7000-8000-000000000000"


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
@click.option("--all", "with_decided", is_flag=True, help="The decided ones too.")
def adoption_list(call: Call, *, with_decided: bool) -> int:
    """List the waiting requests. Their senders stay sealed until `adoption show` opens one."""
    with open_desk(call.state).store.read() as connection:
        rows = list_adoptions(connection, with_decided=with_decided)
    lines = []
    for row in rows:
        decided = "" if row.decided_at is None else f"  {row.owner or '-'} {row.decided_at} by {row.decided_by}"
        lines.append(
            f"{row.state:9} {row.received_at}  {format_request_number(row.request_id)}  {row.request_id}{decided}"
        )
    if any(row.state == "waiting" for row in rows):
        lines.append("Next: `adoption show ID` opens one.")
    return print_result(call, {"requests": [asdict(row) for row in rows]}, *lines, empty="No request waits.")


@desk_command(Permission.MANAGE_PARTNERS, example=_EXAMPLE_ID)
@_QUOTED
def adoption_show(call: Call, request_id: str) -> int:
    """Open one request and print it; the audit log records it.

    Its sender is not verified. Before you agree or invite, call the organisation at a number that it has published.
    """
    desk = open_desk(call.state)
    service = open_adoption(desk, request_id, actor=call.actor)
    with desk.store.read() as connection:
        row = get_adoption(connection, request_id)
    if call.as_json:
        print_json({"request": asdict(row), "service": msgspec.to_builtins(service)})
        return DONE
    say(f"{row.request_id}: {row.state}, received {row.received_at}")
    for title, text in format_asking(service):
        say_typed(f"  {title:20} ", text, indent=" " * 23)
    say("The sender is not verified: call the organisation at a number that it has published, not at one above.")
    if row.state != "declined":
        if service.wants_to_report:
            say(f"Next: {suggest(f'adoption invite {row.request_id} --owner ID --out FILE')}")
        terms = "--owner ID --surface … --address … --position …"
        say(f"Next: {suggest(f'adoption agree {row.request_id} {terms}')}")
    if row.state in {"waiting", "invited"}:
        say("  or: " + suggest(f'adoption decline {row.request_id} --why "…"'))
    return DONE


@desk_command(Permission.MANAGE_PARTNERS, example=f"{_EXAMPLE_ID} --owner example-chat --out example-chat.invitation")
@_REQUEST
@_OWNER
@_KNOWN_OWNER
@click.option("--origin", metavar="URL", help="The gateway's address in the invitation.  [default: as in desk.toml]")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The invitation file to write.")
def adoption_invite(
    call: Call, request_id: str, owner: str, origin: str | None, out: Path, *, known_owner: bool
) -> int:
    """Write an invitation for a service that also wants to report, and print the mail to it.

    The file holds a one-time secret: hand it over by a trusted channel, never with the mail. This command tells the
    gateway; the desk's page does not: run `publish` after it.
    """
    desk = open_desk(call.state)
    with hold_invitation_file(out) as keep:
        invitation, mail = invite_adopter(
            desk,
            request_id,
            owner=owner,
            origin=origin,
            actor=call.actor,
            is_known_owner=known_owner,
            keep=keep,
        )
    if not call.as_json:
        if not _asked_to_report(desk, request_id, actor=call.actor):
            say("The service did not ask to report: ask it before you hand this over.")
        say(f"The invitation of {invitation.partner} ({invitation.environment}) is in {out}. It holds a secret.")
        _say_mail(mail)
    try:
        publish_invitations(desk, desk.make_feed())
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=f"The invitation is written to {out}")
    if call.as_json:
        print_json({"invitation": str(out), "mail": asdict(mail), "partner": invitation.partner})
    return DONE


@desk_command(
    Permission.MANAGE_PARTNERS,
    example=f'{_EXAMPLE_ID} --owner example-chat --surface profile --address "https://chat.example/people/*" '
    '--position "Under the name, beside Block"',
)
@_REQUEST
@_OWNER
@_KNOWN_OWNER
@click.option("--surface", required=True, type=click.Choice(SURFACES), help="The kind of page.")
@click.option("--address", required=True, metavar="URL", help="The pages; * is one part of the path.")
@click.option("--position", required=True, metavar="WORDS", help="The place on the page, as agreed.")
@click.option("--look-at", metavar="URL", help="The page to check, if the address has a *.")
@click.option("--link-id", metavar="ID", help="[default: made by the desk]")
@click.option("--service", metavar="NAME", help="The service's name.  [default: as in the request]")
def adoption_agree(call: Call, request_id: str, owner: str, *, known_owner: bool, **place: Any) -> int:
    """Agree one placement with a service that asked, publish the register, and print the mail.

    This command publishes; the desk's page does not: run `publish` after it and before the mail goes out. A service
    without keys is registered under --owner. Run it again for each further placement: the mail names all that are
    agreed with this request.
    """
    desk = open_desk(call.state)
    row, mail = agree_place(
        desk,
        request_id,
        owner=owner,
        place=Place(**place),
        actor=call.actor,
        is_known_owner=known_owner,
    )
    if call.as_json:
        print_json({"mail": asdict(mail), "placement": asdict(row)})
        return DONE
    say(f"{row.placement} is agreed with {row.owner}.")
    if row.look_at is None:
        say(format_no_page(row))
    _say_mail(mail)
    return publish_register(call, partner=row.owner, done=f"{row.placement} is agreed")


@desk_command(Permission.MANAGE_PARTNERS, example=f'{_EXAMPLE_ID} --why "We could not reach you."')
@_REQUEST
@click.option("--why", required=True, metavar="WORDS", help="The reason, for the service to read.")
def adoption_decline(call: Call, request_id: str, why: str) -> int:
    """Decline a request, with a reason, and print the mail to the service.

    Its invitation ends too. A request with an agreed placement cannot be declined: end the placement with
    `placement end`, and the invitation with `partner end-invitation`.
    """
    mail = decline_adoption(open_desk(call.state), request_id, reason=why, actor=call.actor)
    if call.as_json:
        print_json({"mail": None if mail is None else asdict(mail), "request_id": request_id})
        return DONE
    say("The request is declined.")
    if mail is None:
        say("It cannot be read, so there is no address to write to.")
    else:
        _say_mail(mail)
    return DONE


@desk_command(Permission.MANAGE_PARTNERS, example='--why "Sealed to no key of ours." --confirm 40')
@click.option("--why", required=True, metavar="WORDS", help="The reason, for this desk's record.")
@click.option("--confirm", type=int, metavar="NUMBER", help="How many, as printed without this option.")
def adoption_decline_unreadable(call: Call, why: str, confirm: int | None) -> int:
    """Decline every request that no key of this desk opens. The others stay as they are.

    Without --confirm it only counts them. With --confirm it declines them if the number is unchanged. Each gets an
    entry in the audit log; there is no address to write to.
    """
    desk = open_desk(call.state)
    if confirm is not None:
        declined = decline_unreadable(desk, confirmed=confirm, reason=why, actor=call.actor)
        return print_result(call, {"declined": declined}, format_declined_together(declined))
    found = get_unreadable(desk, actor=call.actor)
    lines = [format_unreadable(found)]
    if found.key_missing:
        lines.append(format_key_missing(found))
    if found.not_understood:
        lines += [format_not_understood(found), *(f"  {request_id}" for request_id in found.not_understood)]
    if found.count:
        next_step = suggest(f'adoption decline-unreadable --why "…" --confirm {found.count}')
        lines += [format_codes(found), f"Next: {next_step}"]
    value = {name: getattr(found, name) for name in ("key_missing", "not_understood", "waiting")}
    return print_result(call, value | {"unreadable": found.reasons}, *lines, code=LOOK if found.count else DONE)


def _asked_to_report(desk: Desk, request_id: str, *, actor: str) -> bool:
    with desk.store.read() as connection:
        return read_adoption(connection, desk, request_id, actor=actor).wants_to_report


def _say_mail(mail: Mail) -> None:
    say(SEND_YOURSELF)
    say("")
    say(f"To: {mail.to}")
    say(f"Subject: {mail.subject}")
    say("")
    say_lines(mail.text.rstrip("\n"))
    say("")
