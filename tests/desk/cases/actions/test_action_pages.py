"""The pages of actions: a count leads to its list, a thread opens only on purpose, and each kind has its writers."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.ledger import MOST_OPENED_ENTRIES, EntryText, record_entry, record_sent, withdraw_action
from gateway.desk.cases.actions.model import Action
from gateway.desk.cases.actions.sending import write_action_messages
from gateway.desk.cases.model import get_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from tests.desk.action_builders import (
    MARKER,
    add_assessed,
    collect_threads,
    draft,
    make_entry,
    post_entry,
    release,
    release_package,
    reread,
)
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.industry_builders import read_mailbox, set_partner
from tests.desk.outbox_builders import list_outbox, send_out
from tests.desk.view_builders import Browser, Clock


@pytest.fixture
def case_id(desk: Desk) -> str:
    return add_assessed(desk)


def send(desk: Desk, action: Action) -> Action:
    release(desk, action)
    with desk.store.write() as connection:
        return record_sent(desk, connection, action.action_id, actor=ACTOR)


def read_page(browser: Browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return html.unescape(answer.text)


def count_in(page: str) -> dict[str, int]:
    """Return the number beside each link of a stage."""
    found = re.findall(r'href="/actions\?stage=([a-z]+)"[^>]*><b>([0-9]+)</b>', page)
    return {code: int(count) for code, count in found}


def test_every_count_is_a_link_to_the_actions_that_it_counts(desk: Desk, browser: Browser, case_id: str) -> None:
    ask = {"kind": "information-request", "recipient": PARTNER, "way": "letter"}
    draft(desk, case_id)
    release(desk, draft(desk, case_id, recipient="essex"))
    send(desk, draft(desk, case_id, recipient="cumbria"))
    asked = send(desk, draft(desk, case_id, **ask))
    with desk.store.write() as connection:
        text = EntryText(by="A Clerk", text="Which account?")
        record_entry(desk, connection, asked.action_id, kind="question", text=text, actor=ACTOR)
    counts = count_in(read_page(browser, "/actions"))
    waiting = {"release": 1, "send": 1, "acknowledge": 1, "answer": 1}
    assert counts == {"question": 1, "outcome": 0, "failed": 0, "review": 0, "read": 1, **waiting, "all": 4}
    bodies = {"release": "Kent", "send": "Essex", "acknowledge": "Cumbria", "answer": "Example Chat", "read": "1 new"}
    for stage, words in bodies.items():
        page = read_page(browser, f"/actions?stage={stage}")
        assert len(re.findall(r'<th scope="row"><a href="/actions/', page)) == counts[stage]
        assert words in page.partition('id="list-title"')[2]
    assert "Nothing waits here" in read_page(browser, "/actions?stage=failed")
    assert browser.get("/actions?stage=rubbish").status_code == 404


def test_late_action_is_marked_on_its_list_its_page_and_its_case(
    desk: Desk, browser: Browser, case_id: str, clock: Clock
) -> None:
    one = send(desk, draft(desk, case_id, due_at=clock() + timedelta(hours=1)))
    pages = ("/actions?stage=acknowledge", f"/actions/{one.action_id}", f"/cases/{case_id}")
    assert not any(re.search(r'class="stop">(Late|late|1 late)', read_page(browser, page)) for page in pages)
    clock.now += timedelta(hours=2)
    browser.sign_in()
    assert all(re.search(r'class="stop">(Late|late|1 late)', read_page(browser, page)) for page in pages)


def test_case_shows_each_action_with_its_state_and_its_history(desk: Desk, browser: Browser, case_id: str) -> None:
    one = send(desk, draft(desk, case_id))
    page = read_page(browser, f"/cases/{case_id}")
    assert f'<a href="/actions/{one.action_id}">Package to Kent Police</a>' in page
    assert "sent the package to Kent Police" in page


def test_thread_is_opened_on_purpose_and_answered(loop: Loop) -> None:
    one = release_package(loop)
    send_out(loop.desk, "message")
    assert post_entry(loop, make_entry(loop, one.action_id, kind="question", text=f"Which town? {MARKER}")) == 202
    collect_threads(loop)
    browser = Browser(loop.desk).sign_in()
    assert "1 action has a new entry to read" in read_page(browser, "/")
    closed = read_page(browser, f"/actions/{one.action_id}")
    assert "Unread." in closed
    assert MARKER not in closed
    opened = html.unescape(browser.post(f"/actions/{one.action_id}/read").text)
    assert f"Which town? {MARKER}" in opened
    assert "DC Example" in opened
    assert "Unread." not in read_page(browser, f"/actions/{one.action_id}")
    assert "new entry to read" not in read_page(browser, "/")
    refused = browser.post(f"/actions/{one.action_id}/write", entry_kind="", entry_text=f"Typed {MARKER}")
    assert refused.status_code == 409
    assert f"Typed {MARKER}" in refused.text, "nothing typed is lost"
    assert browser.post(f"/actions/{one.action_id}/write", entry_kind="answer", entry_text="").status_code == 409
    answered = browser.post(f"/actions/{one.action_id}/write", entry_kind="answer", entry_text="Near Maidstone.")
    assert answered.status_code == 303
    send_out(loop.desk, "message")
    assert [message.kind for message in read_mailbox(loop)] == ["package", "thread-message"]


def test_thread_opens_its_newest_entries_and_earlier_ones_stay_unread_until_they_are_opened(
    desk: Desk, browser: Browser, case_id: str, clock: Clock
) -> None:
    """A partner may write 300 entries an hour, of 20,000 characters each."""
    one = send(desk, draft(desk, case_id))
    count, address = MOST_OPENED_ENTRIES + 2, f"/actions/{one.action_id}"
    for number in range(count):
        clock.now += timedelta(seconds=1)
        with desk.store.write() as connection:
            text = EntryText(by="DC Example", text=f"Note {number}.")
            record_entry(desk, connection, one.action_id, kind="note", text=text, actor=ACTOR)

    def list_read(page: str) -> list[int]:
        return [int(found) for found in re.findall(r'dir="auto">Note ([0-9]+)\.<', page)]

    closed = read_page(browser, address)
    assert closed.count("Unread.") == MOST_OPENED_ENTRIES
    assert "Only the newest 60 entries are shown." in closed
    opened = html.unescape(browser.post(f"{address}/read").text)
    assert list_read(opened) == list(range(2, count))
    assert 'name="page" value="2">Open earlier entries</button>' in opened
    assert "2 new" in read_page(browser, "/actions?stage=read")
    earlier = html.unescape(browser.post(f"{address}/read", page="2").text)
    assert list_read(earlier) == [0, 1]
    assert "Open earlier entries" not in earlier
    assert 'name="page" value="1">Open later entries</button>' in earlier
    assert count_in(read_page(browser, "/actions"))["read"] == 0


def test_question_waits_for_our_answer_also_once_somebody_has_read_it(loop: Loop) -> None:
    """Opening a thread answers nothing: the force waits until a person here writes to it."""
    one = release_package(loop)
    send_out(loop.desk, "message")
    assert post_entry(loop, make_entry(loop, one.action_id, kind="question", text="Which town?")) == 202
    collect_threads(loop)
    browser = Browser(loop.desk).sign_in()
    browser.post(f"/actions/{one.action_id}/read")
    case_page = f"/cases/{one.case_id}"
    assert "1 question waits for our answer" in read_page(browser, "/")
    assert "They wait for our answer - Actions" in read_page(browser, "/actions"), "the most urgent stage comes first"
    assert re.search(r"Kent Police asked on [^<]+ and has no answer yet\.", read_page(browser, case_page))
    written = browser.post(f"/actions/{one.action_id}/write", entry_kind="note", entry_text="Near Maidstone.")
    assert written.status_code == 303
    assert count_in(read_page(browser, "/actions"))["question"] == 0
    assert "for our answer" not in read_page(browser, "/")
    assert "has no answer yet" not in read_page(browser, case_page)


def test_outcome_that_a_force_told_waits_until_it_is_recorded_on_the_case(loop: Loop) -> None:
    """Opening a thread records nothing: the outcome for the child is the case's own."""
    one = release_package(loop)
    send_out(loop.desk, "message")
    told = make_entry(loop, one.action_id, kind="outcome", outcome="safeguarded", text="Safe at home.")
    assert post_entry(loop, told) == 202
    collect_threads(loop)
    browser = Browser(loop.desk).sign_in()
    browser.post(f"/actions/{one.action_id}/read")
    case_page = f"/cases/{one.case_id}"
    assert "An outcome to record - Actions" in read_page(browser, "/actions")
    assert re.search(r"Kent Police told an outcome for the child on [^<]+\.<", read_page(browser, case_page))
    assert "An outcome was told in a thread" in read_page(browser, case_page)
    assert "Nothing is known yet" not in read_page(browser, case_page)
    fields = {"child_outcome": "safeguarded", "child_told_by": "DC Example, in the thread"}
    assert browser.post(f"{case_page}/child-outcome", **fields).status_code == 303
    assert count_in(read_page(browser, "/actions"))["outcome"] == 0
    assert "told an outcome for the child" not in read_page(browser, case_page)


def test_recalled_package_that_the_gateway_has_not_taken_leaves_together_with_its_recall(loop: Loop) -> None:
    one = release_package(loop)
    write_action_messages(loop.desk)
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, one.action_id, reason="Sent in error.", actor=ACTOR)
    browser, address = Browser(loop.desk).sign_in(), f"/actions/{one.action_id}"
    page = read_page(browser, address)
    assert "The gateway has not taken it yet: it leaves together with its recall." in page
    assert "they may have read it" not in page
    send_out(loop.desk, "message")
    assert [message.kind for message in read_mailbox(loop)] == ["package", "thread-message"]
    page = read_page(browser, address)
    assert "The gateway has not taken it yet" not in page
    assert "Call them now: they may have read it." in page


def test_question_after_a_recall_is_answered_and_nothing_else_is_written(loop: Loop) -> None:
    one = release_package(loop)
    send_out(loop.desk, "message")
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, one.action_id, reason="Sent in error.", actor=ACTOR)
    browser, address = Browser(loop.desk).sign_in(), f"/actions/{one.action_id}"
    page = read_page(browser, address)
    assert "Call them now: they may have read it. Then make a new package." in page
    assert 'id="write-title"' not in page
    assert browser.post(f"{address}/write", entry_kind="answer", entry_text="Nobody asked.").status_code == 409
    assert post_entry(loop, make_entry(loop, one.action_id, kind="question", text="Why?")) == 202
    collect_threads(loop)
    page = read_page(browser, address)
    assert re.search(r"They asked on [^<]+ and have no answer yet\.", page)
    assert 'id="write-title"' in page
    assert browser.post(f"{address}/write", entry_kind="note", entry_text="A note.").status_code == 409
    assert browser.post(f"{address}/write", entry_kind="answer", entry_text="A wrong town.").status_code == 303
    assert 'id="write-title"' not in read_page(browser, address)
    send_out(loop.desk, "message")
    assert [message.kind for message in read_mailbox(loop)] == ["package", "thread-message", "thread-message"]
    assert reread(loop.desk, one).state == "withdrawn"


def test_acknowledgement_by_phone_is_recorded_by_name_and_the_action_ended(
    desk: Desk, browser: Browser, case_id: str
) -> None:
    one = send(desk, draft(desk, case_id, due_at=desk.clock() + timedelta(hours=2)))
    address = f"/actions/{one.action_id}"
    assert "<dt>Due</dt>" in read_page(browser, address)
    assert '<span class="small">due ' in read_page(browser, f"/cases/{case_id}")
    for missing in ("in_kind", "in_by"):
        typed = {"in_kind": "acknowledge", "in_by": MARKER} | {missing: ""}
        refused = browser.post(f"{address}/record", **typed)
        assert refused.status_code == 409
        assert f'id="{missing}-fault"' in refused.text
    assert browser.post(f"{address}/record", in_kind="acknowledge", in_by=MARKER).status_code == 303
    assert reread(desk, one).state == "acknowledged"
    assert "<dt>Due</dt>" not in read_page(browser, address), "nothing is due any more"
    assert '<span class="small">due ' not in read_page(browser, f"/cases/{case_id}")
    assert MARKER not in read_page(browser, address)
    assert MARKER in browser.post(f"{address}/read").text
    assert browser.post(f"{address}/end").status_code == 303
    assert reread(desk, one).state == "ended"
    assert browser.post(f"{address}/end").status_code == 409


def test_request_that_could_not_be_sent_is_tried_again_with_the_same_content(loop: Loop) -> None:
    one = release_package(loop, kind="information-request", recipient=loop.partner.partner)
    browser, address = Browser(loop.desk).sign_in("o-person", [Role.SPOC]), f"/actions/{one.action_id}"
    assert "Try again" not in read_page(browser, address)
    assert browser.post(f"{address}/release").status_code == 409
    set_partner(loop.desk, state="suspended")
    send_out(loop.desk, "message")
    listed = read_page(browser, "/actions?stage=failed")
    assert "Not sent" in listed
    assert "The keys of this recipient have ended." in listed
    assert browser.post(f"{address}/release").status_code == 409
    assert reread(loop.desk, one).failed_because == "recipient-suspended"
    set_partner(loop.desk, state="active")
    assert "Try again" in read_page(browser, address)
    assert browser.post(f"{address}/release").status_code == 303
    send_out(loop.desk, "message")
    assert [(entry["subject"], entry["state"]) for entry in list_outbox(loop.desk, "message")] == [
        (one.action_id, "sent")
    ]


def test_package_that_failed_is_not_released_without_a_signature(loop: Loop) -> None:
    """A duty officer sent it alone, and it failed: one other person cannot send it without a signature."""
    one = release_package(loop)
    set_partner(loop.desk, state="suspended")
    send_out(loop.desk, "message")
    set_partner(loop.desk, state="active")
    browser, address = Browser(loop.desk).sign_in(), f"/actions/{one.action_id}"
    assert reread(loop.desk, one).state == "failed"
    assert "Try again" not in read_page(browser, address)
    assert browser.post(f"{address}/release").status_code == 409
    assert reread(loop.desk, one).state == "failed"


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        (Role.SPOC, "information-request", 303),
        (Role.ANALYST, "information-request", 403),
        (Role.SPOC, "package", 403),
        (Role.ANALYST, "package", 303),
    ],
)
def test_each_kind_has_its_own_writers(desk: Desk, case_id: str, role: Role, kind: str, status: int) -> None:
    recipient = "kent" if kind == "package" else PARTNER
    one = send(desk, draft(desk, case_id, kind=kind, recipient=recipient, way="letter"))
    browser = Browser(desk).sign_in("o-person", [role])
    address = f"/actions/{one.action_id}"
    assert browser.get(address).status_code == 200
    answer = browser.post(f"{address}/record", in_kind="acknowledge", in_by="A Clerk")
    assert answer.status_code == status
    assert ("Record it" in browser.get(address).text) is (status == 303)


def test_action_of_a_case_that_a_person_does_not_reach_is_closed_to_them(desk: Desk, case_id: str) -> None:
    one = draft(desk, case_id)
    browser = Browser(desk).sign_in("o-duty", [Role.DUTY_OFFICER])
    assert browser.get(f"/actions/{one.action_id}").status_code == 403
    assert browser.get("/actions/no-such-action").status_code == 404


@pytest.mark.databases("sqlite", "postgresql")
def test_list_shows_a_role_only_the_cases_that_it_may_open(desk: Desk) -> None:
    scopes: dict[str, dict[str, Any]] = {
        "crisis": {"crisis": True},
        "own": {"faculty": "operations"},
        "other": {"faculty": "harm_reduction"},
        "held": {"holder": "o-officer"},
        "none": {},
    }
    cases = {name: add_assessed(desk) for name in (*scopes, "joined")}
    # A report that joined a case is worked in that one, whatever its own row says.
    scopes["joined"] = {"joined_to": cases["other"], "crisis": True}
    for case_id in cases.values():
        draft(desk, case_id)
    blank = {"crisis": False, "faculty": None, "holder": None}
    with desk.store.write() as connection:
        for name, values in scopes.items():
            connection.execute(update(CASES).where(CASES.c.case_id == cases[name]).values(**blank | values))
        references = {name: get_case(connection, case_id).reference for name, case_id in cases.items()}

    def list_shown(person: str, role: Role) -> set[str]:
        browser = Browser(desk).sign_in(person, [role])
        page = browser.get("/actions?stage=all").text
        assert len(re.findall(r"<tr", page)) == 1 + sum(one in page for one in references.values())
        return {name for name, reference in references.items() if reference in page}

    assert list_shown("o-officer", Role.OPERATIONS) == {"crisis", "own", "held"}
    assert list_shown("a-analyst", Role.ANALYST) == set(cases)
    assert list_shown("d-officer", Role.DUTY_OFFICER) == {"crisis"}
    assert "<b>3</b> All actions" in Browser(desk).sign_in("o-officer").get("/actions?stage=all").text
