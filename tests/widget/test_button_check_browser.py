"""The checker in a browser, for faults that only a browser sees: one Chromium for the file, the agency by route."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from playwright.sync_api import Browser

from partner_sdk.console.check import browser as chromium_room
from partner_sdk.console.check.browser import open_chromium
from partner_sdk.console.findings import ButtonCheck
from partner_sdk.errors import ReportAbuseError
from tests.sdk.button.pages import ORIGIN, PLAIN, WITH_SCRIPT, make_page
from tests.widget.checked_pages import LISTEN, CheckBrowsers, check, check_all, list_all_codes, list_codes

COVER = '<div style="position:fixed;inset:0;background:#fff">We use cookies</div>'
GONE = "document.querySelector('section').remove()"
FADE = "document.querySelector('section').animate({ opacity: 0 }, { duration: 9000, fill: 'forwards' })"
ADDED = "event.target.closest?.('a') && (event.target.closest('a').search += '&_gl=1')"
# Faults of the look, of Tab, of the press and of later moments are found apart: a page has one of each. A button that
# is not seen or is covered is not pressed.
CHANGES = (
    ("not-visible", "<style>section a { visibility: hidden }</style>", ""),
    ("not-visible", "<style>section { position: absolute; left: -9999px }</style>", ""),
    ("not-visible", "<style>@media (prefers-color-scheme: dark) { section { display: none } }</style>", ""),
    (
        "not-visible",
        "<script>addEventListener('load', () => document.querySelector('section').hidden = true)</script>",
        "",
    ),
    ("covered", "", COVER),
    ("covered", "<style>section a { pointer-events: none }</style>", ""),
    (
        "words-changed leads-elsewhere goes-away",
        "<style>section a { font-size: 0 }</style>",
        LISTEN.format("click", "event.preventDefault()")
        + f"<script>setTimeout(() => setTimeout(() => {GONE}, 9000), 9000)</script>",
    ),
    (
        "no-icon changed-at-press press-tells-others goes-away",
        "<style>section img { display: none } section a { padding: 22px }</style>",
        LISTEN.format("mousedown", ADDED)
        + LISTEN.format("click", "navigator.sendBeacon('https://count.example/')")
        + f"<script>addEventListener('scroll', () => {GONE})</script>"
        + "<br>" * 99,
    ),
    (
        "box-too-small only-by-pointer stores-at-press goes-away",
        "<style>section img { width: 20px; height: 20px }</style>",
        LISTEN.format("keydown", "event.key === 'Enter' && event.preventDefault()")
        + LISTEN.format("click", "localStorage.pressed = Date.now()")
        + f"<script>addEventListener('resize', () => {GONE})</script>",
    ),
    (
        "below-the-fold stores-at-press goes-away",
        "<style>section { margin-top: 1500px }</style>",
        LISTEN.format("mousedown", "document.cookie = 'pressed=1'")
        + f"<script>setTimeout(() => {FADE}, 9000)</script>",
    ),
    (
        "low-contrast not-by-tab",
        "<style>section a { color: #ddd; background: #fff }</style>",
        LISTEN.format("focusin", "event.target.blur()"),
    ),
    # Black words are read well on this grey; the icon's dark field and its light hand are both near to it.
    (
        "faint-edge not-by-tab",
        "<style>section { background: #7a7a7a } section a { color: #000 }</style>",
        LISTEN.format("keydown", "event.key === 'Tab' && event.preventDefault()"),
    ),
    ("see-through", "<style>main { opacity: .4 } section a { color: #000 }</style>", ""),
)


def test_button_that_markup_hides_or_shuts_away_is_not_visible(check_browsers: CheckBrowsers):
    around = ('<div style="display: none">', "<details><summary>Help</summary>", "<dialog>", '<div id="menu" popover>')
    pages = {before: make_page(PLAIN, before=before) for before in around}
    pages["hidden element"] = make_page(WITH_SCRIPT.replace("<report-abuse-button>", "<report-abuse-button hidden>"))
    pages["hidden link"] = make_page(PLAIN.replace("<a ", "<a hidden "))
    found = list_all_codes(check_browsers, {name: partial(check, page=page) for name, page in pages.items()})
    assert {name: codes for name, codes in found.items() if codes[-1:] != ["not-visible"]} == {}


def test_fault_that_only_a_browser_sees_is_found_and_nothing_else(check_browsers: CheckBrowsers):
    pages = {f"{codes} in page {number}": (head, after) for number, (codes, head, after) in enumerate(CHANGES)}
    found = list_all_codes(
        check_browsers,
        {name: partial(check, page=make_page(PLAIN, head=head, after=after)) for name, (head, after) in pages.items()},
    )
    assert {name: sorted(codes) for name, codes in found.items()} == {
        f"{codes} in page {number}": sorted(codes.split()) for number, (codes, *_) in enumerate(CHANGES)
    }
    assert len({code for codes, *_ in CHANGES for code in codes.split()}) >= 16


COVERS = {
    "stays": ('<div id="cookies" style="position: fixed; inset: 0"></div>', "div#cookies stays on the screen"),
    "sticks": (
        '<div class="bar sam17" style="position: sticky; bottom: 0; margin-top: -600px; height: 600px"></div>',
        "div.bar sticks to the screen",
    ),
    "over": ('<div style="position: relative; margin-top: -400px; height: 500px"></div>', "div is laid over it"),
    "dialog": ("<dialog>x</dialog><script>document.querySelector('dialog').showModal()</script>", "dialog is an open"),
}


def test_cover_is_named_with_the_width_the_element_and_the_cause(check_browsers: CheckBrowsers):
    found = check_all(
        check_browsers,
        {name: partial(check, page=make_page(WITH_SCRIPT, after=after)) for name, (after, _) in COVERS.items()},
    )
    for name, (_, said) in COVERS.items():
        (one,) = [one for one in found[name].findings if one.code == "covered"]
        assert "(360 by 640): " in one.what
        assert said in one.what
        assert "17" not in one.what, "digits may be a person's"


def test_colours_that_fail_in_a_dark_page_alone_are_told_so_by_no_part_of_the_page(check_browser: Browser):
    head = "<style>@media (prefers-color-scheme: dark) { html { background: #111 } section a { color: #335 } }</style>"
    head += "<script>createImageBitmap = atob = Blob = OffscreenCanvas = undefined</script>"
    policy = f"img-src {ORIGIN}; connect-src 'none'; worker-src 'none'"
    (found,) = check(check_browser, make_page(PLAIN, head=head), policy=policy).findings
    assert (found.code, found.severity) == ("low-contrast", "fault")
    assert found.what.endswith("(less than 4.5 to 1), in a dark page.")


def test_link_colour_of_a_theme_is_an_advice_for_the_plain_link_alone(check_browser: Browser):
    head = "<style>a { color: #2fa4e7 }</style>"  # Bootswatch's Cerulean: 2.8 to 1 on white
    (found,) = check(check_browser, make_page(PLAIN, head=head)).findings
    assert (found.code, found.severity) == ("theme-colours", "advice")
    assert "in a light page, in a dark page" in found.what
    assert "--form script" in found.mend
    assert list_codes(check(check_browser, make_page(WITH_SCRIPT, head=head))) == []


def test_press_that_leads_to_a_page_between_is_found_and_does_not_end_the_check(
    check_browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chromium_room, "PRESS_SECONDS", 0.5)  # what never comes is not waited for
    between = "event.preventDefault(); location = '/leaving'"
    found = check(check_browser, make_page(PLAIN, after=LISTEN.format("click", between)))
    assert "leads-elsewhere" in list_codes(found)


def test_script_that_a_policy_blocks_is_seen_in_both_ways(check_browser: Browser):
    found = check(check_browser, make_page(WITH_SCRIPT), policy="script-src 'none'")
    assert list_codes(found) == ["policy-blocks-script", "not-dressed"]
    assert found.result == "passes"


def test_page_cannot_tell_the_check_from_a_person():
    is_person = "navigator.plugins.length && window.chrome && !navigator.webdriver"
    hides = f"if ({is_person}) document.querySelector('[href*=\"report.\"]').remove()"

    def check_as_the_command() -> ButtonCheck:
        with open_chromium(is_root=os.geteuid() == 0) as browser:
            return check(browser, make_page(f"{PLAIN}<script>{hides}</script>"))

    with ThreadPoolExecutor(1) as thread:  # Playwright has its loop in this one already
        found = thread.submit(check_as_the_command).result()
    assert "goes-away" in list_codes(found)


def test_tap_that_does_nothing_is_found_though_a_mouse_presses_well(check_browser: Browser):
    dead = "addEventListener('touchend', event => event.preventDefault(), { passive: false })"
    found = check(check_browser, make_page(f"{PLAIN}<script>{dead}</script>"))
    assert "leads-elsewhere" in list_codes(found)


def test_missing_chromium_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chromium_room, "find_chromium", lambda: None)
    with pytest.raises(ReportAbuseError, match="--browser needs Chromium") as told, open_chromium():
        pass
    assert str(told.value).endswith(": sudo apt-get install chromium")  # a line to paste


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("chromium-headless-shell",), None),  # a page can tell it from a person's browser
        (("chromium", "chromium-headless-shell"), "chromium"),
        (("google-chrome", "chromium"), "chromium"),
        ((), None),
    ],
)
def test_chromium_of_the_machine_that_people_use_is_taken(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], taken: str | None
):
    monkeypatch.setattr("shutil.which", lambda name: name if name in there else None)
    assert chromium_room.find_chromium() == taken
