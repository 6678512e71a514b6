"""The checker in a browser, for faults that only a browser sees: one Chromium for the file, the agency by route."""

import pytest
from playwright.sync_api import Browser

from partner_sdk.button.check import _browser as chromium_room
from partner_sdk.button.check._browser import open_chromium
from partner_sdk.button.check._measure import Screen
from partner_sdk.errors import ReportAbuseError
from tests.sdk.button.pages import PLACEMENT, PLAIN, WITH_SCRIPT, make_page
from tests.widget.checked_pages import LISTEN, check, list_codes


@pytest.mark.parametrize("snippet", [WITH_SCRIPT, PLAIN], ids=["script", "link"])
def test_good_page_has_no_finding_on_any_screen(check_browser: Browser, snippet: str):
    screens = (Screen(320, 640), Screen(360, 640), Screen(1280, 800))
    found = check(check_browser, make_page(snippet), screens=screens)
    assert (found.method, found.result, found.placement, list_codes(found)) == ("browser", "passes", PLACEMENT, [])


COVER = '<div style="position:fixed;inset:0;background:#fff">We use cookies</div>'
# By a timer, a scroll, a turned screen, and an animation of a style sheet alone.
GONE = "document.querySelector('section').remove()"
FADE = "document.querySelector('section').animate({ opacity: 0 }, { duration: 9000, fill: 'forwards' })"
ADDED = "event.target.closest?.('a') && (event.target.closest('a').search += '&_gl=1')"
CHANGES = (
    ("not-visible", "<style>section a { visibility: hidden }</style>", ""),
    ("box-too-small", "<style>section img { width: 20px; height: 20px }</style>", ""),
    ("below-the-fold", "<style>section { margin-top: 1500px }</style>", ""),
    ("low-contrast", "<style>section a { color: #ddd; background: #fff }</style>", ""),
    (
        "low-contrast",
        "<style>@media (prefers-color-scheme: dark) { html { background: #111 } section a { color: #335 } }</style>",
        "",
    ),
    # Black words are read well on this grey; the icon's dark field and its light hand are both near to it.
    ("faint-edge", "<style>section { background: #7a7a7a } section a { color: #000 }</style>", ""),
    ("covered", "", COVER),
    ("see-through", "<style>main { opacity: .4 } section a { color: #000 }</style>", ""),
    ("not-by-tab", LISTEN.format("focusin", "event.target.blur()"), ""),
    ("leads-elsewhere", LISTEN.format("click", "event.preventDefault()"), ""),
    ("press-tells-others", LISTEN.format("click", "navigator.sendBeacon('https://count.example/')"), ""),
    ("only-by-pointer", LISTEN.format("keydown", "event.key === 'Enter' && event.preventDefault()"), ""),
    ("changed-at-press", LISTEN.format("mousedown", ADDED), ""),
    ("stores-at-press", LISTEN.format("click", "localStorage.pressed = Date.now()"), ""),
    ("stores-at-press", LISTEN.format("mousedown", "document.cookie = 'pressed=1'"), ""),
    ("goes-away", "", f"<script>setTimeout(() => setTimeout(() => {GONE}, 9000), 9000)</script>"),
    ("goes-away", "", f"<script>addEventListener('scroll', () => {GONE})</script>" + "<br>" * 99),
    ("goes-away", "", f"<script>addEventListener('resize', () => {GONE})</script>"),
    ("goes-away", "", f"<script>setTimeout(() => {FADE}, 9000)</script>"),
)


@pytest.mark.parametrize(("code", "head", "after"), CHANGES)
def test_fault_that_only_a_browser_sees_is_found_and_nothing_else(
    check_browser: Browser, code: str, head: str, after: str
):
    assert list_codes(check(check_browser, make_page(PLAIN, head=head, after=after))) == [code]


def test_element_that_covers_nothing_of_a_dressed_button_is_judged_at_its_face(check_browser: Browser):
    page = make_page(WITH_SCRIPT, after=COVER)
    assert list_codes(check(check_browser, page)) == ["covered"]


def test_script_that_a_policy_blocks_is_seen_in_both_ways(check_browser: Browser):
    found = check(check_browser, make_page(WITH_SCRIPT), policy="script-src 'none'")
    assert list_codes(found) == ["policy-blocks-script", "not-dressed"]
    assert found.result == "passes"


def test_press_without_noreferrer_is_seen_to_tell_the_page(check_browser: Browser):
    found = check(check_browser, make_page(PLAIN.replace("noreferrer ", "")))
    assert list_codes(found) == ["no-noreferrer", "press-tells-page"]


def test_new_tab_that_can_steer_back_is_found(check_browser: Browser):
    link = PLAIN.replace('rel="noreferrer noopener"', 'rel="opener" target="_blank"')
    found = check(check_browser, make_page(link))
    assert {"keeps-hold", "press-tells-page"} <= set(list_codes(found))


def test_page_without_a_button_is_said_once(check_browser: Browser):
    assert list_codes(check(check_browser, make_page(""))) == ["no-button"]


def test_missing_chromium_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chromium_room, "find_chromium", lambda: None)
    with pytest.raises(ReportAbuseError, match="chromium-headless-shell is enough") as told, open_chromium():
        pass
    assert str(told.value).endswith(": sudo apt-get install chromium")  # a line to paste


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("chromium-headless-shell",), "chromium-headless-shell"),
        (("chromium", "chromium-headless-shell"), "chromium-headless-shell"),
        (("google-chrome", "chromium"), "chromium"),
        ((), None),
    ],
)
def test_lightest_chromium_of_the_machine_is_taken(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], taken: str | None
):
    monkeypatch.setattr("shutil.which", lambda name: name if name in there else None)
    assert chromium_room.find_chromium() == taken
