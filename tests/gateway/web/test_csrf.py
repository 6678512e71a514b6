"""Forged posts are refused; a child behind a proxy, on an old phone or slow to type is not. CSRF is on, over https."""

from functools import partial

import pytest
from flask.testing import FlaskClient
from itsdangerous import TimestampSigner
from werkzeug.test import TestResponse

from gateway.config import utc_now
from gateway.web.rules import CsrfRule, find_rule
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.web_builders import ORIGIN, make_test_app


def open_form(*, with_answer: bool = False) -> tuple[FlaskClient, str]:
    """Fetch the form as a browser does and return the client and the token."""
    client = make_test_app(with_answer=with_answer).test_client()
    return client, client.get("/3", base_url=ORIGIN).get_data(as_text=True)


def post(client: FlaskClient, token: str | None, **headers: str) -> TestResponse:
    """Post the form with these headers."""
    data = {"words": "a few words"} | ({} if token is None else {"csrf_token": token})
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/3", base_url=ORIGIN, data=data, headers=sent)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ORIGIN, "Sec_Fetch_Site": "same-origin", "Referer": f"{ORIGIN}/3"},
        {"Origin": ORIGIN},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "null"},
        {"Referer": "https://elsewhere.example/"},
    ],
)
def test_own_post_is_taken_whatever_a_proxy_strips(headers: dict[str, str]) -> None:
    client, token = open_form()
    answer = post(client, token, **headers)
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, "a few words")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://report.example"},
        {"Origin": f"{ORIGIN}:444"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Origin": ORIGIN},
    ],
)
def test_foreign_post_is_refused_even_with_a_good_token_and_never_shown_again(headers: dict[str, str]) -> None:
    client, token = open_form(with_answer=True)
    answer = post(client, token, **headers)
    assert answer.status_code == 400
    assert "a few words" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("token", [None, "", "made-up"])
def test_post_without_a_good_token_is_refused(token: str | None) -> None:
    client, _token = open_form()
    assert post(client, token).status_code == 400


def test_token_of_another_session_is_refused() -> None:
    client, _token = open_form()
    _other, token = open_form()
    assert post(client, token).status_code == 400


def test_door_may_show_the_page_again_with_the_words() -> None:
    client, _token = open_form(with_answer=True)
    assert post(client, "made-up").get_data(as_text=True) == "again: a few words"


def test_token_does_not_age(monkeypatch: pytest.MonkeyPatch) -> None:
    client, token = open_form()
    # Flask-WTF's own limit is an hour; a child may take all evening, or come back to an open tab after a week.
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: int(utc_now().timestamp()) + 7 * 86_400)
    assert post(client, token).status_code == 200


@pytest.mark.parametrize("token", [None, "", "\u0175" * 43])
def test_no_view_that_takes_a_form_is_reached_without_the_token(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    reached: list[str] = []

    def reach(**arguments: str) -> str:
        reached.append(str(arguments))
        return ""

    forms = []
    for route in public.app.url_map.iter_rules():
        stated = find_rule(public.app, route.endpoint)
        if stated is not None and stated.csrf is CsrfRule.TOKEN:
            forms.append(route.rule)
            monkeypatch.setitem(public.app.view_functions, route.endpoint, stated(partial(reach)))
    assert len(forms) > 30
    client = public.app.test_client()
    client.get("/", base_url=ORIGIN)
    for path in forms:
        client.post(path, base_url=ORIGIN, data={} if token is None else {"csrf_token": token})
    assert reached == []
