"""The outbox page: states, counts and next steps; no address, no word, and a retry only while it helps."""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select, update

from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import ReplyDraft, write_reply
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox import replies
from gateway.desk.outbox.alerts import add_alert
from gateway.desk.outbox.queue import NO_PLACE, UNEXPECTED, queue
from gateway.desk.running.outbox_pages import NOTE_FAULTS
from gateway.desk.store.agency_tables import NOTES, OUTBOX
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.canonical import format_time
from tests.desk.view_builders import Browser, add_sealed_case, make_code_key, make_code_seed

MARKER = "MARKER-\N{SNOWMAN}"


def add_note(desk: Desk, *, state: str, age: timedelta = timedelta(hours=1)) -> int:
    """Add a note with its entry, and return the entry's number."""
    case_id = add_sealed_case(desk, marker=MARKER, under_18="yes")
    now = desk.clock() - age
    values = {"state": state, "tries": 3, "last_error": "mail-refused" if state == "given_up" else None}
    with desk.store.write() as connection:
        connection.execute(insert(NOTES).values(case_id=case_id, channel="email", language="en"))
        queue(connection, "note", [case_id], now=now)
        done = update(OUTBOX).where(OUTBOX.c.subject == case_id).values(**values).returning(OUTBOX.c.id)
        return int(connection.execute(done).scalar_one())


def get_note(desk: Desk, number: int) -> tuple[str, int, str | None]:
    with desk.store.read() as connection:
        row = connection.execute(select(OUTBOX).where(OUTBOX.c.id == number)).one()
    return row.state, row.tries, row.last_error


def test_states_are_counted_and_what_was_given_up_comes_first(desk: Desk, browser: Browser) -> None:
    for state in ("sent", "waiting", "held", "given_up"):
        add_note(desk, state=state)
    page = browser.get("/outbox").text
    for said in (
        *("<b>1</b> note given up", "<b>2</b> notes wait"),
        *("Given up", "Held until tomorrow", "The mail server refused it"),
    ):
        assert said in page
    assert page.index(">Given up<") < page.index(">Waits<") < page.index(">Sent<")
    assert "mail-refused" not in page
    assert MARKER not in page


def test_alerts_and_replies_that_wait_are_shown_without_a_word(desk: Desk, browser: Browser) -> None:
    moment = format_time(desk.clock())
    with desk.store.write() as connection:
        for _ in range(2):
            add_alert(connection, count=2, first_at=moment, now=desk.clock())
        connection.execute(update(OUTBOX).where(OUTBOX.c.subject == "2").values(state="sent", done_at=moment))
    report = {"reply_key": make_code_key(make_code_seed("lamp"))}
    case_id = add_sealed_case(desk, marker=MARKER, under_18="yes", report=report)
    open_case(desk, case_id, actor="test")
    write_reply(desk, case_id, ReplyDraft(f"Hello and thank you. {MARKER}", is_the_reply=False), actor="test")
    page = browser.get("/outbox").text
    for said in (
        "<b>1</b> alert waits",
        "<b>2</b> replies wait for a collection",
        "Nobody called yet",
        "No answer yet",
        "A reply",
        "Confirmation that the report was read",
    ):
        assert said in page
    assert MARKER not in page


def test_given_up_note_is_tried_again_and_that_is_noted(desk: Desk, browser: Browser) -> None:
    note_id = add_note(desk, state="given_up")
    assert f"/outbox/{note_id}/retry" in browser.get("/outbox").text
    assert browser.post(f"/outbox/{note_id}/retry").status_code == 303
    assert get_note(desk, note_id) == ("waiting", 0, None)
    with desk.store.read() as connection:
        assert connection.execute(select(AUDIT.c.actor).where(AUDIT.c.action == "send-again")).scalar() == "a-assessor"


def test_old_note_is_not_tried_again(desk: Desk, browser: Browser) -> None:
    note_id = add_note(desk, state="given_up", age=timedelta(days=3))
    assert f"/outbox/{note_id}/retry" not in browser.get("/outbox").text
    refused = browser.post(f"/outbox/{note_id}/retry")
    assert refused.status_code == 409
    assert "Answer the person in a way they picked" in refused.text
    assert get_note(desk, note_id)[0] == "given_up"


def test_note_that_was_sent_or_is_none_is_not_tried_again(desk: Desk, browser: Browser) -> None:
    browser.get("/outbox")
    sent = add_note(desk, state="sent")
    assert browser.post(f"/outbox/{sent}/retry").status_code == 409
    assert browser.post("/outbox/999999/retry").status_code == 409
    assert browser.post("/outbox/nothing/retry").status_code == 404
    assert get_note(desk, sent)[0] == "sent"


def test_empty_outbox_says_so(browser: Browser) -> None:
    page = browser.get("/outbox").text
    assert "There are no notes yet" in page
    assert "There are no alerts yet" in page


def test_case_says_what_became_of_its_note(desk: Desk, browser: Browser) -> None:
    note_id = add_note(desk, state="given_up")
    with desk.store.read() as connection:
        case_id = connection.execute(select(OUTBOX.c.subject).where(OUTBOX.c.id == note_id)).scalar()
    assert "(e-mail): given up" in browser.get(f"/cases/{case_id}").text


def test_every_fault_of_a_note_has_words_and_no_other_has() -> None:
    sources = [Path("gateway/desk/outbox/carriers.py"), Path(replies.__file__)]
    raised = {code for file in sources for code in list_codes(file)}
    assert "address-refused" in raised
    assert set(NOTE_FAULTS) == {*raised, replies.SMS_FULL, replies.DOMAIN_FULL, UNEXPECTED, "too-late"}


def list_codes(file: Path) -> Iterator[str]:
    """Yield the codes with which a note is held, given up or not delivered, as written in the source."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else getattr(node, "name", "")
        if name in {"DeliveryError", "GiveUp", "Hold", "_code_of"}:
            texts = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
            yield from (text for text in texts if isinstance(text, str) and re.fullmatch("[a-z-]+", text))


def test_other_entry_that_was_given_up_is_listed_and_tried_again_once(desk: Desk, browser: Browser) -> None:
    with desk.store.write() as connection:
        queue(connection, "stage", ["example-chat 1"], now=desk.clock())
        queue(connection, "reply", ["no-place-here"], now=desk.clock())
        connection.execute(update(OUTBOX).values(state="given_up", last_error="too-large"))
        connection.execute(update(OUTBOX).where(OUTBOX.c.kind == "reply").values(last_error=NO_PLACE))
        numbers = {row.subject: row.id for row in connection.execute(select(OUTBOX))}
    number, lost = numbers["example-chat 1"], numbers["no-place-here"]
    page = browser.get("/outbox").text
    assert (f"/outbox/{number}/retry" in page, f"/outbox/{lost}/retry" in page) == (True, False)
    assert "Stage of a partner&#39;s report" in page
    browser.post(f"/outbox/{number}/retry")
    assert get_note(desk, number) == ("waiting", 0, None)
    assert f"/outbox/{number}/retry" not in browser.get("/outbox").text
    assert "This entry has not failed" in browser.post(f"/outbox/{number}/retry").text
