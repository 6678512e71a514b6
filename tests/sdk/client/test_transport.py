"""One exchange: sent bytes, bytes never sent, and a name for every failure."""

import ssl
import time
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
import urllib3

from partner_sdk.client.exchange import Timeouts, check_origin
from partner_sdk.client.transport import USER_AGENT, Transport
from partner_sdk.errors import (
    FormatError,
    LocalStateError,
    NotAuthorisedError,
    RefusedError,
    ReportAbuseError,
    TransportError,
)
from tests.builders import DAY, NOW, PUBLIC_ORIGIN, Partner, StillClock
from tests.sdk.sdk_builders import ScriptedGateway, session_for

OK = (200, {}, b"{}")
POOL = urllib3.HTTPConnectionPool("report.example")


def make_transport(gateway: ScriptedGateway, **settings: object) -> Transport:
    defaults = {"private_key": Partner().submission_key, "session": session_for(gateway), "clock": StillClock()}
    return Transport(PUBLIC_ORIGIN, **{**defaults, **settings})


def created_of(request: requests.PreparedRequest) -> int:
    return int(request.headers["Signature-Input"].split(";created=")[1].split(";")[0])


def test_request_names_the_version_and_asks_for_plain_json() -> None:
    gateway = ScriptedGateway(OK)
    make_transport(gateway).send("GET", "/v1/status")
    headers = gateway.requests[0].headers
    assert headers["User-Agent"] == USER_AGENT == "report-abuse-partner-sdk/0.1.0"
    assert headers["Accept-Encoding"] == "identity"
    gateway.check_used(1)


def test_every_request_has_both_timeouts() -> None:
    gateway = ScriptedGateway(OK)
    make_transport(gateway, timeouts=Timeouts(connect_seconds=2, read_seconds=7)).send("GET", "/v1/status")
    assert gateway.settings[0]["timeout"] == (2, 7)


def test_ca_file_is_used_when_the_environment_names_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tmp_path / "ours.pem"
    ours.write_text("x", encoding="ascii")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/elsewhere/ca.pem")
    gateway = ScriptedGateway(OK)
    make_transport(gateway, ca_file=ours).send("GET", "/v1/status")
    assert gateway.settings[0]["verify"] == str(ours)


def test_missing_ca_file_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(LocalStateError) as caught:
        make_transport(ScriptedGateway(), ca_file=tmp_path / "none.pem")
    assert caught.value.reason == "no-ca-file"


def test_proxy_of_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    gateway = ScriptedGateway(OK)
    make_transport(gateway).send("GET", "/v1/status")
    assert gateway.settings[0]["proxies"]["https"] == "http://proxy.example:3128"


@pytest.mark.parametrize("is_signed", [True, False])
def test_password_in_netrc_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_signed: bool) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine report.example login someone password something\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    gateway = ScriptedGateway(OK)
    make_transport(gateway).send("GET", "/v1/keys", is_signed=is_signed)
    assert "Authorization" not in gateway.requests[0].headers
    gateway.check_used(1)


def test_unsigned_request_has_no_signature() -> None:
    gateway = ScriptedGateway(OK)
    make_transport(gateway).send("POST", "/v1/enrol", body=b"{}", is_signed=False)
    headers = gateway.requests[0].headers
    assert "Signature" not in headers
    assert headers["Content-Type"] == "application/json"


def test_redirect_is_refused_and_not_followed() -> None:
    gateway = ScriptedGateway((302, {"Location": "https://elsewhere.example/"}, b""))
    with pytest.raises(RefusedError) as caught:
        make_transport(gateway).send("GET", "/v1/status")
    assert caught.value.status == 302
    gateway.check_used(1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.ConnectTimeout(), "timeout"),
        (requests.ReadTimeout(), "timeout"),
        (requests.ConnectionError(), "connection"),
        (requests.exceptions.SSLError(), "tls"),
        (requests.exceptions.ProxyError(), "proxy"),
        (requests.exceptions.ChunkedEncodingError(), "connection"),
        (requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(POOL, "/", "late")), "timeout"),
        (requests.exceptions.InvalidURL(), "connection"),
        (urllib3.exceptions.ProtocolError(), "connection"),
        (ssl.SSLError(), "connection"),
        (OSError("no certificate bundle"), "connection"),
        (ValueError("odd header"), "connection"),
    ],
)
def test_failure_without_reply_is_a_transport_error(error: Exception, reason: str) -> None:
    gateway = ScriptedGateway(error)
    with pytest.raises(TransportError) as caught:
        make_transport(gateway).send("GET", "/v1/status")
    assert caught.value.reason == reason
    assert caught.value.__suppress_context__
    gateway.check_used(1)


def test_reply_larger_than_allowed_is_refused() -> None:
    gateway = ScriptedGateway((200, {}, b"x" * 11))
    with pytest.raises(FormatError) as caught:
        make_transport(gateway).send("GET", "/v1/status", max_bytes=10)
    assert caught.value.reason == "too-large"


def test_reply_that_drips_too_long_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 1000, 50))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    gateway = ScriptedGateway((200, {}, b"x" * 200_000))
    with pytest.raises(TransportError) as caught:
        make_transport(gateway).send("GET", "/v1/status")
    assert caught.value.reason == "timeout"


def test_second_try_is_within_the_same_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 1000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    gateway = ScriptedGateway((401, {"Date": format_datetime(NOW - DAY, usegmt=True)}, b""))
    with pytest.raises(TransportError) as caught:
        make_transport(gateway, timeouts=Timeouts(total_seconds=45)).send("GET", "/v1/status")
    assert caught.value.reason == "timeout"
    gateway.check_used(1)


def test_clock_is_corrected_from_date_once_when_refused() -> None:
    server_now = NOW - DAY
    refused = (401, {"Date": format_datetime(server_now, usegmt=True)}, b"")
    gateway = ScriptedGateway(refused, OK, refused)
    transport = make_transport(gateway)
    assert transport.send("GET", "/v1/status").status == 200
    assert [created_of(request) for request in gateway.requests] == [
        int(NOW.timestamp()),
        int(server_now.timestamp()),
    ]
    assert transport.clock_offset_seconds == -86_400
    with pytest.raises(NotAuthorisedError):
        transport.send("GET", "/v1/status")
    gateway.check_used(3)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": format_datetime(NOW, usegmt=True)},
        {"Date": format_datetime(NOW - DAY - timedelta(seconds=1), usegmt=True)},
        {"Date": format_datetime(NOW + DAY + timedelta(seconds=1), usegmt=True)},
        {"Date": "yesterday"},
        {"Date": "Wed, 25 Nov 2026 08:30:00"},
        {"Date": "Wed, 25 Nov 999999 08:30:00 GMT"},
    ],
)
def test_refusal_is_final_when_the_clock_does_not_explain_it(headers: dict[str, str]) -> None:
    gateway = ScriptedGateway((401, headers, b""))
    transport = make_transport(gateway)
    with pytest.raises(NotAuthorisedError):
        transport.send("GET", "/v1/status")
    assert transport.clock_offset_seconds == 0
    gateway.check_used(1)


def test_unsigned_refusal_is_final() -> None:
    gateway = ScriptedGateway((401, {"Date": format_datetime(NOW - DAY, usegmt=True)}, b""))
    with pytest.raises(NotAuthorisedError):
        make_transport(gateway).send("GET", "/v1/keys", is_signed=False)
    gateway.check_used(1)


@pytest.mark.parametrize(
    "origin",
    [
        "https://report.example",
        "https://report.example:8443",
        "http://127.0.0.1:8700",
        "http://localhost",
        "http://[::1]:8700",
    ],
)
def test_origin_is_taken(origin: str) -> None:
    check_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://report.example",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "https://report.example/",
        "https://report.example:443",
        "https://Report.example",
        "https://someone@report.example",
        "https://report.example?x",
        "ftp://report.example",
        "report.example",
        "",
    ],
)
def test_origin_is_refused(origin: str) -> None:
    with pytest.raises(FormatError) as caught:
        Transport(origin)
    assert caught.value.reason == "bad-origin"


@pytest.mark.parametrize("path", ["v1/keys", "/v1/a%2Fb", "/v1/ä", "/v1//keys", "/v1/x y", "https://elsewhere.example"])
def test_path_with_other_characters_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        make_transport(ScriptedGateway()).send("GET", path)


def test_signed_call_without_a_key_is_refused() -> None:
    with pytest.raises(ReportAbuseError) as caught:
        make_transport(ScriptedGateway(), private_key=None).send("GET", "/v1/mailbox")
    assert caught.value.reason == "no-key"
