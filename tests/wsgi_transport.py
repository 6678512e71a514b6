"""A `requests` adapter that calls a WSGI app in this process: SDK and desk against the gateway, without a socket."""

import io
from collections.abc import Callable, Iterable, Mapping
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from werkzeug.test import EnvironBuilder, run_wsgi_app

from gateway.wiring import get_gateway

WsgiApp = Callable[..., Iterable[bytes]]


class WsgiTransport(BaseAdapter):
    """Mount it on a session for the origin of the app. `https` says what scheme the app sees.

    Each reply names the time of the gateway's clock, as the server in front of it does: a `Date` of another clock than
    the test's would make the test depend on the day.

    `requests` keeps every prepared request that went through, so that a test can show that it was used.
    """

    def __init__(self, app: Flask, *, https: bool = True) -> None:
        super().__init__()
        self.app = app
        self.clock = get_gateway(app).clock
        self.scheme = "https" if https else "http"
        self.requests: list[requests.PreparedRequest] = []

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Run one request through the app and return its answer."""
        self.requests.append(request)
        parts = urlsplit(request.url or "")
        body: object = request.body.encode() if isinstance(request.body, str) else request.body
        if isinstance(body, memoryview):  # a part of evidence: the caller uses the buffer again
            body = bytes(body)
        builder = EnvironBuilder(
            method=request.method or "GET",
            path=str(parts.path) or "/",
            query_string=str(parts.query),
            base_url=f"{self.scheme}://{parts.netloc}",
            headers=[(name, value) for name, value in request.headers.items()],
            input_stream=io.BytesIO(body) if isinstance(body, bytes) else None,
        )
        try:
            chunks, status, headers = run_wsgi_app(self.app, builder.get_environ(), buffered=True)
        finally:
            builder.close()
        response = requests.Response()
        response.status_code = int(status.split(" ", 1)[0])
        response.reason = status.split(" ", 1)[1]
        response.headers = CaseInsensitiveDict(headers.items())
        response.headers["Date"] = format_datetime(self.clock(), usegmt=True)
        response.raw = io.BytesIO(b"".join(chunks))
        response.url = request.url or ""
        response.request = request
        response.encoding = "utf-8"
        return response

    def close(self) -> None:
        """There is nothing to close."""
