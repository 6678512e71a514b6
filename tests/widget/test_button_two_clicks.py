"""Two clicks from a service's page to the first screen of the form, with no word about the page or the person."""

import pytest

from partner_sdk.button.snippet import make_snippet
from tests.widget.agency_door import AgencyDoor
from tests.widget.browsers import SEE, Chromium, Visit, Visitor
from tests.widget.button_pages import PLACEMENT, put_button
from tests.widget.host_pages import HostPages, make_page

START = "main button[value=start]"
FORMS = ("script", "link")


@pytest.mark.parametrize("form", FORMS)
def test_two_clicks_without_script_come_to_the_first_screen_and_tell_the_service_nothing(
    visitor: Visitor, agency: AgencyDoor, host: HostPages, form: str
):
    page = put_button(host, agency.url, path="/secret-room", form=form)
    steps = (("click", f'a[href^="{agency.url}"]'), ("click", START))
    sight = visitor.visit(Visit(page, steps, has_script=False))

    assert sight.address == f"{agency.url}/2"
    assert host.requests == ["/secret-room"]
    first = next(asked for asked in agency.requests if asked.path == f"/?from={PLACEMENT}")
    assert (first.referer, first.cookie) == (None, None)
    told = {asked.referer for asked in agency.requests if not asked.path.startswith("/button/")} - {None}
    assert [referer for referer in told if not str(referer).startswith(f"{agency.url}/")] == []
    assert sight.complaints == []


def test_enter_on_the_dressed_button_leads_to_the_same_page_without_a_referrer(
    visitor: Visitor, agency: AgencyDoor, host: HostPages
):
    page = put_button(host, agency.url, path="/secret-room")
    sight = visitor.visit(Visit(page, (("press", "Tab"), ("follow", "Enter"), SEE)))
    assert sight.address == f"{agency.url}/?from={PLACEMENT}"
    assert sight.seen[0]["referrer"] == ""
    assert host.requests == ["/secret-room"]
    pages = [asked for asked in agency.requests if asked.path.startswith("/?from=")]
    assert [(asked.referer, asked.cookie) for asked in pages] == [(None, None)]


@pytest.mark.parametrize("form", FORMS)
def test_new_tab_that_the_service_asks_for_can_not_reach_back(
    chromium: Chromium, agency: AgencyDoor, host: HostPages, form: str
):
    page_of_host = make_page(make_snippet(agency.url, placement=PLACEMENT, form=form), head='<base target="_blank">')
    context = chromium.browser.new_context()
    try:
        page = context.new_page()
        page.goto(host.put("/", page_of_host))
        with context.expect_page() as opened:
            page.click("a")
        opened.value.wait_for_url(f"{agency.url}/?from={PLACEMENT}")
        assert opened.value.evaluate("[opener, document.referrer]") == [None, ""]
    finally:
        context.close()
