"""Commands for partners: invite, list, approve, suspend, revoke a key, and decide on their changes."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.desk.keyring.commands import publish_later, publish_register
from gateway.desk.partners.account_changes import ChangeRow, list_changes
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.change_decisions import REFUSAL_REASONS, RefusalReason, accept_change, refuse_change
from gateway.desk.partners.invitations import end_invitation, hold_invitation_file, invite_partner, publish_invitations
from gateway.desk.partners.key_ends import revoke_key, suspend_partner
from gateway.desk.partners.register import (
    PARTNER_TYPES,
    PartnerState,
    PartnerType,
    get_partner,
    list_partners,
)
from gateway.desk.partners.registrations import PartnerView, get_partner_view
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import IN_REGISTER, list_placements
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import DONE, FILE, Call, break_typed, desk_command, print_json, print_result, say
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.enrolment import ContactPoint, Person, Registration, list_registration_gaps

_PARTNER = click.argument("partner_id", metavar="ID", help="The partner's id.")
_CHANGE = click.argument("change_id", metavar="CHANGE", help="Its id in `partner changes`.")
_EXAMPLE_CHANGE = "0199c0de-0000-7000-8000-000000000000"
_REASONS = "; ".join(f"{name}: {words}" for name, words in REFUSAL_REASONS.items())
# By the previous state: the line to print, and its form when the gateway cannot be reached.
_SUSPENDED: Final[dict[PartnerState, tuple[str, str]]] = {
    "active": ("is suspended. If it may continue later, invite it again with `partner invite`.", "is suspended"),
    "suspended": ("was already suspended: nothing was changed.", "was suspended before"),
    "revoked": ("stays revoked, which is stronger than suspended: none of its keys is in force.", "stays revoked"),
}


@desk_command(Permission.MANAGE_PARTNERS, example='"Example Chat" --partner example-chat --out example-chat.invitation')
@click.argument("name", help="The partner's public name.")
@click.option("--partner", "partner_id", required=True, metavar="ID", help="Its permanent id: a-z, 0-9 and hyphens.")
@click.option("--origin", metavar="URL", help="The gateway's address in the invitation.  [default: as in desk.toml]")
@click.option(
    "--type", "kind", type=click.Choice(PARTNER_TYPES), help="Its type.  [default: as before; a new one is a service]"
)
@click.option("--country", metavar="CODE", help="The country of an agency, e.g. GB.")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The invitation file to write.")
def partner_invite(
    call: Call, name: str, partner_id: str, origin: str | None, kind: PartnerType | None, country: str | None, out: Path
) -> int:
    """Write an invitation file for a new partner and give its hash to the gateway.

    The file holds a one-time secret: hand it over by a trusted channel.
    """
    desk = open_desk(call.state)
    with hold_invitation_file(out) as keep:
        invitation = invite_partner(
            desk,
            partner=partner_id,
            name=name,
            origin=origin or desk.config.gateway_origin,
            actor=call.actor,
            type=kind,
            country=country,
            keep=keep,
        )
    if not call.as_json:
        say(f"The invitation of {invitation.partner} ({invitation.environment}) is in {out}.")
        say(f"It can be used once, until {invitation.expires_at}. It holds a secret.")
    try:
        publish_invitations(desk, desk.make_feed())
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=f"The invitation is written to {out}")
    if call.as_json:
        print_json(
            {
                "environment": invitation.environment,
                "expires_at": invitation.expires_at,
                "invitation": str(out),
                "partner": invitation.partner,
            }
        )
    return DONE


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
def partner_list(call: Call) -> int:
    """List partners, enrolments that wait for approval, and open invitations."""
    with open_desk(call.state).store.read() as connection:
        rows = list_partners(connection)
    lines = []
    for row in rows:
        key = f"submission key {row.key_id}" if row.key_id else "-"
        kind = row.type if row.country is None else f"{row.type} {row.country}"
        waiting = "1 change waits" if row.changes == 1 else f"{row.changes} changes wait"
        waits = f"  {waiting}: see `partner changes`" if row.changes else ""
        lines.append(f"{row.state:10} {row.partner:24} {kind:19} {key:31} {row.since}  {row.name}{waits}")
    empty = "There are no partners yet. `partner invite` adds the first one."
    return print_result(call, {"partners": [asdict(row) for row in rows]}, *lines, empty=empty)


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat")
@_PARTNER
def partner_show(call: Call, partner_id: str) -> int:
    """Show one partner: its keys, its registration and the changes that it asks for."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        view = get_partner_view(connection, partner_id, now=desk.clock())
    return print_result(call, msgspec.to_builtins(asdict(view)), *_list_view_lines(view, now=desk.clock()))


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat")
@_PARTNER
def partner_approve(call: Call, partner_id: str) -> int:
    """Put the keys of a checked enrolment into the register, sign it and publish it."""
    desk = open_desk(call.state)
    approve_partner(desk, partner=partner_id, actor=call.actor)
    if not call.as_json:
        say(f"{partner_id} is approved.")
    code = publish_register(call, partner=partner_id, done=f"{partner_id} is approved")
    with desk.store.read() as connection:
        waits = any(change.partner == partner_id for change in list_changes(connection))
    if waits and not call.as_json:
        say(f"It asks for changes too. Next: {suggest(f'partner show {partner_id}')}")
    return code


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat")
@_PARTNER
def partner_end_invitation(call: Call, partner_id: str) -> int:
    """End a partner's open invitation, and refuse an enrolment that waits for approval.

    Its keys and the placements of its button stay as they are. Later answers to the invitation are refused when they
    are collected.
    """
    desk = open_desk(call.state)
    ended = end_invitation(desk, partner=partner_id, actor=call.actor)
    lines = [f"The invitation of {partner_id} has ended and can no longer be used."]
    if ended.enrolments:
        lines.append("The waiting enrolment is refused.")
    lines += _list_button_lines(desk, partner_id)
    return print_result(call, {"partner": partner_id, **asdict(ended)}, *lines)


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat")
@_PARTNER
def partner_suspend(call: Call, partner_id: str) -> int:
    """Stop accepting a partner's reports, sign the register and publish it.

    Its buttons stay: a child on its pages can still press one. Use `placement suspend` for those, and for a service
    without keys, which is not a partner.
    """
    desk = open_desk(call.state)
    result, done = _SUSPENDED[suspend_partner(desk, partner=partner_id, actor=call.actor)]
    if not call.as_json:
        for line in (f"{partner_id} {result}", *_list_button_lines(desk, partner_id)):
            say(line)
    return publish_register(call, partner=partner_id, done=f"{partner_id} {done}")


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat")
@_PARTNER
@click.option("--key", "key_id", metavar="KEY-ID", help="One former key, with everything that it signed.")
@click.option("--keep-successor", is_flag=True, help="The partner confirmed by phone that its later keys are its own.")
def partner_revoke_key(call: Call, partner_id: str, key_id: str | None, *, keep_successor: bool) -> int:
    """Revoke a partner's lost or stolen key immediately, and publish the register.

    Without --key all keys of the partner end. Invite it again under the same id, and its reports stay its own.

    With --key a former key ends, with everything that it signed: the keys that followed it and the registrations.
    Invite the partner again. Add --keep-successor only if the partner confirms by phone that those are its own.

    Reports that the gateway accepted before, and that this desk collects later, are set aside. Ask the partner about
    them, then file them with `set-aside retry --accept-ended-key`.
    """
    desk = open_desk(call.state)
    ended = revoke_key(desk, partner=partner_id, key_id=key_id, keep_successor=keep_successor, actor=call.actor)
    if not call.as_json:
        say(f"Revoked for {partner_id}: {', '.join(ended)}.")
        with desk.store.read() as connection:
            state = get_partner(connection, partner_id, now=desk.clock()).state
        if state == "revoked":
            say(f"No key of {partner_id} is in force: invite it again with `partner invite`.")
    return publish_register(call, partner=partner_id, done=f"The keys of {partner_id} are revoked")


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
@click.option("--all", "with_decided", is_flag=True, help="The decided ones too.")
def partner_changes(call: Call, *, with_decided: bool) -> int:
    """List the changes that partners ask for and a person has to decide."""
    with open_desk(call.state).store.read() as connection:
        rows = list_changes(connection, with_decided=with_decided)
    lines = [line for change in rows for line in _list_change_lines(change)]
    if any(change.state == "waiting" for change in rows):
        lines.append("Next: `partner show ID` shows a change and how to accept or refuse it.")
    return print_result(call, {"changes": [asdict(change) for change in rows]}, *lines, empty="No change waits.")


@desk_command(Permission.MANAGE_PARTNERS, example=_EXAMPLE_CHANGE)
@_CHANGE
def partner_accept_change(call: Call, change_id: str) -> int:
    """Accept a change. New keys go into the register, which is signed and published; a registration takes effect.

    A thief with a stolen key can ask for new keys too. Before you accept keys, call the partner at a number that you
    knew before, and compare both key ids.
    """
    desk = open_desk(call.state)
    change = accept_change(desk, change_id=change_id, actor=call.actor)
    if change.kind == "keys":
        if not call.as_json:
            say(f"{change.partner} moves to submission key {change.new_key_id}.")
        return publish_register(call, partner=change.partner, done=f"The new keys of {change.partner} are accepted")
    with desk.store.read() as connection:
        view = get_partner_view(connection, change.partner, now=desk.clock())
    gaps = list_registration_gaps(view.registration) if view.registration is not None else ()
    line = f"The registration of {change.partner} is in force."
    return print_result(call, {"change": asdict(change), "missing": list(gaps)}, line, *_list_gap_lines(gaps))


@desk_command(Permission.MANAGE_PARTNERS, example=f"{_EXAMPLE_CHANGE} --why more-needed")
@_CHANGE
@click.option("--why", required=True, type=click.Choice(tuple(REFUSAL_REASONS)), help=_REASONS)
def partner_refuse_change(call: Call, change_id: str, why: RefusalReason) -> int:
    """Refuse a change and record the reason. Tell the partner: it may send a better one."""
    change = refuse_change(open_desk(call.state), change_id=change_id, reason=why, actor=call.actor)
    return print_result(
        call, {"change": asdict(change)}, f"The change from {change.partner} is refused: {REFUSAL_REASONS[why]}."
    )


def _list_button_lines(desk: Desk, partner: str) -> list[str]:
    with desk.store.read() as connection:
        agreed = list_placements(connection, owner=partner, states=IN_REGISTER)
    if not agreed:
        return []
    places = "1 place of its button stays" if len(agreed) == 1 else f"{len(agreed)} places of its button stay"
    return [f"{places}: {suggest(f'placement list --owner {partner}')}"]


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
        yield f"Next: {suggest(f'partner approve {view.partner}')}"
    for kind in ("keys", "registration"):
        waiting = [change.change_id for change in view.changes if change.kind == kind]
        if waiting:
            yield f"Next: {suggest(f'partner accept-change {waiting[-1]}')}"
            # A placeholder that the command refuses: pasted as it is, the line changes nothing.
            yield f"  or: {suggest(f'partner refuse-change {waiting[-1]} --why REASON')}"
    if view.changes:
        *others, last = REFUSAL_REASONS
        yield f"      REASON is {', '.join(others)} or {last}."


def _list_registration_lines(registration: Registration) -> Iterator[str]:
    for line in _list_registered(registration):
        yield from break_typed(line, indent=" " * 22)
    yield from _list_gap_lines(list_registration_gaps(registration))


def _list_registered(registration: Registration) -> Iterator[str]:
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


def _list_gap_lines(gaps: tuple[str, ...]) -> Iterator[str]:
    for gap in gaps:
        yield f"  MISSING: {gap.replace('_', ' ')}. Ask the partner for it."


def _describe(one: Person | ContactPoint) -> str:
    parts: list[Any] = [one.name, one.role if isinstance(one, Person) else None, one.email, one.telephone]
    return ", ".join(part for part in parts if part)
