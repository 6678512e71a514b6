"""One try of a request: sends it, returns the reply or raises an error of errors.py.

Nothing of `requests` or `urllib3` crosses this
border, no redirect is followed, no cookie is kept. Retries stand above the signing: every try is signed afresh over the
same body (WIRE.md §6.1). One deadline holds for everything (http.py).

The log is one logger of the standard library, `report_abuse_partner`. An event has a name and fields of a table below:
in its line, and as `event` and `fields` of the record. Nothing else is logged, so no text of a report, a message or an
error can be.
"""

import logging
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests.adapters import HTTPAdapter

from partner_sdk import __version__
from partner_sdk.client.exchange import (
    DEFAULT_PORTS,
    DEFAULT_TIMEOUTS,
    LOGGER,
    MAX_REPLY_BYTES,
    Reply,
    Timeouts,
    check_origin,
)
from partner_sdk.client.http import (
    PartBody,
    PunctualAdapter,
    SignedRequestAuth,
    UnsignedRequestAuth,
    deadline_at,
    make_problem_error,
    read_clock,
    read_retry_after,
)
from partner_sdk.errors import (
    FormatError,
    LocalStateError,
    NotAuthorisedError,
    ProblemError,
    TransportError,
)
from partner_sdk.wire.signing import CONTENT_TYPE, PART_CONTENT_TYPE, content_digest_of

LOGGER.addHandler(logging.NullHandler())  # silent until the program configures logging


USER_AGENT = f"report-abuse-partner-sdk/{__version__}"
# Less cannot be the reason for a 401: the gateway allows 60 seconds (WIRE.md §7).
CLOCK_TOLERANCE_SECONDS = 30
# More is no wrong clock: a forger of `Date` would collect signatures for any year it likes.
MAX_CLOCK_CORRECTION_SECONDS = 24 * 3600

_CHUNK_BYTES = 64 * 1024
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+(?:\?[A-Za-z0-9._~=&-]+)?")


def make_session() -> requests.Session:
    """Return a session that keeps no cookie; proxies stay as this machine's environment has them."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in DEFAULT_PORTS:
        session.mount(f"{scheme}://", PunctualAdapter())
    return session


class Transport:
    """Speaks with one origin, signing with one key. For one thread at a time, as `requests` is.

    `ca_file` is given with every request: set on the session only, REQUESTS_CA_BUNDLE would silently replace it. On a
    session of the caller's own, the plain adapter of `requests` is replaced for this origin: it keeps no deadline.
    """

    def __init__(
        self,
        origin: str,
        *,
        private_key: Ed25519PrivateKey | None = None,
        ca_file: Path | None = None,
        session: requests.Session | None = None,
        clock: Callable[[], datetime] = read_clock,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        user_agent: str = USER_AGENT,
        find_newer_key: "Callable[[Transport], Ed25519PrivateKey | None]" = lambda _: None,
    ) -> None:
        check_origin(origin)
        if ca_file is not None and not ca_file.is_file():
            raise LocalStateError(f"There is no certificate file at {ca_file}.", reason="no-ca-file")
        self.origin = origin
        self.clock_offset_seconds = 0
        self.clock_difference_seconds: int | None = None
        self._session = make_session() if session is None else session
        if type(self._session.get_adapter(origin)) is HTTPAdapter:
            self._session.mount(origin, PunctualAdapter())
        self._verify: bool | str = True if ca_file is None else str(ca_file)
        self._clock = clock
        self._timeouts = timeouts
        self._user_agent = user_agent
        self._private_key = private_key
        self._is_clock_corrected = False
        self._find_newer_key = find_newer_key
        self._signed = None if private_key is None else self._make_auth(private_key)

    @property
    def key_id(self) -> str | None:
        """The id of the key that signs."""
        return None if self._signed is None else self._signed.key_id

    def use_key(self, private_key: Ed25519PrivateKey) -> None:
        """Sign with another key from now on."""
        self._private_key, self._signed = private_key, self._make_auth(private_key)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | PartBody | None = None,
        is_signed: bool = True,
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> Reply:
        """Send one request, signed afresh, and return a 2xx reply.

        Raises `TransportError` when no reply came, `FormatError` for one that is too large, else `ProblemError`. After
        a 401 it compares this machine's clock with the reply's `Date`; if they differ, by a day at most, it corrects
        the time of its signatures once and sends once more. The correction never touches the judgement of key sets:
        a forged `Date` must not revive an expired one. After another 401 it looks for a newer key (_keys.py),
        and sends once more with that.
        """
        try:
            return self._send_on_time(method, path, body=body, is_signed=is_signed, max_bytes=max_bytes)
        except NotAuthorisedError:
            newer = self._find_newer_key(self) if is_signed else None
            if newer is None:
                raise
            self.use_key(newer)
        return self._send_on_time(method, path, body=body, is_signed=is_signed, max_bytes=max_bytes)

    def send_as(self, private_key: Ed25519PrivateKey, method: str, path: str, *, max_bytes: int) -> Reply:
        """Send one request without a body, signed with another key this once; raises as `send`."""
        own = self._signed
        self._signed = self._make_auth(private_key)
        try:
            return self._send_on_time(method, path, body=None, is_signed=True, max_bytes=max_bytes)
        finally:
            self._signed = own

    def open_beside(self, *, timeouts: Timeouts) -> "Transport":
        """Return a transport like this one for another thread; `close` of this one closes its connections too.

        A session of `requests` is for one thread; the pools of connections that it sends through are for many.
        """
        session = make_session()
        session.adapters = self._session.adapters
        for name in ("headers", "proxies", "trust_env", "verify", "cert", "params", "hooks"):
            setattr(session, name, getattr(self._session, name))
        beside = Transport(
            self.origin,
            private_key=self._private_key,
            ca_file=Path(self._verify) if isinstance(self._verify, str) else None,
            session=session,
            clock=self._clock,
            timeouts=timeouts,
            user_agent=self._user_agent,
            find_newer_key=self._find_newer_key,
        )
        beside.clock_offset_seconds, beside._is_clock_corrected = self.clock_offset_seconds, self._is_clock_corrected
        return beside

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _make_auth(self, private_key: Ed25519PrivateKey) -> SignedRequestAuth:
        return SignedRequestAuth(private_key, clock=self._corrected_clock)

    def _send_on_time(
        self, method: str, path: str, *, body: bytes | PartBody | None, is_signed: bool, max_bytes: int
    ) -> Reply:
        """Send once, and once more after a correction of the clock."""
        deadline = time.monotonic() + self._timeouts.total_seconds
        try:
            return self._exchange(method, path, body=body, is_signed=is_signed, max_bytes=max_bytes, deadline=deadline)
        except NotAuthorisedError:
            if not is_signed or not self._correct_clock():
                raise
        return self._exchange(method, path, body=body, is_signed=is_signed, max_bytes=max_bytes, deadline=deadline)

    def _exchange(
        self, method: str, path: str, *, body: bytes | PartBody | None, is_signed: bool, max_bytes: int, deadline: float
    ) -> Reply:
        if not _PATH.fullmatch(path):
            raise FormatError("A path may hold only unreserved characters.", reason="bad-path")
        try:
            with deadline_at(deadline):
                response = self._send_prepared(
                    method, self.origin + path, body=body, is_signed=is_signed, deadline=deadline
                )
                with response:
                    received = self._read(response, max_bytes=max_bytes, deadline=deadline)
        except requests.Timeout:
            raise _make_timeout() from None
        except requests.exceptions.SSLError:
            raise TransportError(
                "The gateway's certificate is not trusted here; a private authority needs --ca-file.", reason="tls"
            ) from None
        except requests.exceptions.ProxyError:
            raise TransportError("This machine's proxy does not answer.", reason="proxy") from None
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:  # RequestException is an OSError
            # `requests` calls a time-out in the body, and while it sends, a lost connection.
            if time.monotonic() >= deadline or _is_read_timeout(error):
                raise _make_timeout() from None
            raise TransportError(f"Could not connect to the gateway at {self.origin}.", reason="connection") from None
        self._note_date(response.headers.get("Date"))
        if 200 <= response.status_code < 300:
            wait = read_retry_after(response.headers.get("Retry-After"), date=response.headers.get("Date"))
            return Reply(status=response.status_code, body=received, retry_after_seconds=wait)
        raise self._problem(response, received)

    def _send_prepared(
        self, method: str, url: str, *, body: bytes | PartBody | None, is_signed: bool, deadline: float
    ) -> requests.Response:
        if is_signed and self._signed is None:
            raise LocalStateError("This call must be signed, but there is no key.", reason="no-key")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": self._user_agent}
        content: bytes | memoryview | None = None
        if isinstance(body, PartBody):
            content = body.content
            headers |= {"Content-Digest": content_digest_of(body.sha256), "Content-Type": PART_CONTENT_TYPE}
        elif body is not None:
            content, headers["Content-Type"] = body, CONTENT_TYPE
        auth = self._signed if is_signed else UnsignedRequestAuth()
        made: Any = requests.Request(method, url, headers=headers, auth=auth)
        made.data = content if content is not None else []  # whose types do not know that a memoryview is sent as it is
        request = self._session.prepare_request(made)
        if request.url != url:
            raise FormatError("The address holds characters that cannot be sent.", reason="bad-origin")
        request.hooks["response"].append(_forget_location)
        settings = self._session.merge_environment_settings(url, {}, True, self._verify, None)
        left = deadline - time.monotonic()
        if left <= 0:
            raise _make_timeout()
        return self._session.send(
            request,
            allow_redirects=False,
            timeout=(min(self._timeouts.connect_seconds, left), min(self._timeouts.read_seconds, left)),
            **settings,
        )

    def _read(self, response: requests.Response, *, max_bytes: int, deadline: float) -> bytes:
        received = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            received += chunk
            if len(received) > max_bytes:
                raise FormatError("The reply is too large.", reason="too-large")
            if time.monotonic() > deadline:
                raise _make_timeout()
        return bytes(received)

    def _problem(self, response: requests.Response, received: bytes) -> ProblemError:
        return make_problem_error(
            response.status_code,
            received,
            media_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After"),
            date=response.headers.get("Date"),
        )

    def _corrected_clock(self) -> datetime:
        return self._clock() + timedelta(seconds=self.clock_offset_seconds)

    def _note_date(self, date: str | None) -> None:
        if date is None:
            return
        try:
            server = parsedate_to_datetime(date)
            self.clock_difference_seconds = round((server - self._clock()).total_seconds())
        except (TypeError, ValueError, OverflowError):  # not a date, or one without a time zone
            return

    def _correct_clock(self) -> bool:
        difference = self.clock_difference_seconds
        if self._is_clock_corrected or difference is None:
            return False
        if not CLOCK_TOLERANCE_SECONDS <= abs(difference) <= MAX_CLOCK_CORRECTION_SECONDS:
            return False
        self._is_clock_corrected = True
        self.clock_offset_seconds = difference
        return True


def _make_timeout() -> TransportError:
    return TransportError("The gateway did not answer in time.", reason="timeout")


def _is_read_timeout(error: Exception) -> bool:
    return any(isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in (error, *error.args))


def _forget_location(response: requests.Response, **_: object) -> None:
    # For a redirect that is not followed, `requests` would read the whole body, of any size, before we see it.
    response.headers.pop("Location", None)
