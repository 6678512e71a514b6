"""Short notes against a real mail server on loopback: their content and time, and no trace left behind.

How many notes go in a day, to one mailbox, one domain and by text message; and when rows of notes are deleted.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.desk.outbox.queue import Outcome, count_by_state, queue
from gateway.desk.outbox.replies import NoteSender, list_carrier_faults, list_newest_notes
from gateway.desk.store.agency_tables import NOTES, OUTBOX
from gateway.desk.store.migrations import METADATA
from gateway.desk.store.schema import ALARMS
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time
from tests.builders import DAY, NOW
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Mailbox, run_mail_server, run_receiver
from tests.desk.outbox_builders import (
    ADDRESS,
    FROM,
    NUMBER,
    list_all_notes,
    send_asking,
    send_notes,
    set_carriers,
    set_mail_server,
)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with run_mail_server() as mailbox:
        yield mailbox


def test_person_who_asked_gets_one_neutral_mail(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    reference = send_asking(loop, name="Sam", story="Somebody in a game asks me every day how old I am.")
    loop.collect()
    assert send_notes(desk) == Outcome(sent=1)
    assert send_notes(desk) == Outcome()
    (mail,) = mailbox.mails
    assert mailbox.taken[0][0] == [ADDRESS]
    assert (mail["From"], mail["To"], mail["Subject"]) == (f"The team <{FROM}>", ADDRESS, "Your message")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert "We will get back to you the way you asked." in mail.get_content()
    raw = mailbox.taken[0][1].decode()
    assert [word for word in (reference, "Sam\n", "game", "http", desk.config.agency_name) if word in raw] == []
    (row,) = list_all_notes(desk)
    assert (row["state"], row["tries"], row["done_at"], row["last_error"]) == ("sent", 1, format_time(NOW), None)


def test_note_is_queued_with_the_case_and_only_on_request(loop: Loop) -> None:
    send_asking(loop)
    send_asking(loop, signals=("honeypot",))
    send_asking(loop, contact={"who_sees": "not_sure"})
    loop.send_industry()
    loop.collect()
    (row,) = list_all_notes(loop.desk)
    assert loop.count("cases") == 4
    assert (row["kind"], row["channel"], row["language"], row["state"]) == ("note", "email", "en", "waiting")


def test_filing_that_fails_leaves_no_note(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("the alert failed")

    send_asking(loop)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.collection.filing.queue_alert", fail)
        with pytest.raises(LookupError):
            loop.collect()
    assert (loop.count("cases"), loop.count("notes")) == (0, 0)
    loop.collect()
    assert (loop.count("cases"), loop.count("notes")) == (1, 1)


def test_one_address_gets_one_note_a_day_and_the_other_is_held_until_then(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    send_asking(loop)
    send_asking(loop, contact={"email": ADDRESS.upper()})
    send_asking(loop, contact={"email": "kim@mail.example"})
    loop.collect()
    assert send_notes(desk) == Outcome(sent=2, held=1, open=1)
    loop.clock.advance(hours=23, minutes=59)
    assert send_notes(desk) == Outcome(open=1)
    loop.clock.advance(minutes=1)
    assert send_notes(desk) == Outcome(sent=1)
    assert sorted(to for recipients, _ in mailbox.taken for to in recipients) == sorted(
        ["kim@mail.example", ADDRESS, ADDRESS.upper().replace("MAIL.EXAMPLE", "mail.example")]
    )


def test_slow_carrier_holds_no_run_longer_than_a_minute(loop: Loop, mailbox: Mailbox, monkeypatch: Any) -> None:
    desk = set_mail_server(loop, mailbox.port)
    for name in ("kim", "sam", "ali"):
        send_asking(loop, contact={"email": f"{name}@mail.example"})
    loop.collect()
    carry = NoteSender.send

    def carry_slowly(sender: NoteSender, items: Any) -> Any:
        loop.clock.advance(seconds=30)
        return carry(sender, items)

    monkeypatch.setattr(NoteSender, "send", carry_slowly)
    assert send_notes(desk) == Outcome(sent=2, open=1)
    assert send_notes(desk) == Outcome(sent=1)


def test_keyed_hash_of_an_address_is_forgotten_after_its_day(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    send_asking(loop)
    loop.collect()
    send_notes(desk)
    assert len(list_all_notes(desk)[0]["address_mac"]) == 32
    loop.clock.advance(days=1)
    send_notes(desk)
    assert list_all_notes(desk)[0]["address_mac"] is None


def test_server_that_refuses_our_sender_is_asked_once_in_a_run_and_the_other_note_loses_no_try(
    loop: Loop, mailbox: Mailbox
) -> None:
    desk = set_mail_server(loop, mailbox.port)
    mailbox.sender_answer = "550 not from you"
    send_asking(loop)
    send_asking(loop, contact={"email": "kim@mail.example"})
    loop.collect()
    assert send_notes(desk) == Outcome(open=2, problems={"sender-refused": 1})
    assert sorted(row["tries"] for row in list_all_notes(desk)) == [0, 1]


def test_address_that_the_server_refuses_for_good_is_given_up_at_once(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    mailbox.recipient_answer = "550 no such person"
    send_asking(loop)
    loop.collect()
    assert send_notes(desk) == Outcome(given_up=1, problems={"address-refused": 1})
    assert list_all_notes(desk)[0]["address_mac"] is None


def test_server_that_is_away_costs_one_note_a_try_and_the_rest_none(loop: Loop, mailbox: Mailbox) -> None:
    with run_mail_server() as other:
        gone = other.port
    desk = set_mail_server(loop, gone)
    for name in ("ann", "bob", "cat"):
        send_asking(loop, contact={"email": f"{name}@mail.example"})
    loop.collect()
    assert send_notes(desk) == Outcome(open=3, problems={"no-connection": 1})
    assert [row["tries"] for row in list_all_notes(desk)] == [1, 0, 0]
    loop.clock.advance(minutes=2)
    assert send_notes(set_mail_server(loop, mailbox.port)) == Outcome(sent=3)


def test_run_that_dies_after_sending_sends_once_more_and_loses_nothing(
    loop: Loop, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = set_mail_server(loop, mailbox.port)
    send_asking(loop)
    loop.collect()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NoteSender, "sent", die)
        with pytest.raises(KeyboardInterrupt):
            send_notes(desk)
    assert len(mailbox.taken) == 1
    assert send_notes(desk) == Outcome(open=1)  # the reservation holds: another run does not send it at the same time
    loop.clock.advance(minutes=10)
    assert send_notes(desk) == Outcome(sent=1)
    assert send_notes(desk) == Outcome()
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_notes_wait_while_they_are_off_and_are_given_up_when_they_come_too_late(loop: Loop, mailbox: Mailbox) -> None:
    send_asking(loop)
    loop.collect()
    assert send_notes(loop.desk) == Outcome(open=1)
    desk = set_carriers(loop)
    assert send_notes(desk) == Outcome(open=1, problems={"channel-off": 1})
    loop.clock.advance(days=3, seconds=1)
    assert send_notes(desk) == Outcome(given_up=1, problems={"channel-off": 1})
    assert list_all_notes(desk)[0]["tries"] == 0


def test_report_whose_key_is_gone_gets_no_note(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    send_asking(loop)
    loop.collect()
    for path in (desk.paths.keys).glob("sealing-*.key"):
        path.unlink()
    assert send_notes(desk) == Outcome(given_up=1, problems={"does-not-open": 1})


def test_text_message_goes_to_the_provider_with_its_token(loop: Loop, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("secret-token\n", encoding="utf-8")
    with run_receiver() as posts:
        desk = set_carriers(loop, sms="webhook", sms_sender="Hello Team", sms_url=posts.url, sms_token_file=str(token))
        send_asking(loop, contact={"ways": ("text",), "phone": "07700 900123"})
        send_asking(loop, contact={"ways": ("text",), "phone": "+1 202 555 0100"})
        loop.collect()
        assert send_notes(desk) == Outcome(sent=1, given_up=1, problems={"country-off": 1})
    ((headers, body),) = posts.taken
    assert headers["Authorization"] == "Bearer secret-token"
    assert len(headers["Idempotency-Key"]) == 32
    assert body.decode() == (
        '{"from":"Hello Team","text":"Hi. Your message got to us. We will get back to you the way you asked.",'
        f'"to":"{NUMBER}"}}'
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, Outcome(open=1, problems={"server-error": 1})),
        (401, Outcome(open=1, problems={"login-refused": 1})),
        (422, Outcome(given_up=1, problems={"address-refused": 1})),
        (500, Outcome(open=1, problems={"server-error": 1})),
    ],
)
def test_provider_that_does_not_take_it_is_a_code(loop: Loop, status: int, expected: Outcome) -> None:
    with run_receiver() as posts:
        posts.status = status
        desk = set_carriers(loop, sms="webhook", sms_sender="Team", sms_url=posts.url)
        send_asking(loop, contact={"ways": ("text",), "phone": "07700 900123"})
        loop.collect()
        assert send_notes(desk) == expected
    assert len(posts.taken) == 1


def test_folder_takes_mails_and_text_messages(loop: Loop, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    desk = set_carriers(loop, mail="folder", sms="folder", sms_sender="Team", folder=str(folder))
    send_asking(loop)
    send_asking(loop, contact={"ways": ("text",), "phone": "07700 900123"}, language="cy")
    loop.collect()
    assert send_notes(desk) == Outcome(sent=2)
    files = {path.suffix: path for path in folder.iterdir()}
    assert b"Subject: Your message\r\n" in files[".eml"].read_bytes()
    assert files[".txt"].read_text(encoding="utf-8").startswith(f"From: Team\nTo: {NUMBER}\n\nHelo. ")
    assert {path.stat().st_mode & 0o077 for path in files.values()} == {0}


def test_no_address_is_in_any_file_log_or_audit_entry_of_the_desk(
    loop: Loop, mailbox: Mailbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = set_mail_server(loop, mailbox.port)
    send_asking(loop)
    send_asking(loop)
    send_asking(loop, contact={"email": "quetzal.kim@mail.example"})
    send_asking(loop, contact={"ways": ("text",), "phone": "07700 900123"})
    loop.collect()
    for answer in ("451 busy", "250 OK", "550 unknown"):
        mailbox.recipient_answer = answer
        send_notes(desk)
        loop.clock.advance(hours=23)
    assert len(mailbox.taken) == 2
    assert {row["state"] for row in list_all_notes(desk)} >= {"sent", "held"}
    markers = (b"quetzal", b"QUETZAL", b"7700900123", b"7700 900123")
    desk.store.database.engine.dispose()
    files = [path for path in desk.paths.state.rglob("*") if path.is_file()]
    assert len(files) >= 8
    found = [path.name for path in files if any(marker in path.read_bytes() for marker in markers)]
    assert found == []
    # "mail.log" is the test's own mail server.
    records = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    said = "\n".join([*records, *capsys.readouterr()])
    assert [marker for marker in markers if marker.decode() in said] == []
    with desk.store.read() as connection:
        for table in METADATA.tables:
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):  # noqa: S608 - our own names
                assert not any(marker.decode() in str(row) for marker in markers), table
        actions = connection.exec_driver_sql("SELECT detail FROM audit WHERE action = 'send-note'").scalars().all()
    assert actions == ['{"channel":"email","code":null,"state":"sent"}'] * 2


def test_address_key_is_made_when_it_is_first_needed_and_kept(loop: Loop, mailbox: Mailbox) -> None:
    desk = set_mail_server(loop, mailbox.port)
    path = desk.paths.keys / f"{KeyRole.ADDRESS_MAC.value}.key"
    send_notes(desk)
    assert not path.exists()
    send_asking(loop)
    loop.collect()
    send_notes(desk)
    kept = path.read_bytes()
    assert b'"type":"report-abuse/private-address-mac-key"' in kept
    send_asking(loop)
    loop.collect()
    assert send_notes(desk).held == 1
    assert path.read_bytes() == kept


def test_check_greets_the_server_and_sends_nothing(loop: Loop, mailbox: Mailbox) -> None:
    assert list_carrier_faults(set_mail_server(loop, mailbox.port)) == ()
    assert mailbox.taken == []
    with run_mail_server() as other:
        gone = other.port
    assert list_carrier_faults(set_mail_server(loop, gone)) == ("mail: no-connection",)
    assert list_carrier_faults(set_mail_server(loop, mailbox.port, smtp_login_file="/no/such/file")) == (
        "mail: no-secret-file",
    )


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
