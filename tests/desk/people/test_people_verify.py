"""The commands about passkeys: a first link, and the verification of every second signature."""

import json
from collections.abc import Iterator

import pytest

from gateway.desk.cli import main
from gateway.desk.doctor import examine
from gateway.desk.people.permissions import APART, Role
from gateway.desk.people.register import end_role
from gateway.desk.people.releases import DIGEST
from gateway.desk.wiring import Desk
from partner_sdk.finding import Finding
from tests.desk.people.step_up_builders import register, release_by_two
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import Clock

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
    assert next(examine_people(desk, clock)).verdict == "ok"
    settings = desk.paths.config.read_text(encoding="utf-8")
    desk.paths.config.write_text(settings.replace("demonstration = false", "demonstration = true"), encoding="utf-8")
    assert next(examine_people(desk, clock)).verdict == "fault"


def test_doctor_warns_of_people_whose_roles_exclude_each_other(desk: Desk, clock: Clock) -> None:
    with desk.store.write() as connection:
        ensure_person(connection, "a-both", [Role.AUDITOR, Role.SPOC])
        ensure_person(connection, "b-apart", [Role.AUDITOR, Role.ADMINISTRATOR])
    _, warning = examine_people(desk, clock)
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
