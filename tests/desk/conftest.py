"""Fixtures of the desk's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.desk.office.wiring import Desk
from tests.desk.account_builders import Service, copy_enrolled_service
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.desk.made_models import make_desk_tables
from tests.desk.mail_server import Posts, run_receiver
from tests.desk.view_builders import Browser, Clock, make_test_desk
from tests.postgresql import MakeTables


@pytest.fixture
def make_tables() -> MakeTables:
    return make_desk_tables


@pytest.fixture
def loop(tmp_path: Path, database_uri: str) -> Iterator[Loop]:
    """A desk and a gateway that know each other, with everything published and one approved partner."""
    loop = copy_loop(tmp_path, desk_uri=database_uri)
    with loop.desk.store.hold():
        yield loop


@pytest.fixture
def clock() -> Clock:
    """The desk's clock, which a test moves."""
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock, database_uri: str) -> Iterator[Desk]:
    """A desk with one partner and no gateway."""
    desk = make_test_desk(tmp_path / "desk", clock, database_uri=database_uri)
    with desk.store.hold():
        yield desk


@pytest.fixture
def browser(desk: Desk) -> Browser:
    """A signed-in officer at that desk."""
    return Browser(desk).sign_in()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A partner of that loop, enrolled through its own client."""
    return copy_enrolled_service(tmp_path)


@pytest.fixture
def desk_pager() -> Iterator[Posts]:
    with run_receiver() as posts:
        yield posts


@pytest.fixture
def other_pager() -> Iterator[Posts]:
    with run_receiver() as posts:
        yield posts
