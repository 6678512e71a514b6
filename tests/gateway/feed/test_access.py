"""Access to the feed: the desk's key alone, at its own origin, and in no process that the internet reaches."""

import re
import subprocess
import sys

import msgspec
import pytest

from gateway.feed import ROUTES
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from tests.builders import FEED_ORIGIN, PUBLIC_ORIGIN, Agency, Door, House, Partner, sign_request
from tests.problem_shape import check_problem

PLACES = {
    "<kind>": "mailbox-message",
    "<name>": "keys",
    "<partner>": "example-chat",
    "<evidence_id>": "0194f3a0-5b7c-7a3e-9c1d-2f4b6a8c0e12",
    "<part>": "0",
    "<path:path>": "checkpoint",
}
CALLS = [(method, re.sub("<[a-z_:]+>", lambda place: PLACES[place[0]], path)) for method, path, _view in ROUTES]


def call(door: Door, method: str, path: str, **settings):
    return door.send(method, path, body=None if method == "GET" else b"{}", **settings)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_the_desks_signature(method: str, path: str, house: House, feed: Door, partner: Partner):
    app, clock = feed.app, house.clock
    callers = [
        Door(app, FEED_ORIGIN, clock),
        Door(app, FEED_ORIGIN, clock, partner.submission_key),
        Door(app, FEED_ORIGIN, clock, Agency(name="another-agency").feed_key),
        # signed for the other listener
        Door(app, PUBLIC_ORIGIN, clock, house.agency.feed_key),
    ]
    for caller in callers:
        check_problem(call(caller, method, path), problems.NOT_AUTHORISED, origin=FEED_ORIGIN)
    assert call(feed, method, path).status_code != 401


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_stale_requests_are_refused(method: str, path: str, house: House, feed: Door):
    body = None if method == "GET" else b"{}"
    headers = sign_request(
        method, FEED_ORIGIN + path, body=body, private_key=house.agency.feed_key, created=house.clock()
    )
    house.clock.advance(seconds=301)

    answer = Door(feed.app, FEED_ORIGIN, house.clock).send(method, path, body=body, headers=headers)

    check_problem(answer, problems.NOT_AUTHORISED, origin=FEED_ORIGIN)


@pytest.mark.parametrize("path", [path for method, path in CALLS if method != "GET"])
def test_bodies_are_canonical_or_refused(path: str, feed: Door):
    method = "PUT" if path.startswith("/feed/lists/") else "POST"

    for body in (b"", b"{", b"[]", b'{"more":1}', b"{ }"):
        answer = feed.send(method, path, body=body)
        assert 400 <= answer.status_code < 500
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/feed/items/mailbox-message", "items"),
        ("/feed/items/reply", "items"),
        ("/feed/invitations", "invitations"),
        ("/feed/stages", "stages"),
    ],
)
def test_empty_lists_are_no_fault(path: str, field: str, feed: Door):
    assert feed.post(path, {field: []}).status_code == 200


def test_unknown_address_and_wrong_method_are_problems(feed: Door):
    check_problem(feed.get("/feed/nothing"), problems.NOT_FOUND, origin=FEED_ORIGIN)
    check_problem(feed.get("/feed/lists/keys"), problems.METHOD_NOT_ALLOWED, origin=FEED_ORIGIN)
    check_problem(feed.send("PUT", "/feed/lists/nothing", body=b"{}"), problems.NOT_FOUND, origin=FEED_ORIGIN)
    check_problem(feed.get("/v1/status"), problems.NOT_FOUND, origin=FEED_ORIGIN)
    check_problem(feed.get("/feed/%73tatus"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


def test_body_on_a_get_is_refused(feed: Door):
    check_problem(feed.send("GET", "/feed/status", body=b"{}"), problems.BODY_NOT_ALLOWED, origin=FEED_ORIGIN)


def test_industry_process_does_not_load_the_feed(house: House):
    code = (
        "import sys; from pathlib import Path\n"
        "from gateway.app import make_app; from gateway.config import load_config\n"
        f"state = Path({str(house.state)!r}); make_app(load_config(state), ['industry'], state=state);"
        "print([name for name in sys.modules if name.startswith(('gateway.feed', 'gateway.desk'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_pin_without_a_feed_key_lets_nobody_in(house: House):
    pin_file = house.state / "agency.pin"
    pin_file.write_bytes(encode(msgspec.structs.replace(house.agency.pin(), feed_key=None)) + b"\n")

    check_problem(house.open_feed().get("/feed/status"), problems.NOT_AUTHORISED, origin=FEED_ORIGIN)
