"""A desk restored from last night's backup: an action that went since goes no second time, and is not called unsent."""

import html
from pathlib import Path

import pytest

from gateway.desk.cases.actions.model import Action
from gateway.desk.cases.actions.sending import write_action_messages
from gateway.desk.cases.outbox_run import send_due
from tests.desk.action_builders import (
    add_assessed,
    collect_threads,
    draft,
    give_mailbox,
    make_entry,
    make_package,
    post_entry,
    release,
    reread,
)
from tests.desk.collection.test_lost_at_either_side import copy_database, restore_desk
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import read_mailbox
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out
from tests.desk.view_builders import Browser


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path)


def send_and_restore(loop: Loop, *, copied_when: str) -> Action:
    """Send a package, put back a copy of the database from before, and let the desk go on."""
    give_mailbox(loop.desk, "kent", partner=loop.partner.partner)
    one = draft(loop.desk, add_assessed(loop.desk), body=make_package(), way="mailbox")
    copies = {"drafted": copy_database(loop, "drafted")}
    release(loop.desk, one)
    copies["released"] = copy_database(loop, "released")
    write_action_messages(loop.desk)
    copies["written"] = copy_database(loop, "written")
    send_out(loop.desk, "message")
    restore_desk(loop, copies[copied_when])
    if copied_when == "drafted":
        release(loop.desk, one)
    send_due(loop.desk, only={"message"})
    return reread(loop.desk, one)


@pytest.mark.parametrize(("copied_when", "state"), [("drafted", "failed"), ("released", "failed"), ("written", "sent")])
def test_package_that_went_after_the_backup_goes_no_second_time_and_counts_once_it_is_acknowledged(
    loop: Loop, copied_when: str, state: str
) -> None:
    one = send_and_restore(loop, copied_when=copied_when)
    assert (one.state, one.may_have_gone, len(read_mailbox(loop))) == (state, state == "failed", 1)
    assert post_entry(loop, make_entry(loop, one.action_id)) == 202
    collect_threads(loop)
    taken = reread(loop.desk, one)
    assert (taken.state, taken.failed_because, taken.is_taken) == ("acknowledged", None, True)


def test_person_confirms_by_phone_that_it_went(loop: Loop) -> None:
    one = send_and_restore(loop, copied_when="released")
    browser = Browser(loop.desk).sign_in()
    page = html.unescape(browser.get(f"/actions/{one.action_id}").text)
    assert "May have gone" in page
    assert "phone them before you send another" in page
    assert "Not sent" not in page
    recorded = browser.post(f"/actions/{one.action_id}/record", in_kind="acknowledge", in_by="DC Example", in_text="")
    assert recorded.status_code == 303
    assert reread(loop.desk, one).state == "acknowledged"
