"""Messages to partners: signed, numbered, chained, sealed to one partner, stored before they are sent."""

import struct
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.organisations import PartnerError
from gateway.desk.outbox.queue import GAVE_UP
from gateway.desk.partners.mailbox import write_message
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES
from gateway.testing.transport import WsgiTransport
from partner_sdk.errors import LocalStateError, StatementError, TransportError
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import FIRST_PREVIOUS, SIGNED_MESSAGE, MailboxMessage, message_sha256
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import SignedStatement, verify_keys
from tests.builders import Partner
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import alarms
from tests.desk.outbox_builders import forget_that_it_was_sent, list_outbox, send_out

BODY = encode({"text": "hello"})


class Deaf(WsgiTransport):
    """An unreachable gateway."""

    def send(self, *_arguments: Any, **_settings: Any) -> Any:
        self.requests.append(_arguments[0])
        raise OSError("no route")


def post(loop: Loop, body: bytes = BODY, *, partner: str = "example-chat") -> str:
    message = write_message(loop.desk, partner=partner, kind="welcome", body=body, actor=ACTOR)
    send_out(loop.desk, "message")
    return message.message_id


def rows_at_gateway(loop: Loop) -> list[tuple[str, str, bytes]]:
    with loop.gateway.store.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT address AS partner, item_id AS message_id, envelope FROM items WHERE kind = 'mailbox-message' "
            "ORDER BY position"
        )
        return [(row.partner, row.message_id, bytes(row.envelope)) for row in rows]


def open_by_hand(raw: bytes, message_id: str, *, partner: Partner) -> bytes:
    """Open a box as a partner does, with suite and info bytes typed out."""
    envelope = Envelope.parse(raw)
    fields = [
        b"live",
        envelope.key_id,
        bytes.fromhex("647a00010002"),
        *(b"mailbox", b"agency", partner.partner.encode(), message_id.encode(), b"message", b"none", b"1"),
    ]
    info = b"report-abuse envelope\x01" + b"".join(struct.pack(">H", len(field)) + field for field in fields)
    private_key = load_xwing_private_key(parse_base64url(partner.key(KeyRole.MAILBOX).secret))
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    padded = suite.decrypt(envelope.box, private_key, info=info)
    (length,) = struct.unpack_from(">I", padded)
    return padded[4 : 4 + length]


def check_signed(loop: Loop, signed: bytes) -> MailboxMessage:
    with loop.desk.store.read() as connection:
        key_set = make_key_set(connection, desk=loop.desk, now=loop.clock())
    return SIGNED_MESSAGE.open(signed, keys=verify_keys(key_set.mailbox_keys, signed_at=loop.clock(), now=loop.clock()))


def test_partner_opens_a_message_that_the_agency_signed_for_it(loop: Loop) -> None:
    message_id = post(loop)
    ((partner, stored_id, raw),) = rows_at_gateway(loop)
    assert (partner, stored_id) == ("example-chat", message_id)
    message = check_signed(loop, open_by_hand(raw, message_id, partner=loop.partner))
    assert parse_base64url(message.body) == BODY
    assert (message.recipient, message.environment, message.kind) == ("example-chat", "live", "welcome")
    assert (message.number, message.previous, message.message_id) == (1, FIRST_PREVIOUS, message_id)


def test_numbers_count_up_and_each_message_names_the_one_before(loop: Loop) -> None:
    ids = [post(loop, encode({"text": word})) for word in ("one", "two", "three")]
    rows = rows_at_gateway(loop)
    assert [message_id for _, message_id, _ in rows] == ids
    signed = [open_by_hand(raw, message_id, partner=loop.partner) for _, message_id, raw in rows]
    messages = [check_signed(loop, one) for one in signed]
    assert [message.number for message in messages] == [1, 2, 3]
    assert [message.previous for message in messages[1:]] == [message_sha256(one) for one in signed[:2]]


def test_each_partner_has_numbers_of_its_own_and_cannot_open_anothers_box(loop: Loop) -> None:
    other = Partner("other-chat")
    loop.enrol(partner=other)
    post(loop)
    message_id = post(loop, partner="other-chat")
    partner, _, raw = rows_at_gateway(loop)[1]
    assert partner == "other-chat"
    assert check_signed(loop, open_by_hand(raw, message_id, partner=other)).number == 1
    with pytest.raises(InvalidTag):
        open_by_hand(raw, message_id, partner=loop.partner)


def test_same_message_again_is_the_same_message(loop: Loop) -> None:
    first = post(loop)
    before = rows_at_gateway(loop)
    assert post(loop) == first
    assert rows_at_gateway(loop) == before
    assert loop.count("mailbox_messages") == 1


def test_message_is_stored_before_it_is_sent_and_goes_out_later_with_the_same_bytes(loop: Loop) -> None:
    deaf = Deaf(loop.feed_app)
    loop.desk.session.mount("http://127.0.0.1", deaf)
    loop.desk.session.mount(loop.desk.config.feed_url, deaf)
    with pytest.raises(TransportError):
        post(loop)
    assert len(deaf.requests) == 1
    with loop.desk.store.read() as connection:
        stored = connection.execute(MAILBOX_MESSAGES.select()).one()
    assert [one["state"] for one in list_outbox(loop.desk, "message")] == ["waiting"]
    loop.desk.session.mount(loop.desk.config.feed_url, loop.transport)
    assert post(loop) == stored.message_id
    assert rows_at_gateway(loop) == [("example-chat", stored.message_id, bytes(stored.envelope))]
    assert [one["state"] for one in list_outbox(loop.desk, "message")] == ["sent"]


def test_lost_answer_to_a_post_sends_the_same_bytes_once_more(loop: Loop) -> None:
    post(loop)
    forget_that_it_was_sent(loop.desk, "message")
    assert send_out(loop.desk, "message") == 1
    assert len(rows_at_gateway(loop)) == 1


def test_message_that_the_gateway_did_not_keep_is_not_sent(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeedClient, "put_items", lambda *_: ("no-place",))
    post(loop)
    (entry,) = list_outbox(loop.desk, "message")
    assert (entry["state"], entry["last_error"]) == ("given_up", "no-place")
    assert GAVE_UP in [kind for kind, _ in alarms(loop)]


def test_unknown_partner_and_missing_key_leave_nothing_behind(loop: Loop) -> None:
    with pytest.raises(PartnerError) as unknown:
        post(loop, partner="nobody")
    assert unknown.value.reason == "unknown-partner"
    (loop.desk.paths.keys / "mailbox-signing.key").unlink()
    with pytest.raises(LocalStateError) as missing:
        post(loop)
    assert missing.value.reason == "no-key-file"
    assert loop.count("mailbox_messages") == 0


def test_key_file_of_another_role_signs_no_message(loop: Loop) -> None:
    keys = loop.desk.paths.keys
    (keys / "mailbox-signing.key").unlink()
    (keys / "register.key").rename(keys / "mailbox-signing.key")
    with pytest.raises(LocalStateError) as caught:
        post(loop)
    assert caught.value.reason == "wrong-key-role"


def test_altered_message_does_not_verify(loop: Loop) -> None:
    message_id = post(loop)
    signed = open_by_hand(rows_at_gateway(loop)[0][2], message_id, partner=loop.partner)
    statement = msgspec.json.decode(signed, type=SignedStatement)
    forged = msgspec.structs.replace(statement.signatures[0], sig=to_base64url(bytes(64)))
    with pytest.raises(StatementError) as caught:
        check_signed(loop, encode(msgspec.structs.replace(statement, signatures=(forged,))))
    assert caught.value.reason == "bad-signature"
