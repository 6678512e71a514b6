"""The table of permissions against one written by hand, so that widening a permission fails here."""

import pytest
from flask import Flask

from gateway.desk.office.people.permissions import (
    ANY_CASE,
    CaseScope,
    NotPermittedError,
    Permission,
    Role,
    check_permission,
    is_allowed,
)
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, RouteRule, RouteRuleError, check_every_route_has_a_rule

# By role: analyst, adviser, operations, harm reduction (f: cases handed to the faculty or them, and the crisis lane),
# SPOC, partner manager, duty officer (c: crisis lane only), supervisor, auditor, administrator.
EXPECTED = """
SIGN_OUT          x x x x x x c x x x
SEE_QUEUE         x x f f x . c x . .
SEARCH_CASES      x x x x x . . x . .
READ_CASES        x x f f x . c x . .
OPEN_FILES        x . f . . . c x . .
ENTER_REPORTS     x x x x x . c x . .
RAISE_CASES       x x . . . . . x . .
MOVE_CASES        . . . . . . . x . .
LINK_CASES        x . f . . . . x . .
TAKE_CASES        x x f f x . c x . .
ASSIGN_CASES      . . . . . . . x . .
ASSESS_CASES      x . f f . . c x . .
ADVISE            . x . . . . . . . .
SEND_ON           x . f f . . c x . .
MAKE_PACKAGES     x . f . . . c x . .
RELEASE_PACKAGES  x . f . . . . x . .
SEND_PACKAGES_ALONE . . . . . . c . . .
EXEMPT_CASES      . . . . . . . x . .
REPLY             x x f f . . c x . .
ANSWER_REQUESTS   x x . . . . . x . .
TELL_OUTCOMES     x . . . . . . x . .
ASK_SERVICES      . . . . x . . . . .
REFER_TERMS       x . . . . . . x . .
ALERT_SERVICES    x . f . . . c x . .
ALERT_ALONE       . . . . . . c . . .
RELEASE_NOTICES   x . . . . . . x . .
SEE_INVITATIONS   x . . . . x . x . .
SEE_QUARANTINE    x . . . . . . x . x
RESOLVE_QUARANTINE x . . . . . . x . .
IMPORT_REPORTS    x . . . . . . x . x
SIGN_OFF          . x . x . . . x . .
HOLD_CASES        . . . . . . . x . .
SEE_RETENTION     . . . . . . . x x .
DESTROY_CASES     . . . . . . . x . .
SEE_OUTBOX        x . . . . . c x . x
SEND_AGAIN        . . . . . . . x . x
TAKE_ALERTS       x . . . . . c x . .
CLEAR_ALARMS      . . . . . . . x . x
MANAGE_PARTNERS   . . . . . x . . . .
SEE_FIGURES       x . x x . . . x x .
SEE_DIGESTS       . . . x . x . x x .
MAKE_DIGESTS      . . . x . x . x . .
RELEASE_DIGESTS   . . . . . . . x . .
READ_AUDIT        . . . . . . . x x .
CHECK_AUDIT       . . . . . . . . x x
SEE_EXPOSURE      . . . . . . . x . .
MANAGE_PEOPLE     . . . . . . . . . x
RECOVER_PASSKEYS  . . . . . . . x . .
MANAGE_KEYS       . . . . . . . . . x
PUBLISH           . . . . . x . . . x
RUN_DESK          . . . . . . . . . x
"""
ORDER = (
    *(Role.ANALYST, Role.ADVISER, Role.OPERATIONS, Role.HARM_REDUCTION, Role.SPOC, Role.PARTNER_MANAGER),
    *(Role.DUTY_OFFICER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMINISTRATOR),
)
OF_OPERATIONS, OF_HARM_REDUCTION, OF_CRISIS = (
    (Role.OPERATIONS, "f"),
    (Role.HARM_REDUCTION, "f"),
    (Role.DUTY_OFFICER, "c"),
)
# The roles with a mark of their own that reach a case.
CASES_OF_ROLES = (
    (ANY_CASE, set()),
    (CaseScope(is_crisis=True), {OF_OPERATIONS, OF_HARM_REDUCTION, OF_CRISIS}),
    (CaseScope(faculty="operations"), {OF_OPERATIONS}),
    (CaseScope(faculty="harm_reduction"), {OF_HARM_REDUCTION}),
    (CaseScope(faculty="intelligence"), set()),
    (CaseScope(is_held=True), {OF_OPERATIONS, OF_HARM_REDUCTION}),
)
ROWS = {row.split()[0]: row.split()[1:] for row in EXPECTED.strip().splitlines()}


def test_the_table_by_hand_has_every_permission_and_role() -> None:
    assert [one.name for one in Permission] == list(ROWS)
    assert list(ORDER) == list(Role)
    assert {len(marks) for marks in ROWS.values()} == {len(ORDER)}


@pytest.mark.parametrize("permission", Permission, ids=lambda one: one.name)
def test_each_role_has_the_permissions_of_the_table_by_hand(permission: Permission) -> None:
    marks = dict(zip(ORDER, ROWS[permission.name], strict=True))
    assert {role for role in Role if is_allowed({role}, permission)} == {
        role for role, mark in marks.items() if mark != "."
    }
    for case, reached in CASES_OF_ROLES:
        able = {role for role in Role if is_allowed({role}, permission, case=case)}
        assert able == {role for role, mark in marks.items() if mark == "x" or (role, mark) in reached}, case


def test_roles_add_up_and_no_role_has_nothing() -> None:
    assert is_allowed({Role.AUDITOR, Role.SPOC}, Permission.ASK_SERVICES)
    assert is_allowed({Role.DUTY_OFFICER, Role.ANALYST}, Permission.READ_CASES, case=ANY_CASE)
    assert not any(is_allowed(set(), one) for one in Permission)


def test_neither_administrator_nor_auditor_opens_anything() -> None:
    content = {
        *(Permission.SEE_QUEUE, Permission.READ_CASES, Permission.OPEN_FILES, Permission.RESOLVE_QUARANTINE),
        *(Permission.REPLY, Permission.ASSESS_CASES, Permission.ASK_SERVICES, Permission.MANAGE_PARTNERS),
    }
    for role in (Role.ADMINISTRATOR, Role.AUDITOR):
        assert not any(is_allowed({role}, one) for one in content)


def test_a_refusal_names_the_roles() -> None:
    with pytest.raises(NotPermittedError, match=r"let you release digests: .* with the role supervisor"):
        check_permission({Role.ANALYST}, Permission.RELEASE_DIGESTS)
    with pytest.raises(NotPermittedError, match=r"Harm Reduction, partner manager or supervisor\."):
        check_permission({Role.ANALYST}, Permission.MAKE_DIGESTS)
    with pytest.raises(NotPermittedError, match=r"role analyst or supervisor\."):
        check_permission({Role.DUTY_OFFICER}, Permission.ASSESS_CASES, case=ANY_CASE)
    check_permission({Role.DUTY_OFFICER}, Permission.ASSESS_CASES)


@pytest.mark.parametrize(
    ("login", "permissions"),
    [(Login.STAFF, ()), (Login.OPEN, (Permission.READ_CASES,)), (Login.PARTNER, (Permission.REPLY,))],
)
def test_app_with_a_staff_route_without_a_permission_does_not_start(
    login: Login, permissions: tuple[Permission, ...]
) -> None:
    stated = RouteRule(login=login, permissions=permissions, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
    app = Flask("desk", static_folder=None)
    app.add_url_rule("/odd", view_func=stated(lambda: "x"), endpoint="odd")
    with pytest.raises(RouteRuleError, match="for staff without a permission, or names one for others"):
        check_every_route_has_a_rule(app, limits=())
