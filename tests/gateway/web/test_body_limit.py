"""Bodies are judged by their headers before they are read, and none is cut in silence."""

import io

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.gateway.web_builders import JSON_BYTES, ORIGIN, call, make_test_app

JSON = "application/json"


@pytest.fixture
def app() -> Flask:
    return make_test_app()


class _UnreadBody(io.BytesIO):
    """A body that must not be read."""

    def read(self, *_arguments: object) -> bytes:
        raise AssertionError("the body was read")


def post_unread(app: Flask, path: str, headers: dict[str, str]) -> TestResponse:
    """Post with these headers; reading the body is an error."""
    sent = {name: value for name, value in headers.items() if name != "Content-Length"}
    # Werkzeug's client would count the bytes of the stream itself.
    lengths = {"CONTENT_LENGTH": headers["Content-Length"]} if "Content-Length" in headers else {}
    return call(app, "POST", path, input_stream=_UnreadBody(), headers=sent, environ_overrides=lengths)


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1, 200), (JSON_BYTES, 200), (JSON_BYTES + 1, 413)])
def test_body_is_taken_up_to_the_limit_of_its_route(app: Flask, size: int, status: int) -> None:
    answer = call(app, "POST", "/v1/things/1", data=b"x" * size, content_type=JSON)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": JSON, "Content-Length": str(JSON_BYTES + 1)}, 413),
        ({"Content-Type": JSON, "Content-Length": "10", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "text/plain", "Content-Length": "10"}, 415),
        ({"Content-Length": "10"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "10"}, 415),
        ({"Content-Type": JSON, "Transfer-Encoding": "chunked"}, 411),
        ({"Content-Type": JSON, "Transfer-Encoding": "chunked", "Content-Length": "10"}, 411),
    ],
)
def test_refused_body_is_not_read(app: Flask, headers: dict[str, str], status: int) -> None:
    answer = post_unread(app, "/v1/things/1", headers)
    assert answer.status_code == status


def test_body_is_too_large_also_for_a_view_that_does_not_read_it(app: Flask) -> None:
    headers = {"Content-Type": JSON, "Content-Length": str(JSON_BYTES)}
    assert post_unread(app, "/v1/unread", headers).status_code == 200
    headers["Content-Length"] = str(JSON_BYTES + 1)
    assert post_unread(app, "/v1/unread", headers).status_code == 413


def test_safe_method_takes_no_body(app: Flask) -> None:
    answer = call(app, "GET", "/v1/crash", data=b"{}", content_type=JSON)
    assert answer.status_code == 400
    assert answer.get_json(force=True)["type"] == f"{ORIGIN}/problems/body-not-allowed"


def test_request_without_a_route_may_not_have_its_body_read(app: Flask) -> None:
    answer = post_unread(app, "/v1/nothing", {"Content-Length": "9999999"})
    assert answer.status_code == 404
