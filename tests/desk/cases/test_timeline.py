"""One list of everything that happened to a case, on its page."""

import html
import re
from typing import get_args

from sqlalchemy import select

from gateway.desk.cases.actions.ledger import EntryText, end_action, record_entry, record_sent, withdraw_action
from gateway.desk.cases.holding import claim_case, hand_over, take_over
from gateway.desk.cases.linking import link_cases, refuse_match, unlink_cases
from gateway.desk.cases.model import StepKind
from gateway.desk.cases.queue import move_case
from gateway.desk.office.organisations import get_partner
from gateway.desk.office.people.permissions import Role
from gateway.desk.outgoing.service_requests import ask_service
from gateway.desk.store.audit import ON_CASE
from gateway.desk.store.schema import AUDIT
from tests.desk.action_builders import collect_threads, draft, make_entry, post_entry, release, release_package
from tests.desk.asking_builders import make_asking
from tests.desk.cases.test_forms_of_roles import file_partners, file_public
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import find
from tests.desk.outbox_builders import send_out
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess, assess_and_close, make_talk_form

ME, OTHER, WHY = "a-analyst", "b-analyst", "Reason-Marker <b>"
# Acts on a case that are no act of its history: their own parts of the page show them.
OF_OTHER_LISTS = {"draft-release", "read-case-steps", "read-replies"}


def list_lines(page: str) -> list[str]:
    """Return the lines of the timeline as a person reads them, without the times."""
    part = page[page.index('id="timeline-title"') :]
    part = re.sub(r"<time[^>]*>[^<]*</time>", "", part[: part.index("</section>")])
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", line)).split()) for line in part.split("<li>")[1:]]


def test_everything_that_happened_stands_in_one_list_with_its_reasons(loop: Loop) -> None:
    case = file_public(loop)
    desk, path = loop.desk, f"/cases/{case.case_id}"
    with desk.store.write() as connection:
        ensure_person(connection, OTHER, [Role.ANALYST])
    browser = Browser(desk).sign_in(ME, [Role.ANALYST])
    tick = lambda: loop.clock.advance(minutes=1)  # noqa: E731 - each act is of a later minute
    for act in (
        lambda: browser.post(f"{path}/read"),
        lambda: browser.post(f"{path}/read"),
        lambda: claim_case(desk, case.case_id, actor=ME),
        lambda: move_case(
            desk, case.case_id, lane="crisis", score=300, reason=WHY, actor=ME, roles=frozenset({Role.ANALYST})
        ),
        lambda: assess(desk, case.case_id, actor=ME),
        lambda: hand_over(desk, case.case_id, reason=WHY, note="Note-Marker", person=OTHER, actor=ME),
        lambda: take_over(desk, case.case_id, from_person=OTHER, reason=WHY, actor=ME),
        lambda: browser.post(f"{path}/reply", **make_talk_form(desk)),
        lambda: assess_and_close(desk, case.case_id, CLOSING, actor=ME),
        lambda: browser.post(f"{path}/reopen", reopen_reason=WHY),
    ):
        tick()
        act()
    closed = browser.get(path).text
    assert "Reason-Marker" not in closed
    assert "Note-Marker" not in closed
    lines = list_lines(closed)
    assert lines[0].startswith("A person sent a first report, P3: ")
    mine = [line.removeprefix("A Analyst (a-analyst) ") for line in lines if line.startswith("A Analyst (a-analyst)")]
    assert [line.removesuffix(" Open the report to read why.") for line in mine] == [
        "opened the report, 2 times, last .",
        "took the case.",
        "moved the case in the queue, from the crisis lane (138) to the crisis lane (300).",
        "assessed the case: immediate risk no, urgent no, police or child protection urgently no, priority P3.",
        "handed the case over to B Analyst (b-analyst).",
        "took the case over from B Analyst (b-analyst).",
        "recorded the reply: Called.",
        "closed the case: Used.",
        "reopened the case, closed before as: Used.",
        "took the case.",
    ]
    assert len([line for line in mine if line.endswith("to read why.")]) == 6
    opened = list_lines(browser.post(f"{path}/read").text)
    assert sum(WHY in line for line in opened) == 4
    assert any("Note-Marker" in line for line in opened)


def test_links_stand_in_the_lists_of_both_cases(loop: Loop) -> None:
    partners, case = file_partners(loop), file_public(loop)
    desk, browser = loop.desk, Browser(loop.desk).sign_in(ME, [Role.ANALYST])
    refuse_match(desk, case.case_id, partners.reference, reason=WHY, actor=ME)
    link_cases(desk, case.case_id, partners.reference, reason=WHY, actor=ME)
    unlink_cases(desk, partners.case_id, case.reference, reason=WHY, actor=ME)
    for one, other in ((case, partners), (partners, case)):
        lines = list_lines(browser.get(f"/cases/{one.case_id}").text)
        assert [line for line in lines if other.reference in line] == [
            f"A Analyst (a-analyst) {done} another: {other.reference}. Open the report to read why."
            for done in ("kept the case apart from", "linked the case with", "ended the link of the case with")
        ]


def test_what_a_recipient_did_is_said_by_name_and_once(loop: Loop) -> None:
    action = release_package(loop)
    send_out(loop.desk, "message")
    for entry in (
        make_entry(loop, action.action_id, kind="acknowledge"),
        make_entry(loop, action.action_id, kind="question", text="Which town?"),
        make_entry(loop, action.action_id, kind="outcome", text="Safe.", outcome="safeguarded"),
    ):
        assert post_entry(loop, entry) == 202
    collect_threads(loop)
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, action.action_id, reason=WHY, actor=ME)
    other = release(loop.desk, draft(loop.desk, action.case_id))
    with loop.desk.store.write() as connection:
        record_sent(loop.desk, connection, other.action_id, actor=ME)
        told = EntryText(by="DC Example", text="We have it.")
        record_entry(loop.desk, connection, other.action_id, kind="acknowledge", text=told, actor=ME)
        end_action(loop.desk, connection, other.action_id, actor=ME)
    with loop.desk.store.write() as connection:
        partner = get_partner(connection, loop.partner.partner).name
    lines = list_lines(Browser(loop.desk).sign_in(ME, [Role.ANALYST]).get(f"/cases/{action.case_id}").text)
    done = [line.partition(") ")[2] or line for line in lines if "package" in line and "The gateway" not in line]
    assert done == [
        "drafted a package to Kent Police.",
        "released the package to Kent Police.",
        "the desk sent the package to Kent Police.",
        f"{partner} took the package.",
        f"{partner} asked a question about the package.",
        f"{partner} told an outcome of the package.",
        "recalled the package to Kent Police.",
        "drafted a package to Kent Police.",
        "released the package to Kent Police.",
        "sent the package to Kent Police.",
        "recorded that Kent Police took the package.",
        "ended the package to Kent Police.",
    ]


def test_a_long_list_folds_its_older_part(loop: Loop) -> None:
    case = file_public(loop)
    browser = Browser(loop.desk).sign_in(ME, [Role.ANALYST])
    for act in ("claim", "release") * 10:
        browser.post(f"/cases/{case.case_id}/{act}")
    page = browser.get(f"/cases/{case.case_id}").text
    lines = list_lines(page)
    folded = re.search(r"<summary>(\d+) earlier</summary>", page)
    assert folded is not None
    assert int(folded[1]) == len(lines) - 8


def test_every_act_on_a_case_in_the_audit_log_has_a_line(loop: Loop) -> None:
    partners, case = file_partners(loop), file_public(loop)
    desk = loop.desk
    browser = Browser(desk).sign_in(ME)
    for one in (case, partners):
        path = f"/cases/{one.case_id}"
        browser.post(f"{path}/read")
        claim_case(desk, one.case_id, actor=ME)
        browser.post(f"{path}/about", about="Other Chat", about_new="yes", about_reason=WHY)
        assess(desk, one.case_id, actor=ME)
        browser.post(f"{path}/outcome", told_outcome="used", hold_until="2026-12-20")
        browser.post(f"{path}/outcome/take-back")
        browser.post(f"{path}/reply", code="no_safe_contact", reason=WHY)
    ask_service(desk, partners.case_id, make_asking(loop), actor=ME)
    link_cases(desk, case.case_id, partners.reference, reason=WHY, actor=ME)
    steps = {f"{kind}-case" for kind in get_args(StepKind)}
    with desk.store.read() as connection:
        wanted = AUDIT.c.subject.in_([case.case_id, partners.case_id])
        acts = set(connection.execute(select(AUDIT.c.action).where(wanted)).scalars())
    assert acts - steps - OF_OTHER_LISTS - set(ON_CASE) == set()
    assert {"decide-outcome", "take-back-outcome", "ask-service-case", "draft-action", "draft-release"} <= acts
    lines = list_lines(browser.get(f"/cases/{partners.case_id}").text)
    assert [line for line in lines if "partner" in line.partition(") ")[2]] != []
    assert find(loop, case.reference).about == "other-chat"
