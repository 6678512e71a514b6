"""Moving a case in the queue: by a person, with a reason that stays, and never past the content of its reports."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import MAX_REASON_CHARACTERS, CaseRow, list_steps, open_texts
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import list_queue, move_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.canonical import format_time
from tests.builders import seal_report
from tests.desk.cases.test_children_in_danger import make_partners_report, send_industry
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import find
from tests.desk.outbox_builders import list_all_alerts, send_alerts
from tests.desk.view_builders import Browser
from tests.desk.work_builders import refused

WHY = "The school rang: the child is with them."

BY: dict[str, Any] = {"actor": "a-analyst", "roles": frozenset(Role)}


def move(loop: Loop, reference: str, lane: str, score: int | None = None, reason: str = WHY) -> CaseRow:
    return move_case(loop.desk, reference, lane=lane, score=score, reason=reason, **BY)


def file_crisis(loop: Loop, **answers: Any) -> str:
    reference = loop.send_public(feels="hurting", **answers).reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    return reference


def queue(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [case.reference for case in list_queue(connection)]


@pytest.fixture
def browser(loop: Loop) -> Browser:
    return Browser(loop.desk).sign_in()


def test_lowered_case_keeps_its_factors_its_reply_and_the_reason(loop: Loop) -> None:
    reference = file_crisis(loop)
    other = loop.send_public(kinds=("wants_to_meet",)).reference
    loop.collect()
    before = find(loop, reference)
    after = move(loop, reference, "queue", 5)
    assert (after.crisis, after.score, after.crisis_since) == (False, 5, None)
    assert (after.factors, after.reply_owed, after.reply_code) == (before.factors, True, None)
    assert queue(loop) == [other, reference]
    with loop.desk.store.read() as connection:
        (kept,) = list_steps(connection, after)
        entry = connection.execute(select(AUDIT).where(AUDIT.c.action == "move-case")).one()
    assert (kept.kind, kept.by, kept.at) == ("move", "a-analyst", format_time(loop.clock()))
    moved = {"lane_before": "crisis", "score_before": before.score, "lane": "queue", "score": 5}
    assert kept.box is not None
    assert kept.detail == moved | {"box_sha256": hashlib.sha256(kept.box).hexdigest()}
    assert (entry.actor, entry.subject) == ("a-analyst", after.case_id)
    assert json.loads(entry.detail) == kept.detail
    assert WHY.encode() not in kept.box
    assert open_texts(loop.desk, after, [kept], actor=ACTOR)[kept.step_id].reason == WHY


def test_read_case_moved_into_the_lane_raises_an_alert(loop: Loop) -> None:
    reference = loop.send_public().reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    assert list_all_alerts(loop.desk) == []
    loop.clock.advance(minutes=1)
    assert move(loop, reference, "crisis").crisis_since == format_time(loop.clock())
    assert send_alerts(loop.desk).waiting == 1
    assert queue(loop) == [reference]


def test_case_moved_into_the_lane_in_the_second_of_its_reading_keeps_its_alert(loop: Loop) -> None:
    reference = loop.send_public().reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    move(loop, reference, "crisis")
    assert send_alerts(loop.desk).waiting == 1


def test_score_alone_raises_no_alert_and_keeps_the_time_of_the_lane(loop: Loop) -> None:
    reference = file_crisis(loop)
    since = find(loop, reference).crisis_since
    loop.clock.advance(minutes=1)
    moved = move(loop, reference, "crisis", 999)
    assert (moved.crisis_since, moved.score) == (since, 999)
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_later_report_with_new_factors_brings_a_lowered_case_back_up_and_alerts_again(loop: Loop) -> None:
    first = send_industry(loop, "self_harm")
    loop.collect()
    open_case(loop.desk, first, actor=ACTOR)
    risen = find(loop, first).score
    move(loop, first, "queue", 0)
    loop.clock.advance(minutes=1)
    # Nothing that the first one has not said: the person had read it.
    send_industry(loop, kind="supplement", earlier_reference=first)
    loop.collect()
    assert (find(loop, first).crisis, find(loop, first).score) == (False, 0)
    assert sum(alert["count"] for alert in list_all_alerts(loop.desk)) == 1
    send_industry(loop, "threat_to_life", kind="supplement", earlier_reference=first)
    loop.collect()
    case = find(loop, first)
    assert case.crisis
    assert case.score > risen
    assert sum(alert["count"] for alert in list_all_alerts(loop.desk)) == 2


def test_same_crisis_said_once_more_brings_a_lowered_case_back_too(loop: Loop) -> None:
    first = send_industry(loop, "self_harm")
    loop.collect()
    open_case(loop.desk, first, actor=ACTOR)
    move(loop, first, "queue", 0)
    send_industry(loop, "self_harm", kind="supplement", earlier_reference=first)
    loop.collect()
    assert find(loop, first).crisis


def test_unread_crisis_is_not_lowered_and_its_alert_stays(loop: Loop, browser: Browser) -> None:
    reference = loop.send_public(feels="hurting").reference
    loop.collect()
    before = find(loop, reference)
    with refused("lowered-unread") as caught:
        move(loop, reference, "queue", reason="x")
    assert "Open each of its reports first" in str(caught.value)
    browser.get(f"/cases/{before.case_id}")
    answer = browser.post(f"/cases/{before.case_id}/move", lane="queue", score="", move_reason="x")
    assert answer.status_code == 409
    assert (
        "Part of this case is unread. Open each of its reports first, then move it out of the crisis lane."
        in answer.text
    )
    assert find(loop, reference) == before
    assert send_alerts(loop.desk).waiting == 1
    # A higher or lower score within the lane ends no alert.
    assert move(loop, reference, "crisis", 1).crisis
    open_case(loop.desk, reference, actor=ACTOR)
    assert not move(loop, reference, "queue").crisis


def test_crisis_with_an_unread_later_report_is_not_lowered(loop: Loop) -> None:
    first = send_industry(loop)
    loop.collect()
    open_case(loop.desk, first, actor=ACTOR)
    later = send_industry(loop, "self_harm", kind="supplement", earlier_reference=first)
    loop.collect()
    assert find(loop, first).crisis
    with refused("lowered-unread"):
        move(loop, first, "queue")
    open_case(loop.desk, later, actor=ACTOR)
    assert not move(loop, first, "queue").crisis


def test_report_that_was_raised_before_its_case_came_keeps_the_case_up(loop: Loop) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=make_partners_report(), priority="P3")
    first = loop.send_industry(sealed).reference
    later = send_industry(loop, kind="supplement", earlier_reference=first)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = 1 WHERE reference = ?", first)
    loop.collect()
    assert find(loop, later).joined_to is None
    move(loop, later, "crisis", 400)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL WHERE reference = ?", first)
    loop.collect()
    case = find(loop, first)
    assert (find(loop, later).joined_to, case.crisis, case.score) == (case.case_id, True, 400)


def test_joined_report_moves_its_case(loop: Loop) -> None:
    first = send_industry(loop)
    later = send_industry(loop, kind="supplement", earlier_reference=first)
    loop.collect()
    assert move(loop, later, "crisis").reference == first


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lane": "urgent"}, "bad-lane"),
        ({"score": -1}, "bad-score"),
        ({"score": 1000}, "bad-score"),
        ({"reason": "  "}, "reason-missing"),
        ({"reason": "x" * (MAX_REASON_CHARACTERS + 1)}, "reason-too-long"),
        ({"reason": "two\nlines"}, "unprintable"),
        ({"lane": "crisis"}, "not-moved"),
    ],
)
def test_what_is_no_move_changes_nothing(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    reference = file_crisis(loop)
    before = find(loop, reference)
    with refused(reason):
        move_case(
            loop.desk,
            reference,
            **({"lane": "queue", "score": None, "reason": WHY} | changes),
            actor="a-analyst",
            roles=frozenset(Role),
        )
    assert find(loop, reference) == before
    assert loop.count("case_steps") == 0


def test_closed_case_stands_in_no_queue(loop: Loop) -> None:
    reference = file_crisis(loop)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE cases SET closed_at = '2026-11-25T09:00:00Z'")
    with refused("already-closed"):
        move(loop, reference, "queue")


def test_page_shows_every_factor_and_moves_the_case_with_a_reason(loop: Loop, browser: Browser) -> None:
    case = find(loop, file_crisis(loop, still="yes"))
    page = browser.get(f"/cases/{case.case_id}").text
    for reason in ("Hurting themselves, or thinking of it", "Still going on", "Names no adult whom they have told"):
        assert reason in page
    assert f"Crisis lane, score {case.score}" in page
    answer = browser.post(f"/cases/{case.case_id}/move", lane="queue", score="7", move_reason=f"<b>{WHY}")
    assert answer.status_code == 303
    page = browser.get(f"/cases/{case.case_id}").text
    assert "In the queue, score 7" in page
    assert WHY not in page
    assert "moved the case in the queue, from the crisis lane" in page
    assert f"&lt;b&gt;{WHY}" in browser.post(f"/cases/{case.case_id}/read").text
    assert "Hurting themselves, or thinking of it" in page


def test_page_that_refuses_a_move_keeps_what_was_typed(loop: Loop, browser: Browser) -> None:
    case = find(loop, file_crisis(loop))
    browser.get(f"/cases/{case.case_id}")
    for typed, fault in (("x", "Give a score from 0 to 999"), ("9", "Give the reason.")):
        answer = browser.post(f"/cases/{case.case_id}/move", lane="queue", score=typed, move_reason="")
        assert answer.status_code == 409
        assert fault in answer.text
        assert f'value="{typed}"' in answer.text
    assert find(loop, case.reference) == case
