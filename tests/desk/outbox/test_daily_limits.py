"""How many notes go in a day, to one mailbox, one domain and by text message; and when rows of notes are deleted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from gateway.desk.outbox.queue import Outcome, count_by_state, queue
from gateway.desk.outbox.replies import list_newest_notes
from gateway.desk.store.agency_tables import NOTES, OUTBOX
from gateway.desk.store.schema import ALARMS
from partner_sdk.wire.canonical import format_time
from tests.builders import DAY
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Mailbox, run_mail_server
from tests.desk.outbox_builders import list_all_notes, send_asking, send_notes, set_carriers, set_mail_server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with run_mail_server() as mailbox:
        yield mailbox


def test_spellings_of_one_mailbox_get_one_note_a_day(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    for address in ("sam.kim@gmail.com", "s.amkim@gmail.com", "samkim@googlemail.com", "SAMKIM+1@gmail.com"):
        send_asking(loop, contact={"email": address})
    loop.collect()
    assert send_notes(desk) == Outcome(sent=1, held=3, open=3)
    assert [to for recipients, _ in mailbox.taken for to in recipients] == ["sam.kim@gmail.com"]


def test_domain_gets_so_many_notes_a_day_and_the_rest_waits_until_there_is_room(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port, mail_most_a_day_per_domain=2)
    for number in range(4):
        send_asking(loop, contact={"email": f"a{number}@eve.example"})
    send_asking(loop, contact={"email": "kim@mail.example"})
    loop.collect()
    assert send_notes(desk) == Outcome(sent=3, held=2, open=2)
    assert {row["last_error"] for row in list_all_notes(desk) if row["state"] == "held"} == {"domain-full"}
    with desk.store.read() as connection:
        assert connection.execute(select(ALARMS.c.kind)).scalars().all() == ["domain-full"]
    loop.clock.advance(days=1)
    assert send_notes(desk) == Outcome(sent=2)
    assert all(row["domain_mac"] is None for row in list_all_notes(desk)[:2])


def test_text_messages_have_a_budget_of_a_day_and_reaching_it_is_an_alarm(loop: Loop, tmp_path: Path) -> None:
    desk = set_carriers(loop, sms="folder", sms_sender="Team", folder=str(tmp_path / "out"), sms_most_a_day=3)
    for number in range(5):
        send_asking(loop, contact={"ways": ("text",), "phone": f"0770090012{number}", "email": ""})
    loop.collect()
    assert send_notes(desk) == Outcome(sent=3, held=2, open=2)
    with desk.store.read() as connection:
        alarms = connection.execute(select(ALARMS.c.kind)).scalars().all()
    assert alarms == ["text-messages-full"]
    assert send_notes(desk) == Outcome(open=2)
    loop.clock.advance(days=1)
    assert send_notes(desk) == Outcome(sent=2)
    assert len(list((tmp_path / "out").glob("*.txt"))) == 5


def add_rows(loop: Loop, *, state: str, age_days: int, count: int = 1) -> None:
    now = loop.clock() - age_days * DAY
    with loop.desk.store.write() as connection:
        first = len(connection.execute(select(NOTES.c.case_id)).all())
        case_ids = [f"c{first + n}" for n in range(count)]
        rows = [{"case_id": case_id, "channel": "email", "language": "en"} for case_id in case_ids]
        connection.execute(insert(NOTES), rows)
        queue(connection, "note", case_ids, now=now)
        values = {"state": state, "done_at": format_time(now)}
        connection.execute(update(OUTBOX).where(OUTBOX.c.subject.in_(case_ids)).values(**values))


def test_rows_of_notes_that_are_done_go_after_ninety_days(loop: Loop) -> None:
    for state in ("sent", "given_up"):
        add_rows(loop, state=state, age_days=89)
        add_rows(loop, state=state, age_days=91)
    send_notes(loop.desk)
    assert [(row["state"], row["case_id"]) for row in list_all_notes(loop.desk)] == [("sent", "c0"), ("given_up", "c2")]


def test_page_of_the_post_reads_the_newest_rows_and_counts_all(loop: Loop) -> None:
    add_rows(loop, state="sent", age_days=1, count=30)
    add_rows(loop, state="given_up", age_days=1, count=2)
    with loop.desk.store.read() as connection:
        shown = [row.case_id for row in list_newest_notes(connection, most=4)]
        counts = count_by_state(connection, "note")
    assert shown == ["c31", "c30", "c29", "c28"]
    assert counts == {"sent": 30, "given_up": 2}
