"""Commands of the administrator about the people of the desk: add, roles, authorities, accounts, one-time links."""

from datetime import datetime
from typing import Any, Final

import click

from gateway.desk.office.config import make_origin
from gateway.desk.office.people import register
from gateway.desk.office.people.passkeys import LIFETIME, end_all, make_persons_links
from gateway.desk.office.people.permissions import Permission, Role
from gateway.desk.office.people.register import AUTHORITIES
from gateway.desk.office.suggestions import DEFAULT_PORT, suggest
from gateway.desk.office.terminal import (
    Call,
    desk_command,
    port_option,
    print_result,
)
from gateway.desk.office.uk_times import format_uk_day
from gateway.desk.office.wiring import Desk, open_desk

_ROLES: Final = click.Choice([role.value for role in Role])
_PERSON: Final = click.argument("person", metavar="PERSON", help="Their handle, e.g. a-okafor.")
_PEOPLE: Final = click.argument(
    "people", nargs=-1, required=True, metavar="PERSON...", help="Their handles, e.g. a-okafor b-price."
)
_ROLES_HELP: Final = f"One of {', '.join(_ROLES.choices)}."


@desk_command(Permission.MANAGE_PEOPLE, example='"Amina Okafor" --role analyst')
@click.argument("name", metavar="NAME", help="The name that others see.")
@click.option("--role", "roles", type=_ROLES, multiple=True, help="A role; may be given several times.")
@click.option("--handle", default="", metavar="HANDLE", help="Fixed for good.  [default: made from the name]")
@click.option("--account", metavar="ACCOUNT", help="Their account of this machine, for commands.")
@click.option("--mail", metavar="ADDRESS", help="For mail about their passkeys.")
def people_add(
    call: Call, name: str, roles: tuple[str, ...], handle: str, account: str | None, mail: str | None
) -> int:
    """Add a person and their roles, and print the handle that every record will name."""
    desk = open_desk(call.state)
    by: dict[str, Any] = {"actor": call.actor, "now": desk.clock()}
    may_mix = desk.config.demonstration
    with desk.store.write() as connection:
        person = register.add_person(connection, name=name, handle=handle, account=account, **by)
        for role in dict.fromkeys(roles):
            register.grant_role(connection, person, Role(role), **by, may_mix=may_mix)
        if mail is not None:
            register.set_mail(connection, person, mail, **by)
    remedy = f"For their first sign-in: {suggest(f'people link {person}')}"
    return print_result(call, {"person": person, "roles": list(dict.fromkeys(roles))}, f"Added {person}.", remedy)


@desk_command(Permission.MANAGE_PEOPLE, example="--json")
@click.option("--all", "with_ended", is_flag=True, help="Also people who have ended.")
def people_list(call: Call, *, with_ended: bool) -> int:
    """List the people: roles, and as JSON account, authorities, and who added and ended them."""
    with open_desk(call.state).store.read() as connection:
        people = [one for one in register.list_people(connection) if with_ended or one.ended_at is None]
        found = [register.describe_person(connection, one) for one in people]
    lines = [
        f"{one['person']}  {one['name']}  {'ended' if one['ended_at'] else ', '.join(one['roles']) or 'no role'}"
        for one in found
    ]
    return print_result(call, {"people": found}, *lines)


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor spoc")
@_PERSON
@click.argument("roles", type=_ROLES, nargs=-1, required=True, metavar="ROLE...", help=_ROLES_HELP)
def people_grant(call: Call, person: str, roles: tuple[str, ...]) -> int:
    """Give a person one more role, or several. Their sessions end, and they sign in again.

    An administrator or auditor reads no report, so neither role goes with any of the others.
    """
    desk = open_desk(call.state)
    by: dict[str, Any] = {"actor": call.actor, "now": desk.clock(), "may_mix": desk.config.demonstration}
    with desk.store.write() as connection:
        for role in dict.fromkeys(roles):
            register.grant_role(connection, person, Role(role), **by)
    return _print_roles(call, desk, person)


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor spoc")
@_PERSON
@click.argument("role", type=_ROLES, metavar="ROLE", help=_ROLES_HELP)
def people_end_role(call: Call, person: str, role: str) -> int:
    """Take a role from a person. Their sessions end."""
    desk = open_desk(call.state)
    with desk.store.write() as connection:
        register.end_role(connection, person, Role(role), actor=call.actor, now=desk.clock())
    return _print_roles(call, desk, person)


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor")
@_PERSON
def people_end(call: Call, person: str) -> int:
    """End a person for good: roles, passkeys, sessions and account. Old records keep their handle and name."""
    desk = open_desk(call.state)
    with desk.store.write() as connection:
        register.end_person(connection, person, actor=call.actor, now=desk.clock())
        end_all(connection, person, by=call.actor, now=desk.clock())
    return print_result(call, {"ended": person}, f"{person} has ended, with every role, passkey and session.")


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor risk-assessment --until 2027-03-31")
@_PEOPLE
@click.argument("kind", type=click.Choice(list(AUTHORITIES)), metavar="KIND", help=f"{' or '.join(AUTHORITIES)}.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="Its last day.")
def people_authority(call: Call, people: tuple[str, ...], kind: str, until: datetime) -> int:
    """Record that people are trained and authorised for a kind of work up to a day; a past day ends it."""
    desk, day = open_desk(call.state), until.date()
    with desk.store.write() as connection:
        for person in people:
            register.set_authority(connection, person, kind=kind, until=day, actor=call.actor, now=desk.clock())
    lines = [f"{person} {AUTHORITIES[kind]} until {format_uk_day(day)}." for person in people]
    return print_result(call, {"kind": kind, "people": list(people), "until": day.isoformat()}, *lines)


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor --account amina")
@_PERSON
@click.option("--account", metavar="ACCOUNT", help="Their account on this machine.  [default: remove it]")
def people_account(call: Call, person: str, account: str | None) -> int:
    """Give a person the account by which commands know them, or take it away."""
    desk = open_desk(call.state)
    with desk.store.write() as connection:
        register.set_account(connection, person, account, actor=call.actor, now=desk.clock())
    line = f"Commands of the account {account} are {person}'s now." if account else f"{person} has no account now."
    return print_result(call, {"account": account, "person": person}, line)


@desk_command(Permission.MANAGE_PEOPLE, example="a-okafor --address a.okafor@agency.example")
@_PERSON
@click.option("--address", metavar="ADDRESS", help="Their mail address.  [default: remove it]")
def people_mail(call: Call, person: str, address: str | None) -> int:
    """Set the address for mail about a person's own passkeys, or take it away."""
    desk = open_desk(call.state)
    with desk.store.write() as connection:
        register.set_mail(connection, person, address, actor=call.actor, now=desk.clock())
    line = (
        f"{person} gets mail about a new passkey."
        if address
        else f"{person} sees a new passkey on the desk's pages alone."
    )
    return print_result(call, {"mail": address, "person": person}, line)


@desk_command(Permission.MANAGE_PEOPLE, example=f"a-okafor --port {DEFAULT_PORT}")
@_PEOPLE
@port_option
def people_link(call: Call, people: tuple[str, ...], port: int) -> int:
    """Print for each person a one-time address that registers their first passkey.

    Each works once, within ten minutes. Lost passkeys are recovered by two supervisors on their page; this command does
    it only while fewer than two of them have a passkey.
    """
    desk = open_desk(call.state)
    origin, minutes = make_origin(desk.config, port=port), int(LIFETIME.total_seconds() // 60)
    secrets = make_persons_links(desk, people, actor=call.actor)
    addresses = {person: f"{origin}/start/{secret}" for person, secret in secrets.items()}
    lines = [f"{one}  (for {person}, once, within {minutes} minutes)" for person, one in addresses.items()]
    return print_result(call, {"addresses": addresses, "minutes": minutes}, *lines)


def _print_roles(call: Call, desk: Desk, person: str) -> int:
    with desk.store.read() as connection:
        roles = register.list_roles(connection, person)
    names = [role.value for role in Role if role in roles]
    line = f"Roles of {person}: {', '.join(names) or 'none'}. Their sessions have ended."
    return print_result(call, {"person": person, "roles": names}, line)
