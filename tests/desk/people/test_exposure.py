"""The count of opened reports and files: for the person and the supervisor."""

from datetime import timedelta

from gateway.desk import audit
from gateway.desk.people.permissions import Role
from gateway.desk.people.register import Exposure, list_exposure
from gateway.desk.wiring import Desk
from tests.desk.view_builders import Browser, Clock, add_sealed_case

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
