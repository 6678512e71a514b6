"""The page for services in a real browser: axe, 320 px, dark, large, no script."""

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from partner_sdk.wire.button import LANGUAGES
from tests.gateway.adoption_builders import MARKER, TYPED, open_waiting
from tests.whole.browser_walk import list_page_faults, wait_until
from tests.whole.public_server import PublicServer, open_phone

SEND = "#answers .actions button"


def fill_in(page: Page) -> None:
    for name, value in TYPED.items():
        if name in {"child_use", "surfaces", "wants_to_report"}:
            for code in [value] if isinstance(value, str) else value:
                page.check(f'input[name="{name}"][value="{code}"]')
        else:
            page.fill(f'[name="{name}"]', str(value))


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_for_services_is_right_for_everyone_and_works_without_script(
    browser: Chromium, server: PublicServer, language: str
):
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        page.goto(f"{server.url}/for-services?lang={language}")
        assert list_page_faults(page, language=language) == []
        page.click(SEND)
        expect(page.locator("#faults")).to_be_focused()
        assert list_page_faults(page, language=language) == []
        page.fill('[name="message"]', MARKER)
        page.fill('[name="link_name"]', "Example Chat")
        page.click("#snippet button")
        assert page.input_value('[name="message"]') == MARKER  # a request that was begun stays
        page.select_option('[name="form"]', "link")
        page.click("#snippet button")
        assert (page.input_value('[name="message"]'), "<script" in page.input_value("#lines")) == (MARKER, False)
        page.fill('[name="message"]', "")
        page.click("#snippet button")
        assert "form=link" in page.url
        # The page opens at what was asked for, and the button is drawn by its own script on both grounds.
        expect(page.locator("#ready")).to_be_in_viewport()
        drawn = "[...document.querySelectorAll('report-abuse-button')].filter(one => one.shadowRoot).length === 2"
        wait_until(page, drawn)
        assert list_page_faults(page, language=language) == []
        phone.check_silence(server.url)
    with open_phone(browser, has_script=False, language=language) as phone:
        page = phone.page
        page.goto(f"{server.url}/")
        page.click('a[href="/for-services"]')
        page.fill('[name="link_name"]', "Example Chat")
        page.select_option('[name="flavour"]', "vue")
        page.click("#snippet button")
        assert "from=" in page.input_value("#lines")
        assert not page.locator("#copy").is_visible()
        fill_in(page)
        page.click(SEND)
        assert page.url.endswith("/for-services/sent")
    assert len(open_waiting(server.house)) == 1
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        page.goto(f"{server.url}/for-services?lang={language}")
        fill_in(page)
        page.press('[name="contact_name"]', "Enter")  # the first button of the form is the one that sends
        assert page.url.endswith("/for-services/sent")
        assert list_page_faults(page, language=language) == []
