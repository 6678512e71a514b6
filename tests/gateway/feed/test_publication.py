"""The desk's pushes through the feed: key set, register, invitations, mailbox."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.exchange.feed import MAILBOX_MESSAGE
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import make_report_id, to_base64url
from partner_sdk.wire.problems import Problem
from tests.builders import FEED_ORIGIN, NOW, Agency, Door, House, Partner, make_box, make_house
from tests.problem_shape import check_problem

SECOND = Partner("second-service")
LATER = NOW + timedelta(seconds=30)
MESSAGE_ID = make_report_id(NOW, bytes(10))


def refused(answer, problem: Problem) -> None:
    check_problem(answer, problem, origin=FEED_ORIGIN)


@pytest.fixture
def new_house(tmp_path: Path) -> House:
    return make_house(tmp_path / "new")


def test_first_key_set_and_register_open_the_industry_door(new_house: House, partner: Partner):
    feed, industry = new_house.open_feed(), new_house.open_industry(partner)
    assert industry.get("/v1/mailbox").status_code == 503

    keys = feed.send("PUT", "/feed/lists/keys", body=new_house.agency.bundle())
    register = feed.send("PUT", "/feed/lists/register", body=new_house.agency.register(partner.entry(), serial=3))

    assert (keys.status_code, keys.json, register.json) == (200, {"serial": 1}, {"serial": 3})
    assert industry.get("/v1/keys").data == new_house.agency.bundle()
    assert industry.get("/v1/mailbox").status_code == 200


def test_register_before_the_first_key_set_is_not_taken(new_house: House, partner: Partner):
    answer = new_house.open_feed().send("PUT", "/feed/lists/register", body=new_house.agency.register(partner.entry()))

    refused(answer, problems.NOT_READY)


def test_same_lists_again_are_no_fault(house: House, feed: Door, partner: Partner):
    bundle, register = house.agency.bundle(serial=5), house.agency.register(partner.entry(), serial=5)

    for _ in range(2):
        assert feed.send("PUT", "/feed/lists/keys", body=bundle).json == {"serial": 5}
        assert feed.send("PUT", "/feed/lists/register", body=register).json == {"serial": 5}


BAD_KEY_SETS: dict[str, tuple[Callable[[Agency], bytes], Problem]] = {
    "older": (lambda agency: agency.bundle(serial=0), problems.STALE_SERIAL),
    "same serial, other bytes": (lambda agency: agency.bundle(serial=1), problems.STALE_SERIAL),
    "another root": (lambda _: Agency(name="another-agency").bundle(serial=9), problems.REFUSED_LIST),
    "another environment": (lambda _: Agency(environment="sandbox").bundle(serial=9), problems.REFUSED_LIST),
    "expired": (lambda agency: agency.bundle(serial=9, expires_at="2026-11-25T08:29:59Z"), problems.REFUSED_LIST),
    "not JSON": (lambda _: b"not a list", problems.REFUSED_LIST),
    "cut": (lambda agency: agency.bundle(serial=9)[:-1], problems.REFUSED_LIST),
    "empty": (lambda _: b"", problems.REFUSED_LIST),
}


@pytest.mark.parametrize("case", BAD_KEY_SETS)
def test_bad_key_set_is_refused_and_the_old_one_stays(case: str, house: House, feed: Door):
    make_body, problem = BAD_KEY_SETS[case]
    before = house.rows("published")

    refused(feed.send("PUT", "/feed/lists/keys", body=make_body(house.agency)), problem)

    assert house.rows("published") == before


BAD_REGISTERS: dict[str, tuple[Callable[[Agency], bytes], Problem]] = {
    "older": (lambda agency: agency.register(serial=0), problems.STALE_SERIAL),
    "same serial, other bytes": (lambda agency: agency.register(serial=1), problems.STALE_SERIAL),
    "another agency": (lambda _: Agency(name="another-agency").register(serial=9), problems.REFUSED_LIST),
    "a partner twice": (
        lambda agency: agency.register(SECOND.entry(), SECOND.entry(), serial=9),
        problems.REFUSED_LIST,
    ),
    "not JSON": (lambda _: b"not a list", problems.REFUSED_LIST),
    "cut": (lambda agency: agency.register(serial=9)[:-1], problems.REFUSED_LIST),
}


@pytest.mark.parametrize("case", BAD_REGISTERS)
def test_bad_register_is_refused_and_the_old_one_stays(case: str, house: House, feed: Door):
    make_body, problem = BAD_REGISTERS[case]
    before = house.rows("published")

    refused(feed.send("PUT", "/feed/lists/register", body=make_body(house.agency)), problem)

    assert house.rows("published") == before


BAD_STAFFINGS: dict[str, tuple[Callable[[Agency], bytes], Problem]] = {
    "issued before": (lambda agency: agency.staffing(now=NOW - timedelta(seconds=1)), problems.STALE_SERIAL),
    "other words": (lambda agency: agency.staffing(staffed_until=None), problems.STALE_SERIAL),
    "another agency": (lambda _: Agency(name="another-agency").staffing(now=LATER), problems.STATEMENT_REFUSED),
    "a sandbox": (lambda agency: agency.staffing(now=LATER, environment="sandbox"), problems.STATEMENT_REFUSED),
    "too old": (lambda agency: agency.staffing(now=NOW - timedelta(minutes=5)), problems.STATEMENT_REFUSED),
    "not JSON": (lambda _: b"not a statement", problems.MALFORMED_REQUEST),
}


@pytest.mark.parametrize("case", BAD_STAFFINGS)
def test_bad_statement_of_staffing_is_refused_and_the_old_one_stays(case: str, house: House, feed: Door):
    make_body, problem = BAD_STAFFINGS[case]
    before = house.rows("published")

    refused(feed.send("PUT", "/feed/lists/staffing", body=make_body(house.agency)), problem)

    assert house.rows("published") == before
    newer = feed.send("PUT", "/feed/lists/staffing", body=house.agency.staffing(now=LATER))
    assert newer.json == {"serial": int(LATER.timestamp())}


def test_register_takes_effect_in_a_running_process(house: House, feed: Door, partner: Partner):
    second = house.open_industry(SECOND)
    assert second.get("/v1/mailbox").status_code == 401

    register = house.agency.register(partner.entry(), SECOND.entry(), serial=2)
    assert feed.send("PUT", "/feed/lists/register", body=register).status_code == 200

    assert second.get("/v1/mailbox").status_code == 200


def invitation(**changes: str) -> dict[str, str]:
    return {
        "expires_at": "2026-12-02T08:30:00Z",
        "partner": "new-service",
        "secret_sha256": to_base64url(b"\x01" * 32),
        **changes,
    }


def test_invitations_are_stored_and_may_be_repeated(house: House, feed: Door):
    for _ in range(2):
        assert feed.post("/feed/invitations", {"invitations": [invitation()]}).json == {"stored": 1}

    ((hashed, partner_id, _expires_at),) = house.rows("invitations")
    assert (hashed, partner_id) == (b"\x01" * 32, "new-service")


def test_one_bad_invitation_keeps_all_out(house: House, feed: Door):
    other = invitation(secret_sha256=to_base64url(b"\x02" * 32))
    assert feed.post("/feed/invitations", {"invitations": [invitation()]}).status_code == 200
    before = house.rows("invitations")

    conflicting = {"invitations": [other, invitation(partner="second-service")]}
    refused(feed.post("/feed/invitations", conflicting), problems.CONFLICTING_MESSAGE)
    for change in ({"partner": "public"}, {"secret_sha256": "AA"}, {"expires_at": "tomorrow"}):
        refused(
            feed.post("/feed/invitations", {"invitations": [other, invitation(**change)]}), problems.MALFORMED_REQUEST
        )

    assert house.rows("invitations") == before


def message(envelope: bytes, **changes: str) -> dict[str, str]:
    return {"envelope": to_base64url(envelope), "item_id": MESSAGE_ID, "address": "example-chat", **changes}


def test_message_reaches_its_partner_once_however_often_it_is_posted(house: House, feed: Door, partner: Partner):
    envelope = make_box(partner.entry().mailbox_key)

    stored = [feed.post("/feed/items/mailbox-message", {"items": [message(envelope)]}).json for _ in range(2)]

    assert stored == [{"results": ["stored"]}, {"results": ["known"]}]
    assert house.open_industry(partner).get("/v1/mailbox").json == {
        "messages": [{"envelope": to_base64url(envelope), "message_id": MESSAGE_ID}]
    }


def test_message_id_with_other_bytes_or_another_partner_is_a_conflict(house: House, feed: Door, partner: Partner):
    envelope = make_box(partner.entry().mailbox_key)
    feed.post("/feed/items/mailbox-message", {"items": [message(envelope)]})
    before = house.items(MAILBOX_MESSAGE)
    new = message(envelope, item_id=make_report_id(NOW, b"\x01" * 10))

    for conflicting in (message(envelope + b"\0"), message(envelope, address="second-service")):
        refused(feed.post("/feed/items/mailbox-message", {"items": [new, conflicting]}), problems.CONFLICTING_MESSAGE)

    assert house.items(MAILBOX_MESSAGE) == before


def test_message_that_is_no_envelope_is_refused(house: House, feed: Door):
    refused(feed.post("/feed/items/mailbox-message", {"items": [message(b"cut")]}), problems.MALFORMED_ENVELOPE)
    box = make_box(house.agency.sealing_key)
    for change in ({"item_id": "x"}, {"address": "Not A Partner"}, {"address": ""}):
        refused(
            feed.post("/feed/items/mailbox-message", {"items": [message(box, **change)]}), problems.MALFORMED_REQUEST
        )
    assert house.items(MAILBOX_MESSAGE) == []
