"""A sandbox for each test, and a partner that has enrolled in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.testing import Sandbox
from partner_sdk import Partner


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def partner(sandbox: Sandbox, tmp_path: Path) -> Partner:
    return sandbox.enrol(tmp_path / "partner")
