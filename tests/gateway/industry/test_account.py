"""`POST /v1/account` and the desk's pull of it: one sealed box, the caller's own, kept until it is acknowledged."""

from typing import Any

import pytest

from gateway.exchange.feed import ACCOUNT_CHANGE
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_BODY_BYTES,
    MAX_ACCOUNT_ENVELOPE_BYTES,
    TEMPLATE,
    AccountChange,
    AccountPost,
    seal_account_change,
    sign_registration,
)
from partner_sdk.wire.problems import Problem
from tests.builders import NOW, Agency, Door, House, Partner, make_box
from tests.problem_shape import check_problem

CHANGE_ID = make_report_id(NOW, bytes(10))


def make_post(
    house: House, partner: Partner, *, change_id: str = CHANGE_ID, agency: Agency | None = None
) -> AccountPost:
    change = AccountChange(
        change_id=CHANGE_ID,
        created_at=format_time(NOW),
        environment="live",
        keys=None,
        partner=partner.partner,
        registration=TEMPLATE,
    )
    signed = sign_registration(change, submission_key=load_signing_key(partner.key(KeyRole.SUBMISSION)))
    return seal_account_change(signed, change=change, agency_key=(agency or house.agency).sealing_key)


@pytest.fixture
def industry(house: House, partner: Partner) -> Door:
    return house.open_industry(partner)


def test_change_waits_for_the_desk_and_the_same_again_is_kept_once(house: House, industry: Door, partner: Partner):
    post = make_post(house, partner)

    answers = [industry.post("/v1/account", post) for _ in range(3)]

    assert [(answer.status_code, answer.data) for answer in answers] == [(202, b'{"status":"waiting"}')] * 3
    (item,) = house.items(ACCOUNT_CHANGE)
    assert (item.item_id, item.address, item.acknowledged_at) == (CHANGE_ID, partner.partner, None)
    assert item.envelope == parse_base64url(post.envelope)


def test_other_change_under_the_same_id_is_refused_and_the_first_stays(house: House, industry: Door, partner: Partner):
    industry.post("/v1/account", make_post(house, partner))
    before = house.items(ACCOUNT_CHANGE)

    check_problem(industry.post("/v1/account", make_post(house, partner)), problems.CONFLICTING_MESSAGE)

    assert house.items(ACCOUNT_CHANGE) == before


def test_two_partners_may_draw_one_id_and_neither_learns_of_the_other(house: House, partner: Partner):
    other = Partner("second-service")
    house.publish(partner.entry(), other.entry(), serial=2)
    for one in (partner, other):
        assert house.open_industry(one).post("/v1/account", make_post(house, one)).status_code == 202

    assert [item.address for item in house.items(ACCOUNT_CHANGE)] == [partner.partner, other.partner]


@pytest.mark.parametrize("who", [None, Partner("stranger")])
def test_nobody_but_a_registered_partner_posts_a_change(house: House, partner: Partner, who: Partner | None):
    door = house.open_industry(who)

    check_problem(door.post("/v1/account", make_post(house, partner)), problems.NOT_AUTHORISED)

    assert house.items(ACCOUNT_CHANGE) == []


# A key that comes twice: two readers would see two boxes.
TWICE = b'{"envelope":"A",'


def bad_bodies(house: House, partner: Partner) -> list[tuple[Any, Problem]]:
    envelope = to_base64url(make_box(house.agency.sealing_key))
    large = to_base64url(make_box(house.agency.sealing_key, size=MAX_ACCOUNT_ENVELOPE_BYTES))
    return [
        (b"", problems.MALFORMED_REQUEST),
        (b'{"envelope": "x"}', problems.MALFORMED_REQUEST),
        (encode({"change_id": CHANGE_ID, "envelope": envelope, "partner": "x"}), problems.MALFORMED_REQUEST),
        (encode({"change_id": "../other", "envelope": envelope}), problems.MALFORMED_REQUEST),
        (encode({"change_id": CHANGE_ID, "envelope": envelope}).replace(b"{", TWICE, 1), problems.MALFORMED_REQUEST),
        (encode({"change_id": CHANGE_ID, "envelope": envelope[:100]}), problems.MALFORMED_ENVELOPE),
        (encode({"change_id": CHANGE_ID, "envelope": large}), problems.BODY_TOO_LARGE),
        (b"x" * (MAX_ACCOUNT_BODY_BYTES + 1), problems.BODY_TOO_LARGE),
        (make_post(house, partner, agency=Agency(name="another-agency")), problems.UNKNOWN_AGENCY_KEY),
    ]


@pytest.mark.parametrize("case", range(9))
def test_bad_body_is_refused_and_nothing_is_kept(case: int, house: House, industry: Door, partner: Partner):
    body, problem = bad_bodies(house, partner)[case]

    check_problem(industry.post("/v1/account", body), problem)

    assert house.items(ACCOUNT_CHANGE) == []


def test_changes_are_limited_by_partner(house: House, industry: Door, partner: Partner):
    post = make_post(house, partner)

    statuses = [industry.post("/v1/account", post).status_code for _ in range(31)]

    assert statuses == [202] * 30 + [429]
