"""One person has a case: the first to take it, until another takes it over with a reason."""

from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.closing import Closing, close_case, schedule_outcome
from gateway.desk.cases.holding import claim_case, hand_over, release_case, take_over
from gateway.desk.cases.model import MAX_NOTE_CHARACTERS, CaseError, get_case, list_steps, open_texts
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import move_case
from gateway.desk.cases.replies import record_reply
from gateway.desk.collection.joining import join_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.service_requests import ask_service
from gateway.desk.store.schema import CASES
from tests.desk.asking_builders import make_asking
from tests.desk.desk_loop import Loop
from tests.desk.industry_builders import file, read
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import ANSWERS, assess, assess_and_close, get, make_talk, refused

ONE, OTHER = "a-analyst", "b-analyst"
WHY = "Her shift is over."


def add_opened(desk: Desk, **changes: Any) -> str:
    with desk.store.write() as connection:
        ensure_person(connection, "c-analyst", [Role.ANALYST])
        ensure_person(connection, "an-auditor", [Role.AUDITOR])
    return open_case(desk, add_sealed_case(desk, marker="", **changes), actor=ONE).case.case_id


def list_kinds(desk: Desk, case_id: str) -> list[str]:
    with desk.store.read() as connection:
        return [step.kind for step in reversed(list_steps(connection, get_case(connection, case_id)))]


def test_only_the_person_who_has_a_case_assesses_answers_and_closes_it(desk: Desk) -> None:
    case_id = add_opened(desk, under_18="yes")
    assert claim_case(desk, case_id, actor=ONE).holder == ONE
    for act in (
        lambda: claim_case(desk, case_id, actor=OTHER),
        lambda: assess(desk, case_id, actor=OTHER),
        lambda: record_reply(desk, case_id, make_talk(desk), actor=OTHER),
        lambda: close_case(desk, case_id, Closing("used"), actor=OTHER),
        lambda: release_case(desk, case_id, actor=OTHER),
        lambda: hand_over(desk, case_id, reason=WHY, note=WHY, person="c-analyst", actor=OTHER),
    ):
        with refused("held") as caught:
            act()
        assert str(caught.value).startswith("a-analyst has had this case since 25 Nov 2026, 09:30 GMT.")
    assert list_kinds(desk, case_id) == ["claim"]
    assess(desk, case_id, actor=ONE)
    record_reply(desk, case_id, make_talk(desk), actor=ONE)
    assert close_case(desk, case_id, Closing("used"), actor=ONE).holder is None


def test_question_and_outcome_need_an_assessment_and_the_outcome_the_case_too(loop: Loop) -> None:
    case, asking = read(loop), make_asking(loop)
    for act in (
        lambda: ask_service(loop.desk, case.reference, asking, actor=ONE),
        lambda: schedule_outcome(loop.desk, case.reference, outcome="used", hold_until=None, actor=ONE),
    ):
        with refused("not-assessed"):
            act()
    assess(loop.desk, case.reference, actor=ONE)
    # The accredited officer asks about a case that an analyst has.
    assert ask_service(loop.desk, case.reference, asking, actor="s-contact")
    with refused("held"):
        schedule_outcome(loop.desk, case.reference, outcome="used", hold_until=None, actor=OTHER)
    assert schedule_outcome(loop.desk, case.reference, outcome="used", hold_until=None, actor=ONE)


@pytest.mark.databases("sqlite", "postgresql")
def test_of_two_people_at_once_one_has_the_case_and_the_other_is_told_who(desk: Desk) -> None:
    case_id, start, ends = add_opened(desk), Barrier(2), dict[str, str]()

    def claim(actor: str) -> None:
        start.wait()
        try:
            claim_case(desk, case_id, actor=actor)
            ends[actor] = "has it"
        except CaseError as error:
            ends[actor] = str(error)

    threads = [Thread(target=claim, args=(actor,)) for actor in (ONE, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = get(desk, case_id).holder
    (loser,) = {ONE, OTHER} - {winner}
    assert ends[str(winner)] == "has it"
    assert ends[loser].startswith(f"{winner} has had this case since")
    assert list_kinds(desk, case_id) == ["claim"]


def test_taking_over_names_the_person_that_it_was_taken_from(desk: Desk) -> None:
    case_id = add_opened(desk)
    claim_case(desk, case_id, actor=ONE)
    with refused("reason-missing"):
        take_over(desk, case_id, from_person=ONE, reason=" ", actor=OTHER)
    assert take_over(desk, case_id, from_person=ONE, reason=WHY, actor=OTHER).holder == OTHER
    # A page that was drawn before that: its reason was meant for the person who had it then.
    with pytest.raises(CaseError) as caught:
        take_over(desk, case_id, from_person=ONE, reason=WHY, actor="c-analyst")
    assert (caught.value.reason, str(caught.value).split(" has")[0]) == ("held", OTHER)
    release_case(desk, case_id, actor=OTHER)
    assert take_over(desk, case_id, from_person=OTHER, reason=WHY, actor="c-analyst").holder == "c-analyst"
    assert list_kinds(desk, case_id) == ["claim", "take-over", "release", "claim"]


def test_case_is_handed_to_a_faculty_where_nobody_has_it_and_then_to_a_person(desk: Desk) -> None:
    case_id, note = add_opened(desk), "The school knows.\nDo not call: they share the phone."
    with refused("not-yours"):
        hand_over(desk, case_id, reason=WHY, note=note, faculty="operations", actor=ONE)
    claim_case(desk, case_id, actor=ONE)
    handed = hand_over(desk, case_id, reason=WHY, note=note, faculty="operations", actor=ONE)
    assert (handed.holder, handed.held_since, handed.faculty) == (None, None, "operations")
    claim_case(desk, case_id, actor=OTHER)
    handed = hand_over(desk, case_id, reason=WHY, note=note, person="c-analyst", actor=OTHER)
    assert (handed.holder, handed.faculty) == ("c-analyst", "operations")
    with desk.store.read() as connection:
        steps = list_steps(connection, handed, kinds=("hand-over",))
    assert [(step.detail["person"], step.detail["faculty"]) for step in steps] == [
        ("c-analyst", None),
        (None, "operations"),
    ]
    assert {text.note for text in open_texts(desk, handed, steps, actor=ONE).values()} == {note}


def test_case_outside_the_crisis_lane_is_handed_to_a_person_of_a_faculty_who_keeps_it(desk: Desk) -> None:
    case_id, officer = add_opened(desk), "o-operations"
    with desk.store.write() as connection:
        ensure_person(connection, officer, [Role.OPERATIONS])
    claim_case(desk, case_id, actor=ONE)
    assert hand_over(desk, case_id, reason=WHY, note=WHY, person=officer, actor=ONE).holder == officer
    move = {"score": None, "reason": WHY, "actor": OTHER, "roles": Role}
    move_case(desk, case_id, lane="crisis", **move)
    assert move_case(desk, case_id, lane="queue", **move).holder == officer


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"person": None}, "no-recipient"),
        ({"faculty": "operations"}, "no-recipient"),
        ({"person": None, "faculty": "kitchen"}, "no-recipient"),
        ({"person": "nobody"}, "no-recipient"),
        ({"person": "an-auditor"}, "no-recipient"),
        ({"person": ONE}, "own-person"),
        ({"reason": "two\nlines"}, "unprintable"),
        ({"note": " \n"}, "note-missing"),
        ({"note": "x" * (MAX_NOTE_CHARACTERS + 1)}, "note-too-long"),
        ({"note": "a\x1b[2Jb"}, "note-unprintable"),
    ],
)
def test_hand_over_that_lacks_something_changes_nothing(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    case_id = add_opened(desk)
    claim_case(desk, case_id, actor=ONE)
    with refused(reason):
        hand_over(desk, case_id, **({"reason": WHY, "note": WHY, "person": "c-analyst"} | changes), actor=ONE)
    assert list_kinds(desk, case_id) == ["claim"]


def test_duty_officer_is_handed_cases_of_the_crisis_lane_and_loses_a_lowered_one(desk: Desk) -> None:
    case_id, officer = add_opened(desk), "d-duty"
    with desk.store.write() as connection:
        ensure_person(connection, officer, [Role.DUTY_OFFICER])
        ensure_person(connection, ONE, [Role.ANALYST])
    claim_case(desk, case_id, actor=ONE)
    hand = {"reason": WHY, "note": "She waits for a call.", "person": officer, "actor": ONE}
    with refused("no-recipient"):
        hand_over(desk, case_id, **hand)
    move = {"score": None, "reason": WHY, "actor": OTHER, "roles": Role}
    move_case(desk, case_id, lane="crisis", **move)
    assert hand_over(desk, case_id, **hand).holder == officer
    assert move_case(desk, case_id, lane="queue", **move).holder is None
    page = Browser(desk).sign_in().get(f"/cases/{case_id}").text
    assert "gave the case back for" in page
    claim_case(desk, case_id, actor=ONE)
    move_case(desk, case_id, lane="crisis", **move)
    assert move_case(desk, case_id, lane="queue", **move).holder == ONE


def test_addition_is_worked_on_in_its_first_case_while_that_is_open(loop: Loop) -> None:
    first = read(loop)
    added = file(loop, kind="supplement", earlier_reference=first.reference)
    assert claim_case(loop.desk, added.reference, actor=ONE).reference == first.reference
    page = Browser(loop.desk).sign_in().get(f"/cases/{added.case_id}").text
    assert f'Its work is in <a href="/cases/{first.case_id}#holder-title">{first.reference}</a>' in page
    assert "Take this case" not in page


@pytest.mark.parametrize("older_holder", [None, OTHER])
def test_report_that_joins_an_older_case_brings_its_holder_unless_that_has_one(
    loop: Loop, older_holder: str | None
) -> None:
    first = read(loop)
    apart = file(loop)
    open_case(loop.desk, apart.case_id, actor=ONE)
    claim_case(loop.desk, apart.case_id, actor=ONE)
    if older_holder is not None:
        claim_case(loop.desk, first.case_id, actor=older_holder)
    with loop.desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == apart.case_id).values(adds_to=first.reference))
        join_case(connection, apart.case_id, now=loop.desk.clock())
    joined, lead = get(loop.desk, apart.case_id), get(loop.desk, first.case_id)
    assert (joined.joined_to, joined.holder, joined.held_since) == (lead.case_id, None, None)
    assert lead.holder == (older_holder or ONE)
    assert lead.held_since is not None
    page = Browser(loop.desk).sign_in().get(f"/cases/{first.case_id}").text
    assert "<b><bdi>a-analyst</bdi></b> took the case" in page
    assert f"kept the case with its holder when another report joined it: {lead.holder}" in page
    assess(loop.desk, apart.case_id, actor=lead.holder)


def test_report_that_comes_after_its_case_was_closed_keeps_its_holder(loop: Loop) -> None:
    first = read(loop)
    assess_and_close(loop.desk, first.reference, Closing("actioned"), actor=OTHER)
    apart = file(loop)
    claim_case(loop.desk, apart.case_id, actor=ONE)
    with loop.desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == apart.case_id).values(adds_to=first.reference))
        join_case(connection, apart.case_id, now=loop.desk.clock())
    assert get(loop.desk, apart.case_id).joined_to == first.case_id
    assert (get(loop.desk, apart.case_id).holder, get(loop.desk, first.case_id).holder) == (ONE, None)


def test_page_takes_gives_back_and_hands_over_a_case(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    path = f"/cases/{case_id}"
    assert "Nobody has this case" in browser.get(path).text
    assert browser.post(f"{path}/claim").headers["Location"] == f"{path}#holder-title"
    assert "You have this case" in browser.get(path).text
    refused = browser.post(f"{path}/hand-over", hand_faculty="operations", hand_note="<b>Kept words</b>")
    assert (refused.status_code, "&lt;b&gt;Kept words" in refused.text) == (409, True)
    hostile = "</textarea><script>\u202e{{ 7*7 }}"
    handing = {"hand_faculty": "operations", "hand_reason": hostile[:12], "hand_note": hostile}
    assert browser.post(f"{path}/hand-over", **handing).status_code == 303
    page = browser.post(f"{path}/read").text
    assert "With Operations." in page
    assert "A Assessor (a-assessor)</bdi></b> handed the case over to Operations." in page
    assert "&lt;/textarea&gt;&lt;script&gt;[U+202E]{{ 7*7 }}" in page


def test_page_of_a_case_that_another_person_has_loses_nothing_that_was_typed(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    path = f"/cases/{case_id}"
    browser.get(path)
    claim_case(desk, case_id, actor=OTHER)
    answer = browser.post(f"{path}/assess", **(ANSWERS | {"assess_reasons": "Words to keep."}))
    assert answer.status_code == 409
    assert "b-analyst has had this case since 25 Nov 2026, 09:30 GMT" in answer.text.split("<h1>")[0]
    assert "Words to keep." in answer.text
    taken = {"over_from": OTHER, "over_reason": WHY}
    assert browser.post(f"{path}/take-over", **taken).status_code == 303
    assert browser.post(f"{path}/assess", **ANSWERS).status_code == 303
    assert get(desk, case_id).holder == "a-assessor"
    assert WHY in browser.post(f"{path}/read").text


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        (Role.ADVISER, ("Take this case", "Record the view")),
        (Role.ANALYST, ("Take this case", "Record the assessment", "Close the case")),
        (Role.SUPERVISOR, ("Take this case", "Record the assessment", "Record the reason", "Close the case")),
    ],
)
def test_page_offers_each_role_its_own_forms(desk: Desk, role: Role, shown: tuple[str, ...]) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id, actor=ONE, urgent_dissemination="yes")
    release_case(desk, case_id, actor=ONE)
    page = Browser(desk).sign_in("one-role", [role]).get(f"/cases/{case_id}").text
    buttons = ("Take this case", "Record the assessment", "Record the view", "Record the reason", "Close the case")
    assert tuple(button for button in buttons if f">{button}</button>" in page) == shown
