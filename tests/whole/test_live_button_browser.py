"""From nothing to a live button: the steps of `/for-services`, with one paste and no Python."""

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.whole.browser_walk import wait_until
from tests.whole.public_server import PublicServer, open_phone
from tests.widget.host_pages import serve_host_pages

EDITOR = "<!doctype html><html lang=en><title>index.html</title><textarea aria-label=Lines></textarea>"


def test_one_paste_puts_a_button_on_a_page_that_leads_to_the_form(browser: Chromium, server: PublicServer):
    steps: list[str] = []
    with open_phone(browser, has_script=True) as phone, serve_host_pages() as host:
        page = phone.page
        page.goto(f"{server.url}/for-services")
        # The page's own description of what to do: an answer, a button, Copy, paste, press.
        page.get_by_label("Name or web address of your service").fill("Example Chat")
        steps.append("type a name")
        page.get_by_role("button", name="Show the lines").click()
        steps.append("press Show the lines")
        page.get_by_role("button", name="Copy").click()
        steps.append("press Copy")
        expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
        shown = page.input_value("#lines")
        phone.check_silence(server.url)

        page.goto(host.put("/editor", EDITOR))
        page.get_by_role("textbox").press("Control+V")
        steps.append("paste")
        lines = page.get_by_role("textbox").input_value()
        assert lines == shown

        address = host.put("/index.html", f"<!doctype html>\n<html lang=en>\n<title>Example Chat</title>\n{lines}\n")
        page.goto(address)
        wait_until(page, "document.querySelector('report-abuse-button').shadowRoot !== null")
        page.get_by_role("link", name="Report Abuse").click()
        steps.append("press the button")
        page.wait_for_url(f"{server.url}/?from=example-chat")
        expect(page.get_by_role("button", name="Start")).to_be_visible()
        assert phone.complaints == []
    assert len(steps) == 5
