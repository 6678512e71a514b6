"""Every error of the API paths is a problem document, whatever went wrong; every other one is a page of the door."""

import json
import uuid

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from gateway.web.rules import use_html_error
from partner_sdk.wire.problems import PROBLEMS, Problem
from tests.gateway.web_builders import JSON_BYTES, MARKER, ORIGIN, call, make_test_app

TOO_LARGE = {"data": b"x" * (JSON_BYTES + 1), "content_type": "application/json"}


@pytest.fixture
def app() -> Flask:
    return make_test_app()


def check_problem(answer: TestResponse, *, slug: str, status: int) -> dict[str, object]:
    """Check the shape that every problem has (RFC 9457) and return the document."""
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    document = json.loads(answer.data)
    assert document["type"] == f"{ORIGIN}/problems/{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"
    uuid.UUID(answer.headers["X-Request-Id"])
    assert set(document) <= {"type", "title", "status", "detail", "instance", "errors"}
    return dict(document)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.slug)
def test_refusal_has_the_shape_and_the_row_of_its_problem(app: Flask, problem: Problem) -> None:
    answer = call(app, "GET", f"/v1/refused/{problem.slug}")
    document = check_problem(answer, slug=problem.slug, status=problem.status)
    assert document["title"] == problem.title
    assert document["errors"] == [{"detail": "Say x.", "pointer": "#/x"}]
    assert ("detail" in document) == (problem.status < 500)
    if problem.status in {429, 503}:
        assert int(answer.headers["Retry-After"]) > 0
    assert ("WWW-Authenticate" in answer.headers) == (problem.status == 401)


@pytest.mark.parametrize(
    ("method", "path", "settings", "slug", "status"),
    [
        ("GET", f"/v1/{MARKER}", {}, "not-found", 404),
        ("GET", "/v1", {}, "not-found", 404),
        ("GET", "/feed/status", {}, "not-found", 404),
        ("DELETE", f"/v1/things/{MARKER}", {}, "method-not-allowed", 405),
        ("POST", "/v1/things/1", TOO_LARGE, "body-too-large", 413),
        ("POST", "/v1/things/1", {"data": MARKER, "content_type": "text/plain"}, "unsupported-media-type", 415),
        ("GET", "/v1/crash", {}, "internal-error", 500),
    ],
)  # fmt: skip
def test_error_of_an_api_path_is_a_problem_that_echoes_nothing(
    app: Flask, method: str, path: str, settings: dict[str, object], slug: str, status: int
) -> None:
    answer = call(app, method, path, **settings)
    check_problem(answer, slug=slug, status=status)
    assert MARKER not in answer.get_data(as_text=True)
    assert MARKER not in str(answer.headers)


def test_plain_http_error_without_a_row_is_about_blank(app: Flask) -> None:
    answer = call(
        app,
        "POST",
        "/v1/things/1",
        data=b"{}",
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
    )
    assert answer.status_code == 411
    assert json.loads(answer.data)["type"] == "about:blank"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/crash", 500), ("/v10", 404), ("/v1x/y", 404)])
def test_error_elsewhere_is_the_page_of_the_door(app: Flask, path: str, status: int) -> None:
    answer = call(app, "GET", path)
    assert answer.status_code == status
    assert answer.get_data(as_text=True) == f"<p>page {status} {answer.headers['X-Request-Id']}</p>"


def test_error_page_that_fails_still_ends_in_an_answer_of_ours(app: Flask) -> None:
    def fail(_status: int, _request_id: str) -> str:
        raise RuntimeError(MARKER)

    use_html_error(app, fail)
    answer = call(app, "GET", "/nothing")
    assert answer.status_code == 404
    assert answer.get_data(as_text=True) == f"404. {answer.headers['X-Request-Id']}"


def test_each_problem_type_is_a_page_and_an_unknown_one_is_not_found(app: Flask) -> None:
    for problem in PROBLEMS:
        answer = call(app, "GET", f"/problems/{problem.slug}")
        assert (answer.status_code, problem.slug in answer.get_data(as_text=True)) == (200, True), problem.slug
    assert call(app, "GET", "/problems/no-such-thing").status_code == 404
