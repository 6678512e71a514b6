"""The form on the phone at a real gateway, under its own policy: to the receipt that the page checked."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers
from tests.whole.browser_walk import REFERENCE, SEND, wait_until
from tests.whole.public_server import PublicServer, open_chromium, open_phone, serve_public
from tests.whole.test_phone_interview import SHOWN
from tests.whole.test_phone_visit import Phone

MOST_REQUESTS = 10  # of the form, to the thank-you page; the first page comes before


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with serve_public(tmp_path_factory.mktemp("whole")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.mark.parametrize("way", [SHORT_ANSWERS, LONG_WAY])
def test_report_is_stored_by_one_request_after_none_while_answering(
    server: PublicServer, chromium: Browser, way: ScreenAnswers
) -> None:
    before = len(server.public.reports())
    with open_phone(chromium, has_script=True) as opened:
        page, phone = opened.page, Phone(opened.page)
        page.goto(server.url)
        first = len(opened.requests)
        page.goto(f"{server.url}/form")
        page.wait_for_load_state("networkidle")
        begun = len(opened.requests)
        phone.walk_to("check", way)
        assert opened.requests[begun:] == []
        page.locator(SEND).first.click()
        wait_until(page, f"{SHOWN} === 'thanks'")
        assert opened.requests[begun:] == [f"{server.url}/form"]
        assert len(opened.requests) - first <= MOST_REQUESTS
        reference, words = page.locator(REFERENCE).all_inner_texts()
        assert opened.complaints == []
    assert (len(reference), len(words.split())) == (12, 5)
    reports = server.public.reports()
    assert len(reports) == before + 1
    assert reports[-1].story == way["/9"]["story"]
