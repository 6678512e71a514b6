"""A PostgreSQL server that a test may stop, pause and set up as it likes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import House, Partner, make_house
from tests.postgresql import Server


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    """A server of these tests alone; it runs at the start and at the end of each."""
    with Server.make_for_one_test() as server:
        yield server


@pytest.fixture
def own_house(own_server: Server, tmp_path: Path, partner: Partner) -> Iterator[House]:
    """A gateway on that server."""
    with own_server.lend_database() as uri:
        yield make_house(tmp_path / "own", partners=(partner,), database_uri=uri)
