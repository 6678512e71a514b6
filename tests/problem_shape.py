"""The required shape of every refusal, in one place (RFC 9457, WIRE.md §11)."""

import re

import msgspec
from werkzeug.test import TestResponse

from partner_sdk.wire.problems import Problem

_INSTANCE = re.compile(r"urn:uuid:[0-9a-f-]{36}")


def check_problem(response: TestResponse, problem: Problem, *, origin: str = "https://report.example") -> dict:
    """Fail unless the response is this row of the table, whole and in shape; return the document."""
    document = msgspec.json.decode(response.data)
    assert (response.status_code, document.get("type")) == (problem.status, f"{origin}/problems/{problem.slug}")
    assert response.content_type == "application/problem+json"
    assert (document["title"], document["status"]) == (problem.title, problem.status)
    assert _INSTANCE.fullmatch(document["instance"])
    assert document["instance"].endswith(response.headers["X-Request-Id"])
    if problem.status >= 500:
        assert "detail" not in document
    else:
        assert document["detail"]
    if problem.status in {429, 503}:
        assert int(response.headers["Retry-After"]) >= 1
    assert set(document) <= {"type", "title", "status", "detail", "instance", "errors"}
    assert response.headers["Cache-Control"] == "no-store"
    return document
