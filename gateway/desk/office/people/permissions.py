"""Roles and permissions: the one table that decides which role may do what.

Every staff route names one permission in its `@rule`, and every command in `@desk_command`; both are checked at one
place each (`views/page.py`, `terminal.py`). A person has the permissions of all their roles together.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
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

    @property
    def title(self) -> str:
        """Its name in sentences, e.g. "partner manager"."""
        return _TITLES.get(self.value, self.value.replace("-", " "))


_TITLES: Final = {
    "adviser": "safeguarding adviser",
    "operations": "officer of Operations",
    "harm-reduction": "officer of Harm Reduction",
    "spoc": "single point of contact",
}
_FACULTIES: Final = (Role.OPERATIONS, Role.HARM_REDUCTION)
_CASE_ROLES: Final = (Role.ANALYST, Role.ADVISER, *_FACULTIES, Role.SPOC, Role.SUPERVISOR)


class Permission(Enum):
    """A permission, as the page of a refusal words it: "Only a supervisor may release digests."; and who has it.

    The administrator runs the machine and opens nothing; the auditor sees the audit log and figures alone.
    """

    def __init__(self, text: str, *roles: Role) -> None:
        self.text = text
        self.roles = frozenset(roles)

    SIGN_OUT = ("sign out", *Role)
    # Cases
    SEE_QUEUE = ("see the list of cases", *_CASE_ROLES, Role.DUTY_OFFICER)
    SEARCH_CASES = ("search cases", *_CASE_ROLES)
    READ_CASES = ("open reports", *_CASE_ROLES, Role.DUTY_OFFICER)
    OPEN_FILES = ("open files of a case", Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR, Role.DUTY_OFFICER)
    ENTER_REPORTS = ("enter calls, letters and visits", *_CASE_ROLES, Role.DUTY_OFFICER)
    RAISE_CASES = ("raise a case in the queue", Role.ANALYST, Role.ADVISER, Role.SUPERVISOR)
    MOVE_CASES = ("lower a case in the queue", Role.SUPERVISOR)
    LINK_CASES = ("link cases and record the service of a case", Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR)
    TAKE_CASES = ("take cases and hand them over", *_CASE_ROLES, Role.DUTY_OFFICER)
    ASSIGN_CASES = ("assign cases to people", Role.SUPERVISOR)
    # A faculty finishes its own cases: it assesses, answers and closes them.
    ASSESS_CASES = ("assess and close cases", Role.ANALYST, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER)
    ADVISE = ("give a safeguarding adviser's view", Role.ADVISER)
    SEND_ON = ("record that a body outside took a case", Role.ANALYST, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER)
    MAKE_PACKAGES = ("make packages of a case", Role.ANALYST, Role.OPERATIONS, Role.SUPERVISOR, Role.DUTY_OFFICER)
    RELEASE_PACKAGES = (
        "sign and release packages as the second person",
        Role.ANALYST,
        Role.OPERATIONS,
        Role.SUPERVISOR,
    )
    SEND_PACKAGES_ALONE = ("send the package of a crisis case alone", Role.DUTY_OFFICER)
    EXEMPT_CASES = ("let an urgent case close although nobody outside took it", Role.SUPERVISOR)
    REPLY = ("reply to people who report", Role.ANALYST, Role.ADVISER, *_FACULTIES, Role.SUPERVISOR, Role.DUTY_OFFICER)
    ANSWER_REQUESTS = ("answer requests to see, correct or wipe a report", Role.ANALYST, Role.ADVISER, Role.SUPERVISOR)
    TELL_OUTCOMES = ("tell partners an outcome", Role.ANALYST, Role.SUPERVISOR)
    ASK_SERVICES = ("ask services for information", Role.SPOC)
    REFER_TERMS = ("refer breaches of terms to services", Role.ANALYST, Role.SUPERVISOR)
    ALERT_SERVICES = ("write warnings to services", Role.ANALYST, Role.OPERATIONS, Role.DUTY_OFFICER, Role.SUPERVISOR)
    ALERT_ALONE = ("release a warning in a crisis alone", Role.DUTY_OFFICER)
    RELEASE_NOTICES = ("release referrals, warnings and invitations", Role.ANALYST, Role.SUPERVISOR)
    SEE_INVITATIONS = ("see invitations to services", Role.ANALYST, Role.PARTNER_MANAGER, Role.SUPERVISOR)
    SEE_QUARANTINE = ("see reports in quarantine", Role.ANALYST, Role.SUPERVISOR, Role.ADMINISTRATOR)
    RESOLVE_QUARANTINE = ("open and settle reports in quarantine", Role.ANALYST, Role.SUPERVISOR)
    IMPORT_REPORTS = ("import sealed reports from files", Role.ANALYST, Role.SUPERVISOR, Role.ADMINISTRATOR)
    SIGN_OFF = ("sign off the words that this desk sends", Role.ADVISER, Role.HARM_REDUCTION, Role.SUPERVISOR)
    # Retention
    HOLD_CASES = ("place and lift legal holds", Role.SUPERVISOR)
    SEE_RETENTION = ("see what is due to be destroyed, and certificates", Role.SUPERVISOR, Role.AUDITOR)
    DESTROY_CASES = ("destroy cases whose time is over", Role.SUPERVISOR)
    # Post
    SEE_OUTBOX = ("see the outbox and alerts", Role.ANALYST, Role.DUTY_OFFICER, Role.SUPERVISOR, Role.ADMINISTRATOR)
    SEND_AGAIN = ("send entries of the outbox again", Role.SUPERVISOR, Role.ADMINISTRATOR)
    TAKE_ALERTS = ("acknowledge alerts", Role.ANALYST, Role.DUTY_OFFICER, Role.SUPERVISOR)
    CLEAR_ALARMS = ("list and clear alarms", Role.SUPERVISOR, Role.ADMINISTRATOR)
    # Partners, figures, digests
    MANAGE_PARTNERS = ("manage partners, placements and adoption", Role.PARTNER_MANAGER)
    SEE_FIGURES = (
        "see figures and trends",
        Role.ANALYST,
        Role.OPERATIONS,
        Role.HARM_REDUCTION,
        Role.SUPERVISOR,
        Role.AUDITOR,
    )
    SEE_DIGESTS = ("see digests", Role.PARTNER_MANAGER, Role.HARM_REDUCTION, Role.SUPERVISOR, Role.AUDITOR)
    MAKE_DIGESTS = ("make digests", Role.PARTNER_MANAGER, Role.HARM_REDUCTION, Role.SUPERVISOR)
    RELEASE_DIGESTS = ("release digests", Role.SUPERVISOR)
    # The desk itself
    READ_AUDIT = ("read the audit log", Role.SUPERVISOR, Role.AUDITOR)
    CHECK_AUDIT = ("check the audit log", Role.AUDITOR, Role.ADMINISTRATOR)
    SEE_EXPOSURE = ("see how much each person has opened", Role.SUPERVISOR)
    MANAGE_PEOPLE = ("add people and grant roles", Role.ADMINISTRATOR)
    RECOVER_PASSKEYS = ("recover lost passkeys", Role.SUPERVISOR)
    MANAGE_KEYS = ("manage the agency's keys", Role.ADMINISTRATOR)
    PUBLISH = ("publish the key set and the register", Role.ADMINISTRATOR, Role.PARTNER_MANAGER)
    RUN_DESK = ("run the desk's machine", Role.ADMINISTRATOR)


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
FACULTY_OF: Final[Mapping[Role, str]] = {Role.OPERATIONS: "operations", Role.HARM_REDUCTION: "harm_reduction"}
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
        titles = [role.title for role in self.able]
        whose = f"that is for a person with the role {_join(titles)}" if titles else "nobody may, in this case"
        super().__init__(
            f"Your role does not let you {permission.text}: {whose}.",
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
    able = permission.roles
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
    titles = [role.title for role in Role if role in permission.roles]
    return _join([f"{'an' if title[0] in 'aeiou' else 'a'} {title}" for title in titles])


def _join(titles: list[str]) -> str:
    """Return titles as a sentence has them, e.g. "analyst or supervisor"."""
    *others, last = titles
    return f"{', '.join(others)} or {last}" if others else last
