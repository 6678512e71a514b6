"""Fixtures of the SDK's tests."""

from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from tests.builders import House
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal, make_state


@pytest.fixture
def line(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A partner's command line before the gateway."""
    make_state(tmp_path / "partner", agency=house.agency)
    return Terminal(tmp_path / "partner", WsgiTransport(house.open_app("industry")), capsys)


@pytest.fixture
def broken_line(line: Terminal) -> Terminal:
    """A command line that knows the key set, before a gateway that does not answer any more."""
    assert line.run("doctor") == 0
    return Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)
