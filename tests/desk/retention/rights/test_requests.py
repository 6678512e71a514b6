"""Requests to see, correct or wipe a report: recorded, due in a month, and answered to this person alone."""

import dataclasses
import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions.ledger import record_sent
from gateway.desk.cases.model import MAX_NOTE_CHARACTERS, CaseError, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import count_requests
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import list_written
from gateway.desk.retention.rights_requests import (
    ERASE,
    GRANTED,
    MOST_TEXT_CHARACTERS,
    REFUSED,
    Decision,
    answer_request,
    get_due_day,
    list_due,
    list_grounds,
    list_requests,
    load_rights,
    make_refusal_text,
    record_request,
    split_text,
)
from gateway.desk.running.doctor import examine
from gateway.desk.store.schema import AUDIT, CASE_STEPS, CASES
from gateway.exchange.public_codes import REQUESTS
from tests.desk.action_builders import draft, release
from tests.desk.view_builders import (
    Browser,
    Clock,
    add_sealed_case,
    has_fault_read_with,
    make_code_key,
    make_code_seed,
)
from tests.desk.work_builders import assess, pass_case_on

ACTOR = "a-assessor"
MARKER = "marmalade"
SECOND = "This is the second answer."
WITH_CODE = {"reply_key": make_code_key(make_code_seed("lamp"))}


def add(desk: Desk, *, has_code: bool = True) -> str:
    """File a report and read it."""
    case_id = add_sealed_case(desk, marker=MARKER, under_18="yes", report=WITH_CODE if has_code else None)
    open_case(desk, case_id, actor=ACTOR)
    return case_id


def add_later(desk: Desk, *, key: str = "a") -> str:
    """File a report whose key has the hash `a`, and return an addition to it with this hash; both are read."""
    first = add(desk)
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == first).values(reply_key_sha256="a"))
        reference = get_case(connection, first).reference
    keys = {"adds_to": reference, "reply_key_sha256": key, "has_reply_key": True}
    later = add_sealed_case(desk, marker="later", under_18="yes", report=WITH_CODE, **keys)
    open_case(desk, later, actor=ACTOR)
    return later


def record(
    desk: Desk, case_id: str, kind: str = "wipe", asked_on: date = date(2026, 11, 25), way: str = "phone"
) -> None:
    record_request(desk, case_id, kind, way=way, asked_on=asked_on, note=f"They said {MARKER}", actor=ACTOR)


def decide(**changes: str) -> Decision:
    values = {
        "kind": "wipe",
        "decision": REFUSED,
        "ground": "evidence",
        "identity": "safe_word",
        "told_by": "phone",
        "text": f"We have to keep it, {MARKER}.",
        "note": "",
    }
    return Decision(**values | changes)


@pytest.mark.parametrize(
    ("asked_on", "due"),
    [
        (date(2026, 11, 25), date(2026, 12, 25)),
        (date(2027, 1, 31), date(2027, 2, 28)),
        (date(2028, 1, 31), date(2028, 2, 29)),
        (date(2026, 12, 31), date(2027, 1, 31)),
    ],
)
def test_answer_is_due_a_month_on_or_at_the_end_of_a_shorter_month(asked_on: date, due: date) -> None:
    assert get_due_day(asked_on) == due


@pytest.mark.databases("sqlite", "postgresql")
def test_request_is_due_until_it_is_answered_and_each_step_is_recorded(desk: Desk) -> None:
    case_id = add(desk)
    record(desk, case_id)
    record(desk, case_id, "see", date(2026, 11, 20))
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        assert (case.requests, case.request_due) == ("wipe see", "2026-12-20")
        assert [one.kind for one in list_requests(connection, case)] == ["see", "wipe"]
        assert [one.case_id for one in list_due(connection, most=10)] == [case_id]
        assert count_requests(connection, today=date(2026, 12, 20)) == (1, 0)
        assert count_requests(connection, today=date(2026, 12, 21)) == (1, 1)
    see = decide(kind="see", decision=GRANTED, ground="")
    answer_request(desk, case_id, see, actor=ACTOR, message_id=desk.make_id())
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        assert (case.requests, case.request_due) == ("wipe", "2026-12-25")
    answer_request(desk, case_id, decide(), actor=ACTOR, message_id=desk.make_id())
    with desk.store.read() as connection:
        assert get_case(connection, case_id).request_due is None
        assert count_requests(connection, today=date(2027, 1, 1)) == (0, 0)
        kinds = list(connection.execute(select(CASE_STEPS.c.kind).order_by(CASE_STEPS.c.id)).scalars())
        assert kinds == ["request", "request", "claim", "answer-request", "answer-request"]
        acts = set(connection.execute(select(AUDIT.c.action).where(AUDIT.c.subject == case_id)).scalars())
        assert {"request-case", "answer-request-case"} <= acts
    with pytest.raises(CaseError) as caught:
        answer_request(desk, case_id, decide(), actor=ACTOR, message_id=desk.make_id())
    assert caught.value.reason == "no-request"


def test_erasing_is_open_until_it_is_done(desk: Desk) -> None:
    case_id = add(desk)
    record(desk, case_id)
    answer_request(desk, case_id, decide(decision=ERASE, ground=""), actor=ACTOR, message_id=desk.make_id())
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        assert (case.requests, case.request_due) == ("wipe", "2026-12-25")
        (request,) = list_requests(connection, case)
        assert request.to_erase_by == ACTOR


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ground": ""}, "no-ground"),
        ({"ground": "others"}, "no-ground"),
        ({"decision": ERASE, "identity": ""}, "not-checked"),
        ({"decision": GRANTED}, "bad-code"),
        ({"told_by": "a neighbour"}, "bad-code"),
        ({"kind": "see"}, "no-request"),
        ({"text": " "}, "note-missing"),
        ({"text": "x" * (MOST_TEXT_CHARACTERS + 1)}, "note-too-long"),
    ],
)
def test_answer_needs_the_laws_reason_and_a_check_of_who_asks(desk: Desk, changes: dict[str, str], reason: str) -> None:
    case_id = add(desk)
    record(desk, case_id)
    with pytest.raises(CaseError) as caught:
        answer_request(desk, case_id, decide(**changes), actor=ACTOR, message_id=desk.make_id())
    assert caught.value.reason == reason
    with desk.store.read() as connection:
        assert get_case(connection, case_id).requests == "wipe"


@pytest.mark.parametrize(
    ("kind", "way", "told_by", "identity", "is_safe"),
    [
        ("wipe", "phone", "return-code", "", False),  # a caller who is not the person wipes their report
        ("wipe", "phone", "return-code", "safe_word", True),
        ("wipe", "phone", "phone", "return-code", False),  # nobody showed a code
        ("wipe", "return-code", "return-code", "", True),
        ("correct", "phone", "return-code", "", False),
        ("see", "return-code", "phone", "", False),  # a caller hears the report of the person who asked
        ("see", "return-code", "phone", "called_back", True),
        ("see", "phone", "return-code", "", True),  # only the holder of the code reads the answer
    ],
)
def test_granting_needs_proof_of_who_asks_and_of_who_hears(
    desk: Desk, kind: str, way: str, told_by: str, identity: str, is_safe: bool
) -> None:
    case_id = add_later(desk) if way == "return-code" else add(desk)
    record(desk, case_id, kind, way=way)
    decision = ERASE if kind == "wipe" else GRANTED
    answer = decide(kind=kind, decision=decision, ground="", told_by=told_by, identity=identity, note="Corrected.")
    if is_safe:
        answer_request(desk, case_id, answer, actor=ACTOR, message_id=desk.make_id())
        return
    with pytest.raises(CaseError) as caught:
        answer_request(desk, case_id, answer, actor=ACTOR, message_id=desk.make_id())
    assert caught.value.reason == "not-checked"


def test_request_is_recorded_once_and_never_for_the_future_or_a_partner(desk: Desk) -> None:
    case_id = add(desk)
    record(desk, case_id)
    partners = add_sealed_case(desk, marker="x", partner="example-chat")
    for wanted, day, reason in (
        (case_id, date(2026, 11, 25), "request-open"),
        (case_id, date(2026, 11, 26), "bad-day"),
        (partners, date(2026, 11, 25), "not-from-public"),
    ):
        with pytest.raises(CaseError) as caught:
            record(desk, wanted, asked_on=day)
        assert caught.value.reason == reason


def test_answer_through_the_return_code_is_sent_once_in_parts_that_fit(desk: Desk) -> None:
    case_id = add(desk)
    record(desk, case_id, "see")
    long = "\n".join(f"line {number} {'é' * 200}" for number in range(40))
    answer = decide(kind="see", decision=GRANTED, ground="", identity="", told_by="return-code", text=long)
    message_id = desk.make_id()
    answer_request(desk, case_id, answer, actor=ACTOR, message_id=message_id)
    with desk.store.read() as connection:
        written = [one for one in list_written(connection, case_id=case_id) if one.kind == "reply"]
    assert len(written) == len(split_text(long)) > 3
    record(desk, case_id, "see")
    answer_request(desk, case_id, answer, actor=ACTOR, message_id=message_id)
    with desk.store.read() as connection:
        again = [one for one in list_written(connection, case_id=case_id) if one.kind == "reply"]
    assert len(again) == len(written)


def test_answer_with_the_id_of_an_older_message_is_sent_all_the_same(desk: Desk) -> None:
    case_id, other = add(desk), add(desk)
    answer = decide(kind="see", decision=GRANTED, ground="", told_by="return-code", text="This is the first answer.")
    used = desk.make_id()
    # The page of the first answer, after Back, and a forged one of another case.
    for wanted, text in ((case_id, "This is the first answer."), (case_id, SECOND), (other, SECOND)):
        record(desk, wanted, "see")
        answer_request(desk, wanted, dataclasses.replace(answer, text=text), actor=ACTOR, message_id=used)
    with desk.store.read() as connection:
        sent = [[one.kind for one in list_written(connection, case_id=wanted)] for wanted in (case_id, other)]
    assert [kinds.count("reply") for kinds in sent] == [2, 1]


def test_longest_answer_of_any_script_is_taken_by_the_page(desk: Desk, browser: Browser) -> None:
    case_id = add(desk)
    record(desk, case_id)
    browser.get(f"/cases/{case_id}/requests")
    longest = {"text": "\U0001f600" * MOST_TEXT_CHARACTERS, "note": "\U0001f600" * MAX_NOTE_CHARACTERS}
    choices = {"kind": "wipe", "decision": "refused", "ground": "evidence", "told_by": "phone"}
    path = f"/cases/{case_id}/requests/answer"
    assert browser.post(path, **choices, **longest, message_id=desk.make_id()).status_code == 303


def test_return_code_in_an_addition_proves_who_asks_and_its_number_alone_does_not(desk: Desk) -> None:
    later = add_later(desk)
    record(desk, later, way="return-code")
    erase = decide(decision=ERASE, ground="", identity="")
    answer_request(desk, later, erase, actor=ACTOR, message_id=desk.make_id())
    with desk.store.read() as connection:
        (request,) = list_requests(connection, get_case(connection, later))
    assert (request.by_code, request.to_erase_by) == (True, ACTOR)
    with pytest.raises(CaseError) as caught:
        record(desk, add_later(desk, key="b"), way="return-code")
    assert caught.value.reason == "not-by-code"


@pytest.mark.parametrize(("kind", "decision"), [("correct", GRANTED), ("wipe", ERASE)])
def test_call_entered_as_a_request_with_the_return_code_proves_nothing(
    desk: Desk, browser: Browser, kind: str, decision: str
) -> None:
    case_id = add(desk)
    path = f"/cases/{case_id}/requests"
    assert 'value="return-code"' not in browser.get(path).text
    fields = {"new_kind": kind, "asked_on": "2026-11-25", "asked": "They rang and asked."}
    refused = browser.post(path, **fields, way="return-code")
    assert (refused.status_code, "did not come through the return code" in refused.text) == (409, True)
    # The step as it was written before, or by a hand in the database.
    record(desk, case_id, kind)
    with desk.store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER case_steps_no_update")
        detail = f'{{"asked_on":"2026-11-25","request":"{kind}","way":"return-code"}}'
        connection.execute(update(CASE_STEPS).where(CASE_STEPS.c.kind == "request").values(detail=detail))
    granted = decide(kind=kind, decision=decision, ground="", identity="", note="As they said.")
    with pytest.raises(CaseError) as caught:
        answer_request(desk, case_id, granted, actor=ACTOR, message_id=desk.make_id())
    assert caught.value.reason == "not-checked"


@pytest.mark.parametrize("text", ["", "short", "x" * 6000, "a\n\n" * 3000, "\U0001f600" * 3000])
def test_parts_lose_no_letter(text: str) -> None:
    assert "".join("".join(split_text(text)).split()) == "".join(text.split())


def test_every_ground_names_its_requests_law_and_words() -> None:
    grounds = {code for kind in REQUESTS for code, _ in list_grounds(kind)}
    assert all(list_grounds(kind) for kind in REQUESTS)
    for code in grounds:
        one = load_rights()[code]
        assert one.title
        assert one.law
        assert set(one.kinds) <= set(REQUESTS)
        assert "Information Commissioner" in make_refusal_text(code)


def test_page_walks_from_a_call_to_an_answer(desk: Desk, browser: Browser) -> None:
    case_id = add(desk)
    path = f"/cases/{case_id}/requests"
    assert path in browser.get(f"/cases/{case_id}").text
    browser.get(path)
    fields = {"new_kind": "wipe", "way": "phone", "asked_on": "2026-11-25", "asked": "Please wipe it."}
    assert has_fault_read_with(browser.post(path, **fields | {"asked": ""}).text, "asked")
    assert browser.post(path, **fields).status_code == 303
    assert "Friday 25 December" in browser.get("/requests").text
    assert "Requests to answer <b>1</b>" in browser.get("/").text
    choices = {"kind": "wipe", "decision": "refused", "ground": "evidence", "told_by": "phone"}
    prepared = browser.post(f"{path}/text", **choices).text
    assert "it may help to stop the person who did this" in prepared
    refused = browser.post(f"{path}/answer", **choices | {"ground": ""}, text="No.", message_id=desk.make_id())
    assert has_fault_read_with(refused.text, "ground")
    assert "No." in refused.text
    assert browser.post(f"{path}/answer", **choices, text="No.", message_id=desk.make_id()).status_code == 303
    assert "No request is open." in browser.get("/requests").text


def test_export_has_what_they_told_and_were_told_and_is_recorded(desk: Desk, browser: Browser) -> None:
    case_id = add(desk)
    record(desk, case_id, "see")
    browser.get(f"/cases/{case_id}/requests")
    shown = browser.post(f"/cases/{case_id}/requests/export").text
    assert "Someone asks me to write elsewhere." in shown
    assert f"0000 {MARKER}" in shown
    assert WITH_CODE["reply_key"] not in shown
    with desk.store.read() as connection:
        actors = connection.execute(select(AUDIT.c.actor).where(AUDIT.c.action == "export-case")).scalars()
        assert list(actors) == [ACTOR]
    text = browser.post(f"/cases/{case_id}/requests/text", kind="see", decision="granted", told_by="return-code").text
    assert "Someone asks me to write elsewhere." in text


def test_export_names_the_bodies_that_got_the_report(desk: Desk, browser: Browser) -> None:
    case_id = add(desk)
    assess(desk, case_id)
    draft(desk, case_id, recipient="essex")
    sent = release(desk, draft(desk, case_id))
    with desk.store.write() as connection:
        record_sent(desk, connection, sent.action_id, actor=ACTOR)
    pass_case_on(desk, case_id, destination="devon_and_cornwall")
    record(desk, case_id, "see")
    browser.get(f"/cases/{case_id}/requests")
    shown = browser.post(f"/cases/{case_id}/requests/export").text
    text = browser.post(f"/cases/{case_id}/requests/text", kind="see", decision="granted", told_by="return-code").text
    for page in (shown, text):
        assert "Kent Police" in page
        assert "Devon and Cornwall Police" in page
        assert "Essex" not in page


def test_unread_report_is_opened_before_it_is_exported(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER, under_18="yes", report=WITH_CODE)
    record(desk, case_id, "see")
    browser.get(f"/cases/{case_id}/requests")
    page = browser.post(f"/cases/{case_id}/requests/export")
    assert page.status_code == 409
    assert MARKER not in page.text


def test_late_request_is_named_in_the_list_and_nothing_typed_lies_in_clear(
    desk: Desk, browser: Browser, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    case_id = add(desk)
    record(desk, case_id)
    clock.now = datetime(2026, 12, 26, 9, 30, tzinfo=UTC) + timedelta(minutes=1)
    browser.sign_in()
    assert "1 is late" in browser.get("/requests").text
    (found,) = (one for one in examine(desk.paths.state, clock=clock) if one.name == "cases" and "month" in one.detail)
    assert found.verdict == "fault"
    answer_request(desk, case_id, decide(note=MARKER), actor=ACTOR, message_id=desk.make_id())
    assert MARKER not in caplog.text
    files = [path for path in desk.paths.state.rglob("*") if path.is_file()]
    assert [path.name for path in files if MARKER.encode() in path.read_bytes()] == []
