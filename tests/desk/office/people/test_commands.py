"""The commands about people: add, list, show, grant, end, authority, account, link.

The commands about passkeys: a first link, and the verification of every second signature.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.desk.office.people.passkeys import get_link_folder, list_passkeys
from gateway.desk.office.people.permissions import APART, Role
from gateway.desk.office.people.register import end_role
from gateway.desk.office.people.releases import DIGEST
from gateway.desk.office.terminal import DONE, WRONG_USE
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from partner_sdk.finding import Finding
from tests.desk.office.people.step_up_builders import register, release_by_two
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import Browser, Clock

Run = Callable[..., Any]


@pytest.fixture
def run(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str, code: int = DONE) -> Any:
        capsys.readouterr()
        as_json = ["--json"] if code == DONE else []
        assert main(["people", *words, "--state", str(desk.paths.state), *as_json]) == code
        out, err = capsys.readouterr()
        return json.loads(out) if as_json else err

    return run


def test_a_person_is_added_granted_authorised_and_ended(run: Run, desk: Desk) -> None:
    added = run("add", "Amina Okafor", "--role", "analyst", "--role", "spoc", "--account", "amina")
    assert added == {"person": "a-okafor", "roles": ["analyst", "spoc"]}
    assert run("grant", "a-okafor", "supervisor", "adviser")["roles"] == ["analyst", "adviser", "spoc", "supervisor"]
    assert run("end-role", "a-okafor", "spoc")["roles"] == ["analyst", "adviser", "supervisor"]
    run("authority", "a-okafor", "risk-assessment", "--until", "2027-03-31")
    assert run("account", "a-okafor") == {"account": None, "person": "a-okafor"}
    (shown, _) = run("list")["people"]
    assert shown["authorities"] == [{"by": ACTOR, "kind": "risk-assessment", "until": "2027-03-31"}]
    assert (shown["account"], shown["added_by"], shown["ended_at"]) == (None, ACTOR, None)
    run("end", "a-okafor")
    assert [one["person"] for one in run("list")["people"]] == [ACTOR]
    assert [one["person"] for one in run("list", "--all")["people"]] == ["a-okafor", ACTOR]


def test_links_of_several_people_are_made_for_all_of_them_or_for_nobody(run: Run, desk: Desk) -> None:
    assert "b-unknown" in run("link", ACTOR, "b-unknown", code=WRONG_USE)
    assert list(get_link_folder(desk.paths.state).glob("*")) == []
    with desk.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit WHERE action = 'make-link'").scalar_one() == 0


def test_passkeys_of_a_person_who_ends_end_too(run: Run, desk: Desk) -> None:
    Browser(desk).sign_in("a-okafor", [Role.ANALYST])
    with desk.store.read() as connection:
        assert len(list_passkeys(connection, "a-okafor")) == 1
    run("end", "a-okafor")
    with desk.store.read() as connection:
        assert list_passkeys(connection, "a-okafor") == []
        (ended,) = list_passkeys(connection, "a-okafor", with_ended=True)
    assert ended.ended_by == ACTOR


def test_people_are_shown_in_lines(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state", str(desk.paths.state)]
    assert main(["people", "add", "Amina Okafor", "--role", "analyst", *state]) == DONE
    printed = capsys.readouterr().out
    assert f"For their first sign-in: report-abuse-desk people link a-okafor --state {desk.paths.state}" in printed
    assert main(["people", "authority", "a-okafor", ACTOR, "spoc", "--until", "2027-03-31", *state]) == DONE
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        f"{one} accredited single point of contact until 31 March 2027." for one in ("a-okafor", ACTOR)
    ]
    assert main(["people", "link", "a-okafor", ACTOR, *state]) == DONE
    links = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [told for _, told in links] == [f"(for {one}, once, within 10 minutes)" for one in ("a-okafor", ACTOR)]
    assert len({address for address, _ in links}) == 2
    assert main(["people", "list", *state]) == DONE
    assert "a-okafor  Amina Okafor  analyst\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "<b>"), "A name has letters"),
        (("add", "Amina Okafor", "--role", "king"), "'king' is not one of 'analyst'"),
        (("add", "Amina Okafor", "--handle", "desk"), "A handle is at most 40"),
        (("grant", "n-nobody", "analyst"), "No person has the handle 'n-nobody'"),
        (("link", "n-nobody"), "No person has the handle 'n-nobody'"),
        (("add", "Amina Okafor", "--role", "auditor", "--role", "analyst"), "Give the role analyst to another person"),
        (("end", ACTOR), "the last administrator"),
        (("end-role", ACTOR, "administrator"), "the last administrator"),
        (("authority", ACTOR, "risk-assessment", "--until", "31.3.2027"), "does not match the format"),
        (("account", ACTOR, "--account", "a/b"), "cannot be an account"),
    ],
)
def test_wrong_words_are_refused(run: Run, words: tuple[str, ...], told: str) -> None:
    assert told in run(*words, code=WRONG_USE)


def test_an_administrator_gets_no_role_that_reads_reports_but_at_a_demonstration(run: Run, desk: Desk) -> None:
    run("add", "Dana Reyes", "--role", "administrator")
    words = ("grant", "d-reyes", "auditor", "analyst")
    told = run(*words, code=WRONG_USE)
    assert "Administrators and auditors read no report" in told
    assert f"people end-role d-reyes auditor --state {desk.paths.state}" in told
    assert run("list")["people"][0]["roles"] == ["administrator"]
    settings = desk.paths.config.read_text(encoding="utf-8")
    desk.paths.config.write_text(settings.replace("demonstration = false", "demonstration = true"), encoding="utf-8")
    assert run(*words)["roles"] == ["analyst", "auditor", "administrator"]


def test_a_link_from_the_command_line_signs_in_once(desk: Desk, run: Run) -> None:
    assert run("add", "Amina Okafor", "--role", "analyst") == {"person": "a-okafor", "roles": ["analyst"]}
    address = run("link", "a-okafor", "--port", "8003")["addresses"]["a-okafor"]
    browser = Browser(desk)
    path = address.removeprefix("http://localhost:8003")
    browser.register(path)
    assert browser.get(path).status_code == 401
    assert "Amina Okafor" in browser.get("/").text


ANALYST, FIRST, SECOND = "a-okafor", "b-singh", "c-davies"


def test_every_signature_is_verified_and_a_changed_one_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with desk.store.write() as connection:
        for number in range(2):
            release_by_two(connection, kind=DIGEST, subject=f"2026-Q{number}.a", body=b"x", by=SECOND, drafted_by=FIRST)
    words = ["audit", "check", "--state", str(desk.paths.state)]
    main([*words, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["signatures"], said["unsigned"]) == (2, [])
    with desk.store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER release_signatures_no_update")
        connection.exec_driver_sql("UPDATE release_signatures SET signature = x'00' WHERE release_id = 2")
    assert main(words) == 1
    assert "Release 2 (digest 2026-Q1.a) is not genuine: the signature does not cover it." in capsys.readouterr().out


def test_link_of_the_administrator_helps_the_first_time_and_while_two_supervisors_cannot(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["people", "link", ANALYST, "--state", str(desk.paths.state)]
    with desk.store.write() as connection:
        ensure_person(connection, ANALYST, [Role.ANALYST])
        ensure_person(connection, FIRST, [Role.SUPERVISOR])
        ensure_person(connection, SECOND, [Role.SUPERVISOR])
    assert main(words) == 0
    with desk.store.write() as connection:
        register(connection, ANALYST)
        register(connection, FIRST)
    assert main(words) == 0
    with desk.store.write() as connection:
        register(connection, SECOND)
    capsys.readouterr()
    assert main(words) == 2
    assert "Two supervisors recover lost ones together" in capsys.readouterr().err


def test_doctor_calls_a_link_that_signs_in_a_fault(desk: Desk, clock: Clock) -> None:
    assert next(examine_people(desk, clock)).verdict != "fault"
    settings = desk.paths.config.read_text(encoding="utf-8")
    desk.paths.config.write_text(settings.replace("demonstration = false", "demonstration = true"), encoding="utf-8")
    assert next(examine_people(desk, clock)).verdict == "fault"


def test_doctor_warns_of_people_whose_roles_exclude_each_other(desk: Desk, clock: Clock) -> None:
    with desk.store.write() as connection:
        ensure_person(connection, "a-both", [Role.AUDITOR, Role.SPOC])
        ensure_person(connection, "b-apart", [Role.AUDITOR, Role.ADMINISTRATOR])
    (warning,) = examine_people(desk, clock)
    assert (warning.verdict, "a-both" in warning.detail, "b-apart" in warning.detail) == ("warning", True, False)
    with desk.store.write() as connection:
        end_role(connection, "a-both", Role.SPOC, actor=ACTOR, now=clock())
        for role in APART:
            end_role(connection, ACTOR, role, actor=ACTOR, now=clock())
    assert [one.verdict for one in examine_people(desk, clock)] == ["ok"]


def examine_people(desk: Desk, clock: Clock) -> Iterator[Finding]:
    return (one for one in examine(desk.paths.state, clock=clock) if one.name == "people")


@pytest.mark.parametrize(
    "origin", ["https://10.0.0.5", "https://[::1]", "http://desk.agency.example", "https://desk/x"]
)
def test_origin_without_a_name_or_https_is_refused(desk: Desk, origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = desk.paths.config.read_text(encoding="utf-8")
    desk.paths.config.write_text(settings.replace('pages_origin = ""', f'pages_origin = "{origin}"'), encoding="utf-8")
    assert main(["people", "list", "--state", str(desk.paths.state)]) == 2
    assert "pages_origin" in capsys.readouterr().err


def test_link_leads_to_the_address_of_the_agencys_own_proxy(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    settings = desk.paths.config.read_text(encoding="utf-8")
    named = settings.replace('pages_origin = ""', 'pages_origin = "https://desk.agency.example"')
    desk.paths.config.write_text(named, encoding="utf-8")
    with desk.store.write() as connection:
        ensure_person(connection, ANALYST, [Role.ANALYST])
    assert main(["people", "link", ANALYST, "--state", str(desk.paths.state)]) == 0
    assert "https://desk.agency.example/start/" in capsys.readouterr().out
