"""`POST /v1/mailbox/{id}/entries` and the desk's pull of it: the caller's own message, one sealed box, kept once."""

from typing import Any

import pytest

from gateway.exchange.feed import THREAD_ENTRY
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import MAX_ENTRY_BODY_BYTES, MAX_ENTRY_ENVELOPE_BYTES, EntryPost, ThreadEntry, seal_entry
from partner_sdk.wire.problems import Problem
from tests.builders import NOW, Agency, Door, House, Partner, make_box
from tests.gateway.industry.partner_calls import MESSAGE_ID, UNKNOWN_ID, put_message
from tests.problem_shape import check_problem

ENTRY_ID = make_report_id(NOW, b"entry-id--")
PATH = f"/v1/mailbox/{MESSAGE_ID}/entries"
OTHER = Partner("second-service")


def make_post(house: House, partner: Partner, *, entry_id: str = ENTRY_ID, agency: Agency | None = None) -> EntryPost:
    entry = ThreadEntry(
        about=MESSAGE_ID,
        by="Sergeant Anna Example",
        created_at="2026-11-25T08:30:00Z",
        entry_id=entry_id,
        environment="live",
        kind="acknowledge",
        partner=partner.partner,
        text="",
    )
    return seal_entry(entry, submission_key=partner.submission_key, agency_key=(agency or house.agency).sealing_key)


@pytest.fixture
def industry(house: House, partner: Partner) -> Door:
    put_message(house, partner)
    return house.open_industry(partner)


@pytest.fixture
def other(house: House, partner: Partner, industry: Door) -> Door:
    """The same app, called by a second partner."""
    house.publish(partner.entry(), OTHER.entry(), serial=2)
    return Door(industry.app, industry.origin, house.clock, OTHER.submission_key)


def test_entry_waits_for_the_desk_and_the_same_again_is_kept_once(house: House, industry: Door, partner: Partner):
    post = make_post(house, partner)

    answers = [industry.post(PATH, post) for _ in range(3)]

    assert [(answer.status_code, answer.data) for answer in answers] == [(202, b'{"status":"waiting"}')] * 3
    (item,) = house.items(THREAD_ENTRY)
    assert (item.item_id, item.address, item.acknowledged_at) == (ENTRY_ID, partner.partner, None)
    assert item.envelope == parse_base64url(post.envelope)


def test_entry_is_taken_after_its_message_was_acknowledged(house: House, industry: Door, partner: Partner):
    assert industry.post(f"/v1/mailbox/{MESSAGE_ID}/ack", {}).status_code == 200

    assert industry.post(PATH, make_post(house, partner)).status_code == 202


def test_desk_fetches_an_entry_once_and_only_its_digest_stays(house: House, industry: Door, partner: Partner):
    post = make_post(house, partner)
    industry.post(PATH, post)
    feed = house.open_feed()

    (row,) = feed.get("/feed/items/thread-entry").json["items"]
    held = {"items": [{"address": row["address"], "item_id": row["item_id"]}], "kind": "thread-entry"}
    answer = feed.post("/feed/acknowledgements", held)

    assert (row["address"], row["item_id"], row["envelope"]) == (partner.partner, ENTRY_ID, post.envelope)
    assert answer.json == {"acknowledged": 1}
    assert feed.get("/feed/items/thread-entry").json["items"] == []
    (item,) = house.items(THREAD_ENTRY)
    assert item.envelope is None
    assert industry.post(PATH, post).status_code == 202
    assert feed.get("/feed/items/thread-entry").json["items"] == []


def test_other_entry_under_the_same_id_is_refused_and_the_first_stays(house: House, industry: Door, partner: Partner):
    industry.post(PATH, make_post(house, partner))
    before = house.items(THREAD_ENTRY)

    check_problem(industry.post(PATH, make_post(house, partner)), problems.CONFLICTING_MESSAGE)

    assert house.items(THREAD_ENTRY) == before


def test_message_of_another_partner_is_like_none(house: House, industry: Door, other: Door):
    post = make_post(house, OTHER)
    documents = []
    for message_id in (MESSAGE_ID, UNKNOWN_ID, "no-such-id"):
        documents.append(check_problem(other.post(f"/v1/mailbox/{message_id}/entries", post), problems.NOT_FOUND))
        del documents[-1]["instance"]

    assert documents[0] == documents[1] == documents[2]
    assert house.items(THREAD_ENTRY) == []


def test_two_partners_may_choose_one_id(house: House, industry: Door, other: Door, partner: Partner):
    put_message(house, OTHER, message_id=UNKNOWN_ID)

    assert industry.post(PATH, make_post(house, partner)).status_code == 202
    assert other.post(f"/v1/mailbox/{UNKNOWN_ID}/entries", make_post(house, OTHER)).status_code == 202

    assert [item.address for item in house.items(THREAD_ENTRY)] == [partner.partner, OTHER.partner]


@pytest.mark.parametrize("who", [None, Partner("stranger")])
def test_nobody_but_a_registered_partner_writes(house: House, industry: Door, partner: Partner, who: Partner | None):
    check_problem(house.open_industry(who).post(PATH, make_post(house, partner)), problems.NOT_AUTHORISED)

    assert house.items(THREAD_ENTRY) == []


def bad_bodies(house: House, partner: Partner) -> list[tuple[Any, Problem]]:
    envelope = to_base64url(make_box(house.agency.sealing_key))
    large = to_base64url(make_box(house.agency.sealing_key, size=MAX_ENTRY_ENVELOPE_BYTES))
    return [
        (b"", problems.MALFORMED_REQUEST),
        (b'{"envelope": "x"}', problems.MALFORMED_REQUEST),
        (encode({"about": MESSAGE_ID, "entry_id": ENTRY_ID, "envelope": envelope}), problems.MALFORMED_REQUEST),
        (encode({"entry_id": "../other", "envelope": envelope}), problems.MALFORMED_REQUEST),
        (encode({"entry_id": ENTRY_ID, "envelope": envelope[:100]}), problems.MALFORMED_ENVELOPE),
        (encode({"entry_id": ENTRY_ID, "envelope": large}), problems.BODY_TOO_LARGE),
        (b"x" * (MAX_ENTRY_BODY_BYTES + 1), problems.BODY_TOO_LARGE),
        (make_post(house, partner, agency=Agency(name="another-agency")), problems.UNKNOWN_AGENCY_KEY),
    ]


@pytest.mark.parametrize("case", range(8))
def test_bad_body_is_refused_and_nothing_is_kept(case: int, house: House, industry: Door, partner: Partner):
    body, problem = bad_bodies(house, partner)[case]

    check_problem(industry.post(PATH, body), problem)

    assert house.items(THREAD_ENTRY) == []


def test_entries_are_limited_by_partner(house: House, industry: Door, partner: Partner):
    post = make_post(house, partner)

    statuses = [industry.post(PATH, post).status_code for _ in range(301)]

    assert statuses == [202] * 300 + [429]
