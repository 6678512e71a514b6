"""Mail, invitations and enrolments: each safe to repeat, each for its own partner only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.store.enrolments import ConflictingEnrolmentError, acknowledge_enrolment, add_enrolment, list_enrolments
from gateway.store.invitations import ConflictingInvitationError, find_invitation, put_invitation
from gateway.store.mailbox import ConflictingMessageError, acknowledge_message, list_messages, post_message
from tests.builders import DAY, NOW
from tests.gateway.store_builders import new_store

SECRET = b"\x05" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = new_store(tmp_path)
    yield store
    store.close()


def post(store: Store, partner: str, message_id: str, *, envelope: bytes = b"sealed") -> bool:
    with store.write() as connection:
        return post_message(connection, partner=partner, message_id=message_id, envelope=envelope, now=NOW)


def waiting(store: Store, partner: str, *, limit: int = 10) -> list[str]:
    with store.read() as connection:
        return [message.message_id for message in list_messages(connection, partner=partner, limit=limit)]


def test_messages_wait_for_their_partner_alone_in_the_order_of_posting(store: Store) -> None:
    assert [post(store, "one", "m-9"), post(store, "two", "m-5"), post(store, "one", "m-1")] == [True] * 3
    assert waiting(store, "one") == ["m-9", "m-1"]
    assert waiting(store, "one", limit=1) == ["m-9"]
    assert waiting(store, "two") == ["m-5"]
    assert waiting(store, "three") == []


def test_a_message_posted_twice_is_stored_once_and_other_bytes_conflict(store: Store) -> None:
    assert post(store, "one", "m-1")
    assert not post(store, "one", "m-1")
    with pytest.raises(ConflictingMessageError):
        post(store, "one", "m-1", envelope=b"other")
    with pytest.raises(ConflictingMessageError):
        post(store, "two", "m-1")
    assert waiting(store, "one") == ["m-1"]


def test_only_its_own_partner_can_acknowledge_a_message(store: Store) -> None:
    post(store, "one", "m-1")
    with store.write() as connection:
        assert not acknowledge_message(connection, partner="two", message_id="m-1", now=NOW)
        assert not acknowledge_message(connection, partner="one", message_id="m-2", now=NOW)
    assert waiting(store, "one") == ["m-1"]
    with store.write() as connection:
        assert acknowledge_message(connection, partner="one", message_id="m-1", now=NOW)
        assert acknowledge_message(connection, partner="one", message_id="m-1", now=NOW + DAY)
        assert connection.exec_driver_sql("SELECT acknowledged_at FROM mailbox").scalar_one() == int(NOW.timestamp())
    assert waiting(store, "one") == []
    assert not post(store, "one", "m-1")


def test_an_invitation_holds_until_its_expiry_and_for_one_partner(store: Store) -> None:
    with store.write() as connection:
        for expires_at in (NOW, NOW + DAY):
            put_invitation(connection, secret_sha256=SECRET, partner="one", expires_at=expires_at)
        found = find_invitation(connection, secret_sha256=SECRET, now=NOW)
        assert found is not None
        assert found.partner == "one"
        assert find_invitation(connection, secret_sha256=SECRET, now=NOW + DAY) is None
        assert find_invitation(connection, secret_sha256=bytes(32), now=NOW) is None
        with pytest.raises(ConflictingInvitationError):
            put_invitation(connection, secret_sha256=SECRET, partner="two", expires_at=NOW + DAY)


def test_an_invitation_is_answered_once(store: Store) -> None:
    with store.write() as connection:
        first = {"secret_sha256": SECRET, "envelope": b"box", "now": NOW}
        assert add_enrolment(connection, enrolment_id="e-1", **first)
        assert not add_enrolment(connection, enrolment_id="e-2", **first)
        with pytest.raises(ConflictingEnrolmentError):
            add_enrolment(connection, enrolment_id="e-3", secret_sha256=SECRET, envelope=b"other", now=NOW)
        found = list_enrolments(connection, limit=10)
        assert [(row.enrolment_id, row.envelope, row.received_at) for row in found] == [("e-1", b"box", NOW)]


def test_an_answer_waits_until_the_desk_has_it(store: Store) -> None:
    with store.write() as connection:
        for number in (2, 1):
            secret = bytes([number]) * 32
            add_enrolment(connection, enrolment_id=f"e-{number}", secret_sha256=secret, envelope=b"box", now=NOW)
        assert [row.enrolment_id for row in list_enrolments(connection, limit=1)] == ["e-1"]
        assert acknowledge_enrolment(connection, enrolment_id="e-1", now=NOW)
        assert acknowledge_enrolment(connection, enrolment_id="e-1", now=NOW)
        assert not acknowledge_enrolment(connection, enrolment_id="e-7", now=NOW)
        assert [row.enrolment_id for row in list_enrolments(connection, limit=10)] == ["e-2"]
