"""Commands about what partners ask to change: changes, accept-change, refuse-change, show."""

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec

from gateway.desk.commands.frame import DONE, Commands, add_command, get_actor, print_json, say
from gateway.desk.keyring.commands import publish_register
from gateway.desk.partnership.account_changes import ChangeRow, list_changes
from gateway.desk.partnership.change_decisions import REFUSAL_REASONS, accept_change, refuse_change
from gateway.desk.partnership.partner_view import PartnerView, get_partner_view
from gateway.desk.wiring import open_desk
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.registration import ContactPoint, Person, Registration, list_registration_gaps


def run_changes(parsed: argparse.Namespace) -> int:
    """List the changes that partners ask for and that wait for a person."""
    with open_desk(parsed.state).store.read() as connection:
        changes = list_changes(connection, with_decided=parsed.all)
    if parsed.json:
        print_json({"changes": [asdict(change) for change in changes]})
        return DONE
    for change in changes:
        _say_change(change)
    if not changes:
        say("No change waits.")
    elif any(change.state == "waiting" for change in changes):
        say("Next: `partner show ID` shows what is asked, and how to accept or refuse it.")
    return DONE


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
    if parsed.json:
        print_json({"change": asdict(change), "missing": list(gaps)})
        return DONE
    say(f"The registration of {change.partner} is in force.")
    _say_gaps(gaps)
    return DONE


def run_refuse_change(parsed: argparse.Namespace) -> int:
    """Refuse a change, with the reason; it stays on record. Tell the partner: it may send a better one."""
    change = refuse_change(open_desk(parsed.state), change_id=parsed.change, reason=parsed.why, actor=get_actor(parsed))
    if parsed.json:
        print_json({"change": asdict(change)})
    else:
        say(f"The change of {change.partner} is refused: {REFUSAL_REASONS[parsed.why]}.")
    return DONE


def run_show(parsed: argparse.Namespace) -> int:
    """Show one partner: its keys, what it registered of itself, and what it asks to change."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        view = get_partner_view(connection, parsed.partner, now=desk.clock())
    if parsed.json:
        print_json(msgspec.to_builtins(asdict(view)))
        return DONE
    _say_view(view, now=desk.clock())
    return DONE


def add_commands(group: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands to the group `partner`."""
    listed = add_command(group, "changes", run=run_changes, example="--json", group="partner")
    listed.add_argument("--all", action="store_true", help="also what was decided")
    example = "0199c0de-0000-7000-8000-000000000000"
    accept = add_command(group, "accept-change", run=run_accept_change, example=example, group="partner")
    refuse = add_command(
        group, "refuse-change", run=run_refuse_change, example=f"{example} --why more-needed", group="partner"
    )
    for command in (accept, refuse):
        command.add_argument("change", metavar="CHANGE", help="its id in `partner changes`")
    why = "; ".join(f"{name}: {words}" for name, words in REFUSAL_REASONS.items())
    refuse.add_argument("--why", required=True, choices=tuple(REFUSAL_REASONS), help=why)
    show = add_command(group, "show", run=run_show, example="example-chat", group="partner")
    show.add_argument("partner", metavar="ID", help="the partner's id")


def _say_change(change: ChangeRow) -> None:
    say(f"{change.state:9} {change.partner:24} {change.kind:13} {change.received_at}  {change.change_id}")
    if change.kind == "keys":
        say(f"          from submission key {change.old_key_id} to {change.new_key_id}: compare both by phone")
    elif change.signed_by is not None:
        say(f"          signed with submission key {change.signed_by}")
    if change.reason is not None:
        say(f"          {change.reason}")


def _say_view(view: PartnerView, *, now: datetime) -> None:
    kind = view.type if view.country is None else f"{view.type}, {view.country}"
    say(f"{view.partner}: {view.name} ({kind}), {view.state} since {view.since}")
    if view.key_id is not None:
        say(f"submission key {view.key_id}")
    for key in view.former_keys:
        words = "REVOKED" if key.is_revoked else "ends" if parse_time(key.ended_at) > now else "ended"
        say(f"former key {key.key_id}, {words} {key.ended_at}")
    for change in view.changes:
        _say_change(change)
    waiting = [change for change in view.changes if change.kind == "registration"]
    if view.wanted is not None and waiting:
        # Listed the oldest first, as `find_wanted_registration` sorts them: what is shown is the last one.
        say(f"It asks to register, in {waiting[-1].change_id}:")
        _say_registration(view.wanted)
        if len(waiting) > 1:
            say(f"{len(waiting) - 1} more of it wait, all older: accepting this one replaces them.")
    _say_next_commands(view)
    if view.registration is None:
        first = "first `report-abuse-partner enrol FILE`, and later " if view.state == "invited" else ""
        say(f"Nothing is registered yet: the partner runs {first}`report-abuse-partner account update FILE`.")
        return
    say(f"Registered since {view.registered_at}:")
    _say_registration(view.registration)


def _say_next_commands(view: PartnerView) -> None:
    """Name the commands that decide what waits: the newest of each kind."""
    if view.state == "waiting":
        say(f"Next: report-abuse-desk partner approve {view.partner}")
    for kind in ("keys", "registration"):
        waiting = [change.change_id for change in view.changes if change.kind == kind]
        if waiting:
            say(f"Next: report-abuse-desk partner accept-change {waiting[-1]}")
            say(f"  or: report-abuse-desk partner refuse-change {waiting[-1]} --why {'|'.join(REFUSAL_REASONS)}")


def _say_registration(registration: Registration) -> None:
    say(f"  organisation        {registration.organisation} ({registration.sector})")
    for title, one in (
        ("administrator", registration.administrator),
        ("replacement", registration.replacement),
        ("operational contact", registration.operational_contact),
        ("police contact", registration.law_enforcement_contact),
        *(("authorised", person) for person in registration.authorised_persons),
    ):
        say(f"  {title:19} {'-' if one is None else _describe(one)}")
    say(f"  out of hours        {registration.out_of_hours_telephone or '-'}")
    for platform in registration.platforms:
        say(f"  platform            {platform.name} {platform.url or ''}".rstrip())
    _say_gaps(list_registration_gaps(registration))


def _say_gaps(gaps: tuple[str, ...]) -> None:
    for gap in gaps:
        say(f"  MISSING: {gap.replace('_', ' ')}. Ask the partner for it.")


def _describe(one: Person | ContactPoint) -> str:
    parts: list[Any] = [one.name, one.role if isinstance(one, Person) else None, one.email, one.telephone]
    return ", ".join(part for part in parts if part)
