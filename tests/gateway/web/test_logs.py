"""The log holds the fields of the allow-list and no person's word, for any request and any error."""

import logging

import pytest

from gateway.web.logs import LOG_FIELDS, UnknownLogFieldError, describe_exception, log_event, log_failure
from tests.gateway.web_builders import MARKER, LogCatcher, call, make_test_app


def fail() -> None:
    raise RuntimeError(MARKER)


def test_request_with_the_marker_everywhere_leaves_no_trace_of_it() -> None:
    app = make_test_app()
    headers = {
        "User-Agent": MARKER,
        "Referer": f"https://{MARKER}.example/",
        "X-Forwarded-For": MARKER,
        "X-Request-Id": MARKER,
        "Cookie": f"journey={MARKER}",
        "Origin": f"https://{MARKER}.example",
    }
    with LogCatcher() as log:
        call(app, "GET", f"/{MARKER}?q={MARKER}", headers=headers)
        call(app, "POST", f"/v1/things/{MARKER}", headers=headers, data=MARKER, content_type="application/json")
        call(app, "POST", "/3", headers=headers, data={"words": MARKER})
        call(app, "GET", "/crash", headers=headers)
        call(app, "GET", "/v1/crash", headers=headers)
        call(app, f"MARK{MARKER.upper()}", "/3", headers=headers)
    assert MARKER not in log.text.lower()
    requests = [line for line in log.lines if line["event"] == "request"]
    assert [line["route"] for line in requests] == [
        "unmatched",
        "/v1/things/<thing>",
        "/3",
        "/crash",
        "/v1/crash",
        "unmatched",
    ]
    assert requests[-1]["method"] == "OTHER"
    assert len([line for line in log.lines if line["event"] == "failure"]) == 2
    assert all(set(line) <= set(LOG_FIELDS) for line in log.lines)


def test_failure_names_the_request_of_the_app_that_answered_when_two_serve_in_one_process() -> None:
    first, second = make_test_app(), make_test_app()
    with LogCatcher() as log:
        answers = [
            call(app, "GET", path) for app, path in ((first, "/crash"), (second, "/v1/crash"), (first, "/crash"))
        ]
        log_failure(RuntimeError(MARKER))
    *failures, outside = [line for line in log.lines if line["event"] == "failure"]
    assert [line["route"] for line in failures] == ["/crash", "/v1/crash", "/crash"]
    assert [line["request_id"] for line in failures] == [answer.headers["X-Request-Id"] for answer in answers]
    assert {"route", "request_id"} & set(outside) == set()


def test_failure_while_one_app_calls_another_names_the_request_of_the_inner_one_and_then_the_outer_again() -> None:
    outer, inner = make_test_app(), make_test_app()
    with LogCatcher() as log, outer.test_request_context("/crash"):
        answer = call(inner, "GET", "/v1/crash")
        log_failure(RuntimeError(MARKER))
    within, after = [line for line in log.lines if line["event"] == "failure"]
    assert (within["route"], within["request_id"]) == ("/v1/crash", answer.headers["X-Request-Id"])
    assert after["route"] == "/crash"
    assert after["request_id"] != within["request_id"]


def test_record_of_a_library_keeps_neither_message_nor_arguments() -> None:
    with LogCatcher() as log:
        try:
            fail()
        except RuntimeError:
            logging.getLogger("some.library").exception("words %s", MARKER)
    (line,) = log.lines
    assert MARKER not in log.text
    assert line["event"] == "library-record"
    assert line["logger"] == "some.library"
    assert line["exception"] == "RuntimeError"


def test_field_outside_the_allow_list_is_refused() -> None:
    with pytest.raises(UnknownLogFieldError):
        log_event("request", path="/x")


def test_value_with_unexpected_characters_is_not_written() -> None:
    with LogCatcher() as log:
        log_event("request", reason="two\nlines and \u2603")
        log_event("request", reason="a" * 121)
    assert [line["reason"] for line in log.lines] == ["unprintable", "unprintable"]


def test_location_names_the_innermost_line_of_our_own_code() -> None:
    try:
        log_event("x", nothing=1)
    except UnknownLogFieldError as error:
        location = describe_exception(error)["location"]
        log_failure(error)
    assert location.startswith("gateway.web.logs:")
