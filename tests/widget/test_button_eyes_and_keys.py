"""The dressed button for eyes, fingers, keys and screen readers: colours, sizes, large text, small screens, names."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from partner_sdk.button.snippet import SIZES, WORDS, make_snippet
from tests.whole.browser_walk import AXE_FAULTS, AXE_SCRIPT, AXE_TAGS
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import LOOK, SEE, SETTLED, Chromium, Visit, Visitor
from tests.widget.button_pages import FACE, LEAST_PIXELS, PLACEMENT, check_dressed, put_button
from tests.widget.host_pages import HostPages, make_page

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
RING = """() => {
  const face = document.querySelector('report-abuse-button').shadowRoot.querySelector('[aria-hidden=true]')
  const look = getComputedStyle(face)
  return [document.activeElement.localName, look.outlineStyle, parseFloat(look.outlineWidth), look.outlineColor]
}"""
EARLIER_ELEMENT = '<report-abuse-button theme="light">'
# The boxes of face and icon, the middle of the line of words, and both radii.
NESTING = """() => {
  const face = document.querySelector('report-abuse-button').shadowRoot.querySelector('[aria-hidden=true]')
  const icon = face.querySelector('svg')
  const range = document.createRange()
  range.selectNodeContents(face.querySelector('data'))
  const line = range.getBoundingClientRect()
  const corners = [face, icon].map(part => parseFloat(getComputedStyle(part).borderTopLeftRadius))
  const boxes = [face, icon].map(part => part.getBoundingClientRect().toJSON())
  return [...boxes, (line.top + line.bottom) / 2, corners]
}"""
# The words of the face and the icon must stand inside it, whatever the size of the text.
SPILLS = """() => [...document.querySelectorAll('report-abuse-button')].map(button => {
  const face = button.shadowRoot.querySelector('[aria-hidden=true]')
  return Math.max(face.scrollWidth - face.clientWidth, face.scrollHeight - face.clientHeight)
})"""


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A page in a new profile."""
    context = chromium.browser.new_context(reduced_motion="reduce")
    yield context.new_page()
    context.close()


def open_page(page: Page, address: str) -> None:
    """Open a page, and wait until the element has drawn."""
    page.goto(address)
    page.evaluate(SETTLED[1])


def see_button(page: Page) -> dict[str, Any]:
    """Look at the only button of an open page."""
    (button,) = page.evaluate(LOOK)["buttons"]
    return dict(button)


def measure_contrast(one: str, other: str) -> float:
    """Return the contrast of two computed colours (WCAG 2.2, relative luminance)."""
    bright, dark = sorted((_measure_luminance(one), _measure_luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _measure_luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    assert len(parts) == 3, f"not opaque: {colour}"
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_face_is_the_same_yellow_on_a_light_and_on_a_dark_page(
    page: Page, agency: AgencyDoor, host: HostPages, scheme: Any
):
    snippets = "".join(make_snippet(agency.url, placement=PLACEMENT, size=size) for size in SIZES)
    # A page of the time when the element had a theme.
    earlier = make_snippet(agency.url, placement=PLACEMENT).replace("<report-abuse-button>", EARLIER_ELEMENT)
    assert EARLIER_ELEMENT in earlier
    page.emulate_media(color_scheme=scheme)
    open_page(page, host.put("/", make_page(snippets + earlier)))
    buttons = page.evaluate(LOOK)["buttons"]
    assert len(buttons) == len(SIZES) + 1
    for button in buttons:
        check_dressed(button)
        assert measure_contrast(button["colour"], button["ground"]) >= LEAST_CONTRAST


@pytest.mark.parametrize("size", SIZES)
def test_icon_nests_in_the_face_and_the_words_stand_on_its_optical_middle(
    page: Page, agency: AgencyDoor, host: HostPages, size: int
):
    open_page(page, put_button(host, agency.url, size=size))
    face, icon, words, corners = page.evaluate(NESTING)
    # As much yellow to the left of the icon as above and below it, and one centre for both corners.
    gaps = {icon["left"] - face["left"], icon["top"] - face["top"], face["bottom"] - icon["bottom"]}
    assert gaps == {3}
    assert corners[0] - corners[1] == 3
    # The bubble's own middle is 22 of 48: the words stand between it and the middle of the tile.
    bubble, tile = icon["top"] + size * 22 / 48, icon["top"] + size / 2
    assert bubble < words < tile


def test_all_that_is_yellow_can_be_pressed(page: Page, agency: AgencyDoor, host: HostPages):
    open_page(page, put_button(host, agency.url))
    left, top, width, height = see_button(page)["box"]
    assert height == LEAST_PIXELS + 6
    edges = [(left + width / 2, top + 1), (left + width / 2, top + height - 1), (left + 1, top + height / 2)]
    edges.append((left + width - 1, top + height / 2))
    hit = [page.evaluate("([x, y]) => document.elementFromPoint(x, y).localName", [x, y]) for x, y in edges]
    assert hit == ["a"] * 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_and_are_edged_with_forced_colours(
    page: Page, agency: AgencyDoor, host: HostPages, scheme: Any
):
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    open_page(page, put_button(host, agency.url))
    button = see_button(page)
    assert button["isDressed"]
    assert measure_contrast(button["colour"], button["ground"]) >= LEAST_CONTRAST
    page.keyboard.press("Tab")
    focused, style, width, colour = page.evaluate(RING)
    assert (focused, style) == ("a", "solid")
    assert width >= 2
    assert colour != button["ground"]


def test_words_and_icon_fit_a_small_screen_at_each_size(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    choices = [(size, language) for size in SIZES for language in WORDS]
    snippets = [make_snippet(agency.url, placement=PLACEMENT, size=size, language=one) for size, one in choices]
    address = host.put("/", make_page("".join(snippets)))
    grow = ("run", "() => { document.documentElement.style.fontSize = '200%' }")
    steps = (SETTLED, SEE, ("look", SPILLS), grow, SETTLED, SEE, ("look", SPILLS))
    # As high as the whole page: a point outside the window is nobody's.
    normal, spills, large, spills_large = visitor.visit(Visit(address, steps, width=320, height=4000)).seen
    assert len(spills) == len(choices)
    assert max(*spills, *spills_large) <= 0
    assert max(normal["sideways"], large["sideways"]) <= 0
    for (size, language), before, after in zip(choices, normal["buttons"], large["buttons"], strict=True):
        for button in (before, after):
            check_dressed(button, face={**FACE, "words": WORDS[language].text}, label=WORDS[language].label)
        assert before["iconBox"][2:] == [size, size]
        # Text grows with the reader's setting.
        assert float(after["font"][:-2]) >= 1.5 * float(before["font"][:-2])


def test_words_that_are_drawn_are_those_that_are_heard(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    # Welsh on an English page: eyes and ears are told the same, whatever `lang` says.
    snippet = make_snippet(agency.url, placement=PLACEMENT, language="cy").replace(' lang="cy"', "")
    (seen,) = visitor.visit(Visit(host.put("/", make_page(snippet)))).seen
    check_dressed(seen["buttons"][0], face={"words": WORDS["cy"].text}, label=WORDS["cy"].label)


def test_key_shows_where_it_stands(visitor: Visitor, agency: AgencyDoor, host: HostPages):
    steps = (SETTLED, ("look", RING), ("press", "Tab"), SETTLED, ("look", RING))
    before, focused = visitor.visit(Visit(put_button(host, agency.url), steps)).seen
    assert (before[0], focused[0]) == ("body", "a")
    assert focused[1] == "solid"
    assert focused[2] >= 2
    assert focused[1:] != before[1:]


@pytest.mark.parametrize("form", ["script", "link"])
def test_reader_hears_one_link_that_says_what_and_where(page: Page, agency: AgencyDoor, host: HostPages, form: str):
    open_page(page, put_button(host, agency.url, form=form))
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    heard = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"] and node["role"]["value"] in {"link", "image", "img", "button", "graphics-document"}
    ]
    assert heard == [("link", WORDS["en"].label)]
    assert WORDS["en"].label.startswith(WORDS["en"].text)  # WCAG 2.5.3: who says what they see presses it


@pytest.mark.parametrize("form", ["script", "link"])
def test_axe_finds_nothing_on_the_page(page: Page, agency: AgencyDoor, host: HostPages, form: str):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        open_page(page, put_button(host, agency.url, form=form))
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(AXE_FAULTS, AXE_TAGS) == []


def test_style_of_the_service_changes_neither_words_nor_colours_of_the_face(
    visitor: Visitor, agency: AgencyDoor, host: HostPages
):
    rules = ("color: red", "background: yellow", "opacity: 1", "text-transform: uppercase", "text-indent: 3em")
    style = "".join(f"{rule} !important; " for rule in rules)
    head = f"<style>a, a::before, svg, report-abuse-button {{ {style} }}</style>"
    page = host.put("/", make_page(make_snippet(agency.url, placement=PLACEMENT), head=head))
    (seen,) = visitor.visit(Visit(page)).seen
    # The shape of the letters is the service's, as everywhere on its page: its font, and capitals if it likes them.
    check_dressed(seen["buttons"][0], face={**FACE, "words": FACE["words"].upper()})
