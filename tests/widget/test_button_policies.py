"""The button under the strictest policies that a service's page can have, in Chromium and in Firefox."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from partner_sdk.button.snippet import SCRIPT_PATH, make_policy, make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import Visit, Visitor
from tests.widget.button_pages import COPY, PLACEMENT, check_dressed, make_script, put_copy, take_script_out
from tests.widget.host_pages import HostPages, make_page

NONCE = "r4nd0mOfThisPage"
NOTHING = "default-src 'none'"


@dataclass(frozen=True, slots=True)
class Strictness:
    """A policy that a page may have: its headers for an agency, and how the script stands in the page."""

    name: str
    make_headers: Callable[[str], dict[str, str]]
    attributes: str = ""
    is_own_copy: bool = False

    def __str__(self) -> str:
        return self.name


def csp(*directives: str) -> dict[str, str]:
    """Write the header of a policy that allows nothing else."""
    return {"Content-Security-Policy": "; ".join((NOTHING, *directives))}


def allow_host(agency: str) -> str:
    return make_policy(agency, form="script", by="host").line


def allow_hash(agency: str) -> str:
    return make_policy(agency, form="script", by="hash").line


WAYS = (
    Strictness("no-policy", lambda _: {}),
    Strictness("own-copy", lambda _: csp("script-src 'self'"), is_own_copy=True),
    Strictness("by-host", lambda agency: csp(allow_host(agency))),
    Strictness("by-hash", lambda agency: csp(allow_hash(agency))),
    Strictness("own-copy-by-hash", lambda agency: csp(allow_hash(agency)), is_own_copy=True),
    Strictness("by-nonce", lambda _: csp(f"script-src 'nonce-{NONCE}'"), attributes=f' nonce="{NONCE}"'),
    Strictness(
        "strict-dynamic",
        lambda _: csp(f"script-src 'nonce-{NONCE}' 'strict-dynamic'"),
        attributes=f' nonce="{NONCE}"',
    ),
    Strictness(
        "trusted-types",
        lambda agency: csp(allow_host(agency), "require-trusted-types-for 'script'", "trusted-types 'none'"),
    ),
    Strictness(
        "cross-origin-isolated",
        lambda agency: {
            **csp(allow_host(agency)),
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Opener-Policy": "same-origin",
        },
    ),
)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_button_is_dressed_with_one_request_and_nothing_refused_or_stored(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, way: Strictness
):
    script = put_copy(host) if way.is_own_copy else f"{agency.url}{SCRIPT_PATH}"
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    if way.is_own_copy or way.attributes:
        snippet = take_script_out(snippet) + make_script(script, attributes=way.attributes)
    page = host.put("/", make_page(snippet), headers=way.make_headers(agency.url))

    sight = visitor.visit(Visit(page))
    (seen,) = sight.seen
    (button,) = seen["buttons"]
    check_dressed(button)
    assert button["address"] == f"{agency.url}/?from={PLACEMENT}"
    # One request beside the page itself, as the browser counts, as the page does, and as both servers do.
    assert sight.requests == [page, script]
    assert seen["resources"] == [script]
    assert host.requests == (["/", COPY] if way.is_own_copy else ["/"])
    assert agency.paths == ([] if way.is_own_copy else [SCRIPT_PATH])
    assert [asked.cookie for asked in agency.requests] == [None] * len(agency.paths)
    assert sight.complaints == []
    assert seen["noted"]["refused"] == []
    # Firefox has no observer of shifts; there test_button_layout.py compares the boxes.
    assert visitor.name == "firefox" or sum(seen["noted"]["shifts"]) == 0
    # Cookies of the whole profile; then what the page could find: cookie, both storages, databases, caches.
    assert sight.cookies == 0
    assert seen["stored"] == [0, 0, 0, 0, 0]
    assert seen["isIsolated"] == (way.name == "cross-origin-isolated")


def test_trusted_types_policy_refuses_markup_in_both_browsers(visitor: Visitor, host: HostPages):
    # Else a browser that knows no Trusted Types would pass above without having been asked anything.
    host.put("/markup.js", "document.body.innerHTML = '<b>x</b>'", content_type="text/javascript")
    page = host.put(
        "/",
        make_page('<script src="/markup.js" defer></script>'),
        headers=csp("script-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'"),
    )
    sight = visitor.visit(Visit(page))
    assert sight.seen[0]["noted"]["refused"] == ["require-trusted-types-for trusted-types-sink"]
    assert sight.complaints != []
