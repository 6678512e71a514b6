"""The checker measures how far the button stands out from its surroundings, in light pages and in dark ones."""

from playwright.sync_api import Browser

from tests.sdk.button.pages import PLAIN, WITH_SCRIPT, make_page
from tests.widget.checked_pages import check, list_codes

PAINTED = "<style>section {{ background: {} }} section, section a {{ color: {} }}</style>"


# Grounds, and the colour of the words on each.
GROUNDS = {
    "#000": "#fff",
    "#1b1b1f": "#eee",
    "#154650": "#fff",  # that of the icon's own field: its hand stands out
    "#f6c65b": "#000",  # that of its hand: the field stands out
    "linear-gradient(#fff, #ddd)": "#000",
}


def test_icon_stands_out_from_light_dark_and_its_own_colours(check_browser: Browser):
    painted = [
        f"<style>#place{'-' * place} {{ background: {ground} }} #place{'-' * place} a {{ color: {words} }}</style>"
        f'<div id="place{"-" * place}">{PLAIN}</div>'
        for place, (ground, words) in enumerate(GROUNDS.items())
    ]
    assert len(painted) <= 5  # a check measures so many buttons of a page
    # All are of one placement, and this alone is found.
    assert list_codes(check(check_browser, make_page("".join(painted)))) == ["same-placement-twice"]


def test_face_of_a_dressed_button_stands_out_where_the_icon_alone_would_not(check_browser: Browser):
    page = make_page(WITH_SCRIPT, head=PAINTED.format("#7a7a7a", "#000"))
    assert list_codes(check(check_browser, page)) == []


def test_faint_edge_is_advice_that_says_why_and_how_to_mend_it(check_browser: Browser):
    found = check(check_browser, make_page(PLAIN, head=PAINTED.format("#7a7a7a", "#000")))
    (one,) = found.findings
    assert (found.result, one.code, one.severity) == ("passes", "faint-edge", "advice")
    assert "1.4.11" in one.why
    assert "light or a dark ground" in one.mend
