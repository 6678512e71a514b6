"""Fixtures of the console's tests."""

from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from tests.builders import House
from tests.sdk.console.console_builders import ConsoleBrowser
from tests.sdk.sdk_builders import make_state


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page wait for the mailbox as long as a busy machine takes."""
    for name in ("PAGE_WAITS_SECONDS", "BUTTON_WAITS_SECONDS"):
        monkeypatch.setattr(f"partner_sdk.console.mailbox.{name}", 60.0)


@pytest.fixture
def browser(house: House, tmp_path: Path) -> ConsoleBrowser:
    """A browser that has opened the console of an enrolled partner."""
    make_state(tmp_path / "partner", agency=house.agency)
    opened = ConsoleBrowser(tmp_path / "partner", WsgiTransport(house.open_app("industry")))
    assert opened.open_link().status_code == 303
    return opened
