"""A whole agency, gateway and partner as real processes, made once for the tests that only read or add to it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gateway.demo.loop import Loop
from tests.builders.local_servers import find_free_ports
from tests.whole.loop_in_process import open_enrolled_loop
from tests.whole.public_server import PublicServer, launch_chromium, open_chromium, serve_public


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """A running loop with an enrolled partner: keys made, gateway served, lists published."""
    with open_enrolled_loop(Path(tmp_path_factory.mktemp("loop")), port=find_free_ports(4)) as loop:
        yield loop


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once for a file: while it runs, nothing else in this process can run a loop of events."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def remembering_browser(browser: Browser) -> Iterator[Browser]:
    """A second Chromium, which remembers the pages that were left: for all that presses Back."""
    with closing(launch_chromium(browser.browser_type, remembers_pages=True)) as remembering:
        yield remembering


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PublicServer]:
    """A public door on a port of this machine."""
    with serve_public(tmp_path) as server:
        yield server
