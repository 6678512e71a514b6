"""Every page of the form in a real browser, in Welsh without script, on a small screen."""

from playwright.sync_api import Browser

from gateway.public.journey import SCREENS
from tests.whole.browser_walk import ASKED_AGAIN, REFUSED, TYPED_ON, list_layout_faults, list_refused, see_every_page
from tests.whole.public_server import PublicServer, open_phone


def test_every_page_in_welsh_without_script_stays_on_a_small_screen(browser: Browser, server: PublicServer):
    seen: set[str] = set()
    with open_phone(browser, has_script=False, language="cy") as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert page.get_attribute("html", "lang") == "cy", stop
            assert list_layout_faults(page) == [], stop
            seen.add(stop)

        for path in see_every_page(page, server, language="cy"):
            look(path)
            if path in ASKED_AGAIN | TYPED_ON:
                for stop in list_refused(page, path):
                    look(stop)
        phone.check_silence(server.url)
    assert seen == {f"/{screen.path}" for screen in SCREENS} - {"/"} | REFUSED
