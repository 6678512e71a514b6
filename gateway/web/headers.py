"""The response headers of each surface: one table, a reason in each row, `default-src 'none'` first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response, current_app, request

from gateway.web.rules import find_current_rule

SURFACES = ("page", "asset", "api", "button", "desk")


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """One header: where it is sent, its value, why. `may_replace` lets a view's own value stand."""

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
        "nothing loads, runs or is sent anywhere except our own files; no page frames us; no text becomes script",
    ),
    HeaderRow(
        ("desk",),
        "Content-Security-Policy",
        _PAGE_POLICY,
        "as for pages; a file of evidence that the desk hands over says a stricter one: it runs in no origin at all",
        may_replace=True,
    ),
    HeaderRow(
        ("asset", "api", "button"),
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "data and files are no pages: opened on their own they may do nothing",
    ),
    HeaderRow(
        _HTML,
        "Referrer-Policy",
        "same-origin",
        "other sites do not learn that someone was here; no-referrer would break every post over https",
    ),
    HeaderRow(
        ("asset", "api", "button"),
        "Referrer-Policy",
        "no-referrer",
        "what data and files link to does not learn where it was asked from",
    ),
    HeaderRow(_ALL, "X-Content-Type-Options", "nosniff", "a browser must not guess that data is a script or a page"),
    HeaderRow(_HTML, "X-Frame-Options", "DENY", "browsers too old for frame-ancestors must not frame us either"),
    HeaderRow(
        _HTML,
        "Cross-Origin-Opener-Policy",
        "same-origin",
        "the page that carried the button keeps no handle on the tab in which someone reports",
    ),
    HeaderRow(
        ("page", "asset", "api", "desk"),
        "Cross-Origin-Resource-Policy",
        "same-origin",
        "other sites cannot embed our answers and measure them",
    ),
    HeaderRow(
        ("button",),
        "Cross-Origin-Resource-Policy",
        "cross-origin",
        "the button is made to be loaded by partners' pages",
    ),
    HeaderRow(
        ("button",),
        "Access-Control-Allow-Origin",
        "*",
        "a partner's integrity attribute needs a CORS fetch; the file is the same for everybody and reads no cookie",
    ),
    HeaderRow(
        _HTML,
        "Permissions-Policy",
        "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), display-capture=(), "
        "geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
        "no page of ours asks for a sensor, a picture or a place, and none may be tricked into it",
    ),
    HeaderRow(
        _HTML,
        "X-DNS-Prefetch-Control",
        "off",
        "the network must not see the name of a help site before someone chooses it",
    ),
    HeaderRow(
        ("page", "api", "desk"),
        "Cache-Control",
        "no-store",
        "typed words must not come back from a cache or from Back after leaving (in Firefox no-cache was not enough)",
    ),
    HeaderRow(
        ("asset", "button"),
        "Cache-Control",
        "public, max-age=300",
        "files hold no words of anybody; a view with a name made from the content says longer",
        may_replace=True,
    ),
    HeaderRow(_ALL, "Server", "web", "the server would name its software to whoever looks for its holes"),
    HeaderRow(
        _ALL,
        "Strict-Transport-Security",
        "max-age=63072000",
        "a device that was here once never asks again without TLS; sent only where the origin is https",
        https_only=True,
    ),
)

SurfaceOf = Callable[[str], str]
"""Maps the path of a request that met no rule with a surface of its own to the surface."""

_EXTENSION = "response_headers"


@dataclass(frozen=True, slots=True)
class _Headers:
    surface_of: SurfaceOf
    rows: Mapping[str, tuple[HeaderRow, ...]]


def headers_for(surface: str, *, is_https: bool) -> tuple[HeaderRow, ...]:
    """Return the rows of one surface; raises `ValueError` for an unknown one."""
    if surface not in SURFACES:
        raise ValueError(f"Unknown surface {surface!r}.")
    return tuple(row for row in HEADERS if surface in row.surfaces and (is_https or not row.https_only))


def apply_headers(app: Flask, *, surface_of: SurfaceOf, is_https: bool) -> None:
    """Send the table's headers with every response of `app`, errors included."""
    rows = {surface: headers_for(surface, is_https=is_https) for surface in SURFACES}
    app.extensions[_EXTENSION] = _Headers(surface_of=surface_of, rows=rows)
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    headers = current_app.extensions[_EXTENSION]
    stated = find_current_rule(current_app)
    surface = stated.surface if stated is not None and stated.surface else headers.surface_of(request.path)
    # Looked up once and then added: each assignment to a header goes through the whole list of them.
    present = {name.lower() for name, _ in response.headers}
    for row in headers.rows[surface]:
        if row.name.lower() not in present:
            response.headers.add(row.name, row.value)
        elif not (row.may_replace and response.status_code < 400):
            response.headers[row.name] = row.value
    if response.status_code >= 400:
        # An error on the way to a file must not be kept in its place.
        response.headers["Cache-Control"] = "no-store"
    return response
