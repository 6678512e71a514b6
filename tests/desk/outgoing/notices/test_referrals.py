"""A referral names account and rule alone, waits a random time, and never goes while its case is under an embargo."""

import html
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.ledger import get_signing, open_body, withdraw_action
from gateway.desk.cases.actions.model import Action, ActionError
from gateway.desk.cases.actions.sending import EMBARGO_TITLES, Embargo, find_embargo
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.stages import record_outcome
from gateway.desk.collection.joining import add_link
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.referrals import (
    ACCOUNT_CHOICES,
    LONGEST_WAIT,
    SHORTEST_WAIT,
    Referral,
    choose_wait,
    draft_referral,
    list_rules,
    load_terms,
)
from gateway.desk.retention.lists import lift_hold, place_hold
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.mailbox import TermsReferral, parse_body
from tests.desk.action_builders import draft, reread
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.notice_builders import CONTACT, MARKER, add_referable, make_reachable
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.desk.work_builders import assess, pass_case_on
from tests.public_report_builders import make_contact, make_known_person

GOOD = {"account_kind": "username", "account": "Night_Owl7", "rule": "unwanted_contact"}
EVERY_EMBARGO = pytest.mark.parametrize("embargo", get_args(Embargo))


@pytest.fixture
def reachable(desk: Desk) -> Desk:
    return make_reachable(desk)


@pytest.fixture
def case_id(reachable: Desk) -> str:
    return add_referable(reachable)


def refer(desk: Desk, case_id: str, **changes: str) -> Action:
    return draft_referral(desk, case_id, Referral(**(GOOD | changes)), actor=ACTOR)


def release(desk: Desk, action: Action, *, person: str = "b-second") -> tuple[Action, str]:
    """Sign and release a referral at the desk's page; return it and the page, if that refused it."""
    with desk.store.read() as connection:
        signature = get_signing(connection, action).release
    assert signature is not None
    browser = Browser(desk).sign_in(person)
    assert browser.post(f"/actions/{action.action_id}/read").status_code == 200
    if signature.signed_by is None:
        answer = browser.step_up(f"/releases/{signature.id}/begin", f"/actions/{action.action_id}/release")
    else:
        answer = browser.post(f"/actions/{action.action_id}/release")
    assert answer.status_code in (303, 409)
    return reread(desk, action), answer.text


def refuse(desk: Desk, case_id: str, **changes: str) -> ReportAbuseError:
    with pytest.raises((CaseError, ActionError)) as caught:
        refer(desk, case_id, **changes)
    return caught.value


def place(desk: Desk, case_id: str, embargo: Embargo) -> None:
    """Put a case under an embargo, for one reason."""
    if embargo == "legal-hold":
        place_hold(desk, case_id, reason="A court asks.", review=date(2027, 1, 4), actor=ACTOR)
    elif embargo == "package-open":
        draft(desk, case_id)
    elif embargo == "for-action":
        assess(desk, case_id, best_placed="local_police")
    elif embargo == "with-police":
        pass_case_on(desk, case_id)
    else:
        until = desk.clock() + timedelta(days=20)
        with desk.store.write() as connection:
            record_outcome(
                desk, connection, case_id=case_id, partner=PARTNER, outcome="used", held_until=until, actor=ACTOR
            )


def test_referral_has_the_shape_of_a_notice_and_nothing_of_the_report(reachable: Desk, case_id: str) -> None:
    raw = open_body(reachable, refer(reachable, case_id), actor=ACTOR)
    body = parse_body(raw, body=TermsReferral)
    assert (body.account.kind, body.account.value) == ("username", "Night_Owl7")
    assert body.rule == "Unwanted contact of adults with people under 18"
    assert "may break your rules on unwanted contact of adults with people under 18." in body.facts.explanation
    assert body.facts.locations == ("The account with the user name Night_Owl7 at Example Chat",)
    assert body.facts.good_faith is True
    assert body.facts.notifier is not None
    assert (body.facts.notifier.email, body.facts.notifier.name) == (CONTACT, "The agency")
    assert MARKER.encode() not in raw
    assert b"2026" not in raw  # no day or hour tells when anything happened


def test_id_that_the_service_sees_does_not_show_the_day_of_the_draft(reachable: Desk, case_id: str) -> None:
    milliseconds = int(refer(reachable, case_id).action_id.replace("-", "")[:12], 16)
    assert milliseconds == datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000


def test_release_waits_a_random_time(reachable: Desk, case_id: str, clock: Clock) -> None:
    released, _ = release(reachable, refer(reachable, case_id))
    assert released.not_before is not None
    assert SHORTEST_WAIT <= parse_time(released.not_before) - clock() <= LONGEST_WAIT


@pytest.mark.parametrize(("number", "days"), [(0, 3), (11 * 86_400, 14), (11 * 86_400 + 1, 3)])
def test_wait_is_from_3_to_14_days(number: int, days: int) -> None:
    assert choose_wait(lambda size: number.to_bytes(size)) == timedelta(days=days)


@EVERY_EMBARGO
def test_case_under_an_embargo_is_neither_drafted_nor_released(reachable: Desk, case_id: str, embargo: Embargo) -> None:
    other = add_referable(reachable)
    waits = refer(reachable, other)
    for one in (case_id, other):
        place(reachable, one, embargo)
    error = refuse(reachable, case_id)
    assert error.reason == embargo
    assert str(error) == f"Not referred: this case, or one linked to it, {EMBARGO_TITLES[embargo]}."
    kept, page = release(reachable, waits)
    assert kept.state == "drafted"
    assert EMBARGO_TITLES[embargo] in page


@EVERY_EMBARGO
def test_embargo_on_a_linked_case_counts(reachable: Desk, case_id: str, embargo: Embargo) -> None:
    other = add_referable(reachable)
    with reachable.store.write() as connection:
        add_link(connection, case_id, other, by=ACTOR, now=reachable.clock())
    place(reachable, other, embargo)
    assert refuse(reachable, case_id).reason == embargo


def test_redirected_report_is_worked_on_as_a_package_is(reachable: Desk, case_id: str, clock: Clock) -> None:
    redirected = draft(reachable, case_id, kind="redirect", recipient="iwf")
    assert refuse(reachable, case_id).reason == "package-open"
    with reachable.store.write() as connection:
        withdraw_action(reachable, connection, redirected.action_id, reason="By mistake.", actor=ACTOR)
        assert find_embargo(connection, case_id, now=clock()) is None


@pytest.mark.databases("sqlite", "postgresql")
def test_embargo_ends_with_its_cause(reachable: Desk, case_id: str, clock: Clock) -> None:
    place(reachable, case_id, "legal-hold")
    lift_hold(reachable, case_id, reason="The court is done.", actor=ACTOR)
    package = draft(reachable, case_id)
    with reachable.store.write() as connection:
        assert find_embargo(connection, case_id, now=clock()) == "package-open"
        withdraw_action(reachable, connection, package.action_id, reason="By mistake.", actor=ACTOR)
        assert find_embargo(connection, case_id, now=clock()) is None
    place(reachable, case_id, "outcome-held")
    with reachable.store.read() as connection:
        assert find_embargo(connection, case_id, now=clock()) == "outcome-held"
        assert find_embargo(connection, case_id, now=clock() + timedelta(days=21)) is None


@pytest.mark.parametrize(
    "answers",
    [
        {"immediate_risk": "yes"},
        {"urgent": "yes"},
        {"urgent_dissemination": "yes"},
        {"best_placed": "local_police"},
        {"best_placed": "operations"},
    ],
    ids=str,
)
def test_report_for_action_is_not_referred(reachable: Desk, answers: dict[str, str]) -> None:
    error = refuse(reachable, add_referable(reachable, assessed=answers))
    assert (error.reason, EMBARGO_TITLES["for-action"] in str(error)) == ("for-action", True)


def test_report_is_read_and_has_a_service_with_keys_first(reachable: Desk) -> None:
    assert refuse(reachable, add_sealed_case(reachable, marker="")).reason == "not-opened"
    assert refuse(reachable, add_referable(reachable, about=None)).reason == "no-service"
    assert refuse(reachable, add_referable(reachable, about="unknown-chat")).reason == "recipient-gone"


def test_service_that_sent_the_report_itself_gets_no_referral(reachable: Desk, case_id: str) -> None:
    with reachable.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(about="public"))
    assert refuse(reachable, case_id).reason == "own-report"


def test_case_is_referred_once_unless_that_was_withdrawn(reachable: Desk, case_id: str) -> None:
    action = refer(reachable, case_id)
    assert refuse(reachable, case_id).reason == "referred-already"
    with reachable.store.write() as connection:
        withdraw_action(reachable, connection, action.action_id, reason="Another rule.", actor=ACTOR)
    assert refer(reachable, case_id, rule="pressure").state == "drafted"


def test_suspended_service_gets_no_referral(reachable: Desk, case_id: str) -> None:
    waits = refer(reachable, case_id)
    with reachable.store.write() as connection:
        connection.execute(update(PARTNERS).values(state="suspended", suspended_at=format_time(reachable.clock())))
    assert refuse(reachable, add_referable(reachable)).reason == "recipient-suspended"
    kept, page = release(reachable, waits)
    assert (kept.state, "is suspended" in page) == ("drafted", True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rule": "anything"}, "bad-code"),
        ({"account_kind": "email"}, "bad-code"),
        ({"account": " "}, "bad-account"),
        ({"account": "a" * 301}, "bad-account"),
        ({"account": "night\u202eowl"}, "bad-account"),
        ({"account": "night_owl7 on Tuesday"}, "bad-account"),
        ({"account_kind": "link", "account": "night_owl7"}, "bad-account"),
        ({"account_kind": "link", "account": "https://chat.example/u/7?message=12"}, "bad-account"),
        ({"account_kind": "link", "account": "https://chat.example/u/7#12"}, "bad-account"),
    ],
    ids=str,
)
def test_more_than_an_account_is_refused(reachable: Desk, case_id: str, changes: dict[str, str], reason: str) -> None:
    assert refuse(reachable, case_id, **changes).reason == reason


def test_link_to_a_profile_is_its_own_location(reachable: Desk, case_id: str) -> None:
    action = refer(reachable, case_id, account_kind="link", account="https://chat.example/u/7")
    body = parse_body(open_body(reachable, action, actor=ACTOR), body=TermsReferral)
    assert body.facts.locations == ("https://chat.example/u/7",)


def test_account_of_the_person_who_reported_is_refused(reachable: Desk) -> None:
    report = {
        "name": "Sam_2012",
        "contact": make_contact(email="sam@home.example"),
        "person": make_known_person(app="Example Chat", handle="Night_Owl7"),
    }
    case_id = add_referable(reachable, report=report)
    assert refuse(reachable, case_id, account="sam_2012").reason == "shows-reporter"
    assert refuse(reachable, case_id, account="sam@home.example").reason == "shows-reporter"
    assert refer(reachable, case_id).state == "drafted"


def test_desk_without_an_address_refers_nothing_and_says_so_before_the_form(desk: Desk) -> None:
    case_id = add_referable(desk)
    assert refuse(desk, case_id).reason == "no-contact"
    page = Browser(desk).sign_in().get(f"/cases/{case_id}/referral").text
    assert "Referrals cannot be written yet: an administrator sets it in desk.toml" in html.unescape(page)
    assert 'name="account"' not in page


def test_case_page_links_to_the_form_only_where_a_referral_can_be_written(reachable: Desk, case_id: str) -> None:
    unassessed = open_case(reachable, add_sealed_case(reachable, marker="other"), actor=ACTOR).case.case_id
    nowhere = add_referable(reachable, marker="nowhere", about="unknown-chat")
    browser, link = Browser(reachable).sign_in(ACTOR), "Refer an account to it"
    assert link in browser.get(f"/cases/{case_id}").text
    page = browser.get(f"/cases/{unassessed}").text
    assert (link in page, '<a href="#assess">Assess</a>' in page) == (False, True)
    assert "No account can be referred to it." in browser.get(f"/cases/{nowhere}").text
    other = Browser(reachable).sign_in("b-second").get(f"/cases/{case_id}").text
    assert (link in other, "No account can be referred to it." in other, 'href="#assess"' in other) == (
        False,
        True,
        False,
    )
    place(reachable, case_id, "package-open")
    assert link not in browser.get(f"/cases/{case_id}").text


def test_every_rule_is_a_title_that_stands_in_a_sentence() -> None:
    assert len({code for code, _ in list_rules()}) == len(list_rules()) == 7
    assert "{rule}" in load_terms().reasons
    assert [code for code, _ in ACCOUNT_CHOICES] == ["username", "account_id", "link"]


def test_referral_leaves_with_the_signature_of_a_second_person_alone(reachable: Desk, case_id: str) -> None:
    action = refer(reachable, case_id)
    with reachable.store.read() as connection:
        signature = get_signing(connection, action).release
    assert signature is not None
    answer = Browser(reachable).sign_in(ACTOR).post(f"/releases/{signature.id}/begin")
    assert (answer.status_code, "Another person must read it" in answer.text) == (409, True)


def test_referral_is_withdrawn_on_its_own_page_with_a_reason(reachable: Desk, case_id: str) -> None:
    action = refer(reachable, case_id)
    browser, path = Browser(reachable).sign_in(ACTOR), f"/actions/{action.action_id}"
    refused = browser.post(f"{path}/withdraw", withdraw_reason="")
    assert (refused.status_code, "Give a reason." in refused.text) == (409, True)
    done = browser.post(f"{path}/withdraw", withdraw_reason="Another rule.")
    assert (done.status_code, done.location, reread(reachable, action).state) == (303, path, "withdrawn")


def test_second_release_changes_nothing(reachable: Desk, case_id: str) -> None:
    first, _ = release(reachable, refer(reachable, case_id))
    assert first.state == "released"
    assert release(reachable, first, person="c-third")[0] == first


def test_words_of_a_referral_open_for_those_who_refer(reachable: Desk, case_id: str) -> None:
    page = f"/actions/{refer(reachable, case_id).action_id}/read"
    assert "Night_Owl7" in Browser(reachable).sign_in("b-second", roles=[Role.SUPERVISOR]).post(page).text
    for other in (Role.DUTY_OFFICER, Role.ADVISER):
        answer = Browser(reachable).sign_in(f"c-{other.value}", roles=[other]).post(page)
        assert "Night_Owl7" not in answer.text
        assert answer.status_code == 403 or "Only an analyst or a supervisor reads" in answer.text
