"""The form on the phone at a real gateway, under its own policy: to the receipt that the page checked."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers
from tests.whole.browser_walk import REFERENCE, SEND, START, go_on, wait_until
from tests.whole.public_server import PublicServer, QuietHandler, open_chromium, open_phone, serve_public
from tests.whole.test_phone_interview import SHOWN
from tests.whole.test_phone_visit import Phone

# From the first page to the thank-you page, with every file: what the browser asks for and gets.
MOST_REQUESTS, MOST_OF_PYTHON, FIRST_PAGE_BYTES = 10, 4, 12_000
JOURNEY_BYTES = 87_500  # docs/performance.md has the bar, 60,000, and where the bytes go
FILES = "/s/"  # the same for everybody, kept for a year by any cache before the gateway


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with serve_public(tmp_path_factory.mktemp("whole")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The path of each request that came over the network, with the bytes of its answer."""
    found: list[tuple[str, int]] = []
    handle = QuietHandler.handle

    def count(handler: QuietHandler) -> None:
        sizes: list[int] = []
        write = handler.wfile.write

        def note(data: bytes) -> int:
            sizes.append(len(data))
            return write(data)

        handler.wfile.write = note  # type: ignore[assignment, method-assign]
        handle(handler)
        if sizes:  # Chromium opens spare connections
            found.append((handler.path, sum(sizes)))

    monkeypatch.setattr(QuietHandler, "handle", count)
    return found


@pytest.mark.parametrize("way", [SHORT_ANSWERS, LONG_WAY])
def test_report_is_stored_by_one_request_after_none_while_answering(
    server: PublicServer, chromium: Browser, answered: list[tuple[str, int]], way: ScreenAnswers
) -> None:
    before = len(server.public.reports())
    with open_phone(chromium, has_script=True) as opened:
        page, phone = opened.page, Phone(opened.page)
        page.goto(server.url)
        page.wait_for_load_state("networkidle")
        assert sum(size for _, size in answered) <= FIRST_PAGE_BYTES
        go_on(page, START)
        page.wait_for_load_state("networkidle")
        begun = len(opened.requests)
        phone.walk_to("check", way)
        assert opened.requests[begun:] == []
        page.locator(SEND).first.click()
        wait_until(page, f"{SHOWN} === 'thanks'")
        assert opened.requests[begun:] == [f"{server.url}/form"]
        assert len(answered) <= MOST_REQUESTS, answered
        assert len([path for path, _ in answered if not path.startswith(FILES)]) <= MOST_OF_PYTHON, answered
        assert sum(size for _, size in answered) <= JOURNEY_BYTES, answered
        reference, words = page.locator(REFERENCE).all_inner_texts()
        assert opened.complaints == []
    assert (len(reference), len(words.split())) == (12, 5)
    reports = server.public.reports()
    assert len(reports) == before + 1
    assert reports[-1].story == way["/9"]["story"]


def test_form_works_in_airplane_mode_and_sends_once_when_the_network_is_back(
    server: PublicServer, chromium: Browser
) -> None:
    before = len(server.public.reports())
    with open_phone(chromium, has_script=True) as opened:
        page, phone = opened.page, Phone(opened.page)
        page.goto(server.url)
        go_on(page, START)
        page.wait_for_load_state("networkidle")
        begun = len(opened.requests)
        opened.context.set_offline(True)
        phone.walk_to("check", LONG_WAY)
        page.locator(SEND).first.click()
        phone.wait_for("waiting")
        assert (opened.requests[begun:], len(server.public.reports())) == ([], before)
        opened.context.set_offline(False)
        wait_until(page, f"{SHOWN} === 'thanks'")
        assert opened.requests[begun:] == [f"{server.url}/form"]
        assert opened.complaints == []
    assert [one.story for one in server.public.reports()[before:]] == [LONG_WAY["/9"]["story"]]
