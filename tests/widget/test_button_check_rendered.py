"""The checker judges the page that a person sees: built by a script, changed by one, hidden from automation."""

from functools import partial

from playwright.sync_api import Browser

from tests.sdk.button.pages import PLACEMENT, PLAIN, WITH_SCRIPT, make_page
from tests.widget.checked_pages import CheckBrowsers, check, check_all, list_all_codes, list_codes
from tests.widget.framework_pages import make_react_page, make_vue_page

NESTED = """<div id="host"></div><script>
  customElements.define('x-profile', class extends HTMLElement {{
    connectedCallback() {{
      this.attachShadow({{ mode: 'open' }}).innerHTML = '<section><slot></slot></section>' + `{0}`
    }}
  }})
  host.innerHTML = '<x-profile><p>Sam</p></x-profile>'
</script>"""
RENDERED = {
    "react": make_react_page,
    "vue": make_vue_page,
    "shadow-tree": lambda: make_page(NESTED.format(PLAIN)),
}


def test_page_whose_button_a_script_builds_passes_with_an_advice(check_browsers: CheckBrowsers) -> None:
    found = check_all(check_browsers, {name: partial(check, page=make()) for name, make in RENDERED.items()})
    seen = {name: (one.result, list_codes(one), one.placement) for name, one in found.items()}
    assert seen == dict.fromkeys(RENDERED, ("passes", ["built-by-script"], PLACEMENT))


CHANGED = {
    "noreferrer-taken-away": (PLAIN, "link.rel = 'noopener'", ["no-noreferrer", "press-tells-page"]),
    "words-changed": (PLAIN, "link.lastChild.data = ' Get help'", ["words-changed"]),
    "taken-away": (PLAIN, "link.closest('section').remove()", ["goes-away"]),
    "mended": (PLAIN.replace("noreferrer ", ""), "link.rel = 'noreferrer noopener'", ["built-by-script"]),
}


def test_button_that_a_script_changes_is_judged_as_it_then_is(check_browsers: CheckBrowsers) -> None:
    script = "<script>{{ const link = document.querySelector('section a'); {} }}</script>"
    found = list_all_codes(
        check_browsers,
        {
            name: partial(check, page=make_page(snippet, after=script.format(change)))
            for name, (snippet, change, _) in CHANGED.items()
        },
    )
    assert found == {name: codes for name, (*_, codes) in CHANGED.items()}


def test_page_whose_script_leads_elsewhere_is_no_verdict(check_browser: Browser) -> None:
    page = make_page(WITH_SCRIPT, after="<script>location = 'https://elsewhere.example/'</script>")
    found = check(check_browser, page)
    assert (found.result, list_codes(found)) == ("unreachable", ["sent-elsewhere"])


def test_page_that_hides_from_automation_shows_its_button(check_browser: Browser) -> None:
    script = """<script>
      const brands = navigator.userAgentData?.brands.map(one => one.brand) ?? []
      const isRobot = navigator.webdriver || /headless/i.test([navigator.userAgent, ...brands])
      if (isRobot) document.querySelector('section').remove()
    </script>"""
    assert list_codes(check(check_browser, make_page(WITH_SCRIPT, after=script))) == []
