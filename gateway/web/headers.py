"""The response headers of each surface: one table, with a reason in each row, `default-src 'none'` first."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from gateway.web.rules import find_current_rule

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SURFACES = ("page", "asset", "api", "button", "desk")


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
_HTML = ("page", "desk")

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

HEADERS: tuple[HeaderRow, ...] = (
    HeaderRow(
        ("page",),
        "Content-Security-Policy",
        _PAGE_POLICY,
        "only our own files load, run and receive data; no page frames us; no text becomes script",
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
        ("page", "asset", "api", "desk"),
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
        ("page", "api", "desk"),
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
