"""The button on pages that do it wrong, or wish it ill: it is dressed where it leads to the agency, else left alone.

What the script judges is the same in each browser; how it draws is tried in Firefox too (test_button_drawing.py).
"""

import base64
import hashlib
from html import unescape
from typing import Any

import pytest

from partner_sdk.button.snippet import SCRIPT_PATH, WORDS, make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import SEE, SETTLED, Chromium, Visit
from tests.widget.button_pages import (
    FACE,
    PLACEMENT,
    SCRIPT_BYTES,
    check_dressed,
    check_plain,
    make_script,
    put_button,
    put_copy,
    take_script_out,
)
from tests.widget.host_pages import SCRIPT, HostPages, make_page

LABEL = WORDS["en"].label
# What may stand in place of the agency's address; AGENCY is its origin.
HOSTILE = (
    "javascript:document.title='ran'//?from=example-chat-profile",
    "data:text/html,?from=example-chat-profile",
    "//elsewhere.example/?from=example-chat-profile",
    "https://elsewhere.example/?from=example-chat-profile",
    "http://elsewhere.example/?from=example-chat-profile",
    "AGENCY@elsewhere.example/?from=example-chat-profile",
    "/?from=example-chat-profile",
    "AGENCY/leave?from=example-chat-profile",
    "AGENCY/?from=example-chat-profile&amp;next=https://elsewhere.example",
    "AGENCY/?from=example-chat-profile&amp;from=other",
    "AGENCY/?from=Example",
    "AGENCY/?from=" + "a" * 41,
    "AGENCY/?from=",
    "AGENCY/",
    "AGENCY/?from=example-chat-profile#&lt;img src=x onerror=document.title=1&gt;",
    "https://",
    "",
)
WRONG_PARTS = {
    "no-link": "Report Abuse",
    "link-without-address": "<a>Report Abuse</a>",
    "two-links": f'<a href="AGENCY/?from={PLACEMENT}">Report Abuse</a><a href="https://elsewhere.example">Other</a>',
    "link-inside-something": f'<b><a href="AGENCY/?from={PLACEMENT}">Report Abuse</a></b>',
    "other-words": f'<a href="AGENCY/?from={PLACEMENT}">Help</a>',
    "other-words-heard": f'<a href="AGENCY/?from={PLACEMENT}" aria-label="Help">Report Abuse</a>',
    "hidden-link": f'<a href="AGENCY/?from={PLACEMENT}" hidden="">Report Abuse</a>',
    "inert-link": f'<a href="AGENCY/?from={PLACEMENT}" inert="">Report Abuse</a>',
    "link-for-a-slot": f'<a href="AGENCY/?from={PLACEMENT}" slot="other">Report Abuse</a>',
    "more-in-the-link": f'<a href="AGENCY/?from={PLACEMENT}">Report Abuse <b>or not</b></a>',
    "nothing": "",
}


def make_element(address: str, *, label: str = LABEL, words: str = "Report Abuse") -> str:
    """Write the element by hand, around a link to any address."""
    return f'<report-abuse-button><a href="{address}" aria-label="{label}">{words}</a></report-abuse-button>'


def put_elements(host: HostPages, agency: AgencyDoor, elements: list[str], *, lead: str = "") -> str:
    """Show elements on one page, with the agency's script behind them; `lead` is a script of the service's own."""
    host.put("/own.js", lead, content_type=SCRIPT)
    before = '<script src="/own.js"></script>' if lead else ""
    body = "".join(f"<p>{element.replace('AGENCY', agency.url)}</p>\n" for element in elements)
    return host.put("/", make_page(before + body + make_script(f"{agency.url}{SCRIPT_PATH}")))


def see_buttons(chromium: Chromium, page: str, *, count: int) -> list[dict[str, Any]]:
    """Visit a page; return this many buttons, after a visit without complaints."""
    sight = chromium.visit(Visit(page))
    assert sight.complaints == []
    (seen,) = sight.seen
    assert len(seen["buttons"]) == count
    return list(seen["buttons"])


def test_link_to_anything_but_the_agency_stays_as_the_page_wrote_it(
    chromium: Chromium, agency: AgencyDoor, host: HostPages
):
    elements = [make_element(address) for address in HOSTILE]
    buttons = see_buttons(chromium, put_elements(host, agency, elements), count=len(HOSTILE))
    assert [button["address"] for button in buttons if button["isDressed"]] == []
    assert {button["opacity"] for button in buttons} == {"1"}
    assert {button["isDefined"] for button in buttons} == {True}  # the script ran, and left them
    for element, button in zip(elements, buttons, strict=True):
        inside = element.removeprefix("<report-abuse-button>").removesuffix("</report-abuse-button>")
        assert unescape(button["inside"]) == unescape(inside.replace("AGENCY", agency.url))


def test_address_of_the_agency_is_dressed_among_them(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    # Else the test above would pass with an element that dresses nothing.
    elements = [make_element(address) for address in (HOSTILE[0], f"AGENCY/?from={PLACEMENT}")]
    bad, good = see_buttons(chromium, put_elements(host, agency, elements), count=2)
    assert (bad["isDressed"], good["isDressed"]) == (False, True)


def test_element_with_other_parts_shows_them_as_they_are(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    elements = [f"<report-abuse-button>{inside}</report-abuse-button>" for inside in WRONG_PARTS.values()]
    buttons = see_buttons(chromium, put_elements(host, agency, elements), count=len(elements))
    expected = {name: (False, inside.replace("AGENCY", agency.url)) for name, inside in WRONG_PARTS.items()}
    shown = [(button["isDressed"], button["inside"]) for button in buttons]
    assert dict(zip(WRONG_PARTS, shown, strict=True)) == expected


def test_markup_in_words_and_label_makes_nothing_and_is_never_drawn(
    chromium: Chromium, agency: AgencyDoor, host: HostPages
):
    markup = "&lt;img src=/evil onerror=document.title=1&gt;"
    element = make_element(f"AGENCY/?from={PLACEMENT}", label=f"{LABEL} {markup}", words=f"Report Abuse {markup}")
    (button,) = see_buttons(chromium, put_elements(host, agency, [element]), count=1)
    assert button["isDressed"]
    assert button["words"] == "Report Abuse"
    assert host.requests == ["/"]


def test_script_that_is_there_three_times_is_as_good_as_once(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    page = host.put("/", make_page(snippet + snippet + make_script(put_copy(host))))
    for button in see_buttons(chromium, page, count=2):
        check_dressed(button)


@pytest.mark.parametrize("is_first", [True, False])
def test_second_version_on_a_page_does_nothing(
    chromium: Chromium, agency: AgencyDoor, host: HostPages, *, is_first: bool
):
    # The later version differs by the face's ground alone, so that it can be told which of the two has drawn.
    later = SCRIPT_BYTES.replace(b"background: #f6c65b;", b"background: #eee;")
    assert later != SCRIPT_BYTES
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(later).digest()).decode()
    scripts = [make_script(f"{agency.url}{SCRIPT_PATH}"), make_script(put_copy(host, body=later), integrity=integrity)]
    element = take_script_out(make_snippet(agency.url, placement=PLACEMENT))
    page = host.put("/", make_page(element + "".join(scripts if is_first else reversed(scripts))))
    (button,) = see_buttons(chromium, page, count=1)
    check_dressed(button, face={**FACE, "ground": FACE["ground"] if is_first else "rgb(238, 238, 238)"})


def test_name_that_the_page_took_for_itself_leaves_the_link(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    own = "customElements.define('report-abuse-button', class extends HTMLElement {})"
    element = take_script_out(make_snippet(agency.url, placement=PLACEMENT)).splitlines()[1]
    (button,) = see_buttons(chromium, put_elements(host, agency, [element], lead=own), count=1)
    check_plain(button)


@pytest.mark.parametrize("attributes", ["", " async", " defer"])
def test_script_that_comes_before_the_element_dresses_it(
    chromium: Chromium, agency: AgencyDoor, host: HostPages, attributes: str
):
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    script = make_script(f"{agency.url}{SCRIPT_PATH}").replace(" defer", attributes)
    page = host.put("/", make_page(take_script_out(snippet), head=script))
    (button,) = see_buttons(chromium, page, count=1)
    check_dressed(button)


MOVES = {
    "moved": "document.querySelector('main').prepend(document.querySelector('report-abuse-button'))",
    "taken-out-and-put-back": """const button = document.querySelector('report-abuse-button')
        const place = button.parentNode; button.remove(); setTimeout(() => place.append(button))""",
    "copied": """const button = document.querySelector('report-abuse-button')
        button.replaceWith(button.cloneNode(true))""",
    "written-anew": """const button = document.querySelector('report-abuse-button')
        button.outerHTML = button.outerHTML""",
    "made-part-by-part": """const old = document.querySelector('report-abuse-button')
        const button = document.createElement('report-abuse-button')
        old.replaceWith(button); setTimeout(() => button.append(old.firstElementChild))""",
    "put-into-a-shadow": """const button = document.querySelector('report-abuse-button')
        const box = document.createElement('div'); button.replaceWith(box)
        box.attachShadow({mode: 'open'}).append(button)""",
}
WAITED = ("run", "() => new Promise(done => setTimeout(done, 20))")


@pytest.mark.parametrize("move", MOVES.values(), ids=list(MOVES))
def test_button_stays_dressed_wherever_the_page_puts_it(
    chromium: Chromium, agency: AgencyDoor, host: HostPages, move: str
):
    steps = (SETTLED, ("run", f"() => {{ {move} }}"), WAITED, SETTLED, SEE)
    sight = chromium.visit(Visit(put_button(host, agency.url), steps))
    assert sight.complaints == []
    ((button,),) = [seen["buttons"] for seen in sight.seen]
    check_dressed(button)


def test_button_inside_a_shadow_that_the_server_wrote_is_dressed(
    chromium: Chromium, agency: AgencyDoor, host: HostPages
):
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    body = f'<div><template shadowrootmode="open">{take_script_out(snippet)}</template></div>'
    page = host.put("/", make_page(body + make_script(f"{agency.url}{SCRIPT_PATH}")))
    (button,) = see_buttons(chromium, page, count=1)
    check_dressed(button)


def test_address_that_changes_later_is_judged_anew(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    change = "() => {{ document.querySelector('report-abuse-button a').href = '{}' }}"
    steps = (SETTLED, SEE, ("run", change.format("https://elsewhere.example/?from=x")), SETTLED, SEE)
    back = (("run", change.format(f"{agency.url}/?from=other-place")), SETTLED, SEE)
    sight = chromium.visit(Visit(put_button(host, agency.url), (*steps, *back)))
    first, hostile, last = [seen["buttons"][0] for seen in sight.seen]
    check_dressed(first)
    check_plain(hostile)
    check_dressed(last)
    assert last["address"] == f"{agency.url}/?from=other-place"
