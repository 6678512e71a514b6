"""Every form on the page of a case is one that the person reading it may send: a 403 page would lose the typed text."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from gateway.desk.cases.closing import schedule_outcome
from gateway.desk.cases.holding import claim_case, release_case
from gateway.desk.cases.model import NO_SAFE_CONTACT, CaseRow
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import GivenReply, record_reply
from gateway.desk.office.people.permissions import Permission, Role, format_roles, is_allowed
from gateway.desk.store.schema import CASES
from gateway.web.rules import Login, find_rule
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.cases.test_page_budget import send_heavy
from tests.desk.collection.evidence.test_look import PNG
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import collect_all, hand_over, make_film, newest_case, open_door, post, seal_with
from tests.desk.evidence_builders import tell_of as describe
from tests.desk.identifier_builders import add_identifier
from tests.desk.industry_builders import find
from tests.desk.view_builders import Browser, make_code_key, make_code_seed
from tests.desk.work_builders import assess, assess_and_close
from tests.public_report_builders import make_contact

# Forms of the pages of a request to see, correct or wipe a report, of a package, of a referral and of a request to a
# service, not of a case.
OF_FORMS = (
    *(f"/cases/<case_id>/package/{step}" for step in ("preview", "draft")),
    *(f"/cases/<case_id>/{form}" for form in ("referral", "ask", "ask/accounts")),
)
OF_ANOTHER_PAGE = ("/cases/<case_id>/requests", "/cases/<case_id>/erase", *OF_FORMS)
WHY = "The school rang: the child is with them."
READERS = tuple(role for role in Role if is_allowed([role], Permission.READ_CASES))


def file_public(loop: Loop) -> CaseRow:
    """File a child's report with a return code, opened and in the crisis lane, which shares a number with another."""
    code = make_code_key(make_code_seed("lamp"))
    told = {
        "feels": "hurting",
        "story": "He is night_owl7 there.",
        "contact": make_contact(ways=("call",), phone="0000"),
        "reply_by": "2026-12-10",
    }
    references = [loop.send_public(reply_key=code, **told).reference for _ in range(2)]
    loop.collect()
    cases = [find(loop, reference) for reference in references]
    with loop.desk.store.write() as connection:
        add_identifier(connection, [one.case_id for one in cases], "phone", "+447700900123")
    open_case(loop.desk, references[0], actor=ACTOR)
    return find(loop, references[0])


def file_partners(loop: Loop) -> CaseRow:
    """File a partner's report with a picture, opened and in the crisis lane."""
    film, door = make_film(PNG), open_door(loop)
    hand_over(door, film.sealed)
    post(door, seal_with(loop, [film.reference], files=[describe(film, media_type="image/png")]))
    collect_all(loop)
    case = newest_case(loop)
    with loop.desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case.case_id).values(crisis=True))
    open_case(loop.desk, case.case_id, actor=ACTOR)
    return find(loop, case.reference)


class Readers:
    """One person of each role who may read cases, and the routes whose forms they were shown."""

    def __init__(self, loop: Loop) -> None:
        self.browsers = {role: Browser(loop.desk).sign_in(f"p-{role.value}", [role]) for role in READERS}
        app = next(iter(self.browsers.values())).client.application
        self.app, self.seen = app, set[str]()

    def look(self, *cases: CaseRow) -> None:
        """Look at each case as each role, unread and read; a form that others have is replaced by who may send it."""
        for case in cases:
            path = f"/cases/{case.case_id}"
            unread = {role: browser.get(path).text for role, browser in self.browsers.items()}
            read = {role: browser.post(f"{path}/read").text for role, browser in self.browsers.items()}
            for pages in (unread, read):
                offered = set[Permission]().union(*(self.check(role, page) for role, page in pages.items()))
                for role, page in pages.items():
                    for permission in offered:
                        if not is_allowed([role], permission):
                            assert format_roles(permission) in page, f"{role.value}: who may {permission.text}?"

    def check(self, role: Role, page: str) -> set[Permission]:
        """Check that every form of a page is one that the role may send, and return the permissions of these forms."""
        assert "Your role does not let you" not in page
        permissions = set[Permission]()
        for method, address in list_forms(page):
            endpoint, _ = self.app.url_map.bind("localhost").match(address, method=method)
            stated = find_rule(self.app, endpoint)
            assert stated is not None
            able = [one for one in stated.permissions if isinstance(one, Permission)]
            assert any(is_allowed([role], one) for one in able), f"{role.value} is shown a form to {able[0].text}"
            self.seen.add(endpoint)
            permissions.update(able)
        return permissions

    def list_unseen(self) -> set[str]:
        """Return the routes of a case's forms that no page has shown."""
        rules = [one for one in self.app.url_map.iter_rules() if "<case_id>" in one.rule and "POST" in one.methods]
        rules = [one for one in rules if not one.rule.startswith(OF_ANOTHER_PAGE)]
        assert len(rules) >= 20
        assert {stated.login for one in rules if (stated := find_rule(self.app, one.endpoint))} == {Login.STAFF}
        return {one.endpoint for one in rules} - self.seen


def list_forms(page: str) -> Iterator[tuple[str, str]]:
    """Yield method and path of each form of a page, and of each button that sends its form elsewhere."""
    for form in re.findall(r"<form\b[^>]*>", page):
        (method,), (action,) = re.findall(r' method="(\w+)"', form), re.findall(r' action="([^"#?]*)', form)
        yield method.upper(), action
    for action in re.findall(r' formaction="([^"#?]*)', page):
        yield "POST", action


def test_every_form_of_a_case_is_one_that_its_reader_may_send(loop: Loop) -> None:
    partners, public = cases = file_partners(loop), file_public(loop)
    readers, analyst = Readers(loop), f"p-{Role.ANALYST.value}"
    readers.look(*cases)
    preview = f"/cases/{public.case_id}/reply/preview"
    checked = readers.browsers[Role.ANALYST].post(preview, reply_text="Hello, we have read it.", counts="no")
    assert "This is the reply they will see" in checked.text
    readers.check(Role.ANALYST, checked.text)
    for case in cases:
        claim_case(loop.desk, case.case_id, actor=analyst)
        assess(loop.desk, case.case_id, actor=analyst, urgent_dissemination="yes")
    readers.look(*cases)
    # Held by another, a case is owed nothing of a supervisor; held by none, a supervisor may let it close.
    release_case(loop.desk, public.case_id, actor=analyst)
    readers.look(public)
    schedule_outcome(loop.desk, partners.case_id, outcome="used", hold_until=None, actor=analyst)
    record_reply(loop.desk, public.case_id, GivenReply(NO_SAFE_CONTACT, "The phone is shared"), actor=analyst)
    readers.look(*cases)
    assess(loop.desk, partners.case_id, actor=analyst)
    assess_and_close(loop.desk, partners.case_id, CLOSING, actor=analyst)
    supervisor = readers.browsers[Role.SUPERVISOR]
    held = supervisor.post(f"/cases/{partners.case_id}/hold", hold_reason="A court asks.", hold_review="2027-02-01")
    assert held.status_code == 303
    readers.look(partners)
    # A report that is too long for its page has one form more.
    heavy = send_heavy(loop)
    loop.collect()
    read = readers.browsers[Role.ANALYST].post(f"/cases/{find(loop, heavy).case_id}/read")
    readers.check(Role.ANALYST, read.text)
    assert readers.list_unseen() == set()


@pytest.mark.parametrize(("lane", "score", "field"), [("queue", "", "lane"), ("crisis", "1", "score")])
def test_lowering_without_the_permission_is_answered_at_the_field_with_every_word(
    loop: Loop, lane: str, score: str, field: str
) -> None:
    case = file_public(loop)
    analyst = Browser(loop.desk).sign_in("a-analyst", [Role.ANALYST])
    analyst.get(f"/cases/{case.case_id}")
    typed = {"lane": lane, "score": score, "move_reason": WHY, "reply_text": "Half a reply"}
    answer = analyst.post(f"/cases/{case.case_id}/move", **typed)
    assert answer.status_code == 403
    advice = f"Only {format_roles(Permission.MOVE_CASES)} lowers a case. Raise it, or ask one of them."
    assert f'<a href="#{field}">{advice}</a>' in answer.text
    assert f'id="{field}-fault"' in answer.text
    assert WHY in answer.text
    assert "Half a reply" in answer.text
    assert find(loop, case.reference) == case


@pytest.mark.parametrize(("role", "may_lower"), [(Role.ANALYST, False), (Role.SUPERVISOR, True)])
def test_only_a_supervisor_is_offered_to_lower_a_case(loop: Loop, role: Role, may_lower: bool) -> None:
    case = file_public(loop)
    page = Browser(loop.desk).sign_in("o-person", [role]).get(f"/cases/{case.case_id}").text
    assert ('name="lane" value="crisis"' in page, 'name="lane" value="queue"' in page) == (True, may_lower)
    assert ("Only a supervisor lowers a case." in page) is not may_lower
