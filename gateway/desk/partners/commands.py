"""Commands about partners: invite, list, approve, suspend, revoke a key, and decide the changes that they ask for."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.desk.keyring.commands import publish_later, publish_register
from gateway.desk.partners.account_changes import ChangeRow, list_changes
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.change_decisions import REFUSAL_REASONS, accept_change, refuse_change
from gateway.desk.partners.invitations import end_invitation, hold_invitation_file, invite_partner, publish_invitations
from gateway.desk.partners.key_ends import revoke_key, suspend_partner
from gateway.desk.partners.register import (
    PARTNER_TYPES,
    PartnerState,
    get_partner,
    list_partners,
)
from gateway.desk.partners.registrations import PartnerView, get_partner_view
from gateway.desk.placements.register import IN_REGISTER, list_placements
from gateway.desk.terminal import DONE, AddCommand, Commands, add_group, get_actor, print_json, print_result, say
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.registration import ContactPoint, Person, Registration, list_registration_gaps


def run_changes(parsed: argparse.Namespace) -> int:
    """List the changes that partners ask for and that wait for a person."""
    with open_desk(parsed.state).store.read() as connection:
        changes = list_changes(connection, with_decided=parsed.all)
    lines = [line for change in changes for line in _list_change_lines(change)]
    if any(change.state == "waiting" for change in changes):
        lines.append("Next: `partner show ID` shows what is asked, and how to accept or refuse it.")
    found = {"changes": [asdict(change) for change in changes]}
    return print_result(parsed, found, *lines, empty="No change waits.")


def run_accept_change(parsed: argparse.Namespace) -> int:
    """Accept a change: new keys go into the register, which is signed and published; a registration is in force.

    A stolen key can ask for new keys too. Before you accept keys, call the partner at a number that you knew before,
    and compare both key ids.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    change = accept_change(desk, change_id=parsed.change, actor=actor)
    if change.kind == "keys":
        if not parsed.json:
            say(f"{change.partner} goes over to submission key {change.new_key_id}.")
        return publish_register(parsed, partner=change.partner, done=f"The new keys of {change.partner} are accepted")
    with desk.store.read() as connection:
        view = get_partner_view(connection, change.partner, now=desk.clock())
    gaps = list_registration_gaps(view.registration) if view.registration is not None else ()
    line = f"The registration of {change.partner} is in force."
    return print_result(parsed, {"change": asdict(change), "missing": list(gaps)}, line, *_list_gap_lines(gaps))


def run_refuse_change(parsed: argparse.Namespace) -> int:
    """Refuse a change, with the reason; it stays on record. Tell the partner: it may send a better one."""
    change = refuse_change(open_desk(parsed.state), change_id=parsed.change, reason=parsed.why, actor=get_actor(parsed))
    return print_result(
        parsed, {"change": asdict(change)}, f"The change of {change.partner} is refused: {REFUSAL_REASONS[parsed.why]}."
    )


def run_show(parsed: argparse.Namespace) -> int:
    """Show one partner: its keys, what it registered of itself, and what it asks to change."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        view = get_partner_view(connection, parsed.partner, now=desk.clock())
    return print_result(parsed, msgspec.to_builtins(asdict(view)), *_list_view_lines(view, now=desk.clock()))


def _add_change_commands(add: AddCommand) -> None:
    """Add this file's commands to the group `partner`."""
    listed = add("changes", run=run_changes, example="--json")
    listed.add_argument("--all", action="store_true", help="also what was decided")
    example = "0199c0de-0000-7000-8000-000000000000"
    accept = add("accept-change", run=run_accept_change, example=example)
    refuse = add("refuse-change", run=run_refuse_change, example=f"{example} --why more-needed")
    for command in (accept, refuse):
        command.add_argument("change", metavar="CHANGE", help="its id in `partner changes`")
    why = "; ".join(f"{name}: {words}" for name, words in REFUSAL_REASONS.items())
    refuse.add_argument("--why", required=True, choices=tuple(REFUSAL_REASONS), help=why)
    show = add("show", run=run_show, example="example-chat")
    show.add_argument("partner", metavar="ID", help="the partner's id")


def _list_change_lines(change: ChangeRow) -> Iterator[str]:
    yield f"{change.state:9} {change.partner:24} {change.kind:13} {change.received_at}  {change.change_id}"
    if change.kind == "keys":
        yield f"          from submission key {change.old_key_id} to {change.new_key_id}: compare both by phone"
    elif change.signed_by is not None:
        yield f"          signed with submission key {change.signed_by}"
    if change.reason is not None:
        yield f"          {change.reason}"


def _list_view_lines(view: PartnerView, *, now: datetime) -> Iterator[str]:
    kind = view.type if view.country is None else f"{view.type}, {view.country}"
    yield f"{view.partner}: {view.name} ({kind}), {view.state} since {view.since}"
    if view.key_id is not None:
        yield f"submission key {view.key_id}"
    for key in view.former_keys:
        words = "REVOKED" if key.is_revoked else "ends" if parse_time(key.ended_at) > now else "ended"
        yield f"former key {key.key_id}, {words} {key.ended_at}"
    for change in view.changes:
        yield from _list_change_lines(change)
    waiting = [change for change in view.changes if change.kind == "registration"]
    if view.wanted is not None and waiting:
        # Listed the oldest first, as `find_wanted_registration` sorts them: what is shown is the last one.
        yield f"It asks to register, in {waiting[-1].change_id}:"
        yield from _list_registration_lines(view.wanted)
        if len(waiting) > 1:
            yield f"{len(waiting) - 1} more of it wait, all older: accepting this one replaces them."
    yield from _list_next_commands(view)
    if view.registration is None:
        first = "first `report-abuse-partner enrol FILE`, and later " if view.state == "invited" else ""
        yield f"Nothing is registered yet: the partner runs {first}`report-abuse-partner account update FILE`."
        return
    yield f"Registered since {view.registered_at}:"
    yield from _list_registration_lines(view.registration)


def _list_next_commands(view: PartnerView) -> Iterator[str]:
    """Name the commands that decide what waits: the newest of each kind."""
    if view.state == "waiting":
        yield f"Next: report-abuse-desk partner approve {view.partner}"
    for kind in ("keys", "registration"):
        waiting = [change.change_id for change in view.changes if change.kind == kind]
        if waiting:
            yield f"Next: report-abuse-desk partner accept-change {waiting[-1]}"
            yield f"  or: report-abuse-desk partner refuse-change {waiting[-1]} --why {'|'.join(REFUSAL_REASONS)}"


def _list_registration_lines(registration: Registration) -> Iterator[str]:
    yield f"  organisation        {registration.organisation} ({registration.sector})"
    for title, one in (
        ("administrator", registration.administrator),
        ("replacement", registration.replacement),
        ("operational contact", registration.operational_contact),
        ("police contact", registration.law_enforcement_contact),
        *(("authorised", person) for person in registration.authorised_persons),
    ):
        yield f"  {title:19} {'-' if one is None else _describe(one)}"
    yield f"  out of hours        {registration.out_of_hours_telephone or '-'}"
    for platform in registration.platforms:
        yield f"  platform            {platform.name} {platform.url or ''}".rstrip()
    yield from _list_gap_lines(list_registration_gaps(registration))


def _list_gap_lines(gaps: tuple[str, ...]) -> Iterator[str]:
    for gap in gaps:
        yield f"  MISSING: {gap.replace('_', ' ')}. Ask the partner for it."


def _describe(one: Person | ContactPoint) -> str:
    parts: list[Any] = [one.name, one.role if isinstance(one, Person) else None, one.email, one.telephone]
    return ", ".join(part for part in parts if part)


# By the previous state: the line to print, and its form when the gateway cannot be reached.
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
    lines = [f"The invitation of {parsed.partner} has ended: nobody can enrol with it."]
    if ended.enrolments:
        lines.append("The enrolment that waited is refused.")
    lines += _list_button_lines(desk, parsed.partner)
    return print_result(parsed, {"partner": parsed.partner, **asdict(ended)}, *lines)


def run_list(parsed: argparse.Namespace) -> int:
    """List partners, enrolments that wait for approval, and open invitations."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_partners(connection)
    lines = []
    for row in rows:
        key = f"submission key {row.key_id}" if row.key_id else "-"
        kind = row.type if row.country is None else f"{row.type} {row.country}"
        change = "1 change waits" if row.changes == 1 else f"{row.changes} changes wait"
        waits = f"  {change}: see `partner changes`" if row.changes else ""
        lines.append(f"{row.state:10} {row.partner:24} {kind:19} {key:31} {row.since}  {row.name}{waits}")
    empty = "There is no partner yet. `partner invite` makes the first one."
    return print_result(parsed, {"partners": [asdict(row) for row in rows]}, *lines, empty=empty)


def _list_button_lines(desk: Desk, partner: str) -> list[str]:
    with desk.store.read() as connection:
        agreed = list_placements(connection, owner=partner, states=IN_REGISTER)
    if not agreed:
        return []
    places = "1 place of its button stays" if len(agreed) == 1 else f"{len(agreed)} places of its button stay"
    return [f"{places}: report-abuse-desk placement list --owner {partner}"]


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
        for line in (f"{parsed.partner} {said}", *_list_button_lines(desk, parsed.partner)):
            say(line)
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
    add = add_group(commands, "partner")
    invite = add(
        "invite", run=run_invite, example='"Example Chat" --partner example-chat --out example-chat.invitation'
    )
    invite.add_argument("name", metavar="NAME", help="the partner's name, as people know it")
    invite.add_argument("--partner", required=True, metavar="ID", help="its id: a-z, 0-9 and hyphens, for good")
    invite.add_argument("--origin", metavar="URL", help="where it reaches the gateway (default: as in desk.toml)")
    invite.add_argument(
        "--type", choices=PARTNER_TYPES, help="what it is (default: as before, or a service if it is new)"
    )
    invite.add_argument("--country", metavar="CODE", help="the country of an agency, like GB")
    invite.add_argument("--out", type=Path, required=True, metavar="FILE", help="the invitation file to write")
    add("list", run=run_list, example="--json")
    for name, run in (("approve", run_approve), ("end-invitation", run_end_invitation), ("suspend", run_suspend)):
        command = add(name, run=run, example="example-chat")
        command.add_argument("partner", metavar="ID", help="the partner's id")
    revoke = add("revoke-key", run=run_revoke_key, example="example-chat")
    revoke.add_argument("partner", metavar="ID", help="the partner's id")
    revoke.add_argument("--key", metavar="KEY-ID", help="one former key, and what it signed for")
    revoke.add_argument(
        "--keep-successor", action="store_true", help="the partner said by phone that its later keys are its own"
    )
    _add_change_commands(add)
