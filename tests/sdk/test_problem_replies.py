"""A refusal becomes the right error, whatever its body holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.client.http import make_problem_error
from partner_sdk.errors import (
    ConflictError,
    FieldFault,
    NotAuthorisedError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import MEDIA_TYPE, PROBLEMS, Problem, make_document

REQUEST_ID = "01a211d3-7340-7ff3-b7d7-b412be473e63"
CLASSES = {401: NotAuthorisedError, 409: ConflictError, 429: RateLimitedError}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.slug)
def test_each_problem_of_the_table_comes_back_as_it_was_made(problem: Problem) -> None:
    faults = [FieldFault("#/incident", "Add this field.")]
    document = make_document(problem, origin="https://report.example", request_id=REQUEST_ID, faults=faults)
    error = make_problem_error(problem.status, encode(document), media_type=MEDIA_TYPE, retry_after="7")
    expected = UnavailableError if problem.status >= 500 else CLASSES.get(problem.status, RefusedError)
    assert type(error) is expected
    assert (error.reason, error.title, error.detail) == (problem.slug, problem.title, problem.advice)
    assert (error.status, error.request_id, error.retry_after_seconds) == (problem.status, REQUEST_ID, 7)
    assert error.faults == tuple(faults)


def test_page_of_a_proxy_becomes_an_error_by_its_status() -> None:
    error = make_problem_error(502, b"<h1>Bad gateway</h1>", media_type="text/html", retry_after=None)
    assert isinstance(error, UnavailableError)
    assert error.type == "about:blank"
    assert "Bad gateway" not in str(error)


def test_known_type_under_another_status_is_not_believed() -> None:
    document = encode({"type": "https://report.example/problems/rate-limited", "title": "x"})
    error = make_problem_error(400, document, media_type=MEDIA_TYPE, retry_after=None)
    assert isinstance(error, RefusedError)
    assert error.reason != "rate-limited"


def test_control_characters_do_not_reach_the_terminal() -> None:
    document = {
        "type": "https://report.example/problems/not-found",
        "detail": "a\x1b[2Jb\u202ec",
        "errors": [{"pointer": "#/\x1b", "detail": "\x07"}],
    }
    error = make_problem_error(404, encode(document), media_type=MEDIA_TYPE, retry_after=None)
    text = str(error) + "".join(fault.pointer + fault.detail for fault in error.faults)
    assert text.isprintable()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("5", 5), (" 5 ", 5), ("-1", None), ("soon", None), ("1e3", None), ("999999999", 86_400)],
)
def test_retry_after_is_read_in_seconds_and_bounded(header: str | None, seconds: int | None) -> None:
    error = make_problem_error(503, b"", media_type="", retry_after=header)
    assert error.retry_after_seconds == seconds


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=4)
MEMBERS = st.sampled_from(["type", "title", "status", "detail", "instance", "errors"])


@given(st.integers(300, 599), st.binary(max_size=60) | st.dictionaries(MEMBERS, JSON).map(encode), st.text(max_size=12))
def test_any_refusal_becomes_a_problem_error(status: int, raw: bytes, retry_after: str) -> None:
    error = make_problem_error(status, raw, media_type=MEDIA_TYPE, retry_after=retry_after)
    assert isinstance(error, ProblemError)
    assert error.status == status
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        ("Wed, 25 Nov 2026 08:31:00 GMT", "Wed, 25 Nov 2026 08:30:00 GMT", 60),
        ("Wed, 25 Nov 2026 08:29:00 GMT", "Wed, 25 Nov 2026 08:30:00 GMT", 0),
        ("Wed, 25 Nov 2099 08:29:00 GMT", "Wed, 25 Nov 2026 08:30:00 GMT", 24 * 3600),
        ("Wed, 25 Nov 2026 08:31:00 GMT", None, None),
        ("Wed, 25 Nov 2026 08:31:00 GMT", "soon", None),
        ("Wed, 25 Nov 2026 08:31:00", "Wed, 25 Nov 2026 08:30:00 GMT", None),
    ],
)
def test_wait_until_a_date_is_counted_from_the_date_of_the_reply(
    header: str, date: str | None, seconds: int | None
) -> None:
    error = make_problem_error(503, b"", media_type="", retry_after=header, date=date)
    assert error.retry_after_seconds == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_words_in_place_of_dates_give_no_wait_or_a_bounded_one(retry_after: str, date: str) -> None:
    error = make_problem_error(503, b"", media_type="", retry_after=retry_after, date=date)
    assert error.retry_after_seconds is None or 0 <= error.retry_after_seconds <= 24 * 3600
