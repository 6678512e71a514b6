"""The partner's mailbox: only the agency's words, in order, saved before they are acknowledged."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from partner_sdk.client import _partner_state as partner_state
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.mailbox import Delivery, Mailbox, list_gap_alarms, read_message
from partner_sdk.errors import LocalStateError, MailboxError, TransportError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.digest import encode_digest
from partner_sdk.wire.mailbox import FIRST_PREVIOUS, MailboxItem, message_sha256
from tests.builders import DAY, NOW, Agency, Partner, make_key
from tests.sdk.mailbox_builders import Post, make_chain, make_post
from tests.sdk.sdk_builders import make_digest, make_state

AGENCY = Agency()
PUBLISHED = (
    ("2026-Q3", "2026-10-05T09:00:00Z"),
    ("2026-Q2", "2026-10-05T09:00:00Z"),
    ("2026-Q3", "2026-10-05T09:00:00Z"),
    ("2026-Q3", "2026-10-06T09:00:00Z"),
)


@dataclass
class Reader:
    """A partner's mailbox under test, and its acknowledgements."""

    state: PartnerState
    acknowledged: list[str] = field(default_factory=list)
    now: datetime = NOW

    def receive(self, *posts: Post) -> Delivery:
        self.acknowledged.clear()
        mailbox = Mailbox(self.state, key_set=AGENCY.key_set(), now=self.now)
        return mailbox.receive([post.item for post in posts], acknowledge=self.acknowledged.append)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(make_state(tmp_path / "partner"))


def reasons(delivery: Delivery) -> list[str]:
    return [alarm.reason for alarm in delivery.alarms]


def test_message_is_opened_saved_and_acknowledged(reader: Reader) -> None:
    (post,) = make_chain(1)
    delivery = reader.receive(post)
    assert delivery.messages[0].body == b'{"text":"hello"}'
    assert reasons(delivery) == []
    assert reader.acknowledged == [post.item.message_id]
    assert reader.state.find_message(1) == post.signed
    assert read_message(reader.state, 1) == delivery.messages[0]
    assert reader.state.read_position().sha256 == message_sha256(post.signed)


def test_message_is_judged_by_the_key_that_was_in_use_when_it_was_issued(reader: Reader) -> None:
    reader.now = NOW + 500 * DAY
    (old,) = make_chain(1)
    late = make_post(2, message_sha256(old.signed), issued_at=format_time(NOW + 400 * DAY))
    delivery = reader.receive(old, late)
    assert [one.message.number for one in delivery.messages] == [1]
    assert reasons(delivery) == ["unknown-key"]


def test_messages_come_in_order_whatever_the_order_of_the_list(reader: Reader) -> None:
    posts = make_chain(4)
    delivery = reader.receive(*reversed(posts))
    assert [one.message.number for one in delivery.messages] == [1, 2, 3, 4]
    assert reasons(delivery) == []
    assert reader.state.read_position().number == 4


def test_message_that_comes_again_is_acknowledged_again_and_not_new(reader: Reader) -> None:
    posts = make_chain(2)
    reader.receive(*posts)
    delivery = reader.receive(posts[0])
    assert delivery == Delivery(messages=(), alarms=())
    assert reader.acknowledged == [posts[0].item.message_id]


def test_nothing_is_acknowledged_when_saving_fails(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def fail(path: Path, raw: bytes) -> None:
        tried.append(path)
        raise LocalStateError("full", reason="not-saved")

    monkeypatch.setattr(partner_state, "write_durably", fail)
    with pytest.raises(LocalStateError):
        reader.receive(*make_chain(2))
    assert tried
    assert reader.acknowledged == []


def test_message_is_on_disk_before_it_is_acknowledged(reader: Reader) -> None:
    (post,) = make_chain(1)
    seen: list[bytes | None] = []
    mailbox = Mailbox(reader.state, key_set=AGENCY.key_set(), now=NOW)
    mailbox.receive([post.item], acknowledge=lambda _: seen.append(reader.state.find_message(1)))
    assert seen == [post.signed]
    assert reader.state.read_position().number == 1


def test_lost_acknowledgement_is_told_and_the_message_stays(reader: Reader) -> None:
    (post,) = make_chain(1)

    def fail(_: str) -> None:
        raise TransportError("no", reason="timeout")

    delivery = Mailbox(reader.state, key_set=AGENCY.key_set(), now=NOW).receive([post.item], acknowledge=fail)
    assert len(delivery.messages) == 1
    assert reasons(delivery) == ["not-acknowledged"]
    assert reader.receive(post).messages == ()


def test_gap_is_an_alarm_until_the_message_comes(reader: Reader) -> None:
    posts = make_chain(4)
    delivery = reader.receive(posts[0], posts[2], posts[3])
    assert [one.message.number for one in delivery.messages] == [1, 3, 4]
    assert reasons(delivery) == ["gap"]
    assert "number 2" in delivery.alarms[0].text
    assert reader.state.read_position().number == 1
    assert reasons(reader.receive()) == ["gap"]
    assert reasons(reader.receive(posts[1])) == []
    assert reader.state.read_position().number == 4
    assert list_gap_alarms(reader.state) == []


def test_longer_gap_is_named_by_its_ends(reader: Reader) -> None:
    delivery = reader.receive(make_chain(5)[4])
    assert "4 message(s) never arrived: number 1 to 4" in delivery.alarms[0].text


def test_gap_of_any_size_is_told_at_once(reader: Reader) -> None:
    delivery = reader.receive(make_post(2), make_post(99_999_998))
    assert "99999996 message(s) never arrived: number 1 to 99999997" in delivery.alarms[0].text


def test_message_that_does_not_follow_the_one_before_is_refused(reader: Reader) -> None:
    posts = make_chain(1)
    delivery = reader.receive(*posts, make_post(2, previous="ab" * 32))
    assert reasons(delivery) == ["broken-chain"]
    assert reader.acknowledged == [posts[0].item.message_id]
    assert reader.state.list_messages() == [1]


def test_first_message_must_follow_nothing(reader: Reader) -> None:
    assert reasons(reader.receive(make_post(1, previous="ab" * 32))) == ["broken-chain"]


def test_late_message_that_the_next_one_does_not_follow_is_refused(reader: Reader) -> None:
    first, second, third = make_chain(3)
    reader.receive(first, third)
    forged = make_post(2, message_sha256(first.signed), kind="outcome")
    assert "broken-chain" in reasons(reader.receive(forged))
    assert reasons(reader.receive(second)) == []


@pytest.mark.parametrize("is_kept", [True, False])
def test_other_message_under_a_used_number_is_refused(reader: Reader, is_kept: bool) -> None:
    (post,) = make_chain(1)
    reader.receive(post)
    if not is_kept:  # the partner may delete what it has read
        (reader.state.folder / "mailbox" / "00000001.json").unlink()
    assert reasons(reader.receive(make_post(1, kind="outcome"))) == ["number-reused"]
    assert reader.acknowledged == []
    assert reader.receive(post) == Delivery(messages=(), alarms=())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": "other-chat"}, "wrong-recipient"),
        ({"environment": "sandbox"}, "wrong-environment"),
        ({"message_id": make_report_id(NOW, b"0123456789")}, "wrong-message-id"),
        ({"number": 0}, "bad-number"),
        ({"number": -1}, "bad-number"),
        ({"number": 99_999_999}, "bad-number"),
        ({"signed_by": load_signing_key(AGENCY.key(KeyRole.REGISTER))}, "unknown-key"),
        ({"signed_by": load_signing_key(make_key(KeyRole.MAILBOX_SIGNING, name="impostor"))}, "unknown-key"),
        ({"sealed_to": Partner(partner="other-chat")}, "wrong-key"),
        ({"context": {"partner": "other-chat"}}, "does-not-open"),
        ({"context": {"environment": "sandbox"}}, "does-not-open"),
        ({"context": {"message_id": make_report_id(NOW, b"0123456789")}}, "does-not-open"),
    ],
)
def test_message_that_is_not_ours_is_set_aside_and_hides_no_other(
    reader: Reader, changes: dict[str, object], reason: str
) -> None:
    good = make_chain(1)[0]
    bad = make_post(7, **changes)
    delivery = reader.receive(bad, good)
    assert reasons(delivery) == [reason]
    assert delivery.alarms[0].message_id == bad.item.message_id
    assert [one.signed for one in delivery.messages] == [good.signed]
    assert reader.acknowledged == [good.item.message_id]


def test_message_of_an_unknown_kind_waits_unacknowledged_as_a_gap(reader: Reader) -> None:
    unknown = make_post(1, kind="of-a-later-release")
    delivery = reader.receive(unknown, make_post(2, message_sha256(unknown.signed)))
    assert reasons(delivery) == ["malformed", "gap"]
    assert [one.message.number for one in delivery.messages] == [2]
    assert reader.acknowledged == [delivery.messages[0].message.message_id]


def test_body_that_cannot_be_read_is_saved_and_acknowledged(reader: Reader) -> None:
    post = make_post(1, kind="outcome", body=to_base64url(b"no body of an outcome"))
    delivery = reader.receive(post)
    assert reasons(delivery) == []
    assert reader.acknowledged == [post.item.message_id]


@pytest.mark.parametrize("envelope", ["", "!", "AAAA", to_base64url(bytes(3000))])
def test_row_that_is_no_box_is_set_aside(reader: Reader, envelope: str) -> None:
    post = Post(signed=b"", item=MailboxItem(envelope=envelope, message_id="x"))
    delivery = reader.receive(post)
    assert len(delivery.alarms) == 1
    assert reader.acknowledged == []


@pytest.mark.parametrize(
    "outer_id", ["", "\x1b[1A\x1b[2K No new messages.", "7", "019AB3C5-0000-7000-8000-000000000000"]
)
def test_row_without_an_id_is_set_aside_and_its_words_are_not_repeated(reader: Reader, outer_id: str) -> None:
    post = make_post(1)
    bad = Post(signed=b"", item=MailboxItem(envelope=post.item.envelope, message_id=outer_id))
    delivery = reader.receive(bad, post)
    assert [(alarm.reason, alarm.message_id) for alarm in delivery.alarms] == [("bad-message-id", None)]
    assert "No new" not in delivery.alarms[0].text
    assert len(delivery.messages) == 1


def test_altered_box_does_not_open(reader: Reader) -> None:
    (post,) = make_chain(1)
    altered = post.item.envelope[:-8] + ("A" * 8 if not post.item.envelope.endswith("A" * 8) else "B" * 8)
    delivery = reader.receive(Post(signed=b"", item=MailboxItem(envelope=altered, message_id=post.item.message_id)))
    assert reasons(delivery) == ["does-not-open"]


def test_reading_a_message_that_never_came_is_an_error(reader: Reader) -> None:
    with pytest.raises(MailboxError):
        read_message(reader.state, 3)


def test_message_sealed_again_to_the_same_key_is_known(reader: Reader) -> None:
    (post,) = make_chain(1)
    reader.receive(post)
    again = make_chain(1)[0]
    assert again.item.envelope != post.item.envelope
    assert reader.receive(again) == Delivery(messages=(), alarms=())
    assert encode(again.item) != encode(post.item)


def test_second_digest_of_a_period_with_other_figures_is_an_alarm_and_the_first_one_stands(reader: Reader) -> None:
    bodies = [encode_digest(make_digest(period=period, made_at=at)) for period, at in PUBLISHED]
    posts: list[Post] = []
    for number, body in enumerate(bodies, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        posts.append(make_post(number, previous, kind="digest", body=to_base64url(body)))
    assert reasons(reader.receive(*posts[:3])) == []  # the third repeats the bytes of the first
    delivery = reader.receive(posts[3])
    assert [(alarm.reason, alarm.message_id) for alarm in delivery.alarms] == [
        ("second-digest", posts[3].item.message_id)
    ]
    assert "2026-Q3" in delivery.alarms[0].text
    assert reader.acknowledged == [posts[3].item.message_id]  # kept, so that the chain stays whole
    assert reasons(reader.receive(posts[3])) == []
