"""Roles and permissions: the one table that decides which role may do what.

Every staff route names one permission in its `@rule`, and every command in `@desk_command`; both are checked at one
place each (`views/page.py`, `terminal.py`). A person has the permissions of all their roles together.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from partner_sdk.errors import ReportAbuseError

# The actor of the machine's own acts, e.g. filing a report. No person gets it as a handle.
BY_THE_DESK: Final = "desk"


class Role(Enum):
    """A role, by its code in commands and records, e.g. `people grant a-okafor partner-manager`."""

    ANALYST = "analyst"
    ADVISER = "adviser"
    OPERATIONS = "operations"
    HARM_REDUCTION = "harm-reduction"
    SPOC = "spoc"
    PARTNER_MANAGER = "partner-manager"
    DUTY_OFFICER = "duty-officer"
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


ROLE_TITLES: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.ANALYST: "analyst",
        Role.ADVISER: "safeguarding adviser",
        Role.OPERATIONS: "officer of Operations",
        Role.HARM_REDUCTION: "officer of Harm Reduction",
        Role.SPOC: "single point of contact",
        Role.PARTNER_MANAGER: "partner manager",
        Role.DUTY_OFFICER: "duty officer",
        Role.SUPERVISOR: "supervisor",
        Role.AUDITOR: "auditor",
        Role.ADMINISTRATOR: "administrator",
    }
)


class Permission(Enum):
    """A permission, as the page of a refusal words it: "Only a supervisor may release digests."."""

    SIGN_OUT = "sign out"
    # Cases
    SEE_QUEUE = "see the list of cases"
    SEARCH_CASES = "search cases"
    READ_CASES = "open reports"
    OPEN_FILES = "open files of a case"
    ENTER_REPORTS = "enter calls, letters and visits"
    RAISE_CASES = "raise a case in the queue"
    MOVE_CASES = "lower a case in the queue"
    LINK_CASES = "link cases and record the service of a case"
    TAKE_CASES = "take cases and hand them over"
    ASSIGN_CASES = "assign cases to people"
    ASSESS_CASES = "assess and close cases"
    ADVISE = "give a safeguarding adviser's view"
    SEND_ON = "record that a body outside took a case"
    MAKE_PACKAGES = "make packages of a case"
    RELEASE_PACKAGES = "sign and release packages as the second person"
    SEND_PACKAGES_ALONE = "send the package of a crisis case alone"
    EXEMPT_CASES = "let an urgent case close although nobody outside took it"
    REPLY = "reply to people who report"
    ANSWER_REQUESTS = "answer requests to see, correct or wipe a report"
    TELL_OUTCOMES = "tell partners an outcome"
    ASK_SERVICES = "ask services for information"
    REFER_TERMS = "refer breaches of terms to services"
    ALERT_SERVICES = "write warnings to services"
    ALERT_ALONE = "release a warning in a crisis alone"
    RELEASE_NOTICES = "release referrals, warnings and invitations"
    SEE_INVITATIONS = "see invitations to services"
    SEE_QUARANTINE = "see reports in quarantine"
    RESOLVE_QUARANTINE = "open and settle reports in quarantine"
    IMPORT_REPORTS = "import sealed reports from files"
    SIGN_OFF = "sign off the words that this desk sends"
    # Retention
    HOLD_CASES = "place and lift legal holds"
    SEE_RETENTION = "see what is due to be destroyed, and certificates"
    DESTROY_CASES = "destroy cases whose time is over"
    # Post
    SEE_OUTBOX = "see the outbox and alerts"
    SEND_AGAIN = "send entries of the outbox again"
    TAKE_ALERTS = "acknowledge alerts"
    CLEAR_ALARMS = "list and clear alarms"
    # Partners, figures, digests
    MANAGE_PARTNERS = "manage partners, placements and adoption"
    SEE_FIGURES = "see figures and trends"
    SEE_DIGESTS = "see digests"
    MAKE_DIGESTS = "make digests"
    RELEASE_DIGESTS = "release digests"
    # The desk itself
    READ_AUDIT = "read the audit log"
    CHECK_AUDIT = "check the audit log"
    SEE_EXPOSURE = "see how much each person has opened"
    MANAGE_PEOPLE = "add people and grant roles"
    RECOVER_PASSKEYS = "recover lost passkeys"
    MANAGE_KEYS = "manage the agency's keys"
    PUBLISH = "publish the key set and the register"
    RUN_DESK = "run the desk's machine"


_FACULTIES: Final = (Role.OPERATIONS, Role.HARM_REDUCTION)
_CASE_ROLES: Final = (Role.ANALYST, Role.ADVISER, *_FACULTIES, Role.SPOC, Role.SUPERVISOR)

# The table. The administrator runs the machine and opens nothing; the auditor sees the audit log and figures alone.
ROLES_OF: Final[Mapping[Permission, frozenset[Role]]] = MappingProxyType(
    {
        permission: frozenset(roles)
        for permission, roles in (
            (Permission.SIGN_OUT, tuple(Role)),
            (Permission.SEE_QUEUE, (*_CASE_ROLES, Role.DUTY_OFFICER)),
            (Permission.SEARCH_CASES, _CASE_ROLES),
            (Permission.READ_CASES, (*_CASE_ROLES, Role.DUTY_OFFICER)),
            (Permission.OPEN_FILES, (Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR, Role.DUTY_OFFICER)),
            (Permission.ENTER_REPORTS, (*_CASE_ROLES, Role.DUTY_OFFICER)),
            (Permission.RAISE_CASES, (Role.ANALYST, Role.ADVISER, Role.SUPERVISOR)),
            (Permission.MOVE_CASES, (Role.SUPERVISOR,)),
            (Permission.LINK_CASES, (Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR)),
            (Permission.TAKE_CASES, (*_CASE_ROLES, Role.DUTY_OFFICER)),
            (Permission.ASSIGN_CASES, (Role.SUPERVISOR,)),
            # A faculty finishes its own cases: it assesses, answers and closes them.
            (
                Permission.ASSESS_CASES,
                (Role.ANALYST, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER),
            ),
            (Permission.ADVISE, (Role.ADVISER,)),
            (
                Permission.SEND_ON,
                (Role.ANALYST, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER),
            ),
            (Permission.MAKE_PACKAGES, (Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR, Role.DUTY_OFFICER)),
            (Permission.RELEASE_PACKAGES, (Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR)),
            (Permission.SEND_PACKAGES_ALONE, (Role.DUTY_OFFICER,)),
            (Permission.EXEMPT_CASES, (Role.SUPERVISOR,)),
            (
                Permission.REPLY,
                (Role.ANALYST, Role.ADVISER, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER),
            ),
            (Permission.ANSWER_REQUESTS, (Role.ANALYST, Role.ADVISER, Role.SUPERVISOR)),
            (Permission.TELL_OUTCOMES, (Role.ANALYST, Role.SUPERVISOR)),
            (Permission.ASK_SERVICES, (Role.SPOC,)),
            (Permission.REFER_TERMS, (Role.ANALYST, Role.SUPERVISOR)),
            (Permission.ALERT_SERVICES, (Role.ANALYST, Role.OPERATIONS, Role.DUTY_OFFICER, Role.SUPERVISOR)),
            (Permission.ALERT_ALONE, (Role.DUTY_OFFICER,)),
            (Permission.RELEASE_NOTICES, (Role.ANALYST, Role.SUPERVISOR)),
            (Permission.SEE_INVITATIONS, (Role.ANALYST, Role.PARTNER_MANAGER, Role.SUPERVISOR)),
            (Permission.SEE_QUARANTINE, (Role.ANALYST, Role.SUPERVISOR, Role.ADMINISTRATOR)),
            (Permission.RESOLVE_QUARANTINE, (Role.ANALYST, Role.SUPERVISOR)),
            (Permission.IMPORT_REPORTS, (Role.ANALYST, Role.SUPERVISOR, Role.ADMINISTRATOR)),
            (Permission.SIGN_OFF, (Role.ADVISER, Role.HARM_REDUCTION, Role.SUPERVISOR)),
            (Permission.HOLD_CASES, (Role.SUPERVISOR,)),
            (Permission.SEE_RETENTION, (Role.SUPERVISOR, Role.AUDITOR)),
            (Permission.DESTROY_CASES, (Role.SUPERVISOR,)),
            (Permission.SEE_OUTBOX, (Role.ANALYST, Role.DUTY_OFFICER, Role.SUPERVISOR, Role.ADMINISTRATOR)),
            (Permission.SEND_AGAIN, (Role.SUPERVISOR, Role.ADMINISTRATOR)),
            (Permission.TAKE_ALERTS, (Role.ANALYST, Role.DUTY_OFFICER, Role.SUPERVISOR)),
            (Permission.CLEAR_ALARMS, (Role.SUPERVISOR, Role.ADMINISTRATOR)),
            (Permission.MANAGE_PARTNERS, (Role.PARTNER_MANAGER,)),
            (
                Permission.SEE_FIGURES,
                (Role.ANALYST, Role.OPERATIONS, Role.HARM_REDUCTION, Role.SUPERVISOR, Role.AUDITOR),
            ),
            (
                Permission.SEE_DIGESTS,
                (Role.PARTNER_MANAGER, Role.HARM_REDUCTION, Role.SUPERVISOR, Role.AUDITOR),
            ),
            (Permission.MAKE_DIGESTS, (Role.PARTNER_MANAGER, Role.HARM_REDUCTION, Role.SUPERVISOR)),
            (Permission.RELEASE_DIGESTS, (Role.SUPERVISOR,)),
            (Permission.READ_AUDIT, (Role.SUPERVISOR, Role.AUDITOR)),
            (Permission.CHECK_AUDIT, (Role.AUDITOR, Role.ADMINISTRATOR)),
            (Permission.SEE_EXPOSURE, (Role.SUPERVISOR,)),
            (Permission.MANAGE_PEOPLE, (Role.ADMINISTRATOR,)),
            (Permission.RECOVER_PASSKEYS, (Role.SUPERVISOR,)),
            (Permission.MANAGE_KEYS, (Role.ADMINISTRATOR,)),
            (Permission.PUBLISH, (Role.ADMINISTRATOR, Role.PARTNER_MANAGER)),
            (Permission.RUN_DESK, (Role.ADMINISTRATOR,)),
        )
    }
)

# The machine's own work on timers, e.g. `collect` and the daily lists for the journal: an account without a person does
# it too, as "desk".
OF_THE_MACHINE: Final = frozenset(
    {
        *(Permission.RUN_DESK, Permission.PUBLISH, Permission.CHECK_AUDIT, Permission.CLEAR_ALARMS),
        *(Permission.SEE_QUARANTINE, Permission.SEE_OUTBOX),
    }
)

# They run the machine or check the work of the others, and read no content: nobody has one of them together with a
# role that does, or they could alter the register that says so. No exception for small agencies: it would stay on.
APART: Final = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})

# The faculty of a role, by the code of a hand-over: its permissions on cases hold in the cases of its faculty, those
# handed to the person, and the crisis lane.
FACULTY_OF: Final[Mapping[Role, str]] = MappingProxyType(
    {Role.OPERATIONS: "operations", Role.HARM_REDUCTION: "harm_reduction"}
)
_ON_CASES: Final = frozenset(
    {
        *(Permission.SEE_QUEUE, Permission.READ_CASES, Permission.OPEN_FILES, Permission.RAISE_CASES),
        *(Permission.MOVE_CASES, Permission.LINK_CASES, Permission.TAKE_CASES, Permission.ASSESS_CASES),
        *(Permission.ADVISE, Permission.SEND_ON, Permission.EXEMPT_CASES, Permission.REPLY),
        *(Permission.TELL_OUTCOMES, Permission.ASK_SERVICES, Permission.ALERT_SERVICES),
        *(Permission.MAKE_PACKAGES, Permission.RELEASE_PACKAGES, Permission.SEND_PACKAGES_ALONE),
    }
)


@dataclass(frozen=True, slots=True)
class CaseScope:
    """The facts of a case that decide whether a role reaches it; `is_held`: by the person who asks."""

    is_crisis: bool = False
    faculty: str | None = None
    is_held: bool = False


# A case outside the crisis lane, of no faculty and held by another person, as every case counts for a command.
ANY_CASE: Final = CaseScope()


class NotPermittedError(ReportAbuseError):
    """Roles lack a permission, or lack it for this case (`is_of_case`); `able` are the roles that have it."""

    def __init__(self, permission: Permission, *, able: Collection[Role], is_of_case: bool = False) -> None:
        self.permission = permission
        self.is_of_case = is_of_case
        self.able = tuple(role for role in Role if role in able)
        titles = [ROLE_TITLES[role] for role in self.able]
        whose = f"that is for a person with the role {_join(titles)}" if titles else "nobody may, in this case"
        super().__init__(
            f"Your role does not let you {permission.value}: {whose}.",
            reason="not-permitted",
        )


def is_allowed(roles: Collection[Role], permission: Permission, *, case: CaseScope | None = None) -> bool:
    """Return whether one of these roles has the permission, for this case or, without one, for any case at all.

    Example: a duty officer may open a report (`Permission.READ_CASES`) only if the case is in the crisis lane.
    """
    return not _list_able(permission, case).isdisjoint(roles)


def check_permission(roles: Collection[Role], permission: Permission, *, case: CaseScope | None = None) -> None:
    """Raise `NotPermittedError` unless one of these roles has the permission, as `is_allowed` has it."""
    if not is_allowed(roles, permission, case=case):
        is_of_case = case is not None and is_allowed(roles, permission)
        raise NotPermittedError(permission, able=_list_able(permission, case), is_of_case=is_of_case)


def _list_able(permission: Permission, case: CaseScope | None) -> frozenset[Role]:
    able = ROLES_OF[permission]
    return able if case is None else frozenset(role for role in able if _reaches(role, permission, case))


def _reaches(role: Role, permission: Permission, case: CaseScope) -> bool:
    if role is Role.DUTY_OFFICER:
        return case.is_crisis
    if role not in FACULTY_OF or permission not in _ON_CASES:
        return True
    return case.is_crisis or case.is_held or case.faculty == FACULTY_OF[role]


def list_clashing(roles: Collection[Role], role: Role) -> list[Role]:
    """Return those of these roles that exclude another one, e.g. administrator for analyst."""
    return [one for one in Role if one in roles and (one in APART) != (role in APART)]


def format_roles(permission: Permission) -> str:
    """Return the roles that have a permission, e.g. "an analyst or a supervisor"."""
    titles = [ROLE_TITLES[role] for role in Role if role in ROLES_OF[permission]]
    return _join([f"{'an' if title[0] in 'aeiou' else 'a'} {title}" for title in titles])


def _join(titles: list[str]) -> str:
    """Return titles as a sentence has them, e.g. "analyst or supervisor"."""
    *others, last = titles
    return f"{', '.join(others)} or {last}" if others else last
