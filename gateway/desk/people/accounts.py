"""Finds the person behind a command: by the account of the operating system, never by a typed name."""

import os
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid
from typing import Final

from sqlalchemy import Connection

from gateway.desk.people.permissions import ANY_CASE, BY_THE_DESK, OF_THE_MACHINE, Permission, Role, check_permission
from gateway.desk.people.register import PersonError, find_person_of_account, list_roles
from gateway.desk.suggestions import suggest

# The account that signed in to this machine: the kernel keeps it through `sudo`, `su` and `runuser` (proc(5)). A
# service has none, and a container often has none.
_LOGIN_FILE: Final = Path("/proc/self/loginuid")
_NO_LOGIN: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who runs a command, or the desk itself, which has no role."""

    person: str
    roles: frozenset[Role]


def get_account() -> str:
    """Return the account that signed in to this machine, also behind `sudo`; without one, that of this process."""
    try:
        uid = int(_LOGIN_FILE.read_text("ascii"))
    except (OSError, ValueError):
        uid = _NO_LOGIN
    uid = os.geteuid() if uid == _NO_LOGIN else uid
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def get_actor(connection: Connection, permission: Permission, *, account: str) -> Actor:
    """Return the person of an account, if they have this permission; the desk for its own work without a person.

    A duty officer and a faculty's officer work on the desk's pages, which know the lane and faculty of each case.
    Raises `PersonError` (`no-person`) and `NotPermittedError`.
    """
    found = find_person_of_account(connection, account)
    if found is None:
        if permission in OF_THE_MACHINE:
            return Actor(BY_THE_DESK, frozenset())
        raise PersonError(
            f"The account {account} of this machine belongs to no person of this desk. An administrator gives it to "
            f"one: {suggest(f'people account HANDLE --account {account}')}. `people list` shows the handles.",
            reason="no-person",
        )
    roles = list_roles(connection, found.person)
    check_permission(roles, permission, case=ANY_CASE)
    return Actor(found.person, roles)


def check_is_person(actor: str) -> None:
    """Raise `PersonError` (`no-person`) for the desk itself, where a timer may look and only a person decides."""
    if actor == BY_THE_DESK:
        raise PersonError("Only a person decides this: run it from an account that belongs to one.", reason="no-person")
