"""Every page of the form, and every page beside it, in a real browser: axe, 320 px, large text, dark, forced colours.

They are made without a browser (tests/gateway/public/every_page.py). Welsh ones are looked at
without script, and have the marks and colours of the English ones (tests/gateway/public/test_pages.py).
"""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from werkzeug.test import TestResponse

from gateway.public.door import SIDE_PATHS
from gateway.public.journey import SCREENS
from partner_sdk.wire.button import LANGUAGES
from tests.gateway.public.every_page import ASKED_AGAIN, list_afterwards, list_too_long, list_unusual, walk_all_pages
from tests.gateway.public.walks import SHORTEST
from tests.whole.browser_walk import list_layout_faults, list_page_faults
from tests.whole.public_server import PublicServer, ShownPages, open_phone, serve_public

TYPED_ON = ("/9", "/12")
UNUSUAL = {
    *("files", "too_big", "stale", "again", "no_cookies", "slow", "slow at the way back", "slow at the start"),
    *("not_stored", "not_stored at the end", "thanks_later", "not_ready", "not_ready at the way back", "expired"),
}
AFTERWARDS = {
    *("/15 hurting", "/15 cannot call", "/15 of an opinion", "/16", "/16 error", "/17", "/17 with an answer"),
    *("/3 added", "/9 added", "/14 added", "/15 added"),
}
BESIDE = {"/", "/nothing-here", *(f"/{side}" for side in SIDE_PATHS.values()), "/problems/rate-limited"}
EVERY_PAGE = {
    *(f"/{screen.path}" for screen in SCREENS),
    *(f"{path} error" for path in ASKED_AGAIN),
    "/12 more errors",
    *(f"{path} too long" for path in TYPED_ON),
    *(f"{path} in practice" for path in ("/3", "/12", "/14", "/15")),
    *(UNUSUAL | AFTERWARDS | BESIDE),
}
# Nothing that a page could keep on the phone.
KEPT = """async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys(),
  ...(await indexedDB.databases()).map(one => one.name),
  ...(await navigator.serviceWorker.getRegistrations()).map(one => one.scope)]"""


def list_in_practice(folder: Path, language: str) -> dict[str, TestResponse]:
    """Return pages of a sandbox's form, which have a line more at the top."""
    with serve_public(folder, environment="sandbox") as sandbox:
        person = sandbox.public.person(language=language, origin=sandbox.url).start()
        pages = {}
        while person.path != "/15":
            pages[person.path] = person.page
            person.send() if person.path == "/14" else person.press(**SHORTEST.get(person.path, {}))
        pages["/15"] = person.page
    return {f"{path} in practice": pages[path] for path in ("/3", "/12", "/14", "/15")}


@pytest.mark.parametrize(("language", "has_script"), [("en", True), ("cy", False)])
def test_every_page_is_right_for_everyone(
    browser: Browser, server: PublicServer, tmp_path: Path, language: str, *, has_script: bool
) -> None:
    assert language in LANGUAGES
    pages = list_in_practice(tmp_path / "practice", language)
    for list_some in (walk_all_pages, list_too_long, list_afterwards, list_unusual):
        pages |= list_some(server.public, language, origin=server.url)
    pages["/problems/rate-limited"] = server.public.person(language=language, origin=server.url).get(
        "/problems/rate-limited"
    )
    assert set(pages) == EVERY_PAGE
    faults = []
    with open_phone(browser, has_script=has_script, language=language) as phone:
        page = phone.page
        for name, address in ShownPages(server, pages).addresses.items():
            page.goto(f"{address}#plain")  # without it the page of those who come back leads on by script
            assert page.get_attribute("html", "lang") == language, name
            found = list_page_faults(page, language=language) if has_script else list_layout_faults(page)
            faults += [f"{name}: {one}" for one in found]
        if has_script:
            assert page.evaluate(KEPT) == []
        phone.check_silence(server.url)
    assert faults == []
