"""A reply on its whole way to the gateway: sent with a collection, once, and sealed for the code alone."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import GivenReply, ReplyDraft, ReplyError, record_reply, write_reply
from gateway.desk.outbox.replies import list_waiting, list_written
from gateway.desk.running.doctor import examine
from gateway.desk.store.audit import list_alarms
from gateway.exchange.feed import REPLY, NewItem
from gateway.store.items import StoredPlace, put_return_place
from partner_sdk.errors import ConflictError
from partner_sdk.wire.canonical import to_base64url
from tests.builders import make_clear_fields
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.outbox_builders import forget_that_it_was_sent, send_out
from tests.desk.view_builders import Browser, make_code_key, make_code_seed, open_by_code
from tests.desk.work_builders import make_talk
from tests.public_report_builders import make_contact

PLACE = StoredPlace(box=b"place", token_sha256=bytes(32))
SEED = make_code_seed("lamp river coat seven")
MARKER = "MARKER-\N{SNOWMAN}-reply"


def write(loop: Loop, *, is_the_reply: bool = False, **changes: Any) -> tuple[str, str]:
    """Collect a report with a code, open it, answer it, and return its reference and the reply's id."""
    reference = loop.send_public(reply_key=make_code_key(SEED), **changes).reference
    with loop.gateway.store.write() as connection:
        put_return_place(connection, PLACE, reference=reference, expires_at=loop.clock() + timedelta(days=180))
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    loop.clock.advance(minutes=1)
    draft = ReplyDraft(f"We read it. {MARKER}", is_the_reply=is_the_reply, reason="the phone is shared")
    return reference, write_reply(loop.desk, reference, draft, actor=ACTOR)


def rows_at_gateway(loop: Loop) -> list[Any]:
    with loop.gateway.store.read() as connection:
        return connection.exec_driver_sql(
            "SELECT item_id AS message_id, address AS reference, envelope FROM items WHERE kind = 'reply'"
        ).all()


def test_reply_and_note_lie_at_the_gateway_for_the_code_alone(loop: Loop) -> None:
    reference, message_id = write(loop)
    assert send_out(loop.desk, "reply") == 2
    assert send_out(loop.desk, "reply") == 0
    rows = {row.message_id: row for row in rows_at_gateway(loop)}
    assert len(rows) == 2
    assert {row.reference for row in rows.values()} == {reference}
    signed = open_by_code(bytes(rows[message_id].envelope), seed=SEED, reference=reference, message_id=message_id)
    assert MARKER.encode() not in bytes(rows[message_id].envelope)
    assert b'"payloadType":"application/vnd.report-abuse.reply.v1+json"' in signed


def test_reply_to_what_was_added_later_waits_where_the_person_comes_back(loop: Loop) -> None:
    reference, _ = write(loop)
    clear = make_clear_fields("public", kind="supplement", earlier_reference=reference)
    added = loop.send_public(reply_key=make_code_key(SEED), clear=clear).reference
    loop.collect()
    send_out(loop.desk, "reply")
    open_case(loop.desk, added, actor=ACTOR)
    assert send_out(loop.desk, "reply") == 0  # no note of reading: the first report may be unread
    message_id = write_reply(loop.desk, added, ReplyDraft(f"We read it. {MARKER}", is_the_reply=False), actor=ACTOR)
    assert send_out(loop.desk, "reply") == 1
    row = next(row for row in rows_at_gateway(loop) if row.message_id == message_id)
    assert row.reference == reference
    assert open_by_code(bytes(row.envelope), seed=SEED, reference=reference, message_id=message_id)


def test_note_of_reading_that_found_no_place_is_an_alarm_too(loop: Loop) -> None:
    reference = loop.send_public(reply_key=make_code_key(SEED)).reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    assert send_out(loop.desk, "reply") == 0
    with loop.desk.store.read() as connection:
        assert [(one.kind, one.subject) for one in list_alarms(connection)] == [("reply-without-place", reference)]


def test_reply_that_was_taken_but_not_noted_is_taken_again(loop: Loop) -> None:
    write(loop)
    send_out(loop.desk, "reply")
    forget_that_it_was_sent(loop.desk, "reply")
    assert send_out(loop.desk, "reply") == 2
    assert len(rows_at_gateway(loop)) == 2


def test_other_bytes_under_the_same_id_are_refused(loop: Loop) -> None:
    reference, message_id = write(loop)
    send_out(loop.desk, "reply")
    other = NewItem(address=reference, envelope=_get_envelope(loop, but=message_id), item_id=message_id)
    with pytest.raises(ConflictError):
        loop.desk.make_feed().put_items(REPLY, (other,))


def _get_envelope(loop: Loop, *, but: str) -> str:
    return next(to_base64url(bytes(row.envelope)) for row in rows_at_gateway(loop) if row.message_id != but)


def get_state(loop: Loop, reference: str) -> tuple[Any, ...]:
    with loop.desk.store.read() as connection:
        case = get_case(connection, reference)
        (reply,) = [one for one in list_written(connection, case_id=case.case_id) if one.kind == "reply"]
        alarms = [one.kind for one in list_alarms(connection)]
    return case.reply_code, reply.posted_at is not None, reply.no_place_at is not None, alarms


@pytest.mark.parametrize("gone", ["expired", "restored"])
def test_reply_that_the_gateway_has_no_place_for_is_owed_again_and_is_said(loop: Loop, gone: str) -> None:
    reference, _ = write(loop, is_the_reply=True)
    assert get_state(loop, reference) == ("replied_by_return_code", False, False, [])
    if gone == "expired":
        loop.clock.advance(days=180)
        loop.publish()
    else:
        loop.gateway_sql("DELETE FROM return_places")
    assert send_out(loop.desk, "reply") == 0
    assert get_state(loop, reference) == (None, False, True, ["reply-without-place"])
    assert rows_at_gateway(loop) == []
    assert send_out(loop.desk, "reply") == 0  # not sent again
    with loop.desk.store.read() as connection:
        assert list_waiting(connection, most=9) == []
    browser = Browser(loop.desk).sign_in()
    page = browser.get("/outbox").text
    assert "no longer keeps these return codes" in page
    assert reference in page
    found = {(one.name, one.detail) for one in examine(loop.desk.paths.state, clock=loop.clock)}
    assert any(name == "outbox" and "return codes of 1 replies" in detail for name, detail in found)
    with pytest.raises(ReplyError) as again:
        write_reply(loop.desk, reference, ReplyDraft("We write to you again.", is_the_reply=False), actor=ACTOR)
    with pytest.raises(CaseError) as recorded:
        record_reply(loop.desk, reference, GivenReply("replied_by_return_code", "phone is shared"), actor=ACTOR)
    assert (again.value.reason, recorded.value.reason) == ("no-place", "no-sealed-reply")
    with loop.desk.store.read() as connection:
        case_id = get_case(connection, reference).case_id
    assert "This return code no longer works." in browser.get(f"/cases/{case_id}").text


def test_reply_without_a_place_leaves_another_answer_as_it_is(loop: Loop) -> None:
    reference, _ = write(loop, contact=make_contact(ways=("call",), phone="0000"))
    record_reply(loop.desk, reference, make_talk(loop.desk), actor=ACTOR)
    loop.gateway_sql("DELETE FROM return_places")
    send_out(loop.desk, "reply")
    assert get_state(loop, reference) == ("replied_by_call", False, True, ["reply-without-place"])
