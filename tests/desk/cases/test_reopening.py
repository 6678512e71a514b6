"""A case closes only when it owes nothing; reopened, it needs a new assessment, and nothing is counted twice."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.desk.cases.closing import Closing, close_case, exempt_case, reopen_case, schedule_outcome
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import ReplyDraft, record_reply, write_reply
from gateway.desk.cases.stages import find_released, list_signals
from gateway.desk.digests.synthetic import make_synthetic_cases
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import PARTNER, QUARTER
from tests.desk.industry_builders import collect_and_send, file, find, read
from tests.desk.view_builders import Browser, add_sealed_case, make_code_key, make_code_seed
from tests.desk.work_builders import ANSWERS, assess, assess_and_close, make_talk, make_talk_form, refused

CLOSING, WHY = Closing("used"), "The school wrote again."


def add_opened(desk: Desk, **changes: Any) -> str:
    return open_case(desk, add_sealed_case(desk, marker="", **changes), actor=ACTOR).case.case_id


def refuse(desk: Desk, case_id: str) -> str:
    with pytest.raises(CaseError) as caught:
        close_case(desk, case_id, CLOSING, actor=ACTOR)
    return caught.value.reason


def test_case_without_an_assessment_does_not_close(desk: Desk) -> None:
    assert refuse(desk, add_opened(desk)) == "not-assessed"


def test_urgent_case_without_a_package_closes_only_after_a_recorded_reason(desk: Desk) -> None:
    case_id = add_opened(desk)
    with refused("not-assessed"):
        exempt_case(desk, case_id, reason=WHY, actor="a-supervisor")
    assess(desk, case_id)
    with refused("no-package-owed"):
        exempt_case(desk, case_id, reason=WHY, actor="a-supervisor")
    assess(desk, case_id, urgent_dissemination="yes")
    assert refuse(desk, case_id) == "package-owed"
    exempt_case(desk, case_id, reason=WHY, actor="a-supervisor")
    # The reason was about the assessment that it followed.
    assess(desk, case_id, urgent_dissemination="yes")
    assert refuse(desk, case_id) == "package-owed"
    exempt_case(desk, case_id, reason=WHY, actor="a-supervisor")
    assert close_case(desk, case_id, CLOSING, actor=ACTOR).closed_at


def test_adult_whom_the_assessment_says_to_contact_is_contacted_first(desk: Desk) -> None:
    recorded, decided, written = (
        add_opened(desk, report={"reply_key": make_code_key(make_code_seed("a b c d e"))}) for _ in range(3)
    )
    for case_id in (recorded, decided, written):
        assess(desk, case_id, contact="yes")
        assert refuse(desk, case_id) == "contact-owed"
    record_reply(desk, recorded, make_talk(desk), actor=ACTOR)
    assess(desk, decided, contact="no")
    write_reply(desk, written, ReplyDraft("Thank you for this.", is_the_reply=False), actor=ACTOR)
    for case_id in (recorded, decided, written):
        assert close_case(desk, case_id, CLOSING, actor=ACTOR).closed_at


def test_page_offers_to_record_the_contact_with_an_adult(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    path = f"/cases/{case_id}"
    assert "Answered another way" not in browser.get(path).text
    assert browser.post(f"{path}/assess", **(ANSWERS | {"contact": "yes"})).status_code == 303
    page = browser.get(path).text
    assert ("Answered another way" in page, "Contact the adult who reported, as the" in page) == (True, True)
    assert browser.post(f"{path}/close", outcome="used").status_code == 409
    assert browser.post(f"{path}/reply", **make_talk_form(desk)).status_code == 303
    assert browser.post(f"{path}/close", outcome="used").status_code == 303


def test_reopened_case_belongs_to_its_reopener_and_needs_a_new_assessment(desk: Desk) -> None:
    case_id = add_opened(desk)
    with refused("not-closed"):
        reopen_case(desk, case_id, reason=WHY, actor="b-analyst")
    assess_and_close(desk, case_id, Closing("used", weaknesses=("slow_response",)))
    with refused("reason-missing"):
        reopen_case(desk, case_id, reason=" ", actor="b-analyst")
    opened = reopen_case(desk, case_id, reason=WHY, actor="b-analyst")
    assert (opened.closed_at, opened.outcome, opened.weakness_1) == (None, None, None)
    assert opened.kind == "grooming"  # as assessed: only the next assessment replaces it
    assert opened.holder == "b-analyst"
    with refused("assessment-stale"):
        close_case(desk, case_id, CLOSING, actor="b-analyst")
    assess(desk, case_id, actor="b-analyst", kind="sexual_talk")
    assert close_case(desk, case_id, CLOSING, actor="b-analyst").kind == "sexual_talk"


def test_additions_open_and_close_with_their_case_but_for_those_closed_by_themselves(loop: Loop) -> None:
    first = read(loop)
    with_it = read(loop, kind="supplement", earlier_reference=first.reference)
    assess_and_close(loop.desk, first.reference, CLOSING)
    loop.clock.advance(minutes=1)
    later = file(loop, kind="supplement", earlier_reference=first.reference)
    open_case(loop.desk, later.reference, actor=ACTOR)
    assess_and_close(loop.desk, later.reference, CLOSING)
    reopen_case(loop.desk, first.reference, reason=WHY, actor=ACTOR)
    assert [find(loop, one.reference).closed_at is None for one in (first, with_it, later)] == [True, True, False]


def test_outcome_that_waits_is_taken_back_and_one_that_was_told_is_said(loop: Loop) -> None:
    case = read(loop)
    assess_and_close(loop.desk, case.reference, replace(CLOSING, release_outcome=True))
    collect_and_send(loop)
    reopen_case(loop.desk, case.reference, reason=WHY, actor=ACTOR)
    with loop.desk.store.read() as connection:
        told = find_released(connection, case_id=case.case_id)
    assert told is not None
    assert told.outcome == "used"
    loop.clock.advance(minutes=1)
    assess_and_close(loop.desk, case.reference, Closing("actioned", release_outcome=True))
    browser = Browser(loop.desk).sign_in()
    page = browser.get(f"/cases/{case.case_id}").text
    assert "The partner was told “Used” on <time" in page
    assert browser.post(f"/cases/{case.case_id}/reopen", reopen_reason="").status_code == 409
    assert browser.post(f"/cases/{case.case_id}/reopen", reopen_reason=WHY).status_code == 303
    with loop.desk.store.read() as connection:
        signals = list_signals(connection, case_id=case.case_id)
    assert [(one.outcome, one.taken_back_at is None) for one in signals] == [("used", True), ("actioned", False)]
    assert "the outcome that waited for the partner was taken back" in browser.get(f"/cases/{case.case_id}").text


def test_outcome_of_a_closed_case_can_still_be_told(loop: Loop) -> None:
    case = read(loop)
    assess_and_close(loop.desk, case.reference, CLOSING)
    schedule_outcome(loop.desk, case.reference, outcome="used", hold_until=None, actor="b-analyst")
    assert find(loop, case.reference).holder is None


def test_made_up_case_is_not_reopened(desk: Desk, browser: Browser) -> None:
    make_synthetic_cases(desk, partner=PARTNER, quarter=QUARTER, count=1, seed=1, actor="test")
    with desk.store.read() as connection:
        case_id = connection.execute(CASES.select()).one().case_id
    with refused("synthetic"):
        reopen_case(desk, case_id, reason=WHY, actor=ACTOR)
    assert "Reopen the case" not in browser.get(f"/cases/{case_id}").text
