"""Fixtures shared by the tests of several rooms; a test builds its own special parts."""

import gc
import json
import os
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling, LoadScopeScheduling

from gateway.config import EvidenceConfig
from tests.builders import Door, House, Partner, make_house
from tests.builders.compiled_statements import compiling_once
from tests.builders.made_once import reading_settings_once
from tests.other_days import LONG, clock_readers
from tests.postgresql import MakeTables, Server, make_gateway_tables, running_server
from tests.seaweedfs import BUCKET, CREDENTIALS, SeaweedFS, running_seaweedfs

if TYPE_CHECKING:
    from tests.widget.browsers import Firefox

SHORT_AFTER_LONG = 3
# Firefox takes four seconds of a core to start, twice: with script and without. One worker runs all the tests with it.
WITH_FIREFOX = frozenset({"tests/whole/test_public_firefox.py", "tests/whole/test_sealing_browser.py"}) | frozenset(
    f"tests/widget/test_{name}.py"
    for name in (
        *("button_drawing", "button_eyes_and_keys", "button_layout", "button_plain_link"),
        *("button_policies", "button_two_clicks", "firefox_driver"),
    )
)


# These read and parse every source, each worker once for all of them.
READS_SOURCES = "tests/house/"


class FilesTogether(LoadFileScheduling):
    """Gives a worker a file at a time, and those with Firefox, and those that read all sources, to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file in WITH_FIREFOX:
            return "Firefox"
        return READS_SOURCES if file.startswith(READS_SOURCES) else file


# How long an example takes to make or to try says more about the machine than about us.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def read_and_compiled_once() -> Iterator[None]:
    """Reuse SQLAlchemy's compiled statements, and settings of the same text, between all tests."""
    with compiling_once(), reading_settings_once():
        yield


@pytest.fixture(scope="session")
def firefox_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands that Firefox was sent so far."""
    return tmp_path_factory.mktemp("firefox") / "commands"


@pytest.fixture(scope="session")
def firefox(firefox_log: Path) -> "Iterator[Firefox]":
    """Debian's Firefox, which is slow to start: it runs in a process of its own and may stay for the other files."""
    from tests.widget.browsers import open_firefox_visitor  # loads Playwright, which most workers never need

    with open_firefox_visitor(firefox_log) as visitor:
        yield visitor


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file that the names of tests are written to which read the clock of this machine."""
    parser.addoption("--clock-readers", type=Path, metavar="FILE", help="write there which tests read the clock")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Schedule file by file with the few that belong together."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, those with browsers and whole loops, and three short ones after each.

    With a file to each worker they must not be left for the end; and all at once they keep each other waiting.
    """
    # By their names within the project, which may lie in a folder of any name.
    files = list(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))
    long = [file for file in files if not LONG.isdisjoint(file.split("/"))]
    short = iter([file for file in files if LONG.isdisjoint(file.split("/"))])
    order: list[str] = []
    for file in long:
        order += [file, *islice(short, SHORT_AFTER_LONG)]
    order += short
    place = {file: number for number, file in enumerate(order)}
    items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Collect without searching for garbage: nearly all that is loaded stays, and each worker loads all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Exclude everything loaded and collected from later garbage collections, which stays, and have them seldom.

    By default one comes after 700 new objects, which an app has many times over: 5 % of the time of a test.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Iterator[None]:
    """Note clock reads in a fixture that several tests share."""
    del request
    with clock_readers.watching(is_shared=fixturedef.scope != "function"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note whether a test reads the clock of this machine."""
    clock_readers.begin(item)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take the notes of a worker."""
    clock_readers.take(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the names of those tests for `python -m tests.other_days`."""
    wanted: Path | None = session.config.getoption("--clock-readers")
    if wanted is not None and not hasattr(session.config, "workerinput"):
        wanted.write_text(json.dumps(clock_readers.list_tests(), indent=1), "utf-8")


@pytest.fixture
def partner() -> Partner:
    """An online service."""
    return Partner()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each database, and with evidence in each place, that its marks name."""
    marks = {
        fixture: mark.args
        for name, fixture in (("databases", "database_uri"), ("places", "evidence_place"))
        if (mark := metafunc.definition.get_closest_marker(name)) is not None and fixture in metafunc.fixturenames
    }
    if len(marks) == 1:
        ((fixture, names),) = marks.items()
        metafunc.parametrize(fixture, names, indirect=True)
    elif marks:
        # Neither knows of the other: each database with the first place, and the first database with the other places.
        databases, places = marks.values()
        pairs = [*((name, places[0]) for name in databases), *((databases[0], name) for name in places[1:])]
        metafunc.parametrize(tuple(marks), pairs, indirect=True)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL server that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    with running_server(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as server:
        yield server


@pytest.fixture
def make_tables() -> MakeTables:
    """Make the tables of `database_uri`: those of a gateway, or of a desk in the desk's tests."""
    return make_gateway_tables


@pytest.fixture
def database_uri(request: pytest.FixtureRequest, make_tables: MakeTables) -> Iterator[str]:
    """The address of a database without a row on the server, or "" for SQLite."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    server: Server = request.getfixturevalue("postgresql_server")
    with server.lend_database(make_tables) as uri:
        yield uri


@pytest.fixture(scope="module")
def seaweedfs() -> Iterator[SeaweedFS]:
    """The object store of a file of tests."""
    with running_seaweedfs() as server:
        yield server


@pytest.fixture
def evidence_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> EvidenceConfig:
    """The settings of an empty bucket, or of the folder."""
    if getattr(request, "param", "folder") == "folder":
        return EvidenceConfig()
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return EvidenceConfig(store_uri=f"s3://{BUCKET}/{uuid.uuid4().hex}", store_endpoint=server.endpoint)


@pytest.fixture
def house(tmp_path: Path, partner: Partner, database_uri: str, evidence_place: EvidenceConfig) -> House:
    """A gateway that knows one partner and has everything published."""
    return make_house(
        tmp_path / "gateway", partners=(partner,), database_uri=database_uri, evidence_place=evidence_place
    )


@pytest.fixture
def industry(house: House, partner: Partner) -> Door:
    """The industry door, called by that partner."""
    return house.open_industry(partner)


@pytest.fixture
def feed(house: House) -> Door:
    """The feed, called by the desk."""
    return house.open_feed()
