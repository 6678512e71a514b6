"""The base of every web app: ids, logs, headers of each surface, body limits, CSRF, problem answers.

Never has static files, debug pages or sessions of its own. A door registers its blueprints and then calls
`finish_web_app`, which refuses an app with a route without a rule. The headers are one table, with a reason in each
row, `default-src 'none'` first.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.signer import SigningAlgorithm
from werkzeug.http import dump_cookie

from gateway.web.logs import log_failure
from gateway.web.rules import (
    API_PREFIXES,
    HtmlError,
    apply_access_log,
    apply_body_limits,
    apply_csrf,
    apply_request_ids,
    check_every_route_has_a_rule,
    find_current_rule,
    register_problems,
)
from gateway.web.wsgi_bridge import OPENED_SESSION
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import decode_msgpack, parse_base64url, to_base64url

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SURFACES = ("page", "phone", "asset", "api", "button", "desk")


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """One header: its surfaces, value and reason. `may_replace` lets a view set its own value."""

    surfaces: tuple[str, ...]
    name: str
    value: str
    reason: str
    may_replace: bool = False
    https_only: bool = False


_ALL = SURFACES
_HTML = ("page", "phone", "desk")

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_PHONE_POLICY = _PAGE_POLICY.replace("trusted-types 'none'", "trusted-types form")

HEADERS: tuple[HeaderRow, ...] = (
    HeaderRow(
        ("page",),
        "Content-Security-Policy",
        _PAGE_POLICY,
        "only our own files load, run and receive data; no page frames us; no text becomes script",
    ),
    HeaderRow(
        ("phone",),
        "Content-Security-Policy",
        f"{_PHONE_POLICY}; connect-src 'self'; worker-src 'self'",
        "as for pages, and the form on the phone posts its envelope and starts the one worker that seals it",
    ),
    HeaderRow(
        ("desk",),
        "Content-Security-Policy",
        f"{_PAGE_POLICY}; connect-src 'self'",
        "as for pages, and passkeys.js asks its own origin for a challenge; downloaded evidence has a stricter one and "
        "runs in no origin at all",
        may_replace=True,
    ),
    HeaderRow(
        ("asset", "api", "button"),
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "data and files are not pages: opened directly they may do nothing",
    ),
    HeaderRow(
        _HTML,
        "Referrer-Policy",
        "same-origin",
        "other sites do not learn of the visit; no-referrer would break every post over https",
    ),
    HeaderRow(
        ("asset", "api", "button"),
        "Referrer-Policy",
        "no-referrer",
        "links from data and files do not reveal their source",
    ),
    HeaderRow(_ALL, "X-Content-Type-Options", "nosniff", "a browser must not treat data as a script or a page"),
    HeaderRow(_HTML, "X-Frame-Options", "DENY", "protects browsers without frame-ancestors too"),
    HeaderRow(
        _HTML,
        "Cross-Origin-Opener-Policy",
        "same-origin",
        "the page with the button keeps no handle on the tab with the form",
    ),
    HeaderRow(
        ("page", "phone", "asset", "api", "desk"),
        "Cross-Origin-Resource-Policy",
        "same-origin",
        "other sites cannot embed our answers or measure them",
    ),
    HeaderRow(
        ("button",),
        "Cross-Origin-Resource-Policy",
        "cross-origin",
        "partners' pages load the button",
    ),
    HeaderRow(
        ("button",),
        "Access-Control-Allow-Origin",
        "*",
        "a partner's integrity attribute needs a CORS fetch; the file is the same for everyone and reads no cookie",
    ),
    HeaderRow(
        _HTML,
        "Permissions-Policy",
        "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), display-capture=(), "
        "geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
        "our pages need no sensor, picture or location, so a script cannot ask for one either",
    ),
    HeaderRow(
        _HTML,
        "X-DNS-Prefetch-Control",
        "off",
        "the network must not see the name of a help site before it is clicked",
    ),
    HeaderRow(
        ("page", "phone", "api", "desk"),
        "Cache-Control",
        "no-store",
        "typed text must not return from a cache or with Back after leaving (in Firefox no-cache is not enough)",
    ),
    HeaderRow(
        ("asset", "button"),
        "Cache-Control",
        "public, max-age=300",
        "files contain no personal data; a view with a content-based name sets a longer time",
        may_replace=True,
    ),
    HeaderRow(_ALL, "Server", "web", "hides the server's software and version"),
    HeaderRow(
        _ALL,
        "Strict-Transport-Security",
        "max-age=63072000",
        "a returning device never connects without TLS; sent only where the origin is https",
        https_only=True,
    ),
)

Pairs = tuple[tuple[str, str], ...]


class WebResponse(Response):
    """A response that ends with the fixed headers of its surface: checked at startup, and copied by no answer."""

    fixed: Pairs = ()

    def get_wsgi_response(self, environ: "WSGIEnvironment") -> "tuple[Iterable[bytes], str, list[tuple[str, str]]]":
        """Return body, status and all headers."""
        body, status, headers = super().get_wsgi_response(environ)
        return body, status, [*headers, *self.fixed]


SurfaceOf = Callable[[str], str]
"""Maps the path of a request to its surface, if its route names none."""


@dataclass(frozen=True, slots=True)
class _Headers:
    """The rows of one app by surface, and `add`, its hook."""

    surface_of: SurfaceOf
    rows: Mapping[str, tuple[HeaderRow, ...]]
    names: Mapping[str, frozenset[str]]  # in lower case
    fixed: Mapping[str, Pairs]

    def add(self, response: Response) -> Response:
        """Add the headers of the answer's surface."""
        stated = find_current_rule()
        surface = stated.surface if stated is not None and stated.surface else self.surface_of(request.path)
        # Collect the names once: each assignment to a header searches the whole list.
        present = {name.lower() for name, _ in response.headers}
        is_plain = response.status_code < 400 and present.isdisjoint(self.names[surface])
        if is_plain and isinstance(response, WebResponse):
            response.fixed = self.fixed[surface]
            return response
        for row in self.rows[surface]:
            if row.name.lower() not in present:
                response.headers.add(row.name, row.value)
            elif not (row.may_replace and response.status_code < 400):
                response.headers[row.name] = row.value
        if response.status_code >= 400:
            # An error must not be cached in place of a file.
            response.headers["Cache-Control"] = "no-store"
        return response


def headers_for(surface: str, *, is_https: bool) -> tuple[HeaderRow, ...]:
    """Return the rows of one surface; raises `ValueError` for an unknown one."""
    if surface not in SURFACES:
        raise ValueError(f"Unknown surface {surface!r}.")
    return tuple(row for row in HEADERS if surface in row.surfaces and (is_https or not row.https_only))


def apply_headers(app: Flask, *, surface_of: SurfaceOf, is_https: bool) -> None:
    """Add the table's headers to every response of `app`, including errors."""
    rows = {surface: headers_for(surface, is_https=is_https) for surface in SURFACES}
    headers = _Headers(
        surface_of=surface_of,
        rows=rows,
        names={surface: frozenset(row.name.lower() for row in found) for surface, found in rows.items()},
        fixed={surface: tuple((row.name, row.value) for row in found) for surface, found in rows.items()},
    )
    app.response_class = WebResponse
    app.after_request(headers.add)


Session = dict[str, Any]
JOURNEY: Final = "journey"
"""Session key for the secret of a form in progress."""
JOURNEY_SECONDS: Final = 2 * 3600  # each step signs the cookie again, and a draft lasts an hour
_COOKIE_KEY_LABEL: Final = b"report-abuse session cookie v1"


class _HmacSha256(SigningAlgorithm):
    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Sign a value (HMAC, RFC 2104)."""
        return hmac.digest(key, value, "sha256")


class CookieSerializer:
    """Encodes and signs Flask sessions: MessagePack, with a key that is derived once (itsdangerous).

    Flask's own builds serializer, signer and key twice for each request, tags each value with its type and compresses
    random bytes: a tenth of the CPU time of a page of the form.
    """

    def __init__(self, secret_key: bytes) -> None:
        key = hmac.digest(secret_key, _COOKIE_KEY_LABEL, "sha256")
        self._signer = TimestampSigner(key, key_derivation="none", algorithm=_HmacSha256())

    def dumps(self, session: Session) -> str:
        """Return the value of the cookie."""
        return self._signer.sign(to_base64url(msgspec.msgpack.encode(session))).decode("ascii")

    def loads(self, value: str, *, max_age: int | None = None) -> Session:
        """Return the session in a cookie; raises `BadSignature` if it is forged or too old."""
        signed = self._signer.unsign(value, max_age=max_age).decode("ascii")
        try:
            return decode_msgpack(parse_base64url(signed), kind=Session)
        except (FormatError, msgspec.DecodeError):
            raise BadSignature("the cookie contains no session") from None


class PageSessions(SecureCookieSessionInterface):
    """Opens sessions for pages only: API clients sign each request, and API paths have none."""

    def __init__(self, *, api_prefixes: Sequence[str], secret_key: bytes) -> None:
        self._api_prefixes = tuple(api_prefixes)
        self._serializer = CookieSerializer(secret_key)
        self._attributes: str | None = None  # of the cookie; the settings are complete at the first answer

    def get_signing_serializer(self, app: Flask) -> Any:
        """Return the app's serializer, which has the two methods that Flask calls."""
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a page, or one that refuses writes. The route is not yet known here."""
        if request.path.startswith(self._api_prefixes):
            return self.make_null_session(app)
        if OPENED_SESSION in request.environ:
            return self.session_class(request.environ[OPENED_SESSION])
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie of a changed session, which ends with the browser; leave the rare cases to Flask.

        Flask reads seven settings and quotes the value for each request, though only the value ever changes.
        """
        if not session or session.permanent or "Vary" in response.headers:
            super().save_session(app, session, response)
            return
        response.headers.add("Vary", "Cookie")
        if session.modified:
            value = self._serializer.dumps(dict(session))
            response.headers.add("Set-Cookie", f"{self.get_cookie_name(app)}={value}{self._get_attributes(app)}")

    def _get_attributes(self, app: Flask) -> str:
        if self._attributes is None:
            cookie = dump_cookie(
                "name",
                "",
                path=self.get_cookie_path(app),
                domain=self.get_cookie_domain(app),
                secure=self.get_cookie_secure(app),
                httponly=self.get_cookie_httponly(app),
                samesite=self.get_cookie_samesite(app),
            )
            self._attributes = cookie.removeprefix("name=")
        return self._attributes

    def find_journey(self, environ: dict[str, Any], *, name: str) -> bytes | None:
        """Return a hash of the journey in a request's cookie `name`, or None without a valid one.

        Leaves the session in the environ for `open_session`, so that each cookie is opened once.
        """
        start = f"{name}="
        cookies = environ["HTTP_COOKIE"].split("; ")
        value = next((one[len(start) :] for one in cookies if one.startswith(start)), None)
        if value is None:
            return None
        try:
            session = self._serializer.loads(value, max_age=JOURNEY_SECONDS)
        except BadSignature:
            return None
        environ[OPENED_SESSION] = session
        journey = session.get(JOURNEY)
        return hashlib.blake2b(journey, digest_size=16).digest() if isinstance(journey, bytes) else None


class WebApp(Flask):
    """A Flask app whose last-resort log has the type and location of an exception, not the path and the message."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or hook unchanged: none is a coroutine, and Flask asks sixteen times for each request."""
        return func

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log an exception that no handler answered."""
        if exc_info[1] is not None:
            log_failure(exc_info[1])


def make_web_app(
    name: str,
    *,
    origin: str,
    secret_key: bytes,
    surface_of: SurfaceOf,
    html_error: HtmlError,
    cookie_name: str,
    api_prefixes: Sequence[str] = API_PREFIXES,
    same_site: str = "Lax",
) -> WebApp:
    """Return an app with all shared parts and no routes except the problem pages.

    `cookie_name` gets the `__Host-` prefix if `origin` is https; the cookie lasts until the browser closes.
    """
    app = WebApp(name, static_folder=None, template_folder=None)
    app.session_interface = PageSessions(api_prefixes=api_prefixes, secret_key=secret_key)
    is_https = origin.startswith("https://")
    app.config.update(
        SECRET_KEY=secret_key,
        SESSION_COOKIE_NAME=f"__Host-{cookie_name}" if is_https else cookie_name,
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE=same_site,
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN=None,
        SESSION_REFRESH_EACH_REQUEST=False,
        PROPAGATE_EXCEPTIONS=False,
    )
    # Werkzeug would redirect `//path` to an address built from the Host header.
    app.url_map.merge_slashes = False
    # Before-request order: id, body rule, forged posts. After-request hooks run in reverse, so the log comes last.
    apply_access_log(app)
    apply_request_ids(app)
    apply_headers(app, surface_of=surface_of, is_https=is_https)
    register_problems(app, origin=origin, html_error=html_error, api_prefixes=api_prefixes)
    apply_body_limits(app)
    apply_csrf(app, origin=origin)
    return app


def finish_web_app(app: Flask, *, limits: Collection[str]) -> None:
    """Raise `RouteRuleError` unless every route has a sound rule; call it after the last registration."""
    check_every_route_has_a_rule(app, limits=limits)
