"""Fixtures of the gateway's tests."""

from pathlib import Path

import pytest

from tests.gateway.public_fixtures import PublicHouse, make_public_house


@pytest.fixture
def public(tmp_path: Path) -> PublicHouse:
    """A gateway with a public door."""
    return make_public_house(tmp_path)
