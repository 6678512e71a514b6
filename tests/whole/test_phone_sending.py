"""The tries at Send, in Chromium with a clock that the tests turn."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route

from partner_sdk.wire.canonical import to_base64url
from tests.whole.browser_walk import wait_until
from tests.whole.phone_pages import open_document
from tests.whole.public_server import open_chromium

BOOT = """
import { sendSealed } from '/phone/sending.js';
globalThis.said = [];
globalThis.send = () => {
  const onWaiting = isWaiting => said.push(isWaiting ? 'waiting' : 'sending');
  sendSealed({ envelope: 'sealed' }, { csrfToken: 'token', fetch: fetch.bind(globalThis), onWaiting }).then(
    ({ receipt }) => said.push(`receipt ${receipt}`),
    ({ reason }) => said.push(reason),
  );
};
"""
STORED = (200, json.dumps({"receipt": to_base64url(b"\x01\x02")}), {})
MINUTES = 2


class Gateway:
    def __init__(self) -> None:
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        self.bodies: list[str] = []

    def answer(self, route: Route) -> None:
        assert route.request.headers["x-csrftoken"] == "token"
        self.bodies.append(route.request.post_data or "")
        status, body, headers = self.answers.pop(0) if self.answers else (502, "", {})
        if status:
            route.fulfill(status=status, body=body, headers={"Content-Type": "application/json", **headers})
        else:
            route.abort()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def page(gateway: Gateway) -> Iterator[Page]:
    with open_chromium() as browser:
        opened = open_document(browser, "<!doctype html><body></body>", boot=BOOT, answer_post=gateway.answer)
        wait_until(opened, "'send' in globalThis")
        opened.clock.install()
        yield opened


def turn_until(page: Page, is_so: Callable[[], bool], *, seconds: int) -> None:
    """Turn the page's clock second by second; what it fetches meanwhile comes in real time."""
    for _ in range(seconds):
        page.wait_for_timeout(20)
        if is_so():
            return
        page.clock.run_for(1000)
    assert is_so()


def read_said(page: Page) -> list[str]:
    return list(page.evaluate("said"))


def test_same_bytes_are_tried_ten_times_within_two_minutes_and_no_more(page: Page, gateway: Gateway) -> None:
    gateway.answers = [(0, "", {}), (502, "", {}), (504, "", {}), (429, "", {})]
    page.evaluate("send()")
    turn_until(page, lambda: read_said(page) != [], seconds=MINUTES * 60 + 5)
    assert read_said(page) == ["waiting_failed"]
    assert gateway.bodies == ['{"envelope":"sealed"}'] * 10


def test_receipt_that_breaks_off_is_asked_for_again(page: Page, gateway: Gateway) -> None:
    gateway.answers = [(200, '{"receipt":', {}), STORED]
    page.evaluate("send()")
    turn_until(page, lambda: len(gateway.bodies) == 2, seconds=10)
    wait_until(page, "said.length === 1")
    assert page.evaluate("said") == ["receipt 1,2"]


def test_try_waits_as_long_as_the_gateway_asks(page: Page, gateway: Gateway) -> None:
    gateway.answers = [(429, "", {"Retry-After": "40"}), STORED]
    page.evaluate("send()")
    turn_until(page, lambda: len(gateway.bodies) == 1, seconds=1)
    for _ in range(38):
        page.clock.run_for(1000)
    page.wait_for_timeout(100)
    assert len(gateway.bodies) == 1
    turn_until(page, lambda: read_said(page) != [], seconds=4)
    assert (read_said(page), len(gateway.bodies)) == (["receipt 1,2"], 2)


def test_gateway_that_asks_for_an_hour_is_not_waited_for(page: Page, gateway: Gateway) -> None:
    gateway.answers = [(429, "", {"Retry-After": "3600"})]
    page.evaluate("send()")
    wait_until(page, "said.length === 1")
    assert (read_said(page), len(gateway.bodies)) == (["waiting_failed"], 1)


def test_phone_without_a_network_waits_for_it_and_sends_once(page: Page, gateway: Gateway) -> None:
    gateway.answers = [STORED]
    page.context.set_offline(True)
    page.evaluate("send()")
    page.clock.run_for(600_000)
    assert (read_said(page), gateway.bodies) == (["waiting"], [])
    page.context.set_offline(False)
    wait_until(page, "said.length === 3")
    assert (read_said(page), len(gateway.bodies)) == (["waiting", "sending", "receipt 1,2"], 1)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [(503, "", "closed"), (409, "", "conflict"), (409, "/problems/reference-taken", "taken"), (400, "", "refused")],
)
def test_refusal_that_no_wait_changes_is_the_last_try(
    page: Page, gateway: Gateway, status: int, kind: str, reason: str
) -> None:
    gateway.answers = [(status, json.dumps({"type": kind}), {})]
    page.evaluate("send()")
    wait_until(page, "said.length === 1")
    assert (read_said(page), len(gateway.bodies)) == ([reason], 1)


def test_receipt_that_is_no_base64url_is_not_taken(page: Page, gateway: Gateway) -> None:
    gateway.answers = [(200, '{"receipt": "a+b="}', {})]
    page.evaluate("send()")
    wait_until(page, "said.length === 1")
    assert read_said(page) == ["not-canonical"]
