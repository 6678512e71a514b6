"""Routes and commands as every role, against the table of `test_permissions.py`, written by hand apart from the code's.

The permission that each route and command names is in the snapshots of the house.
"""

import re
from pathlib import Path

import click
import pytest
from sqlalchemy import update

from gateway.desk.cases.holding import release_case
from gateway.desk.cases.model import BEST_PLACED, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.people.permissions import NotPermittedError, Permission, Role
from gateway.desk.office.people.register import end_person, end_role, grant_role
from gateway.desk.office.terminal import WRONG_USE, DeskCommand
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main, program
from gateway.desk.store.schema import CASES
from gateway.web.rules import Login, find_rule
from tests.builders import NOW
from tests.command_lines import list_commands
from tests.desk.office.people.test_permissions import ORDER, ROWS
from tests.desk.people_builders import ACTOR, act_as
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import ANSWERS, assess, make_talk_form


def list_routes(browser: Browser) -> dict[tuple[str, str], tuple[Permission, ...]]:
    """Return the staff routes of the app with the permissions that each states: one of them is enough."""
    app, found = browser.client.application, {}
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        assert stated is not None
        if stated.login is Login.STAFF:
            (method,) = (route.methods or set()) - {"HEAD", "OPTIONS"}
            found[method, route.rule] = tuple(one for one in stated.permissions if isinstance(one, Permission))
            assert found[method, route.rule]
    return found


def has(role: Role, permission: str) -> str:
    """Return the mark of the table by hand: `x`, `c` or `f` for some cases only, or a full stop."""
    return ROWS[permission][ORDER.index(role)]


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_every_route_as_every_role(desk: Desk, role: Role) -> None:
    browser = Browser(desk).sign_in("o-person", [role])
    refused, asked = 0, set()
    for (method, path), stated in list_routes(browser).items():
        # The rule is asked before every route: one of each permission does, and all of them for two roles.
        if path == "/sign-out" or (stated in asked and role not in {Role.SUPERVISOR, Role.AUDITOR}):
            continue
        asked.add(stated)
        address = re.sub(r"<[^>]+>", "anything", path)
        answer = browser.get(address) if method == "GET" else browser.post(address)
        is_refused = all(has(role, one.name) == "." for one in stated)
        assert (answer.status_code == 403) is is_refused, (method, path, answer.status_code)
        # Neither is a permission: signed out meanwhile, or failed before it was asked.
        assert answer.status_code < 500, (method, path, answer.status_code)
        assert answer.status_code != 401, (method, path)
        refused += is_refused
        if is_refused:
            assert "Your role does not let you" in answer.text
            assert "Tess Analyst (test-analyst)" in answer.text  # who may: the test's own person has every role
            assert "Your own pages:" in answer.text
    assert refused >= 5
    assert browser.get("/desk.css").status_code == 200
    assert browser.post("/sign-out").status_code == 200


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_every_command_as_every_role(desk: Desk, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(desk, "o-person", [role])
    ran = set()
    for words, command in list_commands(program):
        if not isinstance(command, DeskCommand) or command.permission is None:
            continue
        monkeypatch.setattr(command, "callback", lambda **given: given["call"].actor)
        context = click.Context(command, info_name=words[-1])
        context.params = {"state": desk.paths.state, "as_json": False}
        if has(role, command.permission.name) == "x":
            assert command.invoke(context) == "o-person"
            ran.add(" ".join(words))
        else:
            # A command knows neither lane nor faculty: a duty officer has the pages alone.
            with pytest.raises(NotPermittedError):
                command.invoke(context)
    assert ("people add" in ran) is (role is Role.ADMINISTRATOR)


# The columns of cases by name, with the marks that reach each.
SCOPES: tuple[tuple[str, dict[str, object], str], ...] = (
    ("crisis", {"crisis": True}, "xcf"),
    ("of their faculty", {"faculty": "harm_reduction"}, "xf"),
    ("handed to them", {"holder": "o-person"}, "xf"),
    ("of another faculty", {"faculty": "operations"}, "x"),
    ("of nobody", {}, "x"),
)


@pytest.mark.parametrize("role", [Role.DUTY_OFFICER, Role.HARM_REDUCTION], ids=lambda role: role.value)
def test_every_route_of_a_case_as_a_role_for_each_scope(desk: Desk, role: Role) -> None:
    cases = [
        (add_sealed_case(desk, marker="M", **{"crisis": False, "score": 40} | columns), name, marks)
        for name, columns, marks in SCOPES
    ]
    browser, looked = Browser(desk).sign_in("o-person", [role]), 0
    for (method, path), stated in list_routes(browser).items():
        if not path.startswith("/cases/<case_id>"):
            continue
        for case_id, name, marks in cases:
            if "release" in path and name == "handed to them":
                continue  # it would not be theirs afterwards
            address = path.replace("<case_id>", case_id).replace("<evidence_id>", "file-1")
            answer = browser.get(address) if method == "GET" else browser.post(address)
            assert (answer.status_code != 403) is any(has(role, one.name) in marks for one in stated), (
                path,
                name,
                answer.status_code,
            )
            assert answer.status_code < 500
            assert answer.status_code != 401
            looked += 1
    assert looked >= 25 * len(SCOPES) - 1


@pytest.mark.parametrize(
    ("role", "lanes", "first"),
    [
        (Role.DUTY_OFFICER, ["Crisis"], {"crisis"}),
        (Role.HARM_REDUCTION, ["Harm Reduction", "Crisis", "Mine"], {"of their faculty"}),
    ],
)
def test_a_role_of_some_cases_has_only_their_lanes_and_its_own_first(
    desk: Desk, role: Role, lanes: list[str], first: set[str]
) -> None:
    cases = {
        add_sealed_case(desk, marker="M", **{"crisis": False, "score": 40} | columns): name
        for name, columns, _ in SCOPES
    }
    browser = Browser(desk).sign_in("o-person", [role])
    for path in ("/", "/?lane=all", "/?lane=operations"):
        page = browser.get(path).text
        assert {name for case_id, name in cases.items() if f'href="/cases/{case_id}' in page and name != "crisis"} == (
            first - {"crisis"}
        ), path
        assert re.findall(r"<li><a [^>]+>([^<]+) <b>", page) == lanes
    nexts = re.findall(r'class="next" href="/cases/([^"?]+)', browser.get("/").text)
    assert [cases[one] for one in nexts] == ["crisis"]


def test_a_faculty_officer_who_hands_a_case_on_gets_the_list_and_no_refusal(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="M", crisis=False, holder="o-person", faculty="operations")
    browser = Browser(desk).sign_in("o-person", [Role.OPERATIONS])
    handed = {"hand_faculty": "intelligence", "hand_reason": "Not for us.", "hand_note": "Nothing waits."}
    answer = browser.post(f"/cases/{case_id}/hand-over", **handed)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    refused = browser.get(f"/cases/{case_id}")
    assert refused.status_code == 403
    assert "This case is not one of yours" in refused.text


@pytest.mark.parametrize(
    ("faculty", "role"),
    [("harm_reduction", Role.HARM_REDUCTION), ("operations", Role.OPERATIONS), ("intelligence", Role.ANALYST)],
)
def test_best_placed_faculty_gets_the_case_and_its_officer_reads_answers_and_closes_it(
    desk: Desk, faculty: str, role: Role
) -> None:
    """Intelligence is the faculty of the analysts, who reach every case: a hand-over is enough there."""
    case_id = add_sealed_case(desk, marker="M", crisis=False, reply_owed=True)
    analyst = Browser(desk).sign_in("a-analyst", [Role.ANALYST])
    analyst.post(f"/cases/{case_id}/read")
    officer = Browser(desk).sign_in("o-person", [role])
    assert (officer.get(f"/cases/{case_id}").status_code == 403) is (role is not Role.ANALYST)
    best_placed = {"best_placed": faculty} if faculty in BEST_PLACED else {}
    assert analyst.post(f"/cases/{case_id}/assess", **{**ANSWERS, **best_placed}).status_code == 303
    if not best_placed:
        handed = {"hand_faculty": faculty, "hand_reason": "For them.", "hand_note": "Nothing waits."}
        assert analyst.post(f"/cases/{case_id}/hand-over", **handed).status_code == 303
    with desk.store.read() as connection:
        found = get_case(connection, case_id)
    assert (found.faculty, found.holder) == (faculty, None)
    assert found.reference in officer.get(f"/?lane={faculty}").text
    assert officer.post(f"/cases/{case_id}/read").status_code == 200
    assert officer.post(f"/cases/{case_id}/reply", **make_talk_form(desk)).status_code == 303
    assert officer.post(f"/cases/{case_id}/close", outcome="actioned").status_code == 303
    with desk.store.read() as connection:
        assert get_case(connection, case_id).closed_at is not None


def test_officer_who_assesses_a_case_of_the_own_faculty_keeps_it(desk: Desk) -> None:
    case_id = open_case(desk, add_sealed_case(desk, marker="M", crisis=True), actor=ACTOR).case.case_id
    act_as(desk, "o-person", [Role.OPERATIONS])
    kept = assess(desk, case_id, actor="o-person", best_placed="operations")
    assert (kept.faculty, kept.holder) == ("operations", "o-person")
    moved = assess(desk, case_id, actor="o-person", best_placed="harm_reduction")
    assert (moved.faculty, moved.holder) == ("harm_reduction", None)


def test_a_record_of_who_took_a_case_gives_no_officer_a_case_of_another_faculty(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="M", crisis=False)
    open_case(desk, case_id, actor=ACTOR)
    assess(desk, case_id)
    release_case(desk, case_id, actor=ACTOR)
    browser = Browser(desk).sign_in("o-person", [Role.OPERATIONS])
    taken = {"pass_to": "kent", "pass_means": "phoned", "pass_taken_by": "A person", "pass_reason": "Near."}
    assert browser.post(f"/cases/{case_id}/pass-on", **taken).status_code == 403
    assert browser.post(f"/cases/{case_id}/read").status_code == 403  # it would be theirs, to read


def test_roles_reach_a_case_only_by_the_role_that_has_the_permission(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="M", crisis=False)
    browser = Browser(desk).sign_in("o-person", [Role.OPERATIONS, Role.ADVISER])
    assert browser.get(f"/cases/{case_id}").status_code == 200  # as an adviser
    assert "Link the two cases" not in browser.get(f"/cases/{case_id}").text
    assert browser.post(f"/cases/{case_id}/link").status_code == 403  # only Operations has it, and not for this case


def test_duty_officer_with_another_role_acts_as_that_outside_the_crisis_lane(desk: Desk) -> None:
    crisis, other = (add_sealed_case(desk, marker="M", crisis=is_crisis, score=40) for is_crisis in (True, False))
    browser = Browser(desk).sign_in("d-duty", [Role.DUTY_OFFICER, Role.SPOC])
    for case_id, is_allowed in ((crisis, True), (other, False)):
        page = browser.post(f"/cases/{case_id}/read")
        assert page.status_code == 200
        assert (">Record the assessment</button>" in page.text) is is_allowed
        for path in ("assess", "close", "reply"):
            assert (browser.post(f"/cases/{case_id}/{path}").status_code == 403) is not is_allowed
        assert browser.post(f"/cases/{case_id}/claim").status_code == 303


def test_for_a_duty_officer_the_lane_of_a_report_is_that_of_the_case_it_is_worked_on_in(desk: Desk) -> None:
    lowered, raised = (add_sealed_case(desk, marker="M", crisis=is_crisis, score=40) for is_crisis in (False, True))
    later = add_sealed_case(desk, marker="M", crisis=True, score=160)
    browser = Browser(desk).sign_in("d-duty", [Role.DUTY_OFFICER])
    for first, crisis, status in ((lowered, True, 403), (raised, False, 303)):
        with desk.store.write() as connection:
            same = CASES.c.case_id == later
            connection.execute(update(CASES).where(same).values(joined_to=first, crisis=crisis))
        assert browser.post(f"/cases/{later}/claim").status_code == status


def test_only_a_supervisor_lowers_a_case(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="M", crisis=False, score=40)
    move = {"move_reason": "A teacher rang.", "lane": "queue"}
    analyst = Browser(desk).sign_in("a-analyst", [Role.ANALYST])
    assert analyst.post(f"/cases/{case_id}/move", score="10", **move).status_code == 403
    assert analyst.post(f"/cases/{case_id}/move", score="90", **move).status_code == 303
    supervisor = Browser(desk).sign_in("s-supervisor", [Role.SUPERVISOR])
    assert supervisor.post(f"/cases/{case_id}/move", score="10", **move).status_code == 303


@pytest.mark.parametrize("change", ["end", "end-role", "grant"])
def test_a_person_who_is_changed_while_signed_in_is_refused_at_the_next_request(desk: Desk, change: str) -> None:
    first, second = (Browser(desk).sign_in("o-person", [Role.ANALYST, Role.SPOC]) for _ in range(2))
    other = Browser(desk).sign_in("b-other", [Role.ANALYST])
    link = first.make_link("o-person")
    with desk.store.write() as connection:
        if change == "end":
            end_person(connection, "o-person", actor=ACTOR, now=NOW)
        elif change == "end-role":
            end_role(connection, "o-person", Role.SPOC, actor=ACTOR, now=NOW)
        else:
            grant_role(connection, "o-person", Role.SUPERVISOR, actor=ACTOR, now=NOW)
    assert first.get("/").status_code == second.get("/").status_code == 401
    assert other.get("/").status_code == 200
    fresh = Browser(desk)
    if change == "end":
        assert fresh.get(link).status_code == 401
    else:
        fresh.register(link)


def test_an_account_without_a_person_does_the_machines_own_work_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gateway.desk.office.people.register.get_account", lambda: "report-abuse")
    state = str(desk.paths.state)
    assert main(["case", "list", "--state", state]) == WRONG_USE
    told = capsys.readouterr().err
    assert "The account report-abuse of this machine belongs to no person of this desk." in told
    assert f"report-abuse-desk people account HANDLE --account report-abuse --state {state}" in told
    assert main(["case", "index", "--state", state]) == 0


def test_a_refused_command_names_the_roles(desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    act_as(desk, "o-person", [Role.ADMINISTRATOR])
    words = ["evidence", "save", "X", "f", "--out", str(tmp_path / "f")]
    assert main([*words, "--state", str(desk.paths.state)]) == WRONG_USE
    assert "Your role does not let you open" in capsys.readouterr().err
