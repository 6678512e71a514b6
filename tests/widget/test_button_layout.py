"""Nothing on a service's page moves when the button is dressed, however late its script comes, in either browser."""

import json

from partner_sdk.button.snippet import make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import Chromium, Visit, Visitor
from tests.widget.button_pages import PLACEMENT, check_dressed, make_script, put_copy, take_script_out
from tests.widget.host_pages import SCRIPT, HostPages, make_page

DRAWN = "/drawn"
# Tells the service that the page was drawn as it is without its late script: two frames after its boxes were noted.
TELLS_THAT_IT_IS_DRAWN = f"""<script>
requestAnimationFrame(function wait () {{
  if (!window.noted.boxes.length) requestAnimationFrame(wait)
  else requestAnimationFrame(() => requestAnimationFrame(() => fetch('{DRAWN}')))
}})
</script>"""
# Where a service puts the button, what it does to its links, and what a reader does to their text.
PLACES = {
    "in-a-block": "{}",
    "in-a-sentence": "<p>Words before it {} and words behind it, which go on and on until the line is full.</p>",
    "in-a-row": '<div class="row"><button>Block</button>{}<button>Mute</button></div>',
    "in-a-narrow-column": '<div class="column">{}</div>',
    "large-text": "{}",
    "small-text": "{}",
    "bare-links": "{}",
    "links-in-boxes": "{}",
    "middle-of-the-line": "Words before it {}",
    "right-to-left": "{}",
    "centred": "{}",
}
STYLE = """
.row { display: flex; gap: 8px; align-items: center }
.column { width: 90px }
#large-text { font-size: 200% }
#small-text { font-size: 11px; line-height: 1 }
#bare-links a { text-decoration: none; color: #333; font-weight: 700; letter-spacing: 1px }
#links-in-boxes a { display: inline-flex; align-items: center; padding: 9px; border: 1px solid; margin: 6px }
#middle-of-the-line svg { vertical-align: middle }
#right-to-left { direction: rtl }
#centred { text-align: center }
"""


def put_late_page(host: HostPages, agency: AgencyDoor) -> str:
    """Show the button in every place, with a script that comes after the page was drawn."""
    sentence, element = take_script_out(make_snippet(agency.url, placement=PLACEMENT)).splitlines()
    sections = "".join(
        f'<section id="{name}">{place.format(element)}<p class="after">Next.</p></section>\n'
        for name, place in PLACES.items()
    )
    script = make_script(put_copy(host, after=DRAWN))
    return host.put(
        "/", make_page(f"{sentence}\n{sections}{script}{TELLS_THAT_IT_IS_DRAWN}", head=f"<style>{STYLE}</style>")
    )


def test_no_box_changes_when_the_script_comes_late(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    (seen,) = visitor.visit(Visit(put_late_page(host, agency), height=2400)).seen
    assert len(seen["buttons"]) == len(PLACES)
    for button in seen["buttons"]:
        check_dressed(button)
    # Two pictures of the page: all undressed, all dressed; a link, an icon and what comes after, for each place.
    (was_defined, before), (is_defined, after) = [json.loads(boxes) for boxes in seen["noted"]["boxes"]]
    assert (was_defined, is_defined) == (False, True)
    assert len(before) == 3 * len(PLACES) + 1
    assert before == after
    # Firefox has no observer of shifts: there it is the boxes alone.
    assert visitor.name == "firefox" or sum(seen["noted"]["shifts"]) == 0


def test_shift_is_seen_where_there_is_one(chromium: Chromium, agency: AgencyDoor, host: HostPages):
    # Else the zeros above could come from a ruler that sees nothing.
    moves = "document.querySelector('h1').style.height = '200px'"
    host.put("/shift.js", moves, content_type=SCRIPT, after=DRAWN)
    body = (
        make_snippet(agency.url, placement=PLACEMENT)
        + '<script src="/shift.js" defer></script>'
        + TELLS_THAT_IT_IS_DRAWN
    )
    (seen,) = chromium.visit(Visit(host.put("/", make_page(body)))).seen
    assert sum(seen["noted"]["shifts"]) > 0.01
    assert len({boxes.partition(",")[2] for boxes in seen["noted"]["boxes"]}) > 1


def test_face_covers_nothing_that_stands_after_it(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    for width in (320, 800):
        page = host.put("/", make_page(make_snippet(agency.url, placement=PLACEMENT)))
        (seen,) = visitor.visit(Visit(page, width=width)).seen
        _, top, _, height = seen["buttons"][0]["box"]
        assert top + height <= seen["after"][1]
        assert seen["sideways"] <= 0
