"""The desk's posts for return codes: sealed boxes that are stored once, and only for a known reference."""

import pytest

from gateway.exchange.feed import REPLY
from gateway.exchange.public_report import MAX_REPLY_ENVELOPE_BYTES
from gateway.store.items import StoredPlace, put_return_place
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import make_reference, make_report_id, to_base64url
from partner_sdk.wire.problems import Problem
from tests.builders import DAY, FEED_ORIGIN, NOW, Door, House, make_box
from tests.problem_shape import check_problem

PLACE = StoredPlace(box=b"place", token_sha256=bytes(32))
MESSAGE_ID = make_report_id(NOW, bytes(10))
REFERENCE, OTHER = "C5H6-6S35C-3", "0000-00000-H"


def refused(answer, problem: Problem) -> None:
    check_problem(answer, problem, origin=FEED_ORIGIN)


@pytest.fixture
def box(house: House) -> bytes:
    """A box, and places for two references."""
    with house.open_gateway().store.write() as connection:
        for reference in (REFERENCE, OTHER):
            put_return_place(connection, PLACE, reference=reference, expires_at=NOW + DAY)
    return make_box(house.agency.sealing_key)


def reply(box: bytes, **changes: str) -> dict[str, str]:
    return {"envelope": to_base64url(box), "item_id": MESSAGE_ID, "address": REFERENCE, **changes}


def test_reply_is_stored_once_however_often_it_is_posted(house: House, feed: Door, box: bytes):
    answers = [feed.post("/feed/items/reply", {"items": [reply(box)]}).json for _ in range(2)]

    assert answers == [{"results": ["stored"]}, {"results": ["known"]}]
    (item,) = house.items(REPLY)
    assert (item.item_id, item.address, item.put_at, item.envelope) == (
        MESSAGE_ID,
        REFERENCE,
        int(NOW.timestamp()),
        box,
    )


def test_reply_to_a_reference_that_is_not_known_is_not_kept_and_the_desk_is_told(house: House, feed: Door):
    answer = feed.post("/feed/items/reply", {"items": [reply(make_box(house.agency.sealing_key))]})

    assert (answer.status_code, answer.json) == (200, {"results": ["no-place"]})
    assert house.items(REPLY) == []


def test_answer_says_of_each_message_in_order_what_became_of_it(house: House, feed: Door, box: bytes):
    feed.post("/feed/items/reply", {"items": [reply(box)]})
    new, lost = (reply(box, item_id=make_report_id(NOW, bytes([one]) * 10)) for one in (1, 2))
    lost["address"] = make_reference("live", random=bytes([1]) * 6)
    answer = feed.post("/feed/items/reply", {"items": [lost, new, reply(box)]})

    assert answer.data == b'{"results":["no-place","stored","known"]}'
    assert len(house.items(REPLY)) == 2


def test_same_id_with_other_bytes_or_another_reference_is_a_conflict_and_nothing_is_stored(
    house: House, feed: Door, box: bytes
):
    feed.post("/feed/items/reply", {"items": [reply(box)]})
    before = house.items(REPLY)
    new = reply(box, item_id=make_report_id(NOW, b"\x01" * 10))

    for conflicting in (reply(box + b"\0"), reply(box, address=OTHER)):
        refused(feed.post("/feed/items/reply", {"items": [new, conflicting]}), problems.CONFLICTING_MESSAGE)

    assert house.items(REPLY) == before


def test_reply_that_is_not_in_its_one_spelling_is_refused(house: House, feed: Door, box: bytes):
    refused(feed.post("/feed/items/reply", {"items": [reply(b"cut")]}), problems.MALFORMED_ENVELOPE)
    for change in (
        {"item_id": "x"},
        {"address": "c5h66s35c3"},
        {"address": "C5H6-6S35C-4"},
        {"envelope": "="},
        {"partner": "example-chat"},
    ):
        answer = feed.post("/feed/items/reply", {"items": [reply(box, **change)]})
        assert answer.status_code in {400, 422}, change
    assert house.items(REPLY) == []


def test_boxes_and_lists_have_a_size(house: House, feed: Door, box: bytes):
    largest = make_box(house.agency.sealing_key, size=16 * 1024)
    assert len(largest) == MAX_REPLY_ENVELOPE_BYTES
    too_large = make_box(house.agency.sealing_key, size=16 * 1024 + 1)
    refused(feed.post("/feed/items/reply", {"items": [reply(too_large)]}), problems.BODY_TOO_LARGE)

    def many(number: int) -> dict[str, list[dict[str, str]]]:
        ids = [make_report_id(NOW, one.to_bytes(10, "big")) for one in range(number)]
        return {"items": [reply(largest, item_id=one) for one in ids]}

    refused(feed.post("/feed/items/reply", many(REPLY.max_items + 1)), problems.MALFORMED_REQUEST)
    assert feed.post("/feed/items/reply", many(REPLY.max_items)).json == {"results": ["stored"] * REPLY.max_items}
    assert REPLY.max_items * (MAX_REPLY_ENVELOPE_BYTES * 4 // 3 + 200) < REPLY.max_body_bytes
