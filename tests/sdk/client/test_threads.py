"""Threads in the partner's folder: words are saved before they are sent, sent once, and never kept readable."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.actions.ledger import open_entry
from gateway.exchange.feed import THREAD_ENTRY
from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk.client.threads import KeptEntry, Thread
from partner_sdk.errors import FormatError, LocalStateError, MailboxError, RefusedError, TransportError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import (
    FIRST_PREVIOUS,
    AskedAccount,
    MessageBody,
    Package,
    PreservationRequest,
    ServiceAlert,
    ThreadEntry,
    ThreadMessage,
    encode_body,
    entry_context,
    message_sha256,
)
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import key_id_of
from tests.builders import DAY, NOW, House, raw_public_key
from tests.builders import Partner as Enrolled
from tests.builders.vault import make_vault
from tests.sdk.mailbox_builders import Post, make_post, post_to
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, make_state, session_for

BY = "Sergeant Anna Example"
WORDS = "The zebra question about the school."
ARCHIVE = b"PK\x05\x06" + bytes(18)
PACKAGE = Package(
    archive=to_base64url(ARCHIVE), archive_sha256=hashlib.sha256(ARCHIVE).hexdigest(), title="A title", urgent=True
)
PRESERVE = PreservationRequest(
    accounts=(AskedAccount(kind="username", value="mild_example"),),
    due_at=format_time(NOW + DAY),
    legal_basis="The law.",
    preserve_until=format_time(NOW + 90 * DAY),
    purpose="To keep.",
)
ALERT = ServiceAlert(
    advice="Look.", audience="Services with streams", expires_at=format_time(NOW + DAY), pattern="A pattern."
)
IDS = [make_report_id(NOW, place.to_bytes(10, "big")) for place in range(20)]


def tell(kind: Any, about: int = 1, text: str = "A word.") -> ThreadMessage:
    """Return an entry of the agency about the message with this number."""
    return ThreadMessage(about=IDS[about], by="Duty officer", entry_id=IDS[19], kind=kind, text=text)


KINDS = {Package: "package", PreservationRequest: "preservation-request", ServiceAlert: "alert"}


def post_all(house: House, *bodies: MessageBody) -> None:
    """Put a chain of messages with these bodies into the gateway's mailbox; number N has the id `IDS[N]`."""
    posts: list[Post] = []
    for place, body in enumerate(bodies, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        kind = KINDS.get(type(body), "thread-message")
        posts.append(make_post(place, previous, body=to_base64url(encode_body(body)), kind=kind))
    post_to(house, *posts)


@pytest.fixture
def client(house: House, tmp_path: Path) -> Partner:
    """An enrolled partner before the gateway."""
    make_state(tmp_path / "partner", agency=house.agency)
    session = session_for(WsgiTransport(house.open_app("industry")))
    return Partner.open(tmp_path / "partner", session=session, clock=house.clock, sleep=lambda _: None)


@pytest.fixture
def offline(client: Partner, house: House) -> Partner:
    """The same folder with a saved key set, while nothing answers."""
    client.refresh_key_set()
    session = session_for(ScriptedGateway(*DOWN))
    return Partner.open(client.state.folder, session=session, clock=house.clock, sleep=lambda _: None)


def collect(client: Partner, house: House, *bodies: MessageBody) -> list[Thread]:
    post_all(house, *bodies)
    assert client.collect_mailbox().alarms == ()
    return list(client.threads.read().threads)


def read_at_desk(house: House, partner: Enrolled) -> list[ThreadEntry]:
    """Open every entry at the gateway as the desk does."""
    vault = make_vault(house.agency.key(KeyRole.SEALING))
    public = raw_public_key(partner.key(KeyRole.SUBMISSION))
    found = []
    for item in house.items(THREAD_ENTRY):
        context = entry_context(environment="live", partner=item.address, entry_id=item.item_id)
        raw = vault.open_entry(Envelope.parse(item.envelope or b""), context=context)
        keys = {key_id_of(public): public}
        found.append(open_entry(raw, keys=keys, environment="live", partner=partner.partner, entry_id=item.item_id))
    return found


def test_entry_reaches_the_agency_and_only_the_note_of_it_stays(
    client: Partner, house: House, partner: Enrolled
) -> None:
    (thread,) = collect(client, house, PACKAGE)
    assert (thread.state, thread.kind, thread.message_id, thread.lines) == ("open", "package", IDS[1], ())

    sent = client.threads.write(IDS[1], kind="question", by=BY, text=WORDS)

    (entry,) = read_at_desk(house, partner)
    assert (entry.about, entry.by, entry.kind, entry.text) == (IDS[1], BY, "question", WORDS)
    assert (entry.entry_id, sent.post, sent.sent_at) == (sent.entry_id, None, format_time(NOW))
    (file,) = (client.state.folder / "entries").iterdir()
    assert json.loads(file.read_bytes())["post"] is None
    kept = [path for path in client.state.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if b"zebra" in path.read_bytes()] == []


def test_entry_is_saved_before_the_network_is_asked_and_sent_once_later(
    client: Partner, offline: Partner, house: House, partner: Enrolled
) -> None:
    collect(client, house, PACKAGE)
    with pytest.raises(TransportError):
        offline.threads.write(IDS[1], kind="acknowledge", by=BY)
    (waiting,) = client.threads.list_waiting()
    assert [one.state for one in client.threads.read("package").threads] == ["waiting"]
    assert house.items(THREAD_ENTRY) == []

    attempts = client.threads.send_waiting()

    assert [(one.entry.entry_id, one.error) for one in attempts] == [(waiting.entry_id, None)]
    assert client.threads.send_waiting() == client.threads.list_waiting() == []
    assert [one.state for one in client.threads.read("package").threads] == ["acknowledged"]
    assert [one.entry_id for one in read_at_desk(house, partner)] == [waiting.entry_id]


def test_lost_answer_sends_the_same_box_again(client: Partner, house: House, partner: Enrolled) -> None:
    collect(client, house, PACKAGE)
    kept = client.threads.seal(IDS[1], kind="acknowledge", by=BY)
    client.threads.send(kept)
    client.threads.send(kept)
    assert len(read_at_desk(house, partner)) == 1


def test_while_nothing_answers_the_others_are_not_tried(client: Partner, offline: Partner, house: House) -> None:
    collect(client, house, PACKAGE)
    for text in ("One.", "Two.", "Three."):
        client.threads.seal(IDS[1], kind="note", by=BY, text=text)
    adapter = ScriptedGateway(*DOWN)
    session = session_for(adapter)
    down = Partner.open(client.state.folder, session=session, clock=house.clock, sleep=lambda _: None)
    assert [type(one.error) for one in down.threads.send_waiting()] == [TransportError] * 3
    assert len(adapter.requests) <= 5


def test_refused_entry_stays_and_hides_no_other(client: Partner, house: House, partner: Enrolled) -> None:
    collect(client, house, PACKAGE)
    first = client.threads.seal(IDS[1], kind="note", by=BY, text="One.")
    house.clock.advance(seconds=1)
    second = client.threads.seal(IDS[1], kind="note", by=BY, text="Two.")
    path = client.state.folder / "entries" / f"{first.entry_id}.json"
    path.write_bytes(encode(msgspec.structs.replace(first, about=IDS[7])))  # a message that is not ours

    refused, sent = client.threads.send_waiting()

    assert isinstance(refused.error, RefusedError)
    assert (refused.error.reason, sent.error, sent.entry.entry_id) == ("not-found", None, second.entry_id)
    assert [one.entry_id for one in client.threads.list_waiting()] == [first.entry_id]


def test_entry_that_the_agency_cannot_open_any_more_is_written_again(client: Partner, house: House) -> None:
    collect(client, house, PACKAGE)
    kept = client.threads.seal(IDS[1], kind="acknowledge", by=BY)
    assert kept.post is not None
    box = bytearray(parse_base64url(kept.post.envelope))
    box[1] ^= 1  # its key id
    stale = msgspec.structs.replace(kept, post=msgspec.structs.replace(kept.post, envelope=to_base64url(bytes(box))))
    with pytest.raises(LocalStateError) as caught:
        client.threads.send(stale)
    assert caught.value.reason == "unknown-agency-key"
    assert "write them again" in str(caught.value)
    assert client.threads.list_waiting() == []


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "question", "text": " "},
        {"kind": "outcome"},
        {"kind": "note", "text": "x", "outcome": "located"},
        {"kind": "acknowledge", "by": " "},
    ],
)
def test_entry_that_no_desk_would_take_is_not_saved(client: Partner, house: House, words: dict[str, Any]) -> None:
    collect(client, house, PACKAGE)
    with pytest.raises(FormatError):
        client.threads.write(IDS[1], **{"by": BY, **words})
    assert client.threads.list_waiting() == []


def test_entry_about_a_message_that_is_not_here_is_not_saved(client: Partner) -> None:
    with pytest.raises(MailboxError) as caught:
        client.threads.write(IDS[3], kind="acknowledge", by=BY)
    assert caught.value.reason == "no-such-message"


def test_second_acknowledgement_names_the_first(client: Partner, house: House) -> None:
    collect(client, house, PACKAGE)
    client.threads.write(IDS[1], kind="acknowledge", by=BY)
    with pytest.raises(MailboxError) as caught:
        client.threads.write(IDS[1], kind="acknowledge", by="Someone Else")
    assert caught.value.reason == "acknowledged-already"
    assert BY in str(caught.value)


def test_message_that_was_taken_back_may_only_be_asked_about(client: Partner, house: House) -> None:
    (thread,) = collect(client, house, PACKAGE, tell("recall", text=""))
    assert thread.state == "recalled"
    for kind in ("acknowledge", "answer", "outcome", "decline"):
        with pytest.raises(MailboxError) as caught:
            client.threads.write(IDS[1], kind=kind, by=BY, text="Yes.")
        assert caught.value.reason == "recalled"
    client.threads.write(IDS[1], kind="question", by=BY, text="Why?")


def test_states_follow_the_last_deciding_word(client: Partner, house: House) -> None:
    def states() -> list[str]:
        return [one.state for one in client.threads.read().threads]

    collect(client, house, PACKAGE, PRESERVE, ALERT)
    assert states() == ["open", "open", "open"]
    client.threads.write(IDS[1], kind="acknowledge", by=BY)
    client.threads.write(IDS[1], kind="answer", by=BY, text="It is our area.")
    client.threads.write(IDS[2], kind="answer", by=BY, text="Kept.")
    client.threads.write(IDS[3], kind="note", by=BY, text="Seen twice.")
    assert states() == ["acknowledged", "answered", "open"]
    house.clock.advance(minutes=1)
    client.threads.write(IDS[1], kind="outcome", by=BY, outcome="safeguarded")
    client.threads.write(IDS[2], kind="decline", by=BY, text="Too old.", again=True)
    client.threads.write(IDS[3], kind="acknowledge", by=BY)
    assert states() == ["outcome", "declined", "acknowledged"]


def test_words_of_the_agency_are_in_their_thread_and_a_question_waits_for_a_word(client: Partner, house: House) -> None:
    first, second = collect(client, house, PACKAGE, PRESERVE, tell("question", text="Which area?"), tell("close", 2))
    assert [(line.kind, line.text, line.is_own) for line in first.lines] == [("question", "Which area?", False)]
    assert (first.is_asked, second.is_asked, second.state) == (True, False, "closed")
    house.clock.advance(minutes=1)
    client.threads.write(IDS[1], kind="answer", by=BY, text="Ours.")
    (thread,) = client.threads.read("package").threads
    assert [line.is_own for line in thread.lines] == [False, True]
    assert not thread.is_asked


def test_request_is_overdue_until_a_word_has_arrived(client: Partner, offline: Partner, house: House) -> None:
    (thread,) = collect(client, house, PRESERVE)
    late = NOW + 2 * DAY
    assert (thread.is_overdue(NOW), thread.is_overdue(late)) == (False, True)
    with pytest.raises(TransportError):
        offline.threads.write(IDS[1], kind="answer", by=BY, text="Kept.")
    assert client.threads.read().threads[0].is_overdue(late)
    client.threads.send_waiting()
    assert not client.threads.read().threads[0].is_overdue(late)


def test_body_that_cannot_be_read_is_told_and_hides_no_other(client: Partner, house: House) -> None:
    first = make_post(1, body=to_base64url(b'{"title":"x"}'), kind="package")
    second = make_post(2, message_sha256(first.signed), body=to_base64url(encode_body(PACKAGE)), kind="package")
    post_to(house, first, second)
    client.collect_mailbox()
    found = client.threads.read("package")
    assert (found.unreadable, [one.number for one in found.threads]) == ((1,), [2])


def test_damaged_note_is_told(client: Partner, house: House) -> None:
    collect(client, house, PACKAGE)
    kept = client.threads.write(IDS[1], kind="acknowledge", by=BY)
    assert isinstance(kept, KeptEntry)
    (client.state.folder / "entries" / f"{kept.entry_id}.json").write_bytes(b"{")
    with pytest.raises(LocalStateError):
        client.threads.read()
