"""People for the tests of the desk: with every role unless a test names some, as only a demonstration's person has."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import Connection

from gateway.desk.keyring.publication import FirstPerson
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import (
    RISK_ASSESSMENT,
    add_person,
    find_person,
    find_person_of_account,
    get_account,
    grant_role,
    list_roles,
    set_account,
    set_authority,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.store import DeskStore
from tests.builders import NOW

ACTOR = "test-analyst"


def make_first_person(handle: str = ACTOR) -> FirstPerson:
    """Return the first administrator of a test's desk, behind the account that runs the tests."""
    return FirstPerson(name="Tess Analyst", account=get_account(), handle=handle)


def give_every_role(store: DeskStore, person: str = ACTOR) -> None:
    """Give a person the roles that they do not have, for tests about anything but roles."""
    with store.write() as connection:
        for role in Role:
            if role not in list_roles(connection, person):
                grant_role(connection, person, role, actor=person, now=NOW, may_mix=True)
        _train(connection, person)


def ensure_person(connection: Connection, person: str, roles: Collection[Role] = tuple(Role)) -> None:
    """Add a person with these roles, named like the handle, unless the desk has one with it."""
    if find_person(connection, person) is None:
        name = person.replace("-", " ").title()
        add_person(connection, name=name, handle=person, actor=ACTOR, now=NOW)
        for role in roles:
            grant_role(connection, person, role, actor=ACTOR, now=NOW, may_mix=True)
        _train(connection, person)


def _train(connection: Connection, person: str) -> None:
    set_authority(connection, person, kind=RISK_ASSESSMENT, until=date.max, actor=ACTOR, now=NOW)


def act_as(desk: Desk, person: str, roles: Collection[Role] = tuple(Role)) -> None:
    """Let the commands of this process act as a person: the account that runs the tests becomes theirs."""
    with desk.store.write() as connection:
        ensure_person(connection, person, roles)
        holder = find_person_of_account(connection, get_account())
        if holder is not None and holder.person != person:
            set_account(connection, holder.person, None, actor=ACTOR, now=NOW)
        if holder is None or holder.person != person:
            set_account(connection, person, get_account(), actor=ACTOR, now=NOW)
