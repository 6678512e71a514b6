"""The register of people: handles that last, roles and authorities as records, and names that cannot mislead.

Every actor of the audit log is a person of the desk by handle, or the desk itself.

The count of opened reports and files: for the person and the supervisor.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from gateway.desk.office.people.permissions import BY_THE_DESK, Role
from gateway.desk.office.people.register import (
    Exposure,
    PersonError,
    add_person,
    check_authority,
    end_person,
    end_role,
    find_person_of_account,
    format_person,
    get_person,
    grant_role,
    list_authorities,
    list_exposure,
    list_mixed,
    list_people,
    list_roles,
    list_with_role,
    set_account,
    set_authority,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.store import DeskStore, audit, open_store
from gateway.desk.store.schema import AUDIT
from tests.builders import NOW
from tests.desk.desk_loop import Loop
from tests.desk.outbox_builders import send_alerts
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.house.sources import files

pytestmark = pytest.mark.databases("sqlite", "postgresql")

ACTOR = "a-first"


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> DeskStore:
    return open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)


def add(store: DeskStore, name: str = "Amina Okafor", *roles: Role, account: str | None = None) -> str:
    with store.write() as connection:
        person = add_person(connection, name=name, account=account, actor=ACTOR, now=NOW)
        for role in roles:
            grant_role(connection, person, role, actor=ACTOR, now=NOW)
    return person


def get_reason(store: DeskStore, change: Callable[[Connection], object]) -> str:
    with pytest.raises(PersonError) as refused, store.write() as connection:
        change(connection)
    return refused.value.reason


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("Amina Okafor", "a-okafor"),
        ("  Siân   Ó Briain ", "s-briain"),
        ("J. R. O'Neill-Smith", "j-smith"),
        ("Sam", "sam"),
        ("李明", "person"),
        ("Desk", "person"),
    ],
)
def test_handle_is_made_from_the_name(store: DeskStore, name: str, handle: str) -> None:
    assert add(store, name) == handle


def test_a_handle_is_never_given_again(store: DeskStore) -> None:
    assert add(store) == "a-okafor"
    with store.write() as connection:
        end_person(connection, "a-okafor", actor=ACTOR, now=NOW)
    assert add(store) == "a-okafor-2"
    assert add(store, "Adaeze Okafor") == "a-okafor-3"
    reason = get_reason(
        store, lambda connection: add_person(connection, name="X Y", handle="a-okafor", actor=ACTOR, now=NOW)
    )
    assert reason == "handle-taken"


@pytest.mark.parametrize("handle", ["desk", "gateway", "A-Okafor", "a okafor", "-a", "a--b", "é", "a" * 41, "a/../b"])
def test_a_reserved_or_odd_handle_is_refused(store: DeskStore, handle: str) -> None:
    def change(connection: Connection) -> None:
        add_person(connection, name="Amina Okafor", handle=handle, actor=ACTOR, now=NOW)

    assert get_reason(store, change) == "bad-handle"


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "...", "7", "x" * 81),
        "Sam (a-okafor)",
        "<b>Sam</b>",
        "Sam\u202egnisaelp",
        "Sam\u200bB",
        "\u3164\u3164",
        "Sam\nB. Supervisor",
        "Sam\x1b[2J",
        "Sam\0",
    ],
)
def test_a_name_that_could_mislead_is_refused(store: DeskStore, name: str) -> None:
    def change(connection: Connection) -> None:
        add_person(connection, name=name, actor=ACTOR, now=NOW)

    if "\n" in name:  # any space, a line end too, is one plain space in a name
        assert add(store, name) == "s-supervisor"
    else:
        assert get_reason(store, change) == "bad-name"


def test_roles_are_records_and_the_newest_decides(store: DeskStore) -> None:
    person = add(store, "Amina Okafor", Role.ANALYST, Role.SPOC)
    with store.write() as connection:
        end_role(connection, person, Role.SPOC, actor=ACTOR, now=NOW)
        assert list_roles(connection, person) == {Role.ANALYST}
        assert list_with_role(connection, Role.SPOC) == []
        assert list_with_role(connection, Role.SPOC, Role.ANALYST) == [person]
        grant_role(connection, person, Role.SPOC, actor=ACTOR, now=NOW)
        assert list_roles(connection, person) == {Role.ANALYST, Role.SPOC}
        assert list_with_role(connection, Role.SPOC) == [person]
    assert get_reason(store, lambda one: grant_role(one, person, Role.SPOC, actor=ACTOR, now=NOW)) == "has-role"
    assert get_reason(store, lambda one: end_role(one, person, Role.AUDITOR, actor=ACTOR, now=NOW)) == "has-no-role"
    assert get_reason(store, lambda one: grant_role(one, "b-none", Role.SPOC, actor=ACTOR, now=NOW)) == "unknown-person"


@pytest.mark.parametrize("held", Role)
def test_nobody_is_administrator_or_auditor_and_reads_content(store: DeskStore, held: Role) -> None:
    add(store, "Dana Reyes", Role.ADMINISTRATOR)  # the last one cannot end
    person, apart = add(store, "Amina Okafor", held), {Role.ADMINISTRATOR, Role.AUDITOR}
    excluded = set(Role) - apart if held in apart else apart
    for role in excluded:
        assert get_reason(store, partial(grant_role, person=person, role=role, actor=ACTOR, now=NOW)) == "mixed-roles"
        with store.write() as connection:
            assert list_roles(connection, person) == {held}
            grant_role(connection, person, role, actor=ACTOR, now=NOW, may_mix=True)
            assert list_mixed(connection) == [person]
            end_role(connection, person, role, actor=ACTOR, now=NOW)
            assert list_mixed(connection) == []


def test_one_person_may_be_administrator_and_auditor_or_have_any_of_the_other_roles(store: DeskStore) -> None:
    add(store, "Amina Okafor", Role.ADMINISTRATOR, Role.AUDITOR)
    add(store, "Bo Lee", *(set(Role) - {Role.ADMINISTRATOR, Role.AUDITOR}))
    with store.read() as connection:
        assert list_mixed(connection) == []


def test_an_ended_person_has_no_role_and_no_account_and_stays_in_the_records(store: DeskStore) -> None:
    person = add(store, "Amina Okafor", Role.ANALYST, account="amina")
    with store.write() as connection:
        end_person(connection, person, actor="b-boss", now=NOW)
        assert list_roles(connection, person) == frozenset()
        assert find_person_of_account(connection, "amina") is None
        assert get_person(connection, person).ended_by == "b-boss"
        assert format_person(connection, person) == "Amina Okafor (a-okafor)"
        assert [one.person for one in list_people(connection)] == [person]
    for change in (
        lambda one: grant_role(one, person, Role.ANALYST, actor=ACTOR, now=NOW),
        lambda one: end_person(one, person, actor=ACTOR, now=NOW),
        lambda one: set_account(one, person, "amina", actor=ACTOR, now=NOW),
        lambda one: set_authority(one, person, kind="spoc", until=date(2027, 1, 1), actor=ACTOR, now=NOW),
    ):
        assert get_reason(store, change) == "ended-person"


def test_the_last_administrator_stays(store: DeskStore) -> None:
    first = add(store, "Amina Okafor", Role.ADMINISTRATOR)
    assert get_reason(store, lambda one: end_person(one, first, actor=ACTOR, now=NOW)) == "last-administrator"
    reason = get_reason(store, lambda one: end_role(one, first, Role.ADMINISTRATOR, actor=ACTOR, now=NOW))
    assert reason == "last-administrator"
    second = add(store, "Bo Lee", Role.ADMINISTRATOR)
    with store.write() as connection:
        end_person(connection, first, actor=second, now=NOW)
        assert list_with_role(connection, Role.ADMINISTRATOR) == [second]


def test_an_account_belongs_to_one_person(store: DeskStore) -> None:
    person, other = add(store, account="amina"), add(store, "Bo Lee")
    assert get_reason(store, lambda one: set_account(one, other, "amina", actor=ACTOR, now=NOW)) == "account-taken"
    assert get_reason(store, lambda one: set_account(one, other, "../etc", actor=ACTOR, now=NOW)) == "bad-account"
    with store.write() as connection:
        set_account(connection, person, None, actor=ACTOR, now=NOW)
        set_account(connection, other, "amina", actor=ACTOR, now=NOW)
        found = find_person_of_account(connection, "amina")
    assert found is not None
    assert found.person == other


def test_authority_ends_with_its_last_day_and_the_newest_record_decides(store: DeskStore) -> None:
    person = add(store)
    last_minute = datetime(2027, 3, 31, 23, 59, tzinfo=UTC)

    def set_until(until: date) -> None:
        with store.write() as connection:
            set_authority(connection, person, kind="risk-assessment", until=until, actor=ACTOR, now=NOW)

    def check(at: datetime) -> None:
        with store.read() as connection:
            check_authority(connection, person, at)

    with pytest.raises(PersonError, match=r"Amina Okafor .* has no authority of the kind risk-assessment"):
        check(NOW)
    set_until(date(2027, 3, 31))
    check(last_minute)
    with pytest.raises(PersonError, match="had authority until 31 March 2027") as refused:
        check(last_minute + timedelta(minutes=1))
    assert refused.value.reason == "no-authority"
    set_until(date(2026, 1, 1))  # taken away early
    with pytest.raises(PersonError, match="had authority"):
        check(NOW)
    with store.read() as connection:
        assert [(one.kind, one.until) for one in list_authorities(connection, person)] == [
            ("risk-assessment", date(2026, 1, 1))
        ]
    reason = get_reason(
        store, lambda one: set_authority(one, person, kind="juggling", until=date(2027, 1, 1), actor=ACTOR, now=NOW)
    )
    assert reason == "unknown-authority"


def test_actors_are_shown_by_name_with_their_handle(store: DeskStore) -> None:
    add(store)
    with store.read() as connection:
        assert format_person(connection, "a-okafor") == "Amina Okafor (a-okafor)"
        assert format_person(connection, BY_THE_DESK) == "the desk"
        assert format_person(connection, "nobody-known") == "nobody-known"


def test_every_change_is_an_entry_of_the_audit_log_with_its_actor(store: DeskStore) -> None:
    person = add(store, "Amina Okafor", Role.ANALYST, account="amina")
    with store.write() as connection:
        set_authority(connection, person, kind="spoc", until=date(2027, 1, 1), actor=ACTOR, now=NOW)
        set_account(connection, person, None, actor=ACTOR, now=NOW)
        end_person(connection, person, actor=ACTOR, now=NOW)
        entries = connection.execute(select(AUDIT).order_by(AUDIT.c.id)).all()
    actions = ["add-person", "grant-role", "set-authority", "set-account", "end-role", "end-person"]
    assert [(one.action, one.subject, one.actor) for one in entries] == [(one, person, ACTOR) for one in actions]
    assert not any("Amina" in one.detail for one in entries)  # names are typed text: the log has handles alone


TYPED = re.compile(r"""(?:actor|_by|\bby)=f?["']|^_?[A-Z_]*ACTOR[A-Z_]*: Final = ["']""", re.MULTILINE)


def test_no_actor_is_a_text_of_the_code() -> None:
    sources = files(".py", below=("gateway/desk",))
    assert len(sources) >= 150
    assert [path.name for path in sources if TYPED.search(path.read_text("utf-8"))] == []
    assert TYPED.search('append_entry(connection, "x", "y", at=now, actor="pager")')
    assert TYPED.search('_ACTOR: Final = "runner"')


def test_actors_of_a_loop_are_people_and_the_desk(loop: Loop) -> None:
    reference = loop.send_public(feels="hurting", under_18="no").reference
    loop.collect()
    send_alerts(loop.desk)
    browser = Browser(loop.desk).sign_in()
    with loop.desk.store.read() as connection:
        case_id = next(iter(connection.exec_driver_sql("SELECT case_id FROM cases"))).case_id
    assert reference in browser.post(f"/cases/{case_id}/read").text
    with loop.desk.store.read() as connection:
        actors = set(connection.execute(select(AUDIT.c.actor)).scalars())
        people = {one.person for one in list_people(connection)}
    assert BY_THE_DESK in actors
    assert "a-assessor" in actors
    assert actors <= people | {BY_THE_DESK}


LINK = '<a href="/exposure">'


def test_each_report_counts_once_and_other_acts_do_not(desk: Desk, clock: Clock) -> None:
    began = clock()
    with desk.store.write() as connection:
        for action, subject in (
            *(("open-case", "a"), ("open-case", "a"), ("open-case", "b"), ("move-case", "c")),
            *(("open-evidence", "a"), ("open-evidence", "a")),
        ):
            audit.append_entry(connection, action, subject, at=clock(), actor="kim")
        audit.append_entry(connection, "open-case", "a", at=clock(), actor="sam")
        audit.append_entry(connection, "open-case", "z", at=began - timedelta(days=1), actor="kim")
        assert list_exposure(connection, since=began) == [Exposure("kim", 2, 2), Exposure("sam", 1, 0)]
        assert list_exposure(connection, since=began, person="sam") == [Exposure("sam", 1, 0)]
    assert str(Exposure("kim", 1, 2)) == "1 report, 2 files"


def test_person_sees_the_own_count_of_the_day_beside_the_list(desk: Desk, clock: Clock) -> None:
    case_id = add_sealed_case(desk, marker="x")
    first, second = Browser(desk).sign_in("kim"), Browser(desk).sign_in("sam")
    first.get(f"/cases/{case_id}")
    first.post(f"/cases/{case_id}/read")
    assert "You opened 1 report, 0 files today." in first.get("/").text
    assert "You opened 0 reports, 0 files today." in second.get("/").text
    clock.now += timedelta(days=1)
    assert "You opened 0 reports, 0 files today." in first.sign_in("kim").get("/").text


def test_supervisor_finds_the_counts_of_everyone_from_the_list_and_an_analyst_does_not(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="x")
    analyst = Browser(desk).sign_in("kim", roles=(Role.ANALYST,))
    analyst.get(f"/cases/{case_id}")
    analyst.post(f"/cases/{case_id}/read")
    supervisor = Browser(desk).sign_in("sam", roles=(Role.SUPERVISOR,))
    assert LINK in supervisor.get("/").text
    row = "(kim)</th><td>1 report, 0 files</td><td>1 report, 0 files</td>"
    assert row in supervisor.get("/exposure").text
    assert LINK not in analyst.get("/").text
    assert analyst.get("/exposure").status_code == 403
