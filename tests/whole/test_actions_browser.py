"""The pages of actions, looked at by axe on a phone and a desk, light and dark: lists, a late one, an open thread."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from gateway.desk.actions.inbox import record_entry
from gateway.desk.actions.ledger import EntryText, record_sent
from gateway.desk.wiring import Desk
from tests.desk.action_builders import add_assessed, draft, release
from tests.desk.desk_loop import ACTOR
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    return make_test_desk(tmp_path / "desk", clock)


def test_axe_finds_nothing_on_the_pages_of_actions(browser: Chromium, desk: Desk, clock: Clock) -> None:
    case_id = add_assessed(desk)
    draft(desk, case_id, recipient="essex")
    one = release(desk, draft(desk, case_id, due_at=clock() + timedelta(hours=1)))
    with desk.store.write() as connection:
        record_sent(desk, connection, one.action_id, actor=ACTOR)
        text = EntryText(by="DC Example", text=f"Which {'town' * 40}?")
        record_entry(desk, connection, one.action_id, kind="question", text=text, actor=ACTOR)
    clock.now += timedelta(hours=2)
    page = open_desk_page(browser, Browser(desk).sign_in())
    found = []
    for address in ("actions", "actions?stage=acknowledge", "actions?stage=failed", f"actions/{one.action_id}"):
        page.goto(f"{ORIGIN}/{address}")
        found.extend(list_page_faults(page, address))
    page.get_by_role("button", name="Open the thread").click()
    found.extend(list_page_faults(page, "open"))
    assert found == []
