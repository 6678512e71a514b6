"""A destruction reaches the gateway: the five words open nothing, its files have no byte left, and chains verify."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import ReplyDraft, write_reply
from gateway.desk.collection.collect import reconcile
from gateway.desk.retention.destruction import finish_destruction
from gateway.desk.store.agency_tables import OUTBOX, REPLY_MESSAGES
from gateway.desk.store.schema import CASES, DESTRUCTIONS
from gateway.desk.vault.destructions import STOP_WITHIN
from gateway.desk.vault.key_folder import KeyFolder
from gateway.exchange.desk_statements import SIGNED_CERTIFICATE, SIGNED_FORGET_LIST, open_forget_list
from gateway.store.schema import evidence_parts, items, reports, return_places
from partner_sdk.errors import ProblemError
from partner_sdk.key_files import KeyRole, load_signing_key
from tests.builders import make_key
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import collect_all, send_film
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out
from tests.desk.retention_builders import A_YEAR, SECOND, begin, close_all
from tests.gateway.public.person import Person
from tests.gateway.public.return_builders import read_numbers

ANSWER = "Reply-Marker: you did the right thing."


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path, is_enrolled=True)


def send(loop: Loop) -> tuple[str, str]:
    person = Person(loop.open_app("public")).start()
    loop.clock.advance(minutes=2)
    return read_numbers(person.walk_to("/14").send())


def come_back(loop: Loop, reference: str, words: str) -> Person:
    person = Person(loop.open_app("public"))
    person.get("/16")
    person.press(reference=reference, words_typed=words)
    return person


def read_gateway(loop: Loop) -> bytes:
    state = loop.folder / "gateway"
    files = [path for path in state.rglob("*") if path.is_file()]
    assert len(files) >= 3
    return b"".join(path.read_bytes() for path in files)


def answer_and_begin(loop: Loop) -> tuple[str, str, str, list[bytes]]:
    """Answer a child, close the case, and begin its destruction; return the words, the list and every box."""
    reference, words = send(loop)
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    draft = ReplyDraft(ANSWER, is_the_reply=True, reason="the phone is shared")
    write_reply(loop.desk, reference, draft, actor=ACTOR)
    send_out(loop.desk, "reply")
    assert ANSWER in come_back(loop, reference, words).text()
    close_all(loop.desk)
    with loop.desk.store.read() as connection:
        case = get_case(connection, reference)
        boxes = [bytes(row.envelope) for row in connection.execute(select(REPLY_MESSAGES.c.envelope))]
    with loop.gateway.store.read() as connection:
        boxes += [bytes(row.envelope) for row in connection.execute(select(reports.c.envelope))]
        boxes += [bytes(row.box) for row in connection.execute(select(return_places.c.box))]
    return reference, words, begin(loop.desk, [case.case_id], reason="erasure"), boxes


def test_after_a_destruction_the_five_words_open_nothing_and_no_byte_is_left_at_the_gateway(loop: Loop) -> None:
    reference, words, destruction_id, boxes = answer_and_begin(loop)
    assert len(boxes) >= 3
    found = read_gateway(loop)
    assert all(box[200:264] in found for box in boxes)
    # The gateway is away: the list waits.
    assert ANSWER in come_back(loop, reference, words).text()
    assert send_out(loop.desk, "forget") == 1
    with loop.desk.store.read() as connection:
        signed = bytes(connection.execute(select(DESTRUCTIONS.c.forget)).scalar_one())
    loop.desk.make_feed().put_list("forget", signed)  # replayed, it is harmless
    found = read_gateway(loop)
    assert not any(box[200:264] in found for box in boxes)
    person = come_back(loop, reference, words)
    assert person.path == "/16"
    assert "If we wiped what you sent, your words open nothing." in person.text()
    with loop.gateway.store.read() as connection:
        kept = connection.execute(select(reports)).one()
        assert (kept.reference, kept.envelope, len(kept.intake) > 0) == (reference, None, True)
        assert connection.execute(select(items).where(items.c.kind == "reply")).all() == []
    loop.publish()
    assert reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR).is_even
    loop.clock.advance(seconds=STOP_WITHIN.total_seconds())
    certificate = SIGNED_CERTIFICATE.peek(finish_destruction(loop.desk, destruction_id, actor=SECOND) or b"")
    assert "return-places" in certificate.gone
    assert loop.collect().filed == 0


def test_forged_list_or_one_of_another_environment_deletes_nothing(loop: Loop) -> None:
    reference, words, _, _ = answer_and_begin(loop)
    with loop.desk.store.read() as connection:
        signed = bytes(connection.execute(select(DESTRUCTIONS.c.forget)).scalar_one())
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    listed = open_forget_list(signed, key_set=keys.key_set, now=loop.clock())
    assert [one.reference for one in listed.reports] == [reference]
    stranger = load_signing_key(make_key(KeyRole.MAILBOX_SIGNING, name="stranger"))
    feed = loop.desk.make_feed()
    folder = KeyFolder(loop.desk.paths.keys)
    own = load_signing_key(folder.read(KeyRole.MAILBOX_SIGNING.value, role=KeyRole.MAILBOX_SIGNING))
    forged: list[bytes] = [
        SIGNED_FORGET_LIST.sign(listed, stranger),
        SIGNED_FORGET_LIST.sign(replace(listed, environment="sandbox"), own),
        SIGNED_FORGET_LIST.sign(replace(listed, issued_at="2020-01-01T00:00:00Z"), own),
        signed.replace(b'"signatures":[{', b'"signatures":[],"x":[{'),
        signed[:-30] + b"A" * 8 + signed[-22:],
        b"{}",
    ]
    for raw in forged:
        with pytest.raises(ProblemError):
            feed.put_list("forget", raw)
    assert ANSWER in come_back(loop, reference, words).text()
    feed.put_list("forget", SIGNED_FORGET_LIST.sign(listed, own))
    assert come_back(loop, reference, words).path == "/16"


def test_evidence_of_a_destroyed_case_leaves_the_gateway_and_other_files_stay(loop: Loop) -> None:
    films = [send_film(loop) for _ in range(2)]
    collect_all(loop)
    close_all(loop.desk)
    with loop.desk.store.write() as connection:
        connection.execute(OUTBOX.update().values(state="sent", done_at="2026-11-25T10:00:00Z"))
    loop.clock.advance(seconds=A_YEAR.total_seconds())
    loop.publish()
    with loop.desk.store.read() as connection:
        case_id = connection.execute(select(CASES.c.case_id).limit(1)).scalar_one()
    begin(loop.desk, [case_id])
    marks = [film.sealed.parts[0][:64] for film in films]
    before = [mark in read_gateway(loop) for mark in marks]
    send_out(loop.desk, "forget")
    after = [mark in read_gateway(loop) for mark in marks]
    assert (before, sorted(after)) == ([True, True], [False, True])
    with loop.gateway.store.read() as connection:
        assert len(connection.execute(select(evidence_parts)).all()) == 1
