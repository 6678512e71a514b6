"""The page of retention, the hold on a case, and the commands."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import open_report
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.retention.destruction import restore_destructions
from gateway.desk.retention.lists import draft_destruction, load_classes
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from gateway.desk.store.schema import CASES, DESTROYED_CASES, DESTRUCTIONS, REPORTS
from gateway.desk.vault import KnownPasskey
from gateway.desk.vault.case_keys import CASE_KEYS_FILE
from gateway.desk.vault.destructions import DESTRUCTIONS_FILE
from gateway.exchange.desk_statements import SIGNED_CERTIFICATE
from partner_sdk.errors import OpeningError
from tests.desk.retention_builders import A_YEAR, FIRST, SECOND, begin, close_all, destroy, list_files_with
from tests.desk.view_builders import Browser, Clock, add_sealed_case

MARKER = "Quetzalcoatlus"
SUPERVISOR = frozenset({Role.SUPERVISOR})


def read_case(desk: Desk, case_id: str) -> CaseRow:
    with desk.store.read() as connection:
        return get_case(connection, case_id)


def make_due(desk: Desk, clock: Clock) -> CaseRow:
    case_id = add_sealed_case(desk, marker=MARKER)
    close_all(desk)
    clock.now += A_YEAR
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=clock())
    return read_case(desk, case_id)


def check_audit_log(capsys: pytest.CaptureFixture[str], desk: Desk, *, code: int) -> tuple[int, list[str]]:
    """Return how many certificates `audit check` read, and its faults of certificates and signatures."""
    assert main(["audit", "check", "--state", str(desk.paths.state), "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    return found["certificates"], found["unsigned"]


def run(capsys: pytest.CaptureFixture[str], desk: Desk, *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["retention", *words, "--json", "--state", str(desk.paths.state)]) == code
    return json.loads(capsys.readouterr().out)


def test_author_signs_first_another_signs_and_either_stops_it_within_the_week(
    desk: Desk, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    case = make_due(desk, clock)
    first, second = (Browser(desk).sign_in(person, SUPERVISOR) for person in (FIRST, SECOND))
    page = first.get("/retention").text
    assert case.reference in page
    assert "Draft a list of 1 case" in page
    assert first.post("/retention/draft").status_code == 303
    page = first.get("/retention").text
    assert "You prepared this. Sign it first" in page
    assert MARKER not in page
    action = re.search(r'action="(/retention/[^"]+)/withdraw"', page)
    assert action is not None

    def press(browser: Browser) -> int:
        begin = re.search(r'data-begin="([^"]+)"', browser.get("/retention").text)
        assert begin is not None
        return browser.step_up(begin[1], f"{action[1]}/sign").status_code

    assert "signs it first" in second.get("/retention").text
    assert second.post(f"{action[1]}/sign").status_code == 409
    assert press(first) == 303
    assert "A second person reads it and signs it" in first.get("/retention").text
    assert read_case(desk, case.case_id).destroyed_at is None
    assert press(second) == 303
    assert read_case(desk, case.case_id).destroyed_at is not None
    shown = second.get(f"/cases/{case.case_id}").text
    assert "The content of this case was destroyed, or closed for it" in shown
    page = first.get("/retention").text
    assert re.search(r"Signed by [^.]*S First[^.]* and [^.]*S Second", page)
    assert first.post(f"{action[1]}/stop").status_code == 303
    assert read_case(desk, case.case_id).destroyed_at is None
    page = first.get("/retention").text
    assert "/stop" not in page
    assert re.search(r"Stopped</h2>.*stopped a list of 1 case that .* and .* had signed\.", page, re.S)


def test_certificate_can_be_had_and_verified(desk: Desk, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    case = make_due(desk, clock)
    destruction_id = SIGNED_CERTIFICATE.peek(destroy(desk, [case.case_id])).listed.destruction_id
    auditor = Browser(desk).sign_in("a-auditor", frozenset({Role.AUDITOR}))
    assert "Nothing was destroyed yet." not in auditor.get("/retention").text
    answer = auditor.get(f"/retention/{destruction_id}/certificate")
    assert SIGNED_CERTIFICATE.peek(answer.data).listed.cases[0].reference == case.reference
    assert "attachment" in answer.headers["Content-Disposition"]
    assert check_audit_log(capsys, desk, code=3) == (1, [])  # no gateway answers
    with desk.store.write() as connection:
        raw = connection.execute(DESTRUCTIONS.select()).one().certificate
        connection.execute(update(DESTRUCTIONS).values(certificate=bytes(raw).replace(b"signatures", b"signaturez")))
    certificates, (fault,) = check_audit_log(capsys, desk, code=1)
    assert (certificates, destruction_id in fault) == (1, True)


def test_doctor_compares_the_vaults_record_with_the_certificates(desk: Desk, clock: Clock) -> None:
    case, kept = make_due(desk, clock), make_due(desk, clock)

    def list_faults() -> list[str]:
        return [one.detail for one in examine(desk.paths.state, clock=clock) if "vault" in one.detail.lower()]

    before = list_faults()
    begun = begin(desk, [kept.case_id])
    destroy(desk, [case.case_id])
    assert list_faults() == before
    with desk.store.write() as connection:  # as a taken process leaves no trace of a list
        connection.execute(delete(DESTRUCTIONS).where(DESTRUCTIONS.c.destruction_id == begun))
    assert f"The vault has begun the list {begun}, which this desk does not know." in list_faults()
    assert Browser(desk).sign_in(FIRST).post(f"/retention/{begun}/stop").status_code == 303
    assert list_faults() == before
    assert open_report(desk, read_case(desk, kept.case_id), actor=FIRST)
    key = KnownPasskey(credential_id=b"forged", person="s-third", public_key=b"key")
    desk.load_signer().learn_passkeys([key])
    assert "The vault knows a passkey of s-third that the audit log does not." in list_faults()
    record = desk.paths.vault / DESTRUCTIONS_FILE
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:2]))
    assert any("says destroyed; the vault's record says not begun" in one for one in list_faults())


def test_dry_run_lists_and_changes_nothing_and_the_run_drafts(
    desk: Desk, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for values in ({}, {"hold_review": "2028-01-01"}):
        add_sealed_case(desk, marker=MARKER)
        close_all(desk, closed_at="2025-06-01T09:30:00Z", **values)  # due on any day that a command is run
    before = desk.paths.database.read_bytes()
    due = run(capsys, desk, "run", "--dry-run")["due"]
    assert sorted((one["class"], one["due"], one["state"]) for one in due) == [
        ("public", "2026-06-01", "may go"),
        ("public", "2026-06-01", "stays: a legal hold is on it"),
    ]
    assert desk.paths.database.read_bytes() == before
    (waiting,) = run(capsys, desk, "run", code=1)["waiting"]
    assert run(capsys, desk, "run", code=1)["waiting"] == [waiting]
    found = {one.name: one for one in examine(desk.paths.state, clock=clock)}
    assert "wait for a signature" in found["retention"].detail


def test_hold_is_placed_with_a_sealed_reason_seen_as_overdue_and_lifted(desk: Desk, clock: Clock) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    browser = Browser(desk).sign_in()
    browser.get(f"/cases/{case_id}")
    for fields, said in (
        ({"hold_reason": "", "hold_review": "2027-02-01"}, "Give the reason."),
        ({"hold_reason": "A court.", "hold_review": "soon"}, "Write the date like this"),
        ({"hold_reason": "A court.", "hold_review": "2029-02-01"}, "within a year"),
    ):
        answer = browser.post(f"/cases/{case_id}/hold", **fields)
        assert answer.status_code == 409
        assert said in answer.text
    answer = browser.post(f"/cases/{case_id}/hold", hold_reason="Court-Marker asked.", hold_review="2027-02-01")
    assert answer.status_code == 303
    assert read_case(desk, case_id).hold_review == "2027-02-01"
    assert "Look again by" in browser.get(f"/cases/{case_id}").text
    assert list_files_with(desk.paths.state, b"Court-Marker") == []
    clock.now += timedelta(days=90)
    found = {one.detail for one in examine(desk.paths.state, clock=clock) if one.name == "retention"}
    assert any("1 legal holds were to be looked at again" in one for one in found)
    browser = Browser(desk).sign_in()
    assert "which has passed" in browser.get("/retention").text
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=clock())
    answer = browser.post(f"/cases/{case_id}/lift-hold", hold_reason="It ended.")
    assert answer.status_code == 303
    assert read_case(desk, case_id).hold_review is None


def test_a_restored_database_destroys_again_what_its_certificates_name(desk: Desk, clock: Clock) -> None:
    case = make_due(desk, clock)
    with desk.store.read() as connection:
        report = dict(connection.execute(REPORTS.select()).one()._mapping)
        row = dict(connection.execute(CASES.select()).one()._mapping)
    keys = desk.paths.vault / CASE_KEYS_FILE
    older = keys.read_bytes()
    destroy(desk, [case.case_id])
    keys.write_bytes(older)
    with desk.store.write() as connection:  # as last night's copy has it
        connection.execute(update(REPORTS).values(envelope=report["envelope"]))
        connection.execute(update(CASES).values(**row))
        connection.execute(delete(DESTROYED_CASES))
        connection.execute(delete(DESTRUCTIONS))
    found = {one.detail for one in examine(desk.paths.state, clock=clock) if one.name == "retention"}
    assert any("The database forgot 1 destructions" in one for one in found)
    assert len(restore_destructions(desk, actor=FIRST)) == 1
    assert read_case(desk, case.case_id).destroyed_at is not None
    with desk.store.read() as connection:
        assert bytes(connection.execute(REPORTS.select()).one().envelope) == b""
    assert restore_destructions(desk, actor=FIRST) == []
    # The key that the copy of the vault's file brought back is gone again, also for last night's box.
    assert keys.read_bytes() != older
    with desk.store.write() as connection:
        connection.execute(update(REPORTS).values(envelope=report["envelope"]))
    with pytest.raises(OpeningError) as caught:
        open_report(desk, case, actor=FIRST)
    assert caught.value.reason == "destroyed"


def test_classes_are_dated_and_an_agencys_own_file_replaces_them(desk: Desk, clock: Clock) -> None:
    classes = load_classes(desk.paths.state)
    assert (classes.content.months, classes.public.months, classes.reference.months) == (12, 12, 60)
    case = make_due(desk, clock)
    text = (Path(load_classes.__code__.co_filename).with_name("classes.toml")).read_text("utf-8")
    (desk.paths.state / "retention.toml").write_text(text.replace("months = 12", "months = 24"), "utf-8")
    with pytest.raises(Exception, match="its time is not over"):
        draft_destruction(desk, [case.case_id], reason="due", actor=FIRST)
