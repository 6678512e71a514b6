"""Former keys at the gateway: reports from a spool are taken, requests are not, and an ended key has no owner."""

import msgspec
import pytest

from gateway.exchange.feed import MAILBOX_MESSAGE, FormerKey, RegisterEntry
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.signing import key_id_of, public_bytes
from tests.builders import DAY, FEED_ORIGIN, NOW, PUBLIC_ORIGIN, Door, House, Partner, make_box, seal_report
from tests.problem_shape import check_problem

OLD, NEW = Partner(), Partner("example-chat-renewed")
UNTIL = NOW + 14 * DAY


def former_key_of(partner: Partner) -> FormerKey:
    raw = public_bytes(partner.submission_key)
    return FormerKey(key_id=key_id_of(raw), submission_key=to_base64url(raw), until=format_time(UNTIL))


def rotated(*former: Partner) -> RegisterEntry:
    """Return the entry of the example partner with its new key."""
    return msgspec.structs.replace(
        NEW.entry(), partner=OLD.partner, name="Example Chat", former_keys=tuple(former_key_of(one) for one in former)
    )


@pytest.fixture
def renewed(house: House) -> Door:
    """The partner after a rotation."""
    house.publish(rotated(OLD), serial=2)
    return Door(house.open_app("industry"), PUBLIC_ORIGIN, house.clock, NEW.submission_key)


def test_statement_of_a_former_key_is_taken_in_a_request_of_the_new_one(house: House, renewed: Door):
    sealed = seal_report(OLD, key=house.agency.sealing_key)

    first, again = (renewed.post("/v1/reports", sealed.body) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.data == again.data


def test_former_key_signs_no_request(house: House, renewed: Door):
    sealed = seal_report(OLD, key=house.agency.sealing_key)

    check_problem(house.open_industry(OLD).post("/v1/reports", sealed.body), problems.NOT_AUTHORISED)
    check_problem(house.open_industry(OLD).get("/v1/mailbox"), problems.NOT_AUTHORISED)


def test_former_key_counts_until_its_end_and_not_a_second_longer(house: House, renewed: Door):
    late = [seal_report(OLD, key=house.agency.sealing_key) for _ in range(2)]
    house.clock.now = UNTIL.replace(second=0) - DAY / 86_400
    assert renewed.post("/v1/reports", late[0].body).status_code == 201

    house.clock.now = UNTIL

    check_problem(renewed.post("/v1/reports", late[1].body), problems.STATEMENT_REFUSED)


def test_statement_of_a_revoked_key_in_a_request_of_another_is_refused(house: House, partner: Partner):
    house.publish(rotated(), serial=2)  # the old key is former to nobody
    door = Door(house.open_app("industry"), PUBLIC_ORIGIN, house.clock, NEW.submission_key)

    check_problem(
        door.post("/v1/reports", seal_report(OLD, key=house.agency.sealing_key).body), problems.STATEMENT_REFUSED
    )

    assert house.rows("reports") == []


def test_former_key_of_one_partner_signs_nothing_for_another(house: House):
    other = Partner("second-service")
    house.publish(rotated(OLD), other.entry(), serial=2)
    stolen = seal_report(other, key=house.agency.sealing_key)
    door = Door(house.open_app("industry"), PUBLIC_ORIGIN, house.clock, NEW.submission_key)

    check_problem(door.post("/v1/reports", stolen.body), problems.STATEMENT_REFUSED)


def post_message(feed: Door, envelope: bytes, **more: object) -> int:
    item = {
        "envelope": to_base64url(envelope),
        "item_id": "0199c0de-0000-7000-8000-000000000000",
        "address": OLD.partner,
        **more,
    }
    return int(feed.post("/feed/items/mailbox-message", {"items": [item]}).status_code)


def test_message_that_is_sealed_again_replaces_only_the_box_that_it_names(house: House, feed: Door, partner: Partner):
    first, second = make_box(house.agency.sealing_key), make_box(house.agency.sealing_key)
    assert post_message(feed, first) == 200
    digest = house.items(MAILBOX_MESSAGE)[0].sha256.hex()
    assert post_message(feed, second) == 409
    assert post_message(feed, second, replaces=["00" * 32]) == 409
    assert post_message(feed, second, replaces=["00" * 32], address="second-service") == 409

    assert post_message(feed, second, replaces=[digest]) == 200

    mailbox = house.open_industry(partner).get("/v1/mailbox").json["messages"]
    assert [message["envelope"] for message in mailbox] == [to_base64url(second)]


def test_message_that_was_acknowledged_waits_again_once_it_is_sealed_again(house: House, feed: Door, partner: Partner):
    first, second = make_box(house.agency.sealing_key), make_box(house.agency.sealing_key)
    post_message(feed, first)
    digest = house.items(MAILBOX_MESSAGE)[0].sha256.hex()
    door = house.open_industry(partner)
    assert door.post("/v1/mailbox/0199c0de-0000-7000-8000-000000000000/ack", {}).status_code == 200
    assert door.get("/v1/mailbox").json == {"messages": []}

    post_message(feed, second, replaces=[digest])

    assert len(door.get("/v1/mailbox").json["messages"]) == 1
    door.post("/v1/mailbox/0199c0de-0000-7000-8000-000000000000/ack", {})
    assert post_message(feed, second, replaces=[digest]) == 200  # a reply that was lost
    assert door.get("/v1/mailbox").json == {"messages": []}


@pytest.mark.parametrize("replaces", [["xy"], ["AB" * 32], "00", [1], ["00" * 32] * 21])
def test_misspelled_digest_of_a_replaced_box_is_refused(replaces: object, house: House, feed: Door):
    answer = feed.post(
        "/feed/items/mailbox-message",
        {
            "items": [
                {
                    "envelope": to_base64url(make_box(house.agency.sealing_key)),
                    "item_id": "0199c0de-0000-7000-8000-000000000000",
                    "address": OLD.partner,
                    "replaces": replaces,
                }
            ]
        },
    )

    check_problem(answer, problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)
