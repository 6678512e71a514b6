"""The register of the people who work at the desk: handles, roles and authorities, each change with its person.

A handle such as `a-okafor` is what every record names: it never changes and is never given to another person. A display
name is looked up only to be shown. Roles and authorities are records that are only ever added (a trigger holds it).

The person behind a command is found by the account of the operating system, never by a typed name. How much a person
has opened is counted from the audit log, so that no second record can differ from it.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from pwd import getpwuid
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, String, and_, bindparam, case, delete, func, insert, select, update

from gateway.desk.office.addresses import find_email_address
from gateway.desk.office.hidden_text import replace_hidden
from gateway.desk.office.people.permissions import (
    ANY_CASE,
    APART,
    BY_THE_DESK,
    OF_THE_MACHINE,
    Permission,
    Role,
    check_permission,
    list_clashing,
)
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.uk_times import format_uk_day
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import PEOPLE, PERSON_AUTHORITIES, PERSON_ROLES, SESSIONS
from gateway.desk.store.agency_tables import Person as Person
from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import RefusalError
from partner_sdk.wire.canonical import format_time

# Made once: every request asks who is signed in.
_PERSON: Final = bindparam("person", type_=String())
_FIND: Final = select(PEOPLE).where(PEOPLE.c.person == _PERSON)
_FIND_ROLES: Final = select(PERSON_ROLES).where(PERSON_ROLES.c.person == _PERSON).order_by(PERSON_ROLES.c.id)
_FIND_AUTHORITIES: Final = (
    select(PERSON_AUTHORITIES).where(PERSON_AUTHORITIES.c.person == _PERSON).order_by(PERSON_AUTHORITIES.c.id)
)
_END_SESSIONS: Final = delete(SESSIONS).where(SESSIONS.c.person == _PERSON)

RESERVED: Final = frozenset({BY_THE_DESK, "gateway", "public"})
MAX_NAME_CHARACTERS: Final = 80
_MAX_HANDLE_CHARACTERS: Final = 40
_HANDLE: Final = re.compile("[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
# Beside letters, marks and digits. Brackets would let a name show another person's handle: "Sam (a-okafor)".
_IN_NAMES: Final = frozenset(" '.-,\u2019\u02bc\u00b7")
# Also of a directory service, e.g. CORP\\amina or amina@corp.example.
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+$-]{0,63}")

RISK_ASSESSMENT: Final = "risk-assessment"
# The kinds of authority, with their words in lists.
AUTHORITIES: Final = {RISK_ASSESSMENT: "may assess risk", "spoc": "accredited single point of contact"}


class PersonError(
    RefusalError[
        Literal["account-taken", "bad-account", "bad-handle", "bad-mail", "bad-name", "ended-person"]
        | Literal["handle-taken", "has-no-role", "has-role", "last-administrator", "mixed-roles", "no-authority"]
        | Literal["no-person", "unknown-authority", "unknown-person"]
    ]
):
    """A person is unknown or ended, or a change of the register is refused."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A person's authority of one kind, up to its last day."""

    kind: str
    until: date
    by: str


def add_person(
    connection: Connection, *, name: str, handle: str = "", account: str | None = None, actor: str, now: datetime
) -> str:
    """Add a person and return their handle, made from the name unless given: `a-okafor` for Amina Okafor.

    Raises `PersonError`.
    """
    name = _get_clean_name(name)
    person = handle or _make_free_handle(connection, name)
    if not _HANDLE.fullmatch(person) or len(person) > _MAX_HANDLE_CHARACTERS or person in RESERVED:
        raise PersonError(
            f"A handle is at most {_MAX_HANDLE_CHARACTERS} letters a to z, digits and hyphens, e.g. a-okafor.",
            reason="bad-handle",
        )
    if find_person(connection, person) is not None:
        raise PersonError(
            f"The handle {person} is in use, or was: handles are never given again.", reason="handle-taken"
        )
    if account is not None:
        _check_account(connection, account)
    values = {"person": person, "name": name, "account": account, "added_at": format_time(now), "added_by": actor}
    connection.execute(insert(PEOPLE).values(values))
    audit.append_entry(connection, "add-person", person, at=now, actor=actor, account=account)
    return person


def set_account(connection: Connection, person: str, account: str | None, *, actor: str, now: datetime) -> None:
    """Give a person an account of the operating system for commands, or take it away with None.

    Raises `PersonError`.
    """
    get_active(connection, person)
    if account is not None:
        _check_account(connection, account)
    connection.execute(update(PEOPLE).where(PEOPLE.c.person == person).values(account=account))
    audit.append_entry(connection, "set-account", person, at=now, actor=actor, account=account)


def set_mail(connection: Connection, person: str, mail: str | None, *, actor: str, now: datetime) -> None:
    """Set the mail address for notices about a person's own account, or take it away with None.

    Raises `PersonError`.
    """
    get_active(connection, person)
    if mail is not None and find_email_address(mail) != mail:
        raise PersonError("That is not one mail address, e.g. a.okafor@agency.example.", reason="bad-mail")
    connection.execute(update(PEOPLE).where(PEOPLE.c.person == person).values(mail=mail))
    audit.append_entry(connection, "set-mail", person, at=now, actor=actor, has_mail=mail is not None)


def end_person(connection: Connection, person: str, *, actor: str, now: datetime) -> None:
    """End a person: every role ends, and the account is free again. The row stays, so old records keep their person.

    Raises `PersonError`.
    """
    get_active(connection, person)
    for role in sorted(list_roles(connection, person), key=lambda role: role.value):
        end_role(connection, person, role, actor=actor, now=now)
    end_sessions(connection, person)
    values = {"account": None, "mail": None, "ended_at": format_time(now), "ended_by": actor}
    connection.execute(update(PEOPLE).where(PEOPLE.c.person == person).values(values))
    audit.append_entry(connection, "end-person", person, at=now, actor=actor)


def grant_role(
    connection: Connection, person: str, role: Role, *, actor: str, now: datetime, may_mix: bool = False
) -> None:
    """Give a person a role; with `may_mix` also one that their other roles exclude, at a demonstration.

    Raises `PersonError`.
    """
    get_active(connection, person)
    roles = list_roles(connection, person)
    if role in roles:
        raise PersonError(f"{person} has the role {role.value} already.", reason="has-role")
    clashing = list_clashing(roles, role)
    if clashing and not may_mix:
        held = clashing[0].value
        raise PersonError(
            f"{person} has the role {held}. Administrators and auditors read no report, so neither role goes with one "
            f"that does. Give the role {role.value} to another person, or end the role {held} first: "
            f"{suggest(f'people end-role {person} {held}')}",
            reason="mixed-roles",
        )
    _record_role(connection, person, role, is_end=False, actor=actor, now=now)


def end_role(connection: Connection, person: str, role: Role, *, actor: str, now: datetime) -> None:
    """Take a role from a person. Raises `PersonError`."""
    get_person(connection, person)
    if role not in list_roles(connection, person):
        raise PersonError(f"{person} does not have the role {role.value}.", reason="has-no-role")
    if role is Role.ADMINISTRATOR and list_with_role(connection, role) == [person]:
        raise PersonError(
            f"{person} is the last administrator: grant another person the role first.", reason="last-administrator"
        )
    _record_role(connection, person, role, is_end=True, actor=actor, now=now)


def set_authority(connection: Connection, person: str, *, kind: str, until: date, actor: str, now: datetime) -> None:
    """Record a person's authority of a kind up to and including a day; a past day ends it. Raises `PersonError`."""
    get_active(connection, person)
    if kind not in AUTHORITIES:
        raise PersonError(f"Choose an authority: {', '.join(AUTHORITIES)}.", reason="unknown-authority")
    values = {"person": person, "kind": kind, "until": until.isoformat(), "at": format_time(now), "by": actor}
    connection.execute(insert(PERSON_AUTHORITIES).values(values))
    audit.append_entry(connection, "set-authority", person, at=now, actor=actor, kind=kind, until=until.isoformat())


def check_authority(connection: Connection, person: str, at: datetime, *, kind: str = RISK_ASSESSMENT) -> None:
    """Raise `PersonError` (`no-authority`) unless the person has an authority of this kind on that day."""
    found = next((one for one in list_authorities(connection, person) if one.kind == kind), None)
    if found is not None and at.date() <= found.until:
        return
    state = "has no authority" if found is None else f"had authority until {format_uk_day(found.until)}"
    raise PersonError(
        f"{format_person(connection, person)} {state} of the kind {kind}. An administrator records it with "
        f"`people authority {person} {kind} --until DAY`.",
        reason="no-authority",
    )


def end_sessions(connection: Connection, person: str) -> None:
    """End every session of a person: the next request of each browser is refused."""
    connection.execute(_END_SESSIONS, {"person": person})


def list_authorities(connection: Connection, person: str) -> list[Authority]:
    """Return the newest authority of each kind, past ones included."""
    newest = {row.kind: row for row in _list_records(connection, _FIND_AUTHORITIES, person)}
    return [Authority(kind, date.fromisoformat(row.until), row.by) for kind, row in sorted(newest.items())]


def list_roles(connection: Connection, person: str) -> frozenset[Role]:
    """Return the roles that a person has now."""
    newest = {row.role: not row.is_end for row in _list_records(connection, _FIND_ROLES, person)}
    return frozenset(Role(role) for role, stands in newest.items() if stands)


def list_with_role(connection: Connection, *roles: Role) -> list[str]:
    """Return the handles of the people with one of these roles now."""
    wanted = PERSON_ROLES.c.role.in_([role.value for role in roles])
    rows = connection.execute(select(PERSON_ROLES).where(wanted).order_by(PERSON_ROLES.c.id))
    newest = {(row.person, row.role): not row.is_end for row in rows}
    return sorted({person for (person, _), stands in newest.items() if stands})


def list_mixed(connection: Connection) -> list[str]:
    """Return the handles of the people whose roles exclude each other."""
    apart = list_with_role(connection, *APART)
    others = list_with_role(connection, *(role for role in Role if role not in APART))
    return sorted({*apart}.intersection(others))


def describe_person(connection: Connection, one: Person) -> dict[str, Any]:
    """Return a person with roles and authorities, as lists of people print them."""
    roles, authorities = list_roles(connection, one.person), list_authorities(connection, one.person)
    return one._asdict() | {
        "authorities": [{"by": each.by, "kind": each.kind, "until": each.until.isoformat()} for each in authorities],
        "roles": [role.value for role in Role if role in roles],
    }


def list_people(connection: Connection) -> list[Person]:
    """Return every person, ended ones too, by handle."""
    return [Person._make(row) for row in connection.execute(select(PEOPLE).order_by(PEOPLE.c.person))]


def find_person(connection: Connection, person: str) -> Person | None:
    """Return a person, also an ended one, or None for an unknown handle."""
    row = connection.execute(_FIND, {"person": person}).first()
    return None if row is None else Person._make(row)


def find_person_of_account(connection: Connection, account: str) -> Person | None:
    """Return the person of an account of the operating system, or None."""
    row = connection.execute(select(PEOPLE).where(PEOPLE.c.account == account)).first()
    return None if row is None else Person._make(row)


def get_person(connection: Connection, person: str) -> Person:
    """Return a person, also an ended one. Raises `PersonError`."""
    found = find_person(connection, person)
    if found is None:
        raise PersonError(
            f"No person has the handle {person!a}. `people list` shows every person.", reason="unknown-person"
        )
    return found


def get_active(connection: Connection, person: str) -> Person:
    """Return a person who has not ended. Raises `PersonError`."""
    found = get_person(connection, person)
    if found.ended_at is not None:
        raise PersonError(f"{person} has ended and does not come back: add a new person.", reason="ended-person")
    return found


def format_person(connection: Connection, actor: str) -> str:
    """Return an actor of a record for people to read, e.g. "Amina Okafor (a-okafor)"; the desk's own acts: "the desk".

    An actor that is no person is returned as it is.
    """
    if actor == BY_THE_DESK:
        return "the desk"
    found = find_person(connection, actor)
    return actor if found is None else f"{found.name} ({actor})"


def _record_role(connection: Connection, person: str, role: Role, *, is_end: bool, actor: str, now: datetime) -> None:
    values = {"person": person, "role": role.value, "is_end": is_end, "at": format_time(now), "by": actor}
    connection.execute(insert(PERSON_ROLES).values(values))
    end_sessions(connection, person)
    action = "end-role" if is_end else "grant-role"
    audit.append_entry(connection, action, person, at=now, actor=actor, role=role.value)


def _list_records(connection: Connection, query: Select[Any], person: str) -> list[Row[Any]]:
    return list(connection.execute(query, {"person": person}))


def _check_account(connection: Connection, account: str) -> None:
    if not _ACCOUNT.fullmatch(account):
        raise PersonError(f"{account!a} cannot be an account of the operating system.", reason="bad-account")
    holder = find_person_of_account(connection, account)
    if holder is not None:
        raise PersonError(f"The account {account} belongs to {holder.person}.", reason="account-taken")


def _get_clean_name(name: str) -> str:
    name = " ".join(name.split())
    is_shown = name.isprintable() and replace_hidden(name, lambda _: "") == name
    if not is_shown or not all(one in _IN_NAMES or unicodedata.category(one)[0] in "LMN" for one in name):
        raise PersonError("A name has letters, spaces, hyphens, full stops and apostrophes only.", reason="bad-name")
    if len(name) > MAX_NAME_CHARACTERS or not any(one.isalpha() for one in name):
        raise PersonError(f"Give the person's name, of at most {MAX_NAME_CHARACTERS} characters.", reason="bad-name")
    return name


def _make_free_handle(connection: Connection, name: str) -> str:
    """Return the first free handle of a name: `a-okafor`, `a-okafor-2`; `person` for one without Latin letters."""
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = [word for word in re.split("[^a-z0-9]+", latin) if word]
    made = f"{words[0][0]}-{words[-1]}" if len(words) > 1 else "".join(words)
    stem = made[: _MAX_HANDLE_CHARACTERS // 2] if _HANDLE.fullmatch(made) and made not in RESERVED else "person"
    number = 1
    while find_person(connection, handle := stem if number == 1 else f"{stem}-{number}") is not None:
        number += 1
    return handle


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
    Raises `PersonError` and `NotPermittedError`.
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


_REPORTS: Final = ("open-case", "open-quarantined")
_FILES: Final = ("open-evidence",)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The reports and files that a person has opened, each report once, however often it was opened."""

    person: str
    reports: int
    files: int

    def __str__(self) -> str:
        """Return e.g. `14 reports, 1 file`."""
        return ", ".join(
            f"{count} {word if count == 1 else word + 's'}"
            for count, word in ((self.reports, "report"), (self.files, "file"))
        )


def list_exposure(connection: Connection, *, since: datetime, person: str | None = None) -> list[Exposure]:
    """Return the exposure of each person since a time, the highest first; or of one person, if there is any."""
    reports = func.count(case((AUDIT.c.action.in_(_REPORTS), AUDIT.c.subject)).distinct())
    files = func.coalesce(func.sum(case((AUDIT.c.action.in_(_FILES), 1), else_=0)), 0)
    wanted = and_(AUDIT.c.at >= format_time(since), AUDIT.c.action.in_((*_REPORTS, *_FILES)))
    if person is not None:
        wanted = and_(wanted, AUDIT.c.actor == person)
    rows = connection.execute(select(AUDIT.c.actor, reports, files).where(wanted).group_by(AUDIT.c.actor)).all()
    found = [Exposure(actor, int(opened), int(handed)) for actor, opened, handed in rows]
    return sorted(found, key=lambda one: (-one.reports - one.files, one.person))
