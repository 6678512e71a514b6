"""Every screen and every refusal in a real browser with script: axe, 320 px, large text, dark, forced colours.

In Welsh, and without script: test_public_browser_branches.py.
"""

from playwright.sync_api import Browser

from gateway.public.journey import SCREENS
from tests.whole.browser_walk import ASKED_AGAIN, REFUSED, TYPED_ON, list_page_faults, list_refused, see_every_page
from tests.whole.public_server import PublicServer, open_phone

PATHS = {f"/{screen.path}" for screen in SCREENS} - {"/"}
# Nothing that a page could keep on the phone.
KEPT = """async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys(),
  ...(await indexedDB.databases()).map(one => one.name),
  ...(await navigator.serviceWorker.getRegistrations()).map(one => one.scope)]"""


def test_every_screen_and_refusal_is_right_for_everyone(browser: Browser, server: PublicServer):
    seen: set[str] = set()
    with open_phone(browser, has_script=True) as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert list_page_faults(page, language="en") == [], stop
            seen.add(stop)

        for path in see_every_page(page, server):
            look(path)
            if path in ASKED_AGAIN | TYPED_ON:
                for stop in list_refused(page, path):
                    look(stop)
            assert page.evaluate(KEPT) == []
        phone.check_silence(server.url)
    assert seen == PATHS | REFUSED
