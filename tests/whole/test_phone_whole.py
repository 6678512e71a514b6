"""The form on the phone at a real gateway, under its own policy: to the receipt that the page checked."""

import json
import os
import re
import signal
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers
from tests.gateway.web import process_watch
from tests.whole.browser_walk import REFERENCE, SEND, START, go_on, wait_until
from tests.whole.public_server import PublicServer, QuietHandler, open_chromium, open_phone, open_profile, serve_public
from tests.whole.test_marker_in_memory import STORY, spell
from tests.whole.test_phone_interview import SHOWN
from tests.whole.test_phone_page import ITEM
from tests.whole.test_phone_visit import Phone

# From the first page to the thank-you page, with every file: what the browser asks for and gets.
MOST_REQUESTS, MOST_OF_PYTHON, FIRST_PAGE_BYTES = 10, 4, 12_000
JOURNEY_BYTES = 87_500  # docs/performance.md has the bar, 60,000, and where the bytes go
CONTROL = "Control7Story7Heron"
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


# In airplane mode from the moment that the document is there until Send.
@pytest.mark.parametrize(("way", "is_offline"), [(SHORT_ANSWERS, False), (LONG_WAY, True)])
def test_report_is_stored_by_one_request_after_none_while_answering(
    server: PublicServer, chromium: Browser, answered: list[tuple[str, int]], way: ScreenAnswers, *, is_offline: bool
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
        opened.context.set_offline(is_offline)
        phone.walk_to("check", way)
        assert opened.requests[begun:] == []
        page.locator(SEND).first.click()
        if is_offline:
            phone.wait_for("waiting")
            assert (opened.requests[begun:], len(server.public.reports())) == ([], before)
            opened.context.set_offline(False)
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


def find_in_profile(profile: Path, *texts: str) -> list[str]:
    """Return the texts that a file holds in any spelling, or packed. Snappy does not pack the first copy of a text."""
    files: list[bytes] = []
    for path in profile.rglob("*"):
        with suppress(OSError):  # a folder, or removed by the running browser
            files.append(raw := path.read_bytes())
            for packed in re.finditer(b"\x1f\x8b\x08", raw):
                with suppress(zlib.error):
                    files.append(zlib.decompressobj(31).decompress(raw[packed.start() :]))
    return [text for text in texts if any(raw in file for raw in spell(text).values() for file in files)]


def test_profile_of_a_killed_browser_holds_no_typed_word_and_its_page_comes_back(
    server: PublicServer, chromium: Browser, tmp_path: Path
) -> None:
    # The cookie is on the disk too; only the gateway can make the key of the words from it.
    with open_profile(chromium.browser_type, tmp_path) as page:
        page.goto(server.elsewhere)
        # Words in an ordinary field, which a browser does keep: the search finds them.
        page.evaluate("document.body.append(document.createElement('textarea'))")
        page.fill("textarea", CONTROL)
        page.goto(server.url)
        go_on(page, START)
        page.wait_for_load_state("networkidle")
        Phone(page).walk_to("story")
        before = page.evaluate(ITEM)
        page.fill("#story", STORY)
        wait_until(page, f"{ITEM} !== {json.dumps(before)}")
        saved = page.evaluate(ITEM).split()[1][:60]
        # Chromium writes the cookies at once when there are over 512 new ones, else after half a minute.
        page.context.add_cookies([{"name": str(one), "value": "-", "url": server.elsewhere} for one in range(600)])
        assert process_watch.wait_until(lambda: len(find_in_profile(tmp_path, saved, CONTROL)) == 2)
        os.killpg(int((tmp_path / "SingletonLock").readlink().name.rpartition("-")[2]), signal.SIGKILL)
    assert find_in_profile(tmp_path, saved, CONTROL, STORY) == [saved, CONTROL]
    with open_profile(chromium.browser_type, tmp_path) as page:
        wait_until(page, f"document.getElementById('story')?.value === '{STORY}'")
