"""The form on the phone at a real gateway, under its own policy: to the receipt that the page checked."""

import json
import os
import re
import signal
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.walks import LONG_WAY, ScreenAnswers
from tests.whole.browser_walk import REFERENCE, SEND, START, go_on, wait_until
from tests.whole.public_server import (
    CHROMIUM_SETTINGS,
    PATIENCE_MILLISECONDS,
    WHOLE_NAMES,
    PublicServer,
    QuietHandler,
    find_chromium,
    open_chromium,
    open_phone,
    serve_public,
)
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


def open_profile(chromium: Browser, profile: Path) -> BrowserContext:
    """Open Chromium with the settings of somebody who goes on where the last session ended, though that one crashed."""
    path = profile / "Default/Preferences"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(kept | {"session": {"restore_on_startup": 1}, "profile": {"exit_type": "Normal"}}))
    return chromium.browser_type.launch_persistent_context(
        profile,
        executable_path=find_chromium(WHOLE_NAMES),
        args=CHROMIUM_SETTINGS,
        ignore_default_args=["about:blank"],  # in the place of what is restored
    )


def read_profile(profile: Path) -> Iterator[bytes]:
    """Read every file, and what is packed inside. Snappy leaves what comes once as it is."""
    for path in profile.rglob("*"):
        with suppress(FileNotFoundError):  # a running browser removes some
            raw = path.read_bytes() if path.is_file() else b""
            yield raw
            for packed in re.finditer(b"\x1f\x8b\x08", raw):
                with suppress(zlib.error):
                    yield zlib.decompressobj(31).decompress(raw[packed.start() :])


def find_in_profile(profile: Path, *texts: str) -> list[str]:
    """Return which of these texts are on the disk in any spelling."""
    files = list(read_profile(profile))
    return [text for text in texts if any(raw in file for raw in spell(text).values() for file in files)]


def test_profile_of_a_killed_browser_holds_no_typed_word_and_its_page_comes_back(
    server: PublicServer, chromium: Browser, tmp_path: Path
) -> None:
    # The cookie is on the disk too; only the gateway can make the key of the words from it.
    with closing(open_profile(chromium, tmp_path)) as context:
        page = context.pages[0]
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
        context.add_cookies([{"name": str(one), "value": "-", "url": server.elsewhere} for one in range(600)])
        ends = time.monotonic() + PATIENCE_MILLISECONDS / 1000
        while (found := find_in_profile(tmp_path, saved, CONTROL)) != [saved, CONTROL]:
            assert time.monotonic() < ends, found
            page.wait_for_timeout(500)
        os.killpg(int((tmp_path / "SingletonLock").readlink().name.rpartition("-")[2]), signal.SIGKILL)
    assert find_in_profile(tmp_path, saved, CONTROL, STORY) == [saved, CONTROL]
    with closing(open_profile(chromium, tmp_path)) as context:
        wait_until(context.pages[0], f"document.getElementById('story')?.value === '{STORY}'")
