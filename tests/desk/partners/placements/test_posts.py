"""`POST /placement-checks`: a token of its own, one refusal for all causes, a strict body, a rate, nothing to read."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_checks import (
    MOST_POSTS,
    PostRate,
    forget_runner_token,
    list_checks,
    make_runner_token,
)
from gateway.desk.partners.placement_pages import PATH
from partner_sdk.console.findings import MAX_CHECKS_BODY_BYTES
from tests.desk.placement_builders import LINK_ID, agree, make_check, make_post
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    desk = make_test_desk(tmp_path / "desk", clock)
    agree(desk)
    return desk


@pytest.fixture
def browser(desk: Desk) -> Browser:
    return Browser(desk)


@pytest.fixture
def token(desk: Desk) -> str:
    return make_runner_token(desk, replace=False, actor="test")


def post(browser: Browser, authorization: str | None, **changes: Any) -> TestResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    values = {"data": make_post(make_check()), "content_type": "application/json", "base_url": ORIGIN}
    return browser.client.post(PATH, headers=headers, **(values | changes))


def count(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(list_checks(connection, LINK_ID))


def test_runner_hands_in_checks_twice_and_reads_nothing(desk: Desk, browser: Browser, token: str) -> None:
    unknown = make_post(make_check(placement="nobody", address="https://elsewhere.example/"))
    answers = [post(browser, f"Bearer {token}"), post(browser, f"Bearer {token}")]
    answers.append(post(browser, f"Bearer {token}", data=unknown))
    assert [(one.status_code, one.data) for one in answers] == [(204, b"")] * 3
    assert all("Set-Cookie" not in one.headers for one in answers)
    assert count(desk) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda _: None,
        lambda _: "",
        lambda _: "Bearer",
        lambda _: "Bearer ",
        lambda token: token,
        lambda token: f"Basic {token}",
        lambda token: f"Bearer  {token}",
        lambda token: f"Bearer {token}x",
        lambda token: f"Bearer {token[:-1]}",
        lambda _: "Bearer \N{SNOWMAN}".encode().decode("latin-1"),
    ],
)
def test_post_without_a_token_gets_one_answer_for_every_cause(
    desk: Desk, browser: Browser, token: str, make: Any
) -> None:
    refused = post(browser, make(token))
    forget_runner_token(desk, actor="test")
    without = post(browser, f"Bearer {token}")
    assert (refused.status_code, without.status_code) == (401, 401)
    instance = refused.get_json()["instance"], without.get_json()["instance"]
    assert refused.text.replace(instance[0], "") == without.text.replace(instance[1], "")
    assert refused.headers.getlist("WWW-Authenticate") == ["Bearer"]
    assert count(desk) == 0


def test_session_of_a_person_is_no_token(desk: Desk, browser: Browser, token: str) -> None:
    browser.sign_in()
    assert post(browser, None).status_code == 401
    assert browser.client.get(PATH, base_url=ORIGIN).status_code == 405


def test_token_opens_no_page(desk: Desk, browser: Browser, token: str) -> None:
    for path in ("/", "/placements", f"/placement/{LINK_ID}"):
        answer = browser.client.get(path, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"data": b"{}"}, 400),
        ({"data": make_post(make_check()) + b"\n"}, 400),
        ({"data": b""}, 400),
        ({"data": b"\xff"}, 400),
        ({"data": b"x" * (MAX_CHECKS_BODY_BYTES + 1)}, 413),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"headers": {"Content-Encoding": "gzip"}}, 415),
    ],
)
def test_body_that_is_not_as_the_wire_says_is_refused_whole(
    desk: Desk, browser: Browser, token: str, changes: dict[str, Any], status: int
) -> None:
    headers = {"Authorization": f"Bearer {token}", **changes.pop("headers", {})}
    values = {"data": make_post(make_check()), "content_type": "application/json", "base_url": ORIGIN, **changes}
    answer = browser.client.post(PATH, headers=headers, **values)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert count(desk) == 0


def test_another_host_name_is_turned_away(browser: Browser, token: str) -> None:
    assert post(browser, f"Bearer {token}", base_url="http://desk.example").status_code == 421


@pytest.mark.parametrize("is_runner", [True, False])
def test_posts_with_and_without_the_token_are_counted_apart(
    browser: Browser, token: str, clock: Clock, is_runner: bool
) -> None:
    counted, other = (f"Bearer {token}", None) if is_runner else (None, f"Bearer {token}")
    status, other_status = (204, 401) if is_runner else (401, 204)
    for _ in range(MOST_POSTS):
        assert post(browser, counted).status_code == status
    full = post(browser, counted)
    assert (full.status_code, full.headers["Retry-After"]) == (429, "60")
    assert post(browser, other).status_code == other_status
    clock.now += timedelta(seconds=60)
    assert post(browser, counted).status_code == status


@pytest.mark.parametrize(
    "foreign",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_post_from_another_site_is_refused_and_not_counted(
    desk: Desk, browser: Browser, token: str, foreign: dict[str, str]
) -> None:
    values = {"data": make_post(make_check()), "content_type": "application/json", "base_url": ORIGIN}
    for _ in range(MOST_POSTS + 1):
        assert browser.client.post(PATH, headers=foreign, **values).status_code == 400
    forged = {"Authorization": f"Bearer {token}", **foreign}
    assert browser.client.post(PATH, headers=forged, **values).status_code == 400
    assert count(desk) == 0
    assert post(browser, None).status_code == 401
    assert post(browser, f"Bearer {token}").status_code == 204


def test_clock_that_was_set_back_does_not_shut_the_door(clock: Clock) -> None:
    rate = PostRate()
    assert {rate.take(clock.now) for _ in range(MOST_POSTS)} == {0}
    assert rate.take(clock.now + timedelta(seconds=59, microseconds=1)) == 1
    assert rate.take(clock.now - timedelta(hours=1)) == 0
