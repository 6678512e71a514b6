"""Every screen and every refusal in a real browser with script: axe, 320 px, large text, dark, forced colours.

In Welsh, and without script: test_public_browser_branches.py.
"""

from playwright.sync_api import Browser

from gateway.public.journey import SCREENS
from tests.whole.browser_walk import (
    ASKED_AGAIN,
    EVERY_WAY,
    REFUSED,
    TYPED_ON,
    check_stored_ways,
    list_page_faults,
    list_refused,
    walk_way,
)
from tests.whole.public_server import PublicServer, open_phone

PATHS = {f"/{screen.path}" for screen in SCREENS} - {"/"}
# Nothing that a page could keep on the phone.
KEPT = """async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys(),
  ...(await indexedDB.databases()).map(one => one.name),
  ...(await navigator.serviceWorker.getRegistrations()).map(one => one.scope)]"""


def test_every_screen_and_refusal_is_right_for_everyone_and_every_way_is_stored(browser: Browser, server: PublicServer):
    seen: set[str] = set()
    with open_phone(browser, has_script=True) as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert list_page_faults(page, language="en") == [], stop
            seen.add(stop)

        for way in EVERY_WAY:
            for path in walk_way(page, server.url, way):
                if path in seen:
                    continue
                look(path)
                if path in ASKED_AGAIN | TYPED_ON:
                    for stop in list_refused(page, path):
                        look(stop)
            assert page.evaluate(KEPT) == []
        phone.check_silence(server.url)
    assert seen == PATHS | REFUSED
    check_stored_ways(server, "en")
