"""Each answer carries the headers of its surface, errors included."""

import pytest
from itsdangerous import BadSignature

from gateway.web.web_app import HEADERS, SURFACES, CookieSerializer, Session, headers_for
from tests.gateway.web_builders import call, make_test_app

LOCAL = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("path", "surface"),
    [("/3", "page"), ("/nothing", "page"), ("/crash", "page"), ("/v1/nothing", "api"), ("/v1/crash", "api")],
)
def test_answer_carries_every_row_of_its_surface(path: str, surface: str) -> None:
    answer = call(make_test_app(), "GET", path)
    rows = headers_for(surface, is_https=True)
    assert len(rows) >= 6
    for row in rows:
        assert answer.headers.getlist(row.name) == [row.value]


def test_every_surface_starts_from_none_and_every_row_says_why() -> None:
    assert {surface for row in HEADERS for surface in row.surfaces} == set(SURFACES)
    for surface in SURFACES:
        first = headers_for(surface, is_https=True)[0]
        assert first.name == "Content-Security-Policy"
        assert first.value.startswith("default-src 'none'")
        assert "unsafe" not in first.value
        names = [row.name for row in headers_for(surface, is_https=True)]
        assert len(names) == len(set(names))
    assert all(len(row.reason) > 20 for row in HEADERS)


def test_file_may_name_its_own_caching_but_its_error_may_not() -> None:
    app = make_test_app()
    assert "immutable" in call(app, "GET", "/look.css").headers["Cache-Control"]
    assert call(app, "PUT", "/look.css").headers["Cache-Control"] == "no-store"


def test_view_cannot_weaken_a_row() -> None:
    app = make_test_app()
    app.view_functions["pages.show_form"] = make_weak_answer
    answer = call(app, "GET", "/3")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def make_weak_answer() -> tuple[str, dict[str, str]]:
    return "x", {"Cache-Control": "public", "Content-Security-Policy": "default-src *"}


def test_strict_transport_is_for_https_only() -> None:
    assert "Strict-Transport-Security" in call(make_test_app(), "GET", "/3").headers
    assert "Strict-Transport-Security" not in call(make_test_app(origin=LOCAL), "GET", "/3").headers


def test_session_cookie_is_host_bound_over_https_and_plain_on_loopback() -> None:
    secure = call(make_test_app(), "GET", "/3").headers["Set-Cookie"]
    assert secure.startswith("__Host-journey=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(secure.split("; "))
    assert "Domain" not in secure
    assert "Expires" not in secure
    local = call(make_test_app(origin=LOCAL), "GET", "/3").headers["Set-Cookie"]
    assert local.startswith("journey=")
    assert "Secure" not in local
    assert "HttpOnly" in local


def test_cookie_gives_its_session_back_and_one_that_is_not_ours_or_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Session = {"journey": b"\x00\xff", "name": "a-b_c", "since": 7}
    ours = CookieSerializer(b"one key")
    value = ours.dumps(session)
    assert ours.loads(value, max_age=60) == session
    first, rest = value[0], value[1:]
    altered = ("A" if first != "A" else "B") + rest
    no_session = [
        ours._signer.sign(text).decode() for text in (b"", b"@", b"bm8", b"kQE")
    ]  # nothing, no base64, text, [1]
    for bad in (
        altered,
        value[:-1],
        value + "A",
        "",
        "a.b.c",
        "\u00e9",
        CookieSerializer(b"other key").dumps(session),
        *no_session,
    ):
        with pytest.raises(BadSignature):
            ours.loads(bad, max_age=60)
    later = ours._signer.get_timestamp() + 61
    monkeypatch.setattr(ours._signer, "get_timestamp", lambda: later)
    with pytest.raises(BadSignature):
        ours.loads(value, max_age=60)


def test_page_with_a_cookie_that_is_not_ours_is_shown_and_sets_a_new_one() -> None:
    client = make_test_app().test_client()
    client.set_cookie("__Host-journey", "bm8.aaaaaa.bbbb", domain="report.example")
    answer = client.get("/3", base_url="https://report.example")
    assert answer.status_code == 200
    assert answer.headers["Set-Cookie"].startswith("__Host-journey=")


def test_address_with_two_slashes_is_not_redirected_to_the_host_that_was_asked() -> None:
    forged = {"PATH_INFO": "/v1//crash", "HTTP_HOST": "evil.example"}
    answer = call(make_test_app(), "GET", "/v1/crash", environ_overrides=forged)
    assert answer.status_code == 404
    assert "Location" not in answer.headers


def test_page_with_a_form_sends_its_referrer_to_itself_only() -> None:
    # no-referrer together with a strict check would refuse every post over https.
    assert call(make_test_app(), "GET", "/3").headers["Referrer-Policy"] == "same-origin"
