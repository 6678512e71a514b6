"""The deadline of a call holds however slowly the other side speaks, and nothing is left open behind it."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.http import PunctualAdapter
from partner_sdk.client.transport import Transport
from partner_sdk.errors import FormatError, TransportError
from tests.builders.local_servers import make_tls
from tests.slow_server import BEGINNINGS, slow_server

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
