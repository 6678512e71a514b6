"""The audit log and the figures, looked at by axe on a phone and a desk, light and dark."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from gateway.desk.keyring.anchoring import check_audit, note_check
from gateway.desk.people.permissions import Role
from gateway.desk.wiring import Desk
from tests.desk.figures.test_page import add_waited
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


def test_axe_finds_nothing_on_the_pages_of_an_auditor(browser: Chromium, desk: Desk) -> None:
    add_waited(desk, 6, crisis=True)
    note_check(desk, check_audit(desk))
    page = open_desk_page(browser, Browser(desk).sign_in("u-auditor", [Role.AUDITOR]))
    found = []
    for address in ("audit", "audit?action=openings&last_day=2026-01-01", "audit?case=none", "figures", "trends"):
        page.goto(f"{ORIGIN}/{address}")
        found.extend(list_page_faults(page, address))
    assert found == []
