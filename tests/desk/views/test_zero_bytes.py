"""A zero byte, which PostgreSQL cannot store, meets no page of the desk."""

import re

import pytest

from gateway.desk.wiring import Desk
from gateway.web.rules import FORM, Login, find_rule
from tests.desk.view_builders import Browser


@pytest.mark.databases("postgresql")
def test_zero_byte_in_a_form_or_an_address_is_refused_before_the_database_meets_it(desk: Desk) -> None:
    browser = Browser(desk).sign_in()
    app, tried = browser.client.application, 0
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        assert stated is not None
        if stated.login is Login.OPEN:
            continue
        at, zero_at = (re.sub(r"<[^>]+>", value, route.rule) for value in ("anything", "%00"))
        if stated.body_media_type == FORM and "POST" in (route.methods or ()):
            assert browser.post(at, anything=["a", "b\0c"]).status_code == 400, at
            tried += 1
        if at != zero_at and "GET" in (route.methods or ()):
            assert browser.get(zero_at).status_code == 400, at
            tried += 1
    assert tried >= 20
    assert browser.get("/?lane=%00").status_code == 400
    assert "Nothing was changed" in browser.post("/sign-out", anything="\0").text
    assert browser.get("/").status_code == 200
