"""Every screen and every refusal, both languages, in a real browser: axe, 320 px, large text, dark, forced colours."""

import pytest
from playwright.sync_api import Browser

from gateway.public.journey import SCREENS
from partner_sdk.wire.public_codes import LANGUAGES
from tests.whole.browser_walk import EVERY_WAY, check_stored_ways, list_page_faults, list_refused, walk_way
from tests.whole.public_server import PublicServer, open_phone

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
PATHS = {f"/{screen.path}" for screen in SCREENS} - {"/"}
ASKED_AGAIN = {"/3", "/4", "/5", "/6", "/11", "/12"}  # what cannot be left blank
TYPED_ON = {"/7b", "/9", "/10", "/10a", "/10c", "/10d", "/11", "/12", "/12a", "/12b"}
# Nothing that a page could keep on the phone.
KEPT = """async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys(),
  ...(await indexedDB.databases()).map(one => one.name),
  ...(await navigator.serviceWorker.getRegistrations()).map(one => one.scope)]"""


@LANGUAGES_TO_RUN
def test_every_screen_and_refusal_is_right_for_everyone_and_every_way_is_stored(
    browser: Browser, server: PublicServer, language: str
):
    seen: set[str] = set()
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert list_page_faults(page, language=language) == [], stop
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
    refused = {f"{path} blank" for path in ASKED_AGAIN} | {f"{path} too long" for path in TYPED_ON}
    assert seen == PATHS | refused
    check_stored_ways(server, language)
