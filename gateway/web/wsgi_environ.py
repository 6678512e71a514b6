"""Converts the head of an ASGI request into a WSGI environ, without the process's environment.

In WSGI `X_Forwarded_For` and `X-Forwarded-For` have the same name, so a header with underscores could override the
proxy's. Headers with underscores are dropped, as nginx does.
"""

import io
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

Scope = Mapping[str, Any]
"""`scope` of an HTTP request (ASGI 3.0): raw bytes; `raw_path` is the path before decoding."""

OPENED_SESSION: Final = "report_abuse.session"
"""Environ key: the session in the caller's cookie, which the bridge has opened to know the journey."""
# A proxy and we could read two of them differently; RFC 9110 §5.3 allows no list for these.
_SINGLE: Final = frozenset(
    {"CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_ENCODING", "HTTP_HOST", "HTTP_TRANSFER_ENCODING"}
)
_CONSTANT: Final[Mapping[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class AmbiguousHeadersError(Exception):
    """A header that must be unique came twice. `environ` holds the first of each."""

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__("A header came twice.")
        self.environ = environ


def make_environ(scope: Scope) -> dict[str, Any]:
    """Return the environ of a request with an empty body; raises `AmbiguousHeadersError`."""
    raw_path: bytes = scope["raw_path"]
    query = scope["query_string"].decode("latin-1")
    target = raw_path.decode("latin-1")
    environ: dict[str, Any] = {
        **_CONSTANT,
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1") if b"%" in raw_path else target,
        "QUERY_STRING": query,
        # The request target as sent: signatures cover it (`signed_request.check_path`).
        "RAW_URI": f"{target}?{query}" if query else target,
        "REMOTE_ADDR": scope["client"][0],
        "REMOTE_PORT": str(scope["client"][1]),
        "REQUEST_METHOD": scope["method"],
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "SERVER_PROTOCOL": "HTTP/1.1" if scope["http_version"] == "1.1" else "HTTP/1.0",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": scope["scheme"],
    }
    is_ambiguous = False
    for name, value in scope["headers"]:
        key = _find_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key not in environ:
            environ[key] = text
        elif key in _SINGLE:
            is_ambiguous = True
        else:
            environ[key] += f"; {text}" if key == "HTTP_COOKIE" else f",{text}"
    if is_ambiguous:
        raise AmbiguousHeadersError(environ)
    return environ


def drop_headers(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environ without the caller's headers and session, for the answer to a head that is too large."""
    dropped = ("HTTP_", "CONTENT_", "QUERY_", OPENED_SESSION)
    return {name: value for name, value in environ.items() if not name.startswith(dropped)}


@lru_cache(maxsize=512)
def _find_key(name: bytes) -> str | None:
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"
