"""Fixtures of the vault's tests."""

import pytest

from gateway.desk.vault import protection


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys with less memory: the parameters are in the file, for the vault too, and one test checks the real."""
    monkeypatch.setattr(protection, "MEMORY_KIB", 8 * 1024)
    monkeypatch.setattr(protection, "PASSES", 1)
