"""`requests` as the client uses it: signatures are judged, deadlines hold, and a refusal becomes the right error."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange.request_signatures import check_claim, check_content_digest, parse_signature_headers
from gateway.web.rules import make_document
from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.http import PunctualAdapter, SignedRequestAuth, make_problem_error
from partner_sdk.client.transport import Transport
from partner_sdk.errors import (
    ConflictError,
    FieldFault,
    FormatError,
    NotAuthorisedError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    SignatureProfileError,
    TransportError,
    UnavailableError,
)
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import MEDIA_TYPE, PROBLEMS, Problem
from partner_sdk.wire.signing import public_bytes
from tests.builders import NOW, Partner, StillClock
from tests.builders.local_servers import make_tls
from tests.slow_server import BEGINNINGS, slow_server

URL = "https://report.example/v1/reports"
KEY = Partner().submission_key


def signed(method: str = "POST", url: str = URL, body: bytes | None = b"{}", clock: StillClock | None = None):
    headers = {} if body is None else {"Content-Type": "application/json"}
    auth = SignedRequestAuth(KEY, clock=clock or StillClock())
    return requests.Request(method, url, data=body, headers=headers, auth=auth).prepare()


def claim_of(request: requests.PreparedRequest):
    return parse_signature_headers({name.lower(): value for name, value in request.headers.items()})


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://report.example/v1/mailbox", None),
        ("GET", "https://feed.example/feed/items/report?limit=200", None),
        ("GET", "http://127.0.0.1:8701/feed/status", None),
        ("POST", URL, b"{}"),
        ("PUT", "https://feed.example/feed/lists/keys", b'{"a":1}'),
    ],
)
def test_signed_request_passes_the_strict_profile(method: str, url: str, body: bytes | None) -> None:
    claim = claim_of(signed(method, url, body))
    check_claim(claim, method=method, target_uri=url, has_body=body is not None, public_key=public_bytes(KEY), now=NOW)
    assert claim.covers_body is (body is not None)
    if body is not None:
        check_content_digest(claim, body=body)


def test_signature_names_method_address_type_digest_and_parameters_in_the_one_order() -> None:
    names = claim_of(signed()).parameters
    assert names.startswith('("@method" "@target-uri" "content-type" "content-digest");created=')
    places = [names.index(part) for part in (";created=", ";keyid=", ";alg=", ";nonce=", ";tag=")]
    assert places == sorted(places)


def test_signature_fails_when_the_address_is_another() -> None:
    with pytest.raises(SignatureProfileError):
        check_claim(
            claim_of(signed()),
            method="POST",
            target_uri=URL + "x",
            has_body=True,
            public_key=public_bytes(KEY),
            now=NOW,
        )


def test_each_signature_has_a_nonce_of_its_own() -> None:
    assert len({claim_of(signed()).nonce for _ in range(20)}) == 20


def test_created_is_the_time_of_the_given_clock() -> None:
    clock = StillClock(NOW + timedelta(hours=5))
    assert claim_of(signed(clock=clock)).created == int((NOW + timedelta(hours=5)).timestamp())


def test_body_of_text_is_refused() -> None:
    with pytest.raises(SignatureProfileError) as caught:
        signed(body="{}")
    assert caught.value.reason == "unsignable-body"


def test_body_of_another_type_is_refused() -> None:
    request = requests.Request("POST", URL, data=b"a=1", headers={"Content-Type": "text/plain"})
    with pytest.raises(SignatureProfileError) as caught:
        SignedRequestAuth(KEY, clock=StillClock())(request.prepare())
    assert caught.value.reason == "unsignable-body"


def test_nothing_but_the_signature_is_added() -> None:
    plain = requests.Request("GET", URL).prepare()
    added = set(signed("GET", body=None).headers) - set(plain.headers)
    assert added == {"Signature-Input", "Signature"}


TOTAL_SECONDS = 0.6
# Each wait alone is far below the read time-out, which by itself would never end the call.
EVERY_SECONDS = 0.1
TIMEOUTS = Timeouts(connect_seconds=5, read_seconds=5, total_seconds=TOTAL_SECONDS)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def ends_in_time() -> Iterator[None]:
    """Assert a time-out at the deadline, and that no thread of ours ran; an open socket fails as a warning."""
    threads = threading.active_count()
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        yield
    took = time.monotonic() - started
    assert caught.value.reason == "timeout"
    assert caught.value.__suppress_context__
    assert TOTAL_SECONDS * 0.9 <= took < TOTAL_SECONDS + 1
    assert threading.active_count() == threads
    del caught
    gc.collect()  # not in the time that was measured: it grows with whatever this process has run before


def call(transport: Transport, body: bytes | None = None) -> None:
    try:
        transport.send("GET" if body is None else "POST", "/v1/keys", is_signed=False, body=body)
    finally:
        transport.close()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_slow_reply_ends_at_the_deadline(beginning: str) -> None:
    with slow_server(BEGINNINGS[beginning], every_seconds=EVERY_SECONDS) as port, ends_in_time():
        call(Transport(f"http://127.0.0.1:{port}", timeouts=TIMEOUTS))


def test_body_of_a_redirect_is_not_read_beyond_its_limit() -> None:
    beginning = BEGINNINGS["redirect"].replace(b"60000", b"900000") + bytes(100_000)
    with slow_server(beginning, every_seconds=EVERY_SECONDS) as port:
        transport = Transport(f"http://127.0.0.1:{port}", timeouts=TIMEOUTS)
        with pytest.raises(FormatError) as caught:
            transport.send("GET", "/v1/keys", is_signed=False, max_bytes=1000)
        transport.close()
    assert caught.value.reason == "too-large"


def test_slow_headers_end_at_the_deadline_on_a_session_of_the_callers_own() -> None:
    with slow_server(BEGINNINGS["headers"], every_seconds=EVERY_SECONDS) as port, ends_in_time():
        call(Transport(f"http://127.0.0.1:{port}", session=requests.Session(), timeouts=TIMEOUTS))


def test_adapter_of_the_callers_own_stays() -> None:
    class OwnAdapter(requests.adapters.HTTPAdapter):
        """A partner's own, perhaps with a client certificate."""

    session, own = requests.Session(), OwnAdapter()
    session.mount("https://", own)
    Transport("https://report.example", session=session)
    assert session.get_adapter("https://report.example/") is own
    Transport("http://127.0.0.1", session=session)
    assert isinstance(session.get_adapter("http://127.0.0.1/"), PunctualAdapter)


@pytest.mark.parametrize("beginning", ["headers", "body"])
def test_slow_reply_over_tls_ends_at_the_deadline(tmp_path: Path, beginning: str) -> None:
    context = make_tls(tmp_path)
    with slow_server(BEGINNINGS[beginning], every_seconds=EVERY_SECONDS, tls=context) as port, ends_in_time():
        call(Transport(f"https://127.0.0.1:{port}", ca_file=tmp_path / "server.pem", timeouts=TIMEOUTS))


def test_server_that_takes_a_large_body_slowly_ends_at_the_deadline(tmp_path: Path) -> None:
    context = make_tls(tmp_path)
    with slow_server(b"", every_seconds=EVERY_SECONDS, tls=context) as port, ends_in_time():
        call(
            Transport(f"https://127.0.0.1:{port}", ca_file=tmp_path / "server.pem", timeouts=TIMEOUTS),
            body=bytes(32 * 1024 * 1024),
        )


def test_slow_proxy_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_server(b"HTTP/1.1 200 OK\r\nX-Slow: ", every_seconds=EVERY_SECONDS) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            call(Transport("https://report.example", timeouts=TIMEOUTS))
        assert time.monotonic() - started < TOTAL_SECONDS + 1
    assert caught.value.reason in {"proxy", "timeout"}


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
