"""Fixtures of the gateway's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.wiring import Gateway
from tests.builders import House, Partner, make_house
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.store_builders import HURRIED_SECONDS, hurry, new_store


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> Iterator[Store]:
    """An empty database of the gateway."""
    store = new_store(tmp_path, uri=database_uri)
    yield store
    store.close()


@pytest.fixture
def gateway(house: House) -> Iterator[Gateway]:
    """The parts of a gateway that knows one partner."""
    gateway = house.open_gateway()
    yield gateway
    gateway.store.close()


@pytest.fixture
def public(tmp_path: Path, database_uri: str) -> PublicHouse:
    """A gateway with a public door."""
    return make_public_house(tmp_path, database_uri=database_uri)


@pytest.fixture(scope="module")
def one_public(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    """A gateway with a public door for all tests of a file that leave nothing behind which another could see."""
    return make_public_house(tmp_path_factory.mktemp("one"))


@pytest.fixture
def hurried_public(tmp_path: Path, database_uri: str) -> PublicHouse:
    """A gateway with a public door, for a test that locks its store on purpose."""
    return make_public_house(tmp_path, database_uri=database_uri, lock_timeout_seconds=HURRIED_SECONDS)


@pytest.fixture
def hurried_house(tmp_path: Path, partner: Partner, database_uri: str) -> House:
    """A gateway that knows one partner, for a test that locks its store on purpose."""
    return hurry(make_house(tmp_path / "hurried", partners=(partner,), database_uri=database_uri))
