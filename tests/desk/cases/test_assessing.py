"""Assessments: records of their own, the newest stands, an adviser only raises, and new reading asks for the next."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from gateway.desk.cases.assessing import CurrentAssessment, View, advise, assess_case, find_assessment
from gateway.desk.cases.closing import Closing, close_case
from gateway.desk.cases.model import CaseError, StepText, get_case, list_steps, open_texts
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import move_case
from gateway.desk.keyring.key_set import seal_own_copy
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import RISK_ASSESSMENT, add_person, set_authority
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import AUDIT, CASE_STEPS
from partner_sdk.wire.canonical import encode
from tests.builders import make_clear_fields
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import file, read
from tests.desk.outbox_builders import list_all_alerts
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.desk.work_builders import ANSWERS, ASSESSMENT, assess, get, refused
from tests.gateway.public.person import list_files

ADVISER = "s-adviser"
VIEW = View(
    immediate_risk="no", urgent="no", urgent_dissemination="no", priority="P3", reasons="I spoke to the school."
)


def add_opened(desk: Desk, **changes: Any) -> str:
    with desk.store.write() as connection:
        ensure_person(connection, ADVISER)
    return open_case(desk, add_sealed_case(desk, marker="", **changes), actor=ACTOR).case.case_id


def stands(desk: Desk, case_id: str) -> CurrentAssessment:
    with desk.store.read() as connection:
        current = find_assessment(connection, get_case(connection, case_id))
    assert current is not None
    return current


def refuse(desk: Desk, case_id: str, **changes: Any) -> str:
    with pytest.raises(CaseError) as caught:
        assess(desk, case_id, **changes)
    return caught.value.reason


def test_every_assessment_is_kept_and_the_newest_stands(desk: Desk, clock: Clock) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id, urgent="yes", kind="meet_offline")
    clock.now = clock.now.replace(hour=3)  # set back: the order is not that of the clock
    assess(desk, case_id)
    current = stands(desk, case_id)
    assert (current.urgent, current.kind, current.step.by) == ("no", "grooming", ACTOR)
    with desk.store.read() as connection:
        steps = list_steps(connection, get_case(connection, case_id), kinds=("assess",))
        actions = connection.execute(select(AUDIT.c.action).where(AUDIT.c.subject == case_id)).scalars().all()
    assert [step.detail["urgent"] for step in steps] == ["no", "yes"]
    assert actions.count("assess-case") == 2


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("statement", ["UPDATE case_steps SET detail = '{}'", "DELETE FROM case_steps"])
def test_steps_of_a_case_are_neither_changed_nor_removed(desk: Desk, statement: str) -> None:
    assess(desk, add_opened(desk))
    with pytest.raises(IntegrityError, match="append-only"), desk.store.write() as connection:
        connection.exec_driver_sql(statement)


def test_reasons_are_in_no_file_of_the_desk_and_an_exchanged_box_stays_closed(desk: Desk) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id)
    assess(desk, case_id, reasons="Other reasons.")
    found = [path for path in list_files(desk.paths.state) if b"Reasons-Marker" in path.read_bytes()]
    assert found == []
    case = get(desk, case_id)
    with desk.store.read() as connection:
        second, first, _ = list_steps(connection, case)
    opened = open_texts(desk, case, [second, first], actor=ACTOR)
    assert [opened[one.step_id].note for one in (second, first)] == ["Other reasons.", ASSESSMENT.reasons]
    exchanged = dataclasses.replace(first, box=second.box)
    assert open_texts(desk, case, [exchanged], actor=ACTOR) == {}
    with desk.store.read() as connection:
        box = seal_own_copy(
            desk,
            connection,
            encode(StepText(note="Forged.")),
            purpose="mailbox",
            message_id=first.step_id,
            kind="case-step",
        )
    assert open_texts(desk, case, [dataclasses.replace(first, box=box)], actor=ACTOR) == {}
    renamed = dataclasses.replace(second, step_id=first.step_id)
    assert open_texts(desk, case, [renamed], actor=ACTOR) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"immediate_risk": ""}, "bad-code"),
        ({"urgent": "maybe"}, "bad-code"),
        ({"urgent_dissemination": ""}, "bad-code"),
        ({"best_placed": "me"}, "bad-code"),
        ({"priority": "P0"}, "bad-code"),
        ({"kind": ""}, "bad-code"),
        ({"age_band": "12"}, "bad-code"),
        ({"reasons": " "}, "note-missing"),
        ({"reasons": "a\x07"}, "note-unprintable"),
        ({"contact": ""}, "contact-undecided"),
        ({"contact": "later"}, "bad-code"),
        ({"struck": {"no_such_factor": "Why not."}}, "bad-factor"),
        ({"struck": {"grooming": "So."}, "agreed": {"grooming": "So."}}, "bad-factor"),
        ({"struck": {"grooming": ""}}, "reason-missing"),
    ],
)
def test_assessment_that_lacks_something_is_none(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    case_id = add_opened(desk)
    assert refuse(desk, case_id, **changes) == reason
    with desk.store.read() as connection:
        assert find_assessment(connection, get_case(connection, case_id)) is None
    assert get(desk, case_id).holder is None


def test_unread_case_is_not_assessed(desk: Desk) -> None:
    assert refuse(desk, add_sealed_case(desk, marker="")) == "not-opened"


def test_factors_are_judged_each_with_its_reason(desk: Desk) -> None:
    case_id = add_opened(desk, factors="grooming scared")
    assess(desk, case_id, struck={"grooming": "Their trainer, known."}, agreed={"scared": "She said so."})
    current = stands(desk, case_id)
    assert (current.agreed, current.struck) == (("scared",), ("grooming",))
    texts = open_texts(desk, get(desk, case_id), [current.step], actor=ACTOR)
    assert texts[current.step.step_id].factors == {"grooming": "Their trainer, known.", "scared": "She said so."}
    # Nothing lowers a score but a person who moves the case.
    assert get(desk, case_id).factors == "grooming scared"


def test_immediate_risk_brings_a_case_into_the_lane_once_and_no_answer_takes_it_out(desk: Desk) -> None:
    case_id = add_opened(desk, priority="P3")
    assert not assess(desk, case_id).crisis
    raised = assess(desk, case_id, immediate_risk="yes", priority="P1")
    assert (raised.crisis, raised.priority) == (True, "P1")
    assert [alert["count"] for alert in list_all_alerts(desk)] == [1]
    lowered = assess(desk, case_id)
    assert (lowered.crisis, lowered.priority) == (True, "P1")
    assess(desk, case_id, immediate_risk="yes")
    move_case(desk, case_id, lane="queue", score=None, reason="The police are there.", actor=ACTOR, roles=Role)
    assert not assess(desk, case_id, immediate_risk="yes").crisis
    advise(desk, case_id, dataclasses.replace(VIEW, immediate_risk="yes"), actor=ADVISER)
    assert not get(desk, case_id).crisis


def test_immediate_risk_is_new_if_more_was_read_since_the_last_one(loop: Loop) -> None:
    desk, first = loop.desk, read(loop)
    assess(desk, first.reference, immediate_risk="yes")
    why = {"reason": "The police are there.", "actor": ACTOR, "roles": Role}
    move_case(desk, first.case_id, lane="queue", score=None, **why)
    added = file(loop, kind="supplement", earlier_reference=first.reference)
    open_case(desk, added.case_id, actor=ACTOR)
    assert stands(desk, first.case_id).is_stale
    assert assess(desk, first.reference, immediate_risk="yes").crisis
    assert [alert["count"] for alert in list_all_alerts(desk)] == [2]


def test_advisers_view_raises_the_standing_assessment_without_having_the_case(desk: Desk) -> None:
    case_id = add_opened(desk, priority="P3")
    with refused("not-assessed"):
        advise(desk, case_id, VIEW, actor=ADVISER)
    assess(desk, case_id)
    raised = advise(desk, case_id, dataclasses.replace(VIEW, immediate_risk="yes", priority="P2"), actor=ADVISER)
    assert (raised.crisis, raised.priority, raised.holder) == (True, "P2", ACTOR)
    current = stands(desk, case_id)
    assert (current.is_view, current.step.by, current.immediate_risk) == (True, ADVISER, "yes")
    assert (current.kind, current.best_placed, current.contact) == ("grooming", "nobody", "no")


@pytest.mark.parametrize("name", ["immediate_risk", "urgent", "urgent_dissemination", "priority"])
def test_view_never_lowers_an_answer(desk: Desk, name: str) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id, **{name: "P1" if name == "priority" else "yes"})
    view = View(immediate_risk="yes", urgent="yes", urgent_dissemination="yes", priority="P1", reasons="Seen.")
    with refused("view-lowers"):
        advise(desk, case_id, dataclasses.replace(view, **{name: getattr(VIEW, name)}), actor=ADVISER)
    advise(desk, case_id, view, actor=ADVISER)
    assert stands(desk, case_id).is_view


def test_addition_that_is_read_later_asks_for_a_new_assessment(loop: Loop) -> None:
    desk, first = loop.desk, read(loop)
    with desk.store.write() as connection:
        ensure_person(connection, ADVISER)
    assess(desk, first.reference)
    added = file(loop, kind="supplement", earlier_reference=first.reference)
    assert not stands(desk, first.case_id).is_stale
    page = Browser(desk).sign_in(ACTOR).get(f"/cases/{first.case_id}").text
    assert "1 unread" in page
    open_case(desk, added.reference, actor=ACTOR)
    assert stands(desk, first.case_id).is_stale
    advise(desk, first.reference, VIEW, actor=ADVISER)  # an adviser's view is no assessment of what is new
    with refused("assessment-stale"):
        close_case(desk, first.reference, Closing("used"), actor=ACTOR)
    assess(desk, first.reference)
    assert close_case(desk, first.reference, Closing("used"), actor=ACTOR).closed_at


def test_addition_of_a_person_asks_for_a_new_assessment_of_the_first_report(loop: Loop) -> None:
    first = loop.send_public(under_18="no").reference
    loop.collect()
    open_case(loop.desk, first, actor=ACTOR)
    case_id = assess(loop.desk, first).case_id
    assert not stands(loop.desk, case_id).is_stale
    added = make_clear_fields("public", priority="P3", kind="supplement", earlier_reference=first)
    added_reference = loop.send_public(under_18="no", clear=added).reference
    loop.collect()
    assert not stands(loop.desk, case_id).is_stale
    open_case(loop.desk, added_reference, actor=ACTOR)
    assert stands(loop.desk, case_id).is_stale


def test_assessment_from_an_old_page_does_not_pass_over_a_newer_one(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    path = f"/cases/{case_id}"
    browser.get(path)
    assess(desk, case_id, actor="a-assessor", urgent="yes")
    answer = browser.post(f"{path}/assess", **ANSWERS, seen_step="0")
    assert (
        answer.status_code,
        "This case was assessed again while you wrote. Read that, change yours if you need to, and record it."
        in answer.text,
    ) == (409, True)
    assert ASSESSMENT.reasons in answer.text
    assert stands(desk, case_id).urgent == "yes"
    seen = stands(desk, case_id).step.number
    assert f'name="seen_step" value="{seen}"' in answer.text
    assert browser.post(f"{path}/assess", **ANSWERS, seen_step=str(seen)).status_code == 303
    assert assess_case(desk, case_id, ASSESSMENT, actor="a-assessor").case_id == case_id


def test_page_keeps_what_was_typed_and_shows_reasons_only_with_the_report(desk: Desk, browser: Browser) -> None:
    case_id, hostile = add_opened(desk, factors="grooming"), "</textarea><script>alert(1)</script>\u202e"
    path = f"/cases/{case_id}"
    browser.get(path)
    typed = ANSWERS | {"assess_reasons": hostile, "judge-grooming": "struck", "why-grooming": ""}
    answer = browser.post(f"{path}/assess", **typed)
    assert (answer.status_code, "Give the reason." in answer.text) == (409, True)
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]" in answer.text
    assert browser.post(f"{path}/assess", **(typed | {"why-grooming": "Known <b>"})).status_code == 303
    page = browser.get(path).text
    assert "Open the report to read the reasons." in page
    assert (
        "assessed the case: immediate risk no, urgent no, police or child protection urgently no, priority P3" in page
    )
    assert "alert(1)" not in page
    page = browser.post(f"{path}/read").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]" in page
    assert "Struck out: Gifts, secrets or a false age: <bdi" in page
    view = {"view_immediate_risk": "yes", "view_urgent": "yes", "view_urgent_dissemination": "no"}
    answer = browser.post(f"{path}/advise", **view, view_priority="P1", view_reasons="")
    assert "Write this part: the next person needs it." in answer.text
    assert browser.post(f"{path}/advise", **view, view_priority="P1", view_reasons="Seen.").status_code == 303
    assert "Safeguarding adviser's view</strong> by A Assessor (a-assessor)" in browser.get(path).text


def test_text_that_was_overwritten_in_the_database_is_said_not_to_open(desk: Desk) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id)
    with desk.store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER case_steps_no_update")
        connection.execute(update(CASE_STEPS).values(box=b"not a box"))
    browser = Browser(desk).sign_in()
    browser.get(f"/cases/{case_id}")
    assert "It no longer opens." in browser.post(f"/cases/{case_id}/read").text


@pytest.mark.parametrize(("days", "reason"), [(None, "no-authority"), (-1, "no-authority"), (0, "")])
def test_only_a_person_with_an_authority_assesses_up_to_its_last_day(
    desk: Desk, clock: Clock, days: int | None, reason: str
) -> None:
    """R55: trained, and authorised today."""
    case_id, person = add_opened(desk), "n-newcomer"
    with desk.store.write() as connection:
        add_person(connection, name="Nia Newcomer", handle=person, actor=ACTOR, now=clock.now)
        if days is not None:
            until = clock.now.date() + timedelta(days=days)
            set_authority(connection, person, kind=RISK_ASSESSMENT, until=until, actor=ACTOR, now=clock.now)
    if not reason:
        assert assess_case(desk, case_id, ASSESSMENT, actor=person).holder == person
        return
    assess(desk, case_id)
    for act in (
        lambda: assess_case(desk, case_id, ASSESSMENT, actor=person),
        lambda: advise(desk, case_id, VIEW, actor=person),
    ):
        with pytest.raises(CaseError) as caught:
            act()
        assert (caught.value.reason, "people authority n-newcomer" in str(caught.value)) == (reason, True)
    assert get(desk, case_id).holder == ACTOR


def test_newest_assessments_kind_and_age_stand_over_those_of_the_report(desk: Desk) -> None:
    case_id = add_opened(desk, kind="untold", factors="teenager")
    for kind, age_band in (("grooming", "13_15"), ("meet_offline", "12_or_under")):
        assess(desk, case_id, kind=kind, age_band=age_band)
        assert (get(desk, case_id).kind, get(desk, case_id).age_band) == (kind, age_band)
