"""The element draws in several short tasks: the page goes on in between, and a half-drawn face never shows."""

from pathlib import Path
from typing import Any

import pytest

from partner_sdk.button.snippet import SCRIPT_PATH, SIZES, make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import SEE, SETTLED, Step, Visit, Visitor
from tests.widget.button_pages import (
    PLACEMENT,
    SCRIPT_BYTES,
    check_dressed,
    check_plain,
    make_script,
    put_copy,
    take_script_out,
)
from tests.widget.host_pages import SCRIPT, HostPages, make_page

LEAST_TASKS = 6
# Of the first task, which ran the file, and of each that a timer of the element began: what the page sees in a task of
# its own behind it. A message of a channel waits for no timer, and comes after what the timer's promise has set going.
NOTE_TURNS = """
window.turns = []
const { port1, port2 } = new MessageChannel()
const later = setTimeout
window.setTimeout = (call, ...rest) => later(() => {
  port2.postMessage(0)
  window.turns.push('element')
  call()
}, ...rest)
port1.onmessage = () => {
  const button = document.querySelector('report-abuse-button')
  const face = button.shadowRoot && button.shadowRoot.querySelector('[aria-hidden=true]')
  const shown = Boolean(face) && getComputedStyle(face).display !== 'none'
  window.turns.push([getComputedStyle(button.querySelector('a')).opacity, Boolean(button.shadowRoot), shown])
}
"""
PLAIN, WHOLE = ["1", False, False], ["0", True, True]
# What a page may do to a button while it is being drawn. `button` is that button, `main` what it stands in.
DEEDS = {
    "made-hostile": "button.firstElementChild.href = 'https://elsewhere.example/?from=made-hostile'",
    "removed": "button.remove()",
    "put-back": "button.remove(); later(() => main.append(button))",
    "moved": "main.prepend(button)",
    "cloned": "button.replaceWith(button.cloneNode(true))",
    "left-alone": "",
}
# Before which timer of the element the page acts: the first defines it, then each button on the page has one a turn.
TURNS = {
    "before-it-is-defined": 1,
    "before-its-parts": 2,
    "before-its-icon": 2 + len(DEEDS),
    "before-its-sheet": 2 + 2 * len(DEEDS),
    "before-it-is-judged": 2 + 3 * len(DEEDS),
    "before-it-shows": 2 + 4 * len(DEEDS),
}


def put_beside_own_script(host: HostPages, own: str, body: str) -> str:
    """Show a page whose own script runs before anything else."""
    return host.put(
        "/", make_page(body, head=f'<script src="{host.put("/own.js", own, content_type=SCRIPT)}"></script>')
    )


def test_element_draws_in_at_least_six_tasks_and_the_page_goes_on_after_each(
    visitor: Visitor, agency: AgencyDoor, host: HostPages
):
    page = put_beside_own_script(host, NOTE_TURNS, make_snippet(agency.url, placement=PLACEMENT))
    steps: tuple[Step, ...] = (SETTLED, ("look", "() => window.turns"), SEE)
    turns, seen = visitor.visit(Visit(page, steps)).seen
    check_dressed(seen["buttons"][0])
    # The file's own run is a task as well, before all of these.
    drawing = turns[: turns.index(WHOLE) + 1]
    tasks = drawing.count("element")
    assert tasks >= LEAST_TASKS
    assert drawing == ["element", PLAIN] * (tasks - 1) + ["element", WHOLE]


@pytest.mark.parametrize("turn", TURNS.values(), ids=list(TURNS))
def test_page_that_acts_between_the_tasks_is_judged_as_it_is_then(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, turn: int
):
    deeds = "".join(
        f"(button => {{ {deed} }})(document.querySelector('a[href*={name}]').parentNode);\n"
        for name, deed in DEEDS.items()
    )
    own = f"""
    const later = setTimeout
    let timers = 0
    window.setTimeout = (call, ...rest) => later(() => {{
      if (++timers === {turn}) {{ const main = document.querySelector('main'); {deeds} }}
      call()
    }}, ...rest)"""
    snippets = [take_script_out(make_snippet(agency.url, placement=name)) for name in DEEDS]
    script = make_script(f"{agency.url}{SCRIPT_PATH}")
    sight = visitor.visit(
        Visit(put_beside_own_script(host, own, "".join(snippets) + script), (SETTLED, SEE), height=2400)
    )
    assert sight.complaints == []
    (seen,) = sight.seen
    buttons = {button["address"].partition("?from=")[2]: button for button in seen["buttons"]}
    assert sorted(buttons) == sorted(set(DEEDS) - {"removed"})
    check_plain(buttons.pop("made-hostile"))
    for button in buttons.values():
        check_dressed(button)


def test_link_stands_as_it_was_for_as_long_as_timers_are_held_back(
    visitor: Visitor, agency: AgencyDoor, host: HostPages
):
    own = "const later = setTimeout; window.setTimeout = call => { (window.held ||= []).push(call) }"
    page = put_beside_own_script(host, own, make_snippet(agency.url, placement=PLACEMENT))
    frames: Step = ("run", "async () => { for (let at = 0; at < 3; at++) await new Promise(requestAnimationFrame) }")
    release: Step = (
        "run",
        """async () => {
          for (let at = 0; at < 9; at++) {
            window.held.splice(0).forEach(call => call())
            await new Promise(requestAnimationFrame)
          }
        }""",
    )
    held, drawn = visitor.visit(Visit(page, (frames, SEE, release, frames, SEE))).seen
    check_plain(held["buttons"][0])
    check_dressed(drawn["buttons"][0])
    assert held["after"] == drawn["after"]


def test_button_in_another_document_shows_its_link(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    # As of a window that pops out: no sheet goes with it, and without one the face would stand beside the link.
    move = """() => {
      const frame = document.body.appendChild(document.createElement('iframe'))
      frame.contentDocument.body.append(document.querySelector('report-abuse-button'))
    }"""
    look = """() => {
      const button = document.querySelector('iframe').contentDocument.querySelector('report-abuse-button')
      const show = part => part.ownerDocument.defaultView.getComputedStyle(part)
      const face = button.shadowRoot.querySelector('[aria-hidden=true]')
      return [show(button.firstElementChild).opacity, show(face).display]
    }"""
    page = host.put("/", make_page(make_snippet(agency.url, placement=PLACEMENT)))
    sight = visitor.visit(Visit(page, (SETTLED, SEE, ("run", move), SETTLED, ("look", look))))
    check_dressed(sight.seen[0]["buttons"][0])
    assert sight.seen[1] == ["1", "none"]
    assert sight.complaints == []


# Names that a page's own elements take from `document` (HTML, "named access on the Document object").
CLOBBERED = {
    "script-without-address": ('<img name="currentScript" alt="">', True),
    "script-from-nowhere": (
        '<img name="currentScript" alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
        False,
    ),
    "script-that-is-a-form": ('<form name="currentScript"><input name="src"></form>', False),
    "no-way-to-make-parts": ('<img name="createElement" alt="">', False),
    "no-way-to-make-the-icon": ('<img name="createElementNS" alt="">', False),
}


@pytest.mark.parametrize(("markup", "is_dressed"), CLOBBERED.values(), ids=list(CLOBBERED))
def test_name_that_the_page_took_from_the_document_takes_no_link_away(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, markup: str, *, is_dressed: bool
):
    page = host.put("/", make_page(markup + make_snippet(agency.url, placement=PLACEMENT)))
    sight = visitor.visit(Visit(page))
    (button,) = sight.seen[0]["buttons"]
    (check_dressed if is_dressed else check_plain)(button)
    assert sight.complaints == []


UNREADABLE = (
    "https://exa mple/?from=abc",
    "https://[bad/?from=abc",
    "https://a.example:99999/?from=abc",
    "https://a%zz/?from=abc",
)


def test_address_that_cannot_be_read_is_left_by_a_copy_on_the_host_of_the_page(visitor: Visitor, host: HostPages):
    # Such a copy dresses links to any agency, so that nothing else stands in the way.
    elements = "".join(
        f'<p><report-abuse-button><a href="{one}">Report Abuse</a></report-abuse-button></p>'
        for one in (*UNREADABLE, "https://a.example/?from=abc")
    )
    sight = visitor.visit(Visit(host.put("/", make_page(elements + make_script(put_copy(host))))))
    (seen,) = sight.seen
    assert [button["isDressed"] for button in seen["buttons"]] == [False] * len(UNREADABLE) + [True]
    assert sight.complaints == []


ICONS: dict[str, tuple[str, int]] = {
    **{f"{size}-pixels": (f'<svg width="{size}" height="{size}"></svg>', size) for size in SIZES},
    "no-width": ("<svg></svg>", min(SIZES)),
    "far-too-wide": ('<svg width="9999" height="9999"></svg>', max(SIZES)),
    "far-too-narrow": ('<svg width="1" height="1"></svg>', min(SIZES)),
    "width-in-other-words": ('<svg width="1e9vw" height="1"></svg>', max(SIZES)),
    "image": ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="" width="64" height="64">', min(SIZES)),
    "no-icon": ("", min(SIZES)),
}


def test_face_has_an_icon_of_an_agreed_size_whatever_stands_in_the_link(
    visitor: Visitor, agency: AgencyDoor, host: HostPages
):
    body = "".join(
        f'<section style="overflow: hidden"><report-abuse-button><a href="{agency.url}/?from={PLACEMENT}">'
        f"{icon} Report Abuse</a></report-abuse-button></section>"
        for icon, _ in ICONS.values()
    )
    page = host.put("/", make_page(body + make_script(f"{agency.url}{SCRIPT_PATH}")))
    (seen,) = visitor.visit(Visit(page, width=1200)).seen
    drawn: dict[str, Any] = {name: button["iconBox"][2:] for name, button in zip(ICONS, seen["buttons"], strict=True)}
    assert all(button["isDressed"] for button in seen["buttons"])
    assert drawn == {name: [size, size] for name, (_, size) in ICONS.items()}


@pytest.mark.parametrize("is_own_copy", [True, False])
def test_page_from_disk_is_dressed_as_any(visitor: Visitor, agency: AgencyDoor, tmp_path: Path, *, is_own_copy: bool):
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    if is_own_copy:
        (tmp_path / "copy.js").write_bytes(SCRIPT_BYTES)
        snippet = take_script_out(snippet) + '<script src="copy.js" defer></script>'
    page = tmp_path / "page.html"
    page.write_text(make_page(snippet), encoding="utf-8")
    sight = visitor.visit(Visit(page.as_uri()))
    check_dressed(sight.seen[0]["buttons"][0])
    assert sight.complaints == []
