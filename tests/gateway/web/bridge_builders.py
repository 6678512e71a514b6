"""A server without sockets: calls the bridge as granian does, and plays a caller sending a body in pieces."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.web.server_process import make_body_rule, make_journey_finder
from gateway.web.wsgi_bridge import BodyReader, WsgiApp, WsgiBridge

FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)
LEAVES = None
"""In a list of pieces: the caller closes the connection."""


@dataclass
class Call:
    """One request and its answer; after the last of `pieces` the caller sends nothing more, and stays."""

    method: str = "POST"
    path: bytes = b"/v1/things/1"
    query: bytes = b""
    headers: Iterable[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),)
    length: int | None = None
    address: str = "192.0.2.7"
    pieces: Iterable[bytes | None] = ()
    read: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)

    def scope(self) -> dict[str, Any]:
        """Return the head of the request."""
        length = [] if self.length is None else [(b"content-length", str(self.length).encode())]
        return {
            "type": "http",
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path.decode(),
            "raw_path": self.path,
            "query_string": self.query,
            "client": (self.address, "40000"),
            "server": ("127.0.0.1", "8080"),
            "headers": [(b"host", b"report.example"), *self.headers, *length],
        }

    async def receive(self) -> dict[str, Any]:
        """Give the next piece."""
        self.read += 1
        for piece in self.pieces:
            if piece is LEAVES:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError("nothing sets that event")

    async def send(self, message: dict[str, Any]) -> None:
        """Take a part of the answer."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The answer's status."""
        return int(self.sent[0]["status"])

    @property
    def answer_headers(self) -> dict[str, str]:
        """The answer's headers."""
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return b"".join(message["body"] for message in self.sent[1:])


def make_bridge(
    app: WsgiApp, *, seconds: float = 5, room_bytes: int = 1_000_000, threads: int = 2, is_shared: bool = False
) -> WsgiBridge:
    """Return the bridge of an app, its rules for bodies as the server process takes them from the app."""
    bodies = BodyReader(seconds=seconds, room_bytes=room_bytes, is_shared=is_shared)
    finder = make_journey_finder(app)
    return WsgiBridge(app, body_rule=make_body_rule(app), bodies=bodies, threads=threads, find_journey=finder)


def serve(bridge: WsgiBridge, *calls: Call) -> Call:
    """Let the bridge answer these calls at the same time; returns the last."""
    for call in calls:
        call.pieces = iter(call.pieces)

    async def answer_all() -> None:
        await asyncio.gather(*(bridge(call.scope(), call.receive, call.send) for call in calls))

    asyncio.run(answer_all())
    return calls[-1]


def hold(address: str, *, path: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int) -> Call:
    """Return a call that sends all of its body but the last byte, and then waits."""
    return Call(path=path, headers=headers, length=length, pieces=(b"x" * (length - 1),), address=address)


async def call_all(bridge: WsgiBridge, calls: list[Call]) -> None:
    """Let the bridge answer these calls at the same time."""
    await asyncio.gather(*(bridge(call.scope(), call.receive, call.send) for call in calls))
