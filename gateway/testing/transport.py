"""A `requests` adapter that calls a WSGI app in this process: SDK and desk reach the gateway without a socket."""

import io
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from werkzeug.test import EnvironBuilder, run_wsgi_app

from gateway.wiring import get_gateway


class WsgiTransport(BaseAdapter):
    """Mount it on a session for the origin of the app; `https` is the scheme that the app sees.

    Each answer carries a `Date` of the gateway's clock, as from the server in front of it. `requests` holds every
    request that came, the oldest first.
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
        response = self.answer(request)
        response.headers["Date"] = format_datetime(self.clock(), usegmt=True)
        return response

    def answer(self, request: requests.PreparedRequest) -> requests.Response:
        """Return the app's answer to a request."""
        parts = urlsplit(request.url or "")
        body = _read_body(request.body)
        builder = EnvironBuilder(
            method=request.method or "GET",
            path=str(parts.path) or "/",
            query_string=str(parts.query),
            base_url=f"{self.scheme}://{parts.netloc}",
            headers=[(name, value) for name, value in request.headers.items()],
            input_stream=None if body is None else io.BytesIO(body),
        )
        try:
            chunks, status, headers = run_wsgi_app(self.app, builder.get_environ(), buffered=True)
        finally:
            builder.close()
        return make_response(request, status=status, headers=dict(headers.items()), body=b"".join(chunks))

    def close(self) -> None:
        """There is nothing to close."""


def make_response(
    request: requests.PreparedRequest, *, status: str, headers: Mapping[str, str], body: bytes
) -> requests.Response:
    """Return a response with a status line such as `201 CREATED`."""
    response = requests.Response()
    code, _, response.reason = status.partition(" ")
    response.status_code = int(code)
    response.headers = CaseInsensitiveDict(headers)
    response.raw = io.BytesIO(body)
    response.url = request.url or ""
    response.request = request
    response.encoding = "utf-8"
    return response


def _read_body(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, memoryview | bytearray):  # a part of evidence: the caller uses the buffer again
        return bytes(body)
    return body.read() if hasattr(body, "read") else b"".join(body)
