"""RateLimit headers on every answer of a counted route, and Retry-After on every 429 and 503.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10: lists of strings with integer parameters (RFC 9651).
"""

import re
import sqlite3

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from gateway.config import LimitsConfig
from gateway.limits import Effect, Subject
from gateway.web.rules import REFUSED, find_rule
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import make_report_id
from tests.builders import NOW, PUBLIC_ORIGIN, Door, House, Partner, make_house, seal_report
from tests.problem_shape import check_problem

# RFC 9651 §3.1: a list of items, each a string with parameters.
ITEM = re.compile(r'"(?P<name>[a-z0-9-]+)"(?P<parameters>(?:;[a-z]+=\d+)+)')
REPORTS = "/v1/reports"
SOME_ID = make_report_id(NOW, bytes(10))


def read_items(answer: TestResponse, header: str) -> dict[str, dict[str, int]]:
    """Read a RateLimit field in the spelling of RFC 9651; fail for any other spelling."""
    items = {}
    for text in answer.headers[header].split(", "):
        item = ITEM.fullmatch(text)
        assert item is not None, text
        pairs = [pair.split("=") for pair in item["parameters"].strip(";").split(";")]
        items[item["name"]] = {name: int(value) for name, value in pairs}
    return items


@pytest.fixture
def strict_house(tmp_path, partner: Partner) -> House:
    house = make_house(tmp_path / "strict", limits=LimitsConfig(partner_reports_per_minute=2))
    house.publish(partner.entry())
    return house


def list_counted(app: Flask, house: House) -> list[tuple[str, str, str]]:
    """List method, path and limit of every route whose limit refuses."""
    rows = house.open_gateway().limits.rows
    counted = []
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        if stated is not None and stated.limit in rows and rows[stated.limit].effect is Effect.REFUSE:
            path = re.sub(r"<(?:\w+:)?part>", "0", route.rule)
            path = re.sub(r"<\w+>", SOME_ID, path)
            counted += [(method, path, stated.limit) for method in (route.methods or set()) - {"HEAD", "OPTIONS"}]
    assert len(counted) >= 15
    return counted


def call(door: Door, method: str, path: str, **settings) -> TestResponse:
    body = None if method == "GET" else b"{}"
    return door.send(method, path, body=body, **settings)


def test_every_answer_of_a_counted_route_says_the_policy(house: House, industry: Door):
    """Signed or not, taken or refused at any step: the allowed rate is no secret."""
    rows = house.open_gateway().limits.rows
    nobody = Door(industry.app, industry.origin, house.clock)
    for method, path, limit in list_counted(industry.app, house):
        for answer in (
            call(industry, method, path),
            call(nobody, method, path),
            call(industry, method, path, headers={"Content-Type": "text/plain"}),
            call(industry, method, path, headers={"Content-Encoding": "gzip", "Content-Length": "999999999"}),
        ):
            policy = read_items(answer, "RateLimit-Policy")
            assert policy[limit] == {"q": rows[limit].quota, "w": rows[limit].window_seconds}, (method, path)


def test_every_answer_to_a_known_caller_says_what_is_left(house: House, industry: Door):
    rows = house.open_gateway().limits.rows
    for method, path, limit in list_counted(industry.app, house):
        answer = call(industry, method, path)
        if answer.status_code == 415:
            # A body of another type is refused before the signature is looked at: nobody is known.
            continue
        left = read_items(answer, "RateLimit")
        assert 0 <= left[limit]["r"] <= rows[limit].quota, (method, path)
        assert 1 <= left[limit]["t"] <= rows[limit].window_seconds


def test_nobody_is_told_what_is_left_of_a_partners_limit(house: House, industry: Door):
    rows = house.open_gateway().limits.rows
    nobody = Door(industry.app, industry.origin, house.clock)
    seen = 0
    for method, path, limit in list_counted(industry.app, house):
        if rows[limit].subject is Subject.PARTNER:
            assert "RateLimit" not in call(nobody, method, path).headers
            seen += 1
    assert seen >= 8


def test_looking_at_what_is_left_counts_nothing(strict_house: House, partner: Partner):
    industry = strict_house.open_industry(partner)
    refused = [industry.post(REPORTS, b"{}") for _ in range(3)]

    assert [read_items(answer, "RateLimit")["partner-report"]["r"] for answer in refused] == [2, 2, 2]
    assert [read_items(answer, "RateLimit")["partner-report-p1"]["r"] for answer in refused] == [2, 2, 2]
    taken = industry.post(REPORTS, seal_report(partner, key=strict_house.agency.sealing_key).body)
    assert (taken.status_code, read_items(taken, "RateLimit")["partner-report"]["r"]) == (201, 1)
    assert read_items(industry.post(REPORTS, b"{}"), "RateLimit")["partner-report"]["r"] == 1


def test_request_that_a_body_rule_refuses_is_counted_for_its_network(house: House):
    anyone = house.open_industry()
    first = anyone.post("/v1/enrol", b"{}", headers={"Content-Type": "text/plain"})
    second = anyone.post("/v1/enrol", b"{}", headers={"Content-Type": "text/plain"})

    check_problem(first, problems.UNSUPPORTED_MEDIA_TYPE)
    assert [read_items(answer, "RateLimit")["enrol"]["r"] for answer in (first, second)] == [19, 18]


def test_refusal_names_nothing_left_and_the_same_seconds_twice(strict_house: House, partner: Partner):
    industry = strict_house.open_industry(partner)
    key = strict_house.agency.sealing_key
    for _ in range(2):
        industry.post(REPORTS, seal_report(partner, key=key).body)

    refused = industry.post(REPORTS, seal_report(partner, key=key).body)

    check_problem(refused, problems.RATE_LIMITED)
    left = read_items(refused, "RateLimit")["partner-report"]
    assert (left["r"], left["t"]) == (0, int(refused.headers["Retry-After"]))
    assert read_items(refused, "RateLimit-Policy") == {"partner-report": {"q": 2, "w": 60}}
    assert len(strict_house.rows("reports")) == 2


def test_real_refusals_that_ask_to_wait_say_how_long(tmp_path, hurried_house: House, partner: Partner):
    """One of each sort, as it comes: no keys, no storage, no key to seal to, too many, no room in the server."""
    new = make_house(tmp_path / "new")
    locked = hurried_house.open_industry(partner)
    body = seal_report(partner, key=hurried_house.agency.sealing_key).body
    stranger = sqlite3.connect(hurried_house.state / "gateway.sqlite", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    storage = locked.post(REPORTS, body)
    stranger.close()
    app = hurried_house.open_app("industry")
    no_room = app.test_client().open(REPORTS, method="POST", base_url=PUBLIC_ORIGIN, environ_overrides={REFUSED: 503})
    anyone = hurried_house.open_industry()
    network = [anyone.post("/v1/enrol", b"{}") for _ in range(21)][-1]
    hurried_house.publish(
        partner.entry(), serial=2, sealing_keys=(hurried_house.agency.other_sealing_key("later", state="pending"),)
    )
    no_key = hurried_house.open_industry(partner).post(REPORTS, body)

    check_problem(new.open_industry(partner).get("/v1/keys"), problems.NOT_READY)
    check_problem(storage, problems.STORAGE_UNAVAILABLE)
    check_problem(no_room, problems.STORAGE_UNAVAILABLE)
    check_problem(no_key, problems.NO_ACTIVE_KEY)
    check_problem(network, problems.RATE_LIMITED)
    for answer in (storage, no_room, no_key, network):
        assert int(answer.headers["Retry-After"]) >= 1


def test_server_that_has_refused_is_not_overruled_by_a_limit(house: House):
    """The server takes the app's words only with its own status: a 429 in their place would leave a bare 503."""
    app = house.open_app("industry")
    client = app.test_client()
    answers = [
        client.open("/v1/enrol", method="POST", base_url=PUBLIC_ORIGIN, environ_overrides={REFUSED: 503})
        for _ in range(25)
    ]

    assert {answer.status_code for answer in answers} == {503}
