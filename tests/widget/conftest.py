"""A service, an agency and two browsers, started at most once for each file of the button's tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from partner_sdk.console.check.browser import open_chromium
from tests.widget.agency_door import AgencyDoor, open_agency_door
from tests.widget.browsers import Chromium, Visitor, open_chromium_visitor
from tests.widget.checked_pages import CheckBrowsers, find_shell, open_check_browsers
from tests.widget.host_pages import HostPages, serve_host_pages


@pytest.fixture(scope="module")
def served_agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgencyDoor]:
    """The real gateway on a port."""
    with open_agency_door(tmp_path_factory.mktemp("agency")) as door:
        yield door


@pytest.fixture
def agency(served_agency: AgencyDoor) -> AgencyDoor:
    """The agency, which was not asked anything yet."""
    served_agency.requests.clear()
    return served_agency


@pytest.fixture(scope="module")
def served_host() -> Iterator[HostPages]:
    """A service on another host."""
    with serve_host_pages() as pages:
        yield pages


@pytest.fixture
def host(served_host: HostPages) -> HostPages:
    """A service without pages, which was not asked anything yet."""
    served_host.answers.clear()
    served_host.requests.clear()
    return served_host


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Debian's Chromium."""
    with open_chromium_visitor() as visitor:
        yield visitor


@pytest.fixture(scope="module")
def check_browser() -> Iterator[Browser]:
    """Chromium as the command starts it, but its shell where there is one: it draws alike, for a third of the CPU."""
    with open_chromium(is_root=True, path=find_shell()) as browser:
        yield browser


@pytest.fixture(scope="module")
def check_browsers() -> Iterator[CheckBrowsers]:
    """A few of them, for `check_all`."""
    with open_check_browsers() as browsers:
        yield browsers


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def visitor(request: pytest.FixtureRequest) -> Visitor:
    """Each of the two browsers in turn."""
    found: Visitor = request.getfixturevalue(request.param)
    return found
