"""Replies to a return code: signed, sealed twice, stored, sent once; and never the reply that is owed by themselves."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.desk.cases import replies
from gateway.desk.cases.model import REPLY_STEP, CaseError, CaseRow, get_case, list_steps, open_texts
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import (
    MOST_BODY_BYTES,
    NO_OTHER_WAY,
    GivenReply,
    ReplyDraft,
    ReplyError,
    is_drawn,
    open_copies,
    record_reply,
    write_reply,
)
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import queue
from gateway.desk.outbox.replies import READ, REPLY, list_written
from gateway.desk.store.agency_tables import REPLY_MESSAGES
from gateway.desk.store.schema import AUDIT, REPLIED_BY_RETURN_CODE
from gateway.exchange.feed import ItemKind, NewItem, PutResult
from gateway.exchange.public_report import MAX_BODY_CHARACTERS, SIGNED_REPLY, ReplyMessage, reply_context
from partner_sdk.errors import OpeningError, TransportError
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import verify_keys
from tests.desk.outbox_builders import send_out
from tests.desk.view_builders import Browser, Clock, add_sealed_case, make_code_key, make_code_seed, open_by_code
from tests.desk.work_builders import make_talk, refused
from tests.public_report_builders import make_contact, make_known_person

MARKER = "MARKER-\N{SNOWMAN}-reply"
SEED = make_code_seed("lamp river coat seven")
KEY = make_code_key(SEED)
ACTOR = "test-analyst"
NOT_THE_REPLY = ReplyDraft(f"Hello, we read it.\r\n{MARKER}\r\n", is_the_reply=False)


class Feed:
    """A gateway that accepts everything; `is_deaf` makes it answer nothing."""

    def __init__(self) -> None:
        self.taken: list[NewItem] = []
        self.is_deaf = False

    def put_items(self, kind: ItemKind, items: tuple[NewItem, ...]) -> tuple[PutResult, ...]:
        if self.is_deaf:
            raise TransportError("No answer.", reason="no-answer")
        self.taken += items
        return ("stored",) * len(items)


@pytest.fixture
def feed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Feed:
    feed = Feed()
    monkeypatch.setattr(Desk, "make_feed", lambda _desk: feed)
    return feed


def add_opened(desk: Desk, **report: Any) -> CaseRow:
    case_id = add_sealed_case(desk, marker="", under_18="yes", report={"reply_key": KEY, **report})
    return open_case(desk, case_id, actor=ACTOR).case


def list_rows(desk: Desk, *, kind: str) -> list[Any]:
    with desk.store.read() as connection:
        return list(connection.execute(select(REPLY_MESSAGES).where(REPLY_MESSAGES.c.kind == kind)))


def get(desk: Desk, case: CaseRow) -> CaseRow:
    with desk.store.read() as connection:
        return get_case(connection, case.case_id)


def open_reason(desk: Desk, case: CaseRow) -> str:
    with desk.store.read() as connection:
        (step,) = list_steps(connection, case, kinds={REPLY_STEP})
    return open_texts(desk, case, [step], actor=ACTOR)[step.step_id].reason


def believe(desk: Desk, signed: bytes) -> ReplyMessage:
    with desk.store.read() as connection:
        keys = make_key_set(connection, desk=desk, now=desk.clock()).mailbox_keys
    return SIGNED_REPLY.open(signed, keys=verify_keys(keys, signed_at=desk.clock(), now=desk.clock()))


def test_reply_opens_with_the_private_key_of_the_code_and_is_signed_by_the_agency(desk: Desk) -> None:
    case = add_opened(desk)
    message_id = write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    (row,) = list_rows(desk, kind=REPLY)
    signed = open_by_code(bytes(row.envelope), seed=SEED, reference=case.reference, message_id=message_id)
    message = believe(desk, signed)
    assert message.body == f"Hello, we read it.\n{MARKER}"
    assert (message.kind, message.reference, message.message_id) == ("reply", case.reference, message_id)


def test_no_file_of_the_desk_holds_a_word_of_a_reply(desk: Desk) -> None:
    case = add_opened(desk)
    write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    open_copies(desk, case, actor=ACTOR)
    files = [path for path in desk.paths.state.rglob("*") if path.is_file()]
    assert len(files) >= 8
    for needle in (MARKER.encode(), MARKER[:10].encode()):
        assert [path for path in files if needle in path.read_bytes()] == []


def test_next_analyst_reads_what_was_written_and_that_is_noted(desk: Desk) -> None:
    case = add_opened(desk)
    write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    (copy,) = open_copies(desk, case, actor="second-analyst")
    assert (copy.text, copy.written_by, copy.posted_at) == (f"Hello, we read it.\n{MARKER}", ACTOR, None)
    with desk.store.read() as connection:
        noted = connection.execute(select(AUDIT).where(AUDIT.c.action == "read-replies")).one()
    assert (noted.actor, noted.subject) == ("second-analyst", case.case_id)


def test_box_of_the_child_never_opens_in_the_vault(desk: Desk) -> None:
    case = add_opened(desk)
    message_id = write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    (row,) = list_rows(desk, kind=REPLY)
    context = reply_context(environment="live", reference=case.reference, message_id=message_id)
    vault = desk.load_vault(actor="test", reason="check")
    with refused("wrong-recipient", OpeningError):
        vault.open_reply_copy(Envelope.parse(bytes(row.envelope)), context=context)


def test_copy_that_was_exchanged_is_said_not_to_open(desk: Desk, clock: Clock) -> None:
    case = add_opened(desk)
    write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    clock.now += timedelta(minutes=1)
    write_reply(desk, case.case_id, ReplyDraft("Another one for you.", is_the_reply=False), actor=ACTOR)
    first, second = sorted(list_rows(desk, kind=REPLY), key=lambda row: row.written_at)
    with desk.store.write() as connection:
        connection.execute(
            update(REPLY_MESSAGES)
            .where(REPLY_MESSAGES.c.message_id == first.message_id)
            .values(desk_copy=second.desk_copy)
        )
    assert [copy.text for copy in open_copies(desk, case, actor=ACTOR)] == [None, "Another one for you."]


def test_reply_without_a_return_code_or_an_open_report_is_refused(desk: Desk) -> None:
    without = open_case(desk, add_sealed_case(desk, marker="", under_18="yes"), actor=ACTOR).case
    unread = add_sealed_case(desk, marker="", under_18="yes", report={"reply_key": KEY})
    for wanted, reason in ((without.case_id, "no-reply-key"), (unread, "not-opened")):
        with refused(reason, ReplyError):
            write_reply(desk, wanted, NOT_THE_REPLY, actor=ACTOR)
    assert list_rows(desk, kind=REPLY) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no-text"),
        (" \r\n\t ", "no-text"),
        ("x" * (MAX_BODY_CHARACTERS + 1), "too-long"),
        ("\N{GRINNING FACE}" * MAX_BODY_CHARACTERS, "too-long"),  # so many bytes that the box has no room
        ("bell \a", "unprintable"),
    ],
)
def test_text_that_cannot_be_sent_is_refused_and_nothing_is_stored(desk: Desk, text: str, reason: str) -> None:
    case = add_opened(desk)
    with refused(reason, ReplyError):
        write_reply(desk, case.case_id, ReplyDraft(text, is_the_reply=False), actor=ACTOR)
    assert list_rows(desk, kind=REPLY) == []


@pytest.mark.parametrize("letter", ["é", "\N{SNOWMAN}"])
def test_longest_reply_is_sealed(desk: Desk, letter: str) -> None:
    words = "We have read it. "
    most = min(MAX_BODY_CHARACTERS - len(words), (MOST_BODY_BYTES - 2 - len(words)) // len(letter.encode()))
    text = words + letter * most
    case = add_opened(desk)
    write_reply(desk, case.case_id, ReplyDraft(text, is_the_reply=False), actor=ACTOR)
    assert open_copies(desk, case, actor=ACTOR)[0].text == text


def test_same_message_id_again_is_the_same_reply(desk: Desk) -> None:
    case = add_opened(desk)
    message_id = desk.make_id()
    for _ in range(2):
        assert write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR, message_id=message_id) == message_id
    assert len(list_rows(desk, kind=REPLY)) == 1


def test_sealed_reply_is_not_the_one_that_is_owed_unless_a_person_says_so_and_why(desk: Desk) -> None:
    case = add_opened(desk)
    write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    assert get(desk, case).reply_code is None
    with refused("return-code-reason-missing"):
        write_reply(desk, case.case_id, ReplyDraft("Hello, we have read it.", is_the_reply=True), actor=ACTOR)
    assert len(list_rows(desk, kind=REPLY)) == 1
    write_reply(
        desk,
        case.case_id,
        ReplyDraft("Hello, we have read it.", is_the_reply=True, reason="phone is shared"),
        actor=ACTOR,
    )
    answered = get(desk, case)
    assert (answered.reply_code, open_reason(desk, case)) == (REPLIED_BY_RETURN_CODE, "phone is shared")


@pytest.mark.parametrize(
    ("ways", "line", "near"), [(("text", "email"), "0000", "yes"), (("call",), "", "no"), ((), "0000", "no")]
)
def test_no_reason_is_asked_where_no_other_way_is_safe(desk: Desk, ways: tuple[str, ...], line: str, near: str) -> None:
    contact = make_contact(ways=ways, phone=line, email=line)
    case = add_opened(desk, contact=contact, person=make_known_person(near=near))
    write_reply(desk, case.case_id, ReplyDraft("Hello, we have read it.", is_the_reply=True), actor=ACTOR)
    assert open_reason(desk, case) == NO_OTHER_WAY


def test_return_code_is_recorded_only_where_something_was_written_to_it(desk: Desk) -> None:
    case = add_opened(desk)
    for reason, expected in (("", "return-code-reason-missing"), ("phone is shared", "no-sealed-reply")):
        with pytest.raises(CaseError) as caught:
            record_reply(desk, case.case_id, GivenReply(REPLIED_BY_RETURN_CODE, reason), actor=ACTOR)
        assert caught.value.reason == expected
    write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    record_reply(desk, case.case_id, GivenReply(REPLIED_BY_RETURN_CODE, "phone is shared"), actor=ACTOR)
    assert get(desk, case).reply_code == REPLIED_BY_RETURN_CODE


def test_that_a_person_has_read_it_is_written_once(desk: Desk) -> None:
    case = add_opened(desk)
    open_case(desk, case.case_id, actor="second-analyst")
    (row,) = list_rows(desk, kind=READ)
    signed = open_by_code(bytes(row.envelope), seed=SEED, reference=case.reference, message_id=row.message_id)
    message = believe(desk, signed)
    assert (message.kind, message.body) == ("read", "")
    assert row.desk_copy is None
    open_case(desk, add_sealed_case(desk, marker="", under_18="yes"), actor=ACTOR)
    assert len(list_rows(desk, kind=READ)) == 1


def test_report_opens_though_its_code_is_no_key(desk: Desk) -> None:
    case = add_opened(desk, reply_key="_" * 1622)
    assert case.opened_at is not None
    assert list_rows(desk, kind=READ) == []
    with desk.store.read() as connection:
        noted = connection.execute(select(AUDIT).where(AUDIT.c.action == "no-read-note")).all()
    assert len(noted) == 1


def test_waiting_reply_is_sent_once_and_stays_without_an_answer(desk: Desk, clock: Clock, feed: Feed) -> None:
    case = add_opened(desk)
    clock.now += timedelta(minutes=1)
    message_id = write_reply(desk, case.case_id, NOT_THE_REPLY, actor=ACTOR)
    feed.is_deaf = True
    with pytest.raises(TransportError):
        send_out(desk, "reply")
    feed.is_deaf = False
    assert send_out(desk, "reply") == 2
    assert send_out(desk, "reply") == 0
    (row,) = list_rows(desk, kind=REPLY)
    assert [item.item_id for item in feed.taken][-1] == message_id
    assert {item.address for item in feed.taken} == {case.reference}
    assert parse_base64url(feed.taken[-1].envelope) == bytes(row.envelope)
    with desk.store.read() as connection:
        assert all(one.posted_at for one in list_written(connection, case_id=case.case_id))


def test_many_replies_go_in_handfuls(desk: Desk, clock: Clock, feed: Feed) -> None:
    values = {"case_id": "c", "kind": READ, "reference": "r", "envelope": b"e", "written_at": "t", "written_by": "a"}
    with desk.store.write() as connection:
        connection.execute(insert(REPLY_MESSAGES), [{**values, "message_id": f"m-{n:03}"} for n in range(120)])
        queue(connection, "reply", [f"m-{n:03}" for n in range(120)], now=clock())
    assert send_out(desk, "reply") == 120
    assert [item.item_id for item in feed.taken] == [f"m-{n:03}" for n in range(120)]


def test_desk_without_its_signing_key_still_opens_reports(desk: Desk) -> None:
    (desk.paths.keys / "mailbox-signing.key").unlink()
    assert add_opened(desk).opened_at is not None
    assert list_rows(desk, kind=READ) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"code": "replied_by_text"}, "way-not-open"),
        ({"code": "replied_through_school"}, "way-not-open"),
        ({"day": "", "clock": ""}, "bad-day"),
        ({"clock": "tonight"}, "bad-time"),
        ({"clock": "23:59"}, "time-ahead"),
        ({"day": "2026-11-24"}, "time-before"),
        ({"spoke_to": " . "}, "spoke-to-missing"),
        ({"said": ""}, "said-missing"),
        ({"said": "."}, "said-missing"),
        ({"said": "Called, called, called."}, "said-missing"),
        ({"said": "a\x07 is no sign of a sentence"}, "note-unprintable"),
    ],
)
def test_one_person_alone_records_no_reply_that_was_not_given(
    desk: Desk, change: dict[str, str], expected: str
) -> None:
    case = add_opened(desk)  # they picked a call, and nothing else
    with pytest.raises(CaseError) as caught:
        record_reply(desk, case.case_id, dataclasses.replace(make_talk(desk), **change), actor=ACTOR)
    assert (caught.value.reason, get(desk, case).reply_code) == (expected, None)


@pytest.mark.parametrize(
    "report",
    [
        {"contact": make_contact(ways=("call",), phone=" ")},
        {"contact": make_contact(phone="0000")},
        {"contact": make_contact(ways=("text",), phone="0000"), "person": make_known_person(near="yes")},
    ],
)
def test_way_without_details_not_picked_or_barred_was_not_used(desk: Desk, report: dict[str, Any]) -> None:
    case = add_opened(desk, **report)
    for code in ("replied_by_call", "replied_by_text"):
        with refused("way-not-open"):
            record_reply(desk, case.case_id, make_talk(desk, code=code), actor=ACTOR)


def test_recorded_talk_is_sealed_and_shown_with_its_time(desk: Desk) -> None:
    case = add_opened(desk)
    record_reply(desk, case.case_id, make_talk(desk, said=f"We told them. {MARKER}"), actor=ACTOR)
    page = Browser(desk).sign_in().post(f"/cases/{case.case_id}/read").text
    assert f"<bdi>We told them. {MARKER}</bdi>" in page
    assert "<bdi>the child</bdi>" in page


@pytest.mark.parametrize("text", [".", "OK", "ok ok ok ok ok ok", "1234567890 12 34"])
def test_what_is_no_sentence_is_no_reply(desk: Desk, text: str) -> None:
    case = add_opened(desk)
    with refused("no-sentence", ReplyError):
        write_reply(desk, case.case_id, ReplyDraft(text, is_the_reply=False), actor=ACTOR)


def test_supervisor_reads_a_sample_of_the_replies(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "SAMPLE_OF", 1)
    case = add_opened(desk)
    author = Browser(desk).sign_in("a-author", [Role.SUPERVISOR])
    record_reply(desk, case.case_id, make_talk(desk), actor="a-author")
    for reader in (author, Browser(desk).sign_in("b-analyst", [Role.ANALYST])):
        reader.post(f"/cases/{case.case_id}/read")
        assert f"{case.reference}</a></th><td>Called</td>" in author.get("/exposure").text
    other = Browser(desk).sign_in("c-supervisor", [Role.SUPERVISOR])
    other.post(f"/cases/{case.case_id}/read")
    assert "There is none to read." in author.get("/exposure").text


def test_sample_is_the_vaults_and_the_same_every_time(desk: Desk) -> None:
    secret = desk.load_signer().hash_text("sample", "replies")
    ids = [desk.make_id() for _ in range(1000)]
    drawn = [is_drawn(one, secret=secret) for one in ids]
    assert 120 < sum(drawn) < 280  # 200, within six standard deviations
    assert drawn == [is_drawn(one, secret=desk.load_signer().hash_text("sample", "replies")) for one in ids]
    assert drawn != [is_drawn(one, secret=bytes(32)) for one in ids]
