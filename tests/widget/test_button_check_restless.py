"""A page that never comes to rest ends the browser after a while, and is reported as such."""

import time

import pytest

from partner_sdk.console.check.browser import open_chromium
from partner_sdk.console.check.browser_check import Screen, check_in_browser
from partner_sdk.console.findings import format_check
from tests.sdk.button.pages import ADDRESS, PLACEMENT, PLAIN, make_page
from tests.widget.checked_pages import EXPECTED, NOW, serve_agency

SECONDS = 4.0
RESTLESS = {
    "frames-never-come": "<script>window.requestAnimationFrame = () => 0</script>",
    "busy-after-load": "<script>addEventListener('load', () => setTimeout(() => { for (;;); }, 200))</script>",
}


@pytest.mark.parametrize("name", RESTLESS)
def test_page_that_never_comes_to_rest_ends_with_its_browser_and_says_nothing_of_the_button(name: str) -> None:
    with open_chromium(is_root=True) as browser:
        started = time.monotonic()
        found = check_in_browser(
            make_page(PLAIN, head=RESTLESS[name]).encode(),
            browser=browser,
            address=ADDRESS,
            expected=EXPECTED,
            now=NOW,
            headers={"Content-Type": "text/html; charset=utf-8"},
            screens=(Screen(360, 640),),
            prepare=serve_agency,
            deadline_seconds=SECONDS,
        )
        assert not browser.is_connected()
    assert time.monotonic() - started < SECONDS + 20
    assert (found.result, found.method, found.placement) == ("unreachable", "browser", PLACEMENT)
    assert [(one.code, one.severity) for one in found.findings] == [("no-rest", "unseen")]
    assert "the page could not be judged" in format_check(found)[-1]
    assert any("did not come to rest" in line for line in format_check(found))
