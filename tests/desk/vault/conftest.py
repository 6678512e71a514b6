"""Fixtures of the vault's tests."""

from collections.abc import Iterator

import pytest

from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.vault import key_folder
from tests.desk.vault.vault_process import run_vault
from tests.desk.view_builders import Clock, make_test_desk


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose keys are in a vault that runs; for tests that leave both as they are."""
    # Deeper than the 108 bytes of a socket's path.
    desk = make_test_desk(tmp_path_factory.mktemp("served") / ("deep" * 30) / "desk", Clock())
    with run_vault(desk):
        yield open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys with less memory: the parameters are in the file, for the vault too, and one test checks the real."""
    monkeypatch.setattr(key_folder, "MEMORY_KIB", 8 * 1024)
    monkeypatch.setattr(key_folder, "PASSES", 1)
