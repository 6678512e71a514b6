"""The library `requests` as this SDK uses it: signed, within one deadline, and a refusal becomes an error of ours.

Signs in one profile of RFC 9421 (WIRE.md §7): this is the client half; the gateway has the checking half.
Never signs a request twice: a retry is a new request with a new signature.

A read time-out alone bounds each wait for a byte: a server that sends one now and then would hold a caller forever, in
the headers as in the body. Here each wait is cut to the time left until the deadline. No threads. Not bounded: looking
up a name, and a SOCKS proxy's connections.

A problem document (RFC 9457) comes from outside: printed text from it is cut and freed of control characters, and an
unknown or damaged document still becomes the right class, by its status.
"""

import http.client
import io
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from partner_sdk.errors import (
    ConflictError,
    FieldFault,
    NotAuthorisedError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    SignatureProfileError,
    UnavailableError,
)
from partner_sdk.wire.canonical import decode, to_base64url
from partner_sdk.wire.problems import MEDIA_TYPE, find_problem
from partner_sdk.wire.signing import (
    CONTENT_TYPE,
    COVERED_WITH_BODY,
    COVERED_WITHOUT_BODY,
    LABEL,
    PART_CONTENT_TYPE,
    TAG,
    content_digest,
    key_id_of,
    public_bytes,
)

NONCE_BYTES = 16


def read_clock() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)


class PartBody(msgspec.Struct, frozen=True):
    """A part of evidence: eight megabytes that are hashed once, by their sealer, and never copied."""

    content: memoryview
    sha256: bytes


class SignedRequestAuth(AuthBase):
    """Signs each request that passes with one Ed25519 key, at the moment that `clock` gives.

    Send with `allow_redirects=False`: `requests` would carry these headers to the new address. transport.py does so.
    """

    def __init__(
        self,
        private_key: Ed25519PrivateKey,
        *,
        clock: Callable[[], datetime] = read_clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.key_id = key_id_of(public_bytes(private_key))
        self._clock = clock
        self._random = random
        # Imported here: it takes a fifth of the time that importing the SDK takes.
        from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
        from http_message_signatures.algorithms import ED25519

        # The library writes the parameters as created, keyid, alg, nonce, tag: the order that the profile fixes.
        self._signer = HTTPMessageSigner(
            signature_algorithm=ED25519,
            key_resolver=MappingKeyResolver(public_keys={}, private_keys={self.key_id: private_key}),
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add `Content-Digest`, `Signature-Input` and `Signature`; a body must be bytes of the one content type.

        A part of evidence comes as a memoryview of its own content type, and brings its `Content-Digest` with it.
        """
        body: object = request.body
        if isinstance(body, memoryview):
            if request.headers.get("Content-Type") != PART_CONTENT_TYPE or "Content-Digest" not in request.headers:
                raise SignatureProfileError("A part needs its content type and digest.", reason="unsignable-body")
        elif isinstance(body, bytes):
            if request.headers.get("Content-Type") != CONTENT_TYPE:
                raise SignatureProfileError(f"A body must be sent as {CONTENT_TYPE}.", reason="unsignable-body")
            request.headers["Content-Digest"] = content_digest(body)
        elif body is not None:
            raise SignatureProfileError("Only a bytes body can be signed.", reason="unsignable-body")
        self._signer.sign(
            request,
            key_id=self.key_id,
            created=self._clock(),
            nonce=to_base64url(self._random(NONCE_BYTES)),
            label=LABEL,
            tag=TAG,
            covered_component_ids=COVERED_WITHOUT_BODY if body is None else COVERED_WITH_BODY,
            body=body if isinstance(body, bytes) else None,  # given it, the library would hash a part again
            use_existing_digest=body is not None,
        )
        return request


class UnsignedRequestAuth(AuthBase):
    """Leaves a request as it is.

    Without it, `requests` would look for a password in `~/.netrc` and send that along.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request unchanged."""
        return request


# How much is sent between two looks at the clock: one TLS record (RFC 8446 §5.1).
_PIECE_BYTES = 16 * 1024
# `requests` and `urllib3` hand nothing of ours down to a connection.
_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline_at(moment: float) -> Iterator[None]:
    """Let everything inside that waits for a `PunctualAdapter` end with a time-out at `moment` (`time.monotonic`)."""
    token = _DEADLINE.set(moment)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class PunctualAdapter(HTTPAdapter):
    """The adapter of `requests`, with connections that keep the deadline."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class PunctualBytes(io.RawIOBase):
    """The bytes of a socket, until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float | None) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline
        self._source = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that `http.client` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        limit_wait(self._sock, self._deadline)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _PunctualResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        incoming: Any = PunctualBytes(sock, _DEADLINE.get())  # of a socket `http.client` asks for nothing but the file
        super().__init__(incoming, *args, **settings)


class _Punctual(http.client.HTTPConnection):
    response_class = _PunctualResponse

    def send(self, data: Any) -> None:
        # Over TLS each record that is sent may wait as long as the time-out says. On a plain socket that holds for all
        # of a `sendall` (Python's socket, since 3.5): a part of evidence goes there in one piece.
        pieces = [data]
        if isinstance(data, bytes) or (isinstance(data, memoryview) and isinstance(self.sock, ssl.SSLSocket)):
            pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
        for piece in pieces:
            if self.sock is not None:
                limit_wait(self.sock, _DEADLINE.get())
            super().send(piece)


class _PunctualHTTPConnection(_Punctual, urllib3.connection.HTTPConnection):
    pass


class _PunctualHTTPSConnection(_Punctual, urllib3.connection.HTTPSConnection):
    pass


class _PunctualHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PunctualHTTPConnection


class _PunctualHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PunctualHTTPSConnection


_POOLS = {"http": _PunctualHTTPPool, "https": _PunctualHTTPSPool}


def limit_wait(sock: socket.socket, deadline: float | None) -> None:
    """Let the next wait on a socket end at the deadline (`time.monotonic`). Raises `TimeoutError` after it."""
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    longest = sock.gettimeout()
    sock.settimeout(left if longest is None else min(longest, left))


MAX_TEXT = 500
MAX_FAULTS = 100
MAX_RETRY_AFTER_SECONDS = 24 * 3600

_SECONDS = re.compile(r"[0-9]{1,9}")
_REQUEST_ID = re.compile(r"urn:uuid:([0-9a-f-]{36})")
_UNKNOWN_TYPE = "about:blank"  # RFC 9457 §4.2.1: no more is known than the status


def make_problem_error(
    status: int, raw: bytes, *, media_type: str, retry_after: str | None, date: str | None = None
) -> ProblemError:
    """Return the error for a reply that is not 2xx; never fails on any body. `date` is its `Date`."""
    document = _read_document(raw) if media_type.split(";")[0].strip().lower() == MEDIA_TYPE else {}
    uri = _text(document.get("type")) or _UNKNOWN_TYPE
    known = find_problem(uri)
    if known is not None and known.status == status:
        title, detail = known.title, _text(document.get("detail")) or known.advice
    else:
        title, detail, uri = (
            "The gateway, or a proxy in front of it, refused",
            _text(document.get("detail")),
            _UNKNOWN_TYPE,
        )
        if 300 <= status < 400:
            title = "The address answers with a redirect, which is not followed"
    return _class_of(status)(
        type=uri,
        title=title,
        status=status,
        detail=detail,
        request_id=_request_id(document.get("instance")),
        faults=_faults(document.get("errors")),
        retry_after_seconds=read_retry_after(retry_after, date=date),
    )


def _class_of(status: int) -> type[ProblemError]:
    named: dict[int, type[ProblemError]] = {401: NotAuthorisedError, 409: ConflictError, 429: RateLimitedError}
    if status >= 500:
        return UnavailableError
    return named.get(status, RefusedError)


def _read_document(raw: bytes) -> dict[str, Any]:
    try:
        return decode(raw, kind=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else " " for character in value[:MAX_TEXT])


def _request_id(value: object) -> str | None:
    found = _REQUEST_ID.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def _faults(value: object) -> list[FieldFault]:
    if not isinstance(value, list):
        return []
    rows = [row for row in value[:MAX_FAULTS] if isinstance(row, dict)]
    return [FieldFault(pointer=_text(row.get("pointer")), detail=_text(row.get("detail"))) for row in rows]


def read_retry_after(value: str | None, *, date: str | None) -> int | None:
    """Return the seconds of a `Retry-After`, or None; `date` is the `Date` beside it."""
    # RFC 9110 §10.2.3 allows seconds and a date. The date is compared with that of the reply: this machine's own clock
    # may be wrong.
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return min(int(value.strip()), MAX_RETRY_AFTER_SECONDS)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date or "")
    except (TypeError, ValueError, OverflowError):  # not a date, or only one of the two has a time zone
        return None
    return min(max(0, round(wait.total_seconds())), MAX_RETRY_AFTER_SECONDS)
