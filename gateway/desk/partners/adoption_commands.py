"""Commands about services that ask for the button: list, show, invite, agree, decline, decline-unreadable."""

import argparse
from dataclasses import asdict
from pathlib import Path

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
from gateway.desk.placements.labels import format_no_page
from gateway.desk.placements.register import SURFACES
from gateway.desk.store import read_row
from gateway.desk.terminal import (
    DONE,
    LOOK,
    Commands,
    add_group,
    get_actor,
    print_json,
    print_result,
    say,
    say_lines,
)
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import TransportError, UnavailableError


def run_list(parsed: argparse.Namespace) -> int:
    """List the requests that wait. Who asks is sealed until `adoption show` opens it."""
    with open_desk(parsed.state).store.read() as connection:
        lines = list_adoptions(connection, with_decided=parsed.all)
    words = []
    for line in lines:
        decided = "" if line.decided_at is None else f"  {line.owner or '-'} {line.decided_at} by {line.decided_by}"
        words.append(f"{line.state:9} {line.received_at}  {line.request_id}{decided}")
    if any(line.state == "waiting" for line in lines):
        words.append("Next: `adoption show ID` opens one.")
    return print_result(parsed, {"requests": [asdict(line) for line in lines]}, *words, empty="No request waits.")


def run_show(parsed: argparse.Namespace) -> int:
    """Open one request and show what it says; who opened it goes into the audit log.

    Nothing proves who sent it. Before you agree or invite, call the organisation at a number that it has published.
    """
    desk = open_desk(parsed.state)
    service = open_adoption(desk, parsed.request, actor=get_actor(parsed))
    with desk.store.read() as connection:
        line = get_adoption(connection, parsed.request)
    if parsed.json:
        print_json({"request": asdict(line), "service": msgspec.to_builtins(service)})
        return DONE
    say(f"{line.request_id}: {line.state}, received {line.received_at}")
    for title, text in format_asking(service):
        for place, one in enumerate(text.split("\n")):
            say(f"  {title if place == 0 else '':20} {one}")
    say("Nothing proves who sent this: call the organisation at a number that it has published, not at one above.")
    if line.state != "declined":
        if service.wants_to_report:
            say(f"Next: report-abuse-desk adoption invite {line.request_id} --owner ID --out FILE")
        say(f"Next: report-abuse-desk adoption agree {line.request_id} --owner ID --surface … --address … --position …")
    if line.state in {"waiting", "invited"}:
        say(f'  or: report-abuse-desk adoption decline {line.request_id} --why "…"')
    return DONE


def run_invite(parsed: argparse.Namespace) -> int:
    """Write an invitation for a service that asked and also wants to report, and print the mail that goes to it.

    The file holds a one-time secret: hand it over by a trusted way, never with the mail. This tells the gateway at
    once; the desk's page does not: run `publish` after it.
    """
    desk = open_desk(parsed.state)
    with hold_invitation_file(parsed.out) as keep:
        invitation, mail = invite_adopter(
            desk,
            parsed.request,
            owner=parsed.owner,
            origin=parsed.origin,
            actor=get_actor(parsed),
            is_known_owner=parsed.known_owner,
            keep=keep,
        )
    if not parsed.json:
        if not _asked_to_report(desk, parsed.request):
            say("The service did not say that it would report too: ask it before you hand this over.")
        say(f"The invitation of {invitation.partner} ({invitation.environment}) is in {parsed.out}. It holds a secret.")
        _say_mail(mail)
    try:
        publish_invitations(desk, desk.make_feed())
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=f"The invitation is written to {parsed.out}")
    if parsed.json:
        print_json({"invitation": str(parsed.out), "mail": asdict(mail), "partner": invitation.partner})
    return DONE


def run_agree(parsed: argparse.Namespace) -> int:
    """Agree one place with a service that asked, publish the register, and print the mail that goes to the service.

    This publishes at once; the desk's page does not: run `publish` after it, and before the mail goes out. A service
    without keys is registered by this under --owner. Run it again for each further place: the mail names all
    that are agreed with this request by then.
    """
    desk = open_desk(parsed.state)
    row, mail = agree_place(
        desk,
        parsed.request,
        owner=parsed.owner,
        place=read_row(Place, parsed),
        actor=get_actor(parsed),
        is_known_owner=parsed.known_owner,
    )
    if parsed.json:
        print_json({"mail": asdict(mail), "placement": asdict(row)})
        return DONE
    say(f"{row.placement} is agreed with {row.owner}.")
    if row.look_at is None:
        say(format_no_page(row))
    _say_mail(mail)
    return publish_register(parsed, partner=row.owner, done=f"{row.placement} is agreed")


def run_decline(parsed: argparse.Namespace) -> int:
    """Decline a request, with the reason in words, and print the mail that goes to the service.

    An invitation that it was given ends with it. Once a place was agreed it cannot be declined: `placement end` ends a
    place, and `partner end-invitation` the invitation.
    """
    mail = decline_adoption(open_desk(parsed.state), parsed.request, reason=parsed.why, actor=get_actor(parsed))
    if parsed.json:
        print_json({"mail": None if mail is None else asdict(mail), "request_id": parsed.request})
        return DONE
    say("The request is declined.")
    if mail is None:
        say("It cannot be read, so there is nobody to write to.")
    else:
        _say_mail(mail)
    return DONE


def run_decline_unreadable(parsed: argparse.Namespace) -> int:
    """Decline together every request that no key of this desk opens. Those that open stay as they are.

    Without --confirm it only says how many there are, and changes nothing. With --confirm it declines them if they are
    still that many. Each has its entry in the audit log; nobody can be written to.
    """
    desk = open_desk(parsed.state)
    if parsed.confirm is not None:
        declined = decline_unreadable(desk, confirmed=parsed.confirm, reason=parsed.why, actor=get_actor(parsed))
        return print_result(parsed, {"declined": declined}, format_declined_together(declined))
    found = get_unreadable(desk)
    lines = [format_unreadable(found)]
    if found.key_missing:
        lines.append(format_key_missing(found))
    if found.not_understood:
        lines += [format_not_understood(found), *(f"  {request_id}" for request_id in found.not_understood)]
    if found.count:
        next_step = f'Next: report-abuse-desk adoption decline-unreadable --why "…" --confirm {found.count}'
        lines += [format_codes(found), next_step]
    value = {name: getattr(found, name) for name in ("key_missing", "not_understood", "waiting")}
    return print_result(parsed, value | {"unreadable": found.reasons}, *lines, code=LOOK if found.count else DONE)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "adoption")
    listed = add("list", run=run_list, example="--json")
    listed.add_argument("--all", action="store_true", help="also what was decided")
    one = "0199c0de-0000-7000-8000-000000000000"
    show = add("show", run=run_show, example=one)
    invite = add("invite", run=run_invite, example=f"{one} --owner example-chat --out example-chat.invitation")
    agree = add(
        "agree",
        run=run_agree,
        example=f'{one} --owner example-chat --surface profile --address "https://chat.example/people/*" '
        '--position "Under the name, beside Block"',
    )
    decline = add("decline", run=run_decline, example=f'{one} --why "We could not reach you."')
    clear = add(
        "decline-unreadable", run=run_decline_unreadable, example='--why "Sealed to no key of ours." --confirm 40'
    )
    clear.add_argument("--why", required=True, metavar="WORDS", help="the reason, for the record of this desk")
    clear.add_argument("--confirm", type=int, metavar="NUMBER", help="how many: as it says without this option")
    for command in (show, invite, agree, decline):
        command.add_argument("request", metavar="REQUEST", help="its id in `adoption list`")
    for command in (invite, agree):
        command.add_argument("--owner", required=True, metavar="ID", help="the id that you choose for it, for good")
        command.add_argument(
            "--known-owner",
            action="store_true",
            help="the id is known here already, and you called its owner: the request is theirs",
        )
    invite.add_argument("--origin", metavar="URL", help="where it reaches the gateway (default: as in desk.toml)")
    invite.add_argument("--out", type=Path, required=True, metavar="FILE", help="the invitation file to write")
    agree.add_argument("--surface", required=True, choices=SURFACES, help="the kind of place")
    agree.add_argument("--address", required=True, metavar="URL", help="its pages; * stands for one part of the path")
    agree.add_argument("--position", required=True, metavar="WORDS", help="where on the page it was agreed to stand")
    agree.add_argument("--look-at", metavar="URL", help="the one page that a runner visits, if the address has a *")
    agree.add_argument("--link-id", metavar="ID", help="its link id (default: the desk makes one)")
    agree.add_argument("--service", metavar="NAME", help="the service's name (default: as in the request)")
    decline.add_argument("--why", required=True, metavar="WORDS", help="the reason, as the service will read it")


def _asked_to_report(desk: Desk, request_id: str) -> bool:
    with desk.store.read() as connection:
        return read_adoption(connection, desk, request_id).wants_to_report


def _say_mail(mail: Mail) -> None:
    say(SEND_YOURSELF)
    say("")
    say(f"To: {mail.to}")
    say(f"Subject: {mail.subject}")
    say("")
    say_lines(mail.text.rstrip("\n"))
    say("")
