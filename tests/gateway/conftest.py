"""Fixtures of the gateway's tests."""

import functools
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from gateway.public.returning import return_code
from tests.gateway.public_fixtures import PublicHouse, make_public_house


@pytest.fixture
def public(tmp_path: Path) -> PublicHouse:
    """A gateway with a public door."""
    return make_public_house(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def derivations_once() -> Iterator[None]:
    """Derive the seed of a code and its reference once in a process: it is the same each time, and costs 64 MiB."""
    with patch.object(return_code, "derive_seed", functools.cache(return_code.derive_seed)):
        yield
