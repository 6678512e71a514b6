"""The way from `requests` into the sandbox: an adapter without sockets, and a session that can reach nothing else."""

import io
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from partner_sdk.client.transport import make_session
from partner_sdk.sandbox.answers import ORIGIN, Answer, Request, list_headers
from partner_sdk.sandbox.scenarios import Script


class SandboxAdapter(BaseAdapter):
    """Answers every request of a session in this process; a request for another address gets no connection.

    `requests` keeps what came, so that a test can look at it.
    """

    def __init__(
        self,
        handle: Callable[[Request], Answer],
        *,
        script: Script,
        clock: Callable[[], datetime],
        took: Callable[[Request], None],
    ) -> None:
        super().__init__()
        self._handle = handle
        self._script = script
        self._clock = clock
        self._took = took

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer one request, or raise what `requests` raises when there is no answer."""
        parts = urlsplit(request.url or "")
        if f"{parts.scheme}://{parts.netloc}" != ORIGIN:
            raise requests.exceptions.ConnectionError("A sandbox reaches no address but its own.")
        asked = Request(
            method=request.method or "GET",
            path=parts.path or "/",
            query=parts.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=_read_body(request.body),
        )
        self._took(asked)
        scenario = self._script.take(asked)
        answer = self._handle(asked) if scenario is None else scenario.play(asked, self._handle)
        return self._make_response(request, answer)

    def close(self) -> None:
        """There is nothing to close."""

    def _make_response(self, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
        response = requests.Response()
        response.status_code = int(answer.status)
        response.reason = HTTPStatus(answer.status).phrase
        response.headers = CaseInsensitiveDict(list_headers(answer, date=format_datetime(self._clock(), usegmt=True)))
        response.raw = io.BytesIO(answer.body)
        response.url = request.url or ""
        response.request = request
        response.encoding = "utf-8"
        return response


def make_sandbox_session(adapter: SandboxAdapter) -> requests.Session:
    """Return a session of the SDK whose every request ends in the sandbox, whatever the address."""
    session = make_session()
    session.trust_env = False  # no proxy of this machine stands between
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


def _read_body(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if hasattr(body, "read"):
        return bytes(body.read())
    return b"".join(body) if isinstance(body, Iterable) else bytes(body)
