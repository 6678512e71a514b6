"""The auditor's pages: filters, words, paging, exports, one case's history, and the state of the log."""

import csv
import io
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, text

from gateway.desk.keyring.anchoring import ANCHORS_FILE, check_audit, note_check
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.running.audit_log import MOST_LISTED
from gateway.desk.store import audit
from gateway.desk.store.schema import AUDIT, CASES
from tests.builders import NOW
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import Browser, Clock, add_sealed_case


def add_entries(desk: Desk, count: int, *, action: str = "search", subject: str = "cases", actor: str = ACTOR) -> None:
    with desk.store.write() as connection:
        ensure_person(connection, actor)
        for _ in range(count):
            audit.append_entry(connection, action, subject, at=desk.clock(), actor=actor, found=3)


@pytest.fixture
def auditor(desk: Desk) -> Browser:
    return Browser(desk).sign_in("u-auditor", [Role.AUDITOR])


@pytest.mark.databases("sqlite", "postgresql")
def test_entries_are_in_words_with_names_and_the_purpose_of_each_opening(desk: Desk, auditor: Browser) -> None:
    case_id = add_sealed_case(desk, marker="Marker-of-the-audit")
    reader = Browser(desk).sign_in("r-reader", [Role.ANALYST])
    reader.post(f"/cases/{case_id}/read")
    page = auditor.get("/audit").text
    assert "Opened the report to read it" in page
    assert "(r-reader)" in page
    assert "open-case</td>" not in page
    assert "Marker-of-the-audit" not in page
    with desk.store.write() as connection:
        audit.append_entry(connection, "index-case", case_id, at=NOW, actor="desk", purpose="linking")
    assert "to find its links; nobody read it" in auditor.get("/audit").text


@pytest.mark.databases("sqlite", "postgresql")
def test_filters_narrow_the_list_together(desk: Desk, auditor: Browser, clock: Clock) -> None:
    case_id = add_sealed_case(desk, marker="M")
    add_entries(desk, 1, action="claim-case", subject=case_id, actor="z-zoe")
    clock.now += timedelta(days=1)
    add_entries(desk, 1, action="release-case", subject=case_id, actor="z-zoe")
    with desk.store.read() as connection:
        reference = connection.execute(select(CASES.c.reference).where(CASES.c.case_id == case_id)).scalar_one()
    clock.now -= timedelta(days=1)
    history = auditor.get(f"/audit?case={reference.lower()}").text
    assert "Took the case</td>" in history
    assert "Gave the case back</td>" in history
    assert "Searched cases</td>" not in history
    for query, is_found in (
        (f"case={reference}&first_day=2026-11-26", False),
        (f"case={reference}&last_day=2026-11-25", True),
        ("person=z-zoe&action=claim-case", True),
        ("person=z-zoe&action=search", False),
        ("action=openings", False),
    ):
        assert ("Took the case</td>" in auditor.get(f"/audit?{query}").text) is is_found, query


def test_wrong_filters_are_named_and_list_nothing(auditor: Browser) -> None:
    for query, words in (("case=ABCD", "No case has this reference"), ("first_day=soon", "Give the day")):
        page = auditor.get(f"/audit?{query}").text
        assert words in page
        assert "<tbody>" not in page
    assert auditor.get("/audit?before=x").status_code == 404


def test_words_that_are_on_no_list_never_come_into_the_log(desk: Desk, auditor: Browser) -> None:
    for typed in ({"person": "Marker of Leeds"}, {"action": "Marker told me"}):
        assert auditor.get(f"/audit?{urlencode(typed)}").status_code == 409
        assert auditor.post("/audit/export", **typed, form="csv").status_code == 404
    with desk.store.read() as connection:
        assert not [one for one in connection.execute(select(AUDIT.c.detail)).scalars() if "Marker" in one]


def test_damaged_copy_of_the_anchors_hides_no_entry(desk: Desk, auditor: Browser) -> None:
    (desk.paths.state / ANCHORS_FILE).write_bytes(b"no anchor\n")
    page = auditor.get("/audit")
    assert page.status_code == 200
    assert "<b>Never</b> anchored" in page.text


def test_long_log_is_paged_in_the_database(desk: Desk, auditor: Browser) -> None:
    add_entries(desk, MOST_LISTED + 30, actor="z-zoe")
    page = auditor.get("/audit?person=z-zoe").text
    assert page.count("Searched cases</td>") == MOST_LISTED
    (address,) = [part.partition('"')[0] for part in page.split('href="')[1:] if "before=" in part.partition('"')[0]]
    older = auditor.get(address.replace("&amp;", "&")).text
    assert older.count("Searched cases</td>") == 30
    assert "Older entries" not in older


@pytest.mark.databases("sqlite", "postgresql")
def test_export_has_every_entry_that_fits_and_is_one_itself(desk: Desk, auditor: Browser) -> None:
    add_entries(desk, 3, actor="z-zoe")
    add_entries(desk, 1, action="revoke-key", subject="-abc", actor="z-zoe")
    answer = auditor.post("/audit/export", person="z-zoe", form="csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows] == ["Searched cases"] * 3 + ["Revoked a key"]
    assert rows[-1]["subject"] == "'-abc"  # no formula for a spreadsheet
    lines = [json.loads(line) for line in auditor.post("/audit/export", form="json").text.splitlines()]
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["action"] == "export-audit"  # the first export
    with desk.store.read() as connection:
        found = connection.execute(
            select(AUDIT.c.actor, AUDIT.c.detail).where(AUDIT.c.action == "export-audit").order_by(AUDIT.c.id)
        ).all()
    assert [row.actor for row in found] == ["u-auditor"] * 2
    assert "z-zoe" in found[0].detail


def test_top_of_the_page_has_the_stored_result_of_the_newest_check(desk: Desk, auditor: Browser, clock: Clock) -> None:
    assert "<b>Never</b> checked" in auditor.get("/audit").text
    note_check(desk, check_audit(desk))
    clock.now += timedelta(minutes=5)
    assert "checked 5 min ago" in " ".join(auditor.get("/audit").text.split())
    with desk.store.write() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(AUDIT.update().where(AUDIT.c.id == 1).values(actor="z"))
    assert "Not whole" not in auditor.get("/audit").text  # a page checks nothing anew
    note_check(desk, check_audit(desk))
    assert "Not whole" in auditor.get("/audit").text


def test_case_page_leads_to_its_history_for_a_person_who_may_read_it(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="M")
    supervisor = Browser(desk).sign_in("s-super", [Role.SUPERVISOR])
    supervisor.post(f"/cases/{case_id}/claim")
    assert "This case in the audit log" in supervisor.get(f"/cases/{case_id}").text
    analyst = Browser(desk).sign_in("a-ann", [Role.ANALYST])
    assert "This case in the audit log" not in analyst.get(f"/cases/{case_id}").text


@pytest.mark.parametrize("role", [Role.ANALYST, Role.ADMINISTRATOR, Role.DUTY_OFFICER])
def test_other_roles_neither_read_nor_export_it(desk: Desk, role: Role) -> None:
    browser = Browser(desk).sign_in("o-other", [role])
    assert browser.get("/audit").status_code == 403
    assert browser.post("/audit/export").status_code == 403
