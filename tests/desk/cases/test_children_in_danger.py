"""A child in danger is seen as one, whichever door it came by: first in the queue, in words, and an alert."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.closing import Closing, reopen_case
from gateway.desk.cases.holding import claim_case, release_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.queue import list_queue, move_case
from gateway.desk.collection import joining
from gateway.desk.collection.importing import import_report
from gateway.desk.partners.account_changes import suspend_partner
from gateway.desk.store.schema import Tier
from gateway.exchange.public_report import Meeting
from partner_sdk.report import IndustryReport, encode_sealed_report, list_given, make_sealed_report
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import SealedReport, make_clear_fields, make_industry_report, seal_report, sign_for_envelope
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.forgery import newest_statement, resign_newest
from tests.desk.import_builders import make_file
from tests.desk.industry_builders import find
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import list_all_alerts, send_alerts
from tests.desk.view_builders import Browser, make_code_key, make_code_seed
from tests.desk.work_builders import assess, assess_and_close
from tests.public_report_builders import make_known_person

KEY = make_code_key(make_code_seed("lamp river coat seven"))
OTHER_KEY = make_code_key(make_code_seed("of somebody else"))
BLANK: dict[str, Any] = {
    "danger": "",
    "age_band": "",
    "kinds": (),
    "under_18": "yes",
    "who": "",
    "story": "A few more words.",
}
HURTING: dict[str, Any] = {
    "age_band": "13_15",
    "feels": "hurting",
    "person": make_known_person(knows=("home", "school")),
    "still": "yes",
}


def queue(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [case.reference for case in list_queue(connection)]


def alerts(loop: Loop) -> list[int]:
    """Return the counts of the alerts that wait or went out, the newest first."""
    return [alert["count"] for alert in list_all_alerts(loop.desk)]


def make_partners_report(*signs: Any, at_risk_now: Any = "no", **incident: Any) -> IndustryReport:
    example = make_industry_report()
    child = msgspec.structs.replace(list_given(example.children)[0], at_risk_now=at_risk_now)
    changed = msgspec.structs.replace(example.incident, harm_signs=signs, **incident)
    return msgspec.structs.replace(example, children=(child,), incident=changed)


def send_industry(loop: Loop, *signs: Any, at_risk_now: Any = "no", priority: str = "P3", **clear: Any) -> str:
    report = make_partners_report(*signs, at_risk_now=at_risk_now)
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=report, priority=priority, **clear)
    return loop.send_industry(sealed).reference


def add(loop: Loop, reference: str, *, reply_key: str | None = KEY, **answers: Any) -> str:
    """Send an addition to a report of the form."""
    clear = make_clear_fields("public", kind="supplement", earlier_reference=reference, priority="P3")
    return loop.send_public(clear=clear, reply_key=reply_key, **(BLANK | answers)).reference


def read(loop: Loop, *references: str) -> None:
    for reference in references:
        open_case(loop.desk, reference, actor=ACTOR)


def test_child_who_is_hurting_comes_before_calmer_reports_and_raises_an_alert(loop: Loop) -> None:
    calmer = [loop.send_public(kinds=("asked_for_pictures",)).reference for _ in range(3)]
    calmer += [send_industry(loop, "other", priority="P2") for _ in range(3)]
    loop.collect()
    assert alerts(loop) == []
    hurting = loop.send_public(**HURTING).reference
    loop.collect()
    assert queue(loop)[0] == hurting
    assert len(queue(loop)) == len(calmer) + 1
    assert alerts(loop) == [1]


def test_partners_p3_at_risk_do_not_stand_before_a_childs_meeting_in_the_next_days(loop: Loop) -> None:
    partners = [send_industry(loop, at_risk_now="yes") for _ in range(7)]
    meeting = {"kinds": ("wants_to_meet",), "meeting": Meeting(place="", when="next_days")}
    clear = [make_clear_fields("public", priority="P1") for _ in range(3)]
    children = [loop.send_public(clear=one, **meeting).reference for one in clear]
    loop.collect()
    assert set(queue(loop)[:3]) == set(children)
    assert set(queue(loop)[3:]) == set(partners)


def test_self_harm_counts_alike_from_a_child_and_from_a_partner(tmp_path: Path) -> None:
    pages = []
    for door in ("public", "industry"):
        loop = copy_loop(tmp_path / door)
        reference = (
            loop.send_public(feels="hurting").reference if door == "public" else send_industry(loop, "self_harm")
        )
        loop.collect()
        assert find(loop, reference).factors.split()[0] == "self_harm"
        pages.append(alerts(loop))
    assert pages == [[1], [1]]


def test_factors_of_two_reports_of_a_partner_are_weighed_together_and_alert_though_the_first_was_read(
    loop: Loop,
) -> None:
    loop.clock.advance(minutes=1)
    trusted = (msgspec.structs.replace(list_given(make_industry_report().suspects)[0], position_of_trust="coach"),)
    report = msgspec.structs.replace(make_partners_report(), suspects=trusted)
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=report, priority="P3")
    first = loop.send_industry(sealed).reference
    loop.collect()
    read(loop, first)
    assert (find(loop, first).crisis, alerts(loop)) == (False, [])
    loop.clock.advance(minutes=1)
    later = send_industry(loop, "lives_with_child", kind="supplement", earlier_reference=first)
    loop.collect()
    case = find(loop, first)
    assert (case.crisis, case.factors.split()[0]) == (True, "charge_and_home")
    assert case.crisis_since == find(loop, later).collected_at
    assert alerts(loop) == [1]
    assert queue(loop) == [first]
    # And the alert that waits is not dropped because somebody read the first report before.
    assert send_alerts(loop.desk).waiting == 1


@pytest.mark.parametrize("adds_first", [False, True], ids=["in order", "addition first"])
@pytest.mark.parametrize("is_theirs", [True, False], ids=["proven", "not proven"])
def test_addition_that_completes_a_crisis_stands_in_the_lane_and_alerts(
    loop: Loop, *, is_theirs: bool, adds_first: bool
) -> None:
    near = make_known_person(near="yes", knows=("home",))
    first = loop.send_public(person=near, reply_key=KEY).reference
    if not adds_first:
        loop.collect()
        read(loop, first)
        assert (find(loop, first).crisis, alerts(loop)) == (False, [])
        loop.clock.advance(minutes=1)
    added = add(loop, first, reply_key=KEY if is_theirs else OTHER_KEY, still="yes")
    if adds_first:
        # The operator of the gateway hands over the addition before the report that it adds to.
        loop.gateway_sql("UPDATE reports SET position = position + 10 WHERE reference = ?", first)
    loop.collect()
    assert find(loop, added).crisis
    assert "can_turn_up" in find(loop, added).factors.split()
    # Only what is proven to come from the same person is said of the first report.
    assert find(loop, first).crisis is is_theirs
    assert alerts(loop) == [1 + (adds_first and is_theirs)]
    assert set(queue(loop)[: 2 if is_theirs else 1]) == ({first, added} if is_theirs else {added})


def test_what_the_person_adds_in_pieces_is_weighed_together(loop: Loop) -> None:
    first = loop.send_public(reply_key=KEY, person=make_known_person(near="yes")).reference
    loop.collect()
    add(loop, first, person=make_known_person(knows=("home",)))
    loop.collect()
    assert alerts(loop) == []
    add(loop, first, still="yes")
    loop.collect()
    assert find(loop, first).crisis
    assert alerts(loop) == [1]


def test_imported_file_in_the_crisis_lane_alerts(loop: Loop) -> None:
    report = make_partners_report("self_harm")
    raw = make_file(seal_report(loop.partner, key=loop.sealing_key(), report=report, priority="P3"))
    imported = import_report(loop.desk, raw, actor=ACTOR)
    assert imported.state == "filed"
    assert find(loop, str(imported.reference)).crisis
    assert alerts(loop) == [1]


def test_row_that_is_quarantined_alerts_where_it_seals_a_crisis_though_it_claims_p3(loop: Loop) -> None:
    report = make_partners_report("threat_to_life")
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=report, priority="P3")
    loop.send_industry(sealed)
    loop.collect()
    assert alerts(loop) == [1]
    # The same id with another envelope: never filed, and looked at by a person.
    again = seal_report(
        loop.partner, key=loop.sealing_key(), report=report, priority="P3", report_id=sealed.clear.report_id
    )
    raw = make_file(again)
    assert import_report(loop.desk, raw, actor=ACTOR).reason == "duplicate-report-id"
    assert alerts(loop) == [2]
    calm = seal_report(
        loop.partner,
        key=loop.sealing_key(),
        report=make_partners_report(),
        priority="P3",
        report_id=sealed.clear.report_id,
    )
    assert import_report(loop.desk, make_file(calm), actor=ACTOR).reason == "duplicate-report-id"
    assert alerts(loop) == [2]


@pytest.mark.parametrize(("signs", "counts"), [(("self_harm",), [1]), ((), [])])
@pytest.mark.parametrize("comes_as_file", [False, True])
def test_row_whose_sealed_fields_differ_alerts_by_what_it_seals(
    loop: Loop, signs: tuple[Any, ...], counts: list[int], *, comes_as_file: bool
) -> None:
    outer = make_clear_fields(loop.partner.partner, priority="P3")
    inner = msgspec.structs.replace(outer, earlier_reference="K7QF-2M9TX-D")
    sealed = make_sealed_report(make_partners_report(*signs), clear=inner)
    envelope = seal(encode_sealed_report(sealed), key=loop.sealing_key(), context=report_context(outer)).to_bytes()
    statement = sign_for_envelope(outer, envelope, private_key=loop.partner.submission_key)
    one = SealedReport(clear=outer, envelope=envelope, statement=statement)
    if comes_as_file:
        assert import_report(loop.desk, make_file(one), actor=ACTOR).reason == "clear-fields-mismatch"
    else:
        loop.send_industry(one)
        assert loop.collect().refused == {"clear-fields-mismatch": 1}
    assert alerts(loop) == counts


CHANGES: dict[str, dict[str, Any]] = {
    "intake-misspelled": {"placement": "Rival App\n"},
    "wrong-instance": {"instance": "gateway-2"},
    "intake-not-genuine": {"received_at": "2033-06-01T00:00:00Z"},
    "door-mismatch": {"submission_sha256": "0" * 64},
}


@pytest.mark.parametrize("reason", CHANGES)
@pytest.mark.parametrize(("answers", "counts"), [(HURTING, [1]), ({}, [])], ids=["crisis", "calm"])
def test_refused_row_of_a_child_is_weighed_for_every_reason(
    loop: Loop, reason: str, answers: dict[str, Any], counts: list[int]
) -> None:
    loop.send_public(**answers)
    resign_newest(loop, **CHANGES[reason])
    assert loop.collect().refused == {reason: 1}
    assert alerts(loop) == counts


@pytest.mark.parametrize("reason", ["key-ended", "submission-mismatch", "intake-not-genuine"])
@pytest.mark.parametrize(("signs", "counts"), [(("self_harm",), [1]), ((), [])], ids=["crisis", "calm"])
def test_refused_row_of_a_partner_is_weighed_for_every_reason(
    loop: Loop, reason: str, signs: tuple[Any, ...], counts: list[int]
) -> None:
    if reason == "key-ended":
        suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
        loop.clock.advance(days=30)
    send_industry(loop, *signs)
    changes = {"submission-mismatch": {"submission_sha256": "0" * 64}, **CHANGES}.get(reason)
    if changes is not None:
        resign_newest(loop, **changes)
    assert loop.collect().refused == {reason: 1}
    assert alerts(loop) == counts


def test_row_of_a_partner_whose_priority_the_gateway_lowered_is_weighed_as_the_partner_signed_it(loop: Loop) -> None:
    send_industry(loop, "self_harm", priority="P2")
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, priority="P3"))
    loop.collect()
    with loop.desk.store.read() as connection:
        assert connection.exec_driver_sql("SELECT stated_priority, is_urgent FROM quarantine").all() == [("P2", 1)]
    assert alerts(loop) == [1]


def test_row_that_does_not_open_may_be_a_crisis_and_alerts_once_for_its_group(loop: Loop) -> None:
    for _ in range(2):
        loop.send_public()
        loop.gateway_sql("UPDATE reports SET envelope = x'00' WHERE acknowledged_at IS NULL")
        assert loop.collect().refused == {"envelope-mismatch": 1}
    assert alerts(loop) == [1]


@pytest.mark.parametrize(("signs", "counts"), [(("self_harm",), [1]), ((), [])], ids=["crisis", "calm"])
def test_refused_file_is_weighed_for_every_reason(loop: Loop, signs: tuple[Any, ...], counts: list[int]) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=make_partners_report(*signs), priority="P3")
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    loop.clock.advance(days=30)
    assert import_report(loop.desk, make_file(sealed), actor=ACTOR).reason == "key-ended"
    assert alerts(loop) == counts


def test_calmer_report_that_joins_lowers_nothing(loop: Loop) -> None:
    first = send_industry(loop, "self_harm", at_risk_now="yes")
    loop.collect()
    before = find(loop, first)
    later = send_industry(loop, kind="retraction", earlier_reference=first)
    loop.collect()
    after = find(loop, first)
    assert after.crisis
    assert after.score >= before.score
    assert set(before.factors.split()) <= set(after.factors.split())
    assert find(loop, later).crisis


def test_case_keeps_codes_and_no_word_of_the_report(loop: Loop) -> None:
    reference = loop.send_public(**HURTING, story="Quetzal", name="Quetzal").reference
    loop.collect()
    case = find(loop, reference)
    assert case.factors.split() == [
        *("self_harm", "still_going_on", "knows_home", "hurting_while_it_goes_on", "knows_school"),
        *("told_no_adult", "grooming", "teenager"),
    ]
    assert (case.crisis, case.score, case.crisis_since) == (True, 253, case.collected_at)


def test_flood_of_a_partner_stands_before_no_child_and_comes_forward_as_it_is_read(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "MOST_AHEAD", 2)
    signs = ("threat_to_life", "ongoing_abuse", "meeting_soon")
    loud = [send_industry(loop, *signs, at_risk_now="yes", priority="P1") for _ in range(3)]
    hurting = loop.send_public(**HURTING).reference
    loop.collect()
    assert [set(queue(loop)[:2]) < set(loud), queue(loop)[2]] == [True, hurting]
    last = queue(loop)[3]
    assert (find(loop, last).is_behind, alerts(loop)) == (True, [4])
    page = Browser(loop.desk).sign_in().get("/").text
    assert page.count("Behind: its sender has many unread") == 1
    read(loop, queue(loop)[0])
    # The next one takes the place, and what was read keeps its own.
    assert set(queue(loop)[:3]) == set(loud)
    assert not find(loop, last).is_behind


def test_case_that_a_person_moves_is_not_held_back(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MOST_AHEAD", 1)
    send_industry(loop, "self_harm", "threat_to_life")
    held = send_industry(loop, "self_harm")
    loop.collect()
    assert find(loop, held).is_behind
    moved = move_case(loop.desk, held, lane="crisis", score=900, reason="A teacher rang", actor=ACTOR, roles=set())
    assert (moved.is_behind, queue(loop)[0]) == (False, held)
    send_industry(loop, "self_harm")
    loop.collect()
    assert queue(loop)[0] == held


def test_crisis_that_somebody_holds_and_has_acted_on_stands_below_unread_ones_until_it_is_given_back(
    loop: Loop,
) -> None:
    first, unread = loop.send_public(**HURTING).reference, loop.send_public(feels="hurting").reference
    calm = loop.send_public(kinds=("extra_nice",)).reference
    loop.collect()
    read(loop, first)
    claim_case(loop.desk, first, actor=ACTOR)
    assert queue(loop) == [first, unread, calm]  # it is read and held, and nothing was done
    assess(loop.desk, first)
    assert queue(loop) == [unread, first, calm]
    release_case(loop.desk, first, actor=ACTOR)
    assert queue(loop) == [first, unread, calm]


def test_case_that_was_acted_on_comes_forward_with_an_unread_report_and_stays_until_that_is_read(loop: Loop) -> None:
    first = send_industry(loop, "self_harm", at_risk_now="yes", priority="P1")
    unread = loop.send_public(kinds=("touched_or_hurt",), when="today").reference
    loop.collect()
    read(loop, first)
    assess(loop.desk, first)
    assert queue(loop) == [unread, first]
    later = send_industry(loop, kind="supplement", earlier_reference=first)
    loop.collect()
    assert queue(loop) == [first, unread]
    assess(loop.desk, first)
    assert queue(loop) == [first, unread]
    read(loop, later)
    assess(loop.desk, first)
    assert queue(loop) == [unread, first]


def test_case_that_is_opened_again_stands_as_if_nobody_had_acted_on_it(loop: Loop) -> None:
    first = send_industry(loop, "self_harm", at_risk_now="yes", priority="P1")
    unread = loop.send_public(kinds=("touched_or_hurt",), when="today").reference
    loop.collect()
    read(loop, first)
    assess_and_close(loop.desk, first, Closing("used"), actor=ACTOR)
    reopen_case(loop.desk, first, reason="They wrote again", actor=ACTOR)
    assert queue(loop) == [first, unread]


def test_childs_proven_addition_that_says_more_brings_its_first_report_forward(loop: Loop) -> None:
    first = loop.send_public(feels="hurting", reply_key=KEY).reference
    unread = loop.send_public(feels="hurting", when="today").reference
    loop.collect()
    read(loop, first)
    assess(loop.desk, first)
    assert queue(loop) == [unread, first]
    same = add(loop, first, story="[message]")
    loop.collect()
    assert (set(queue(loop)[:2]), queue(loop)[2]) == ({same, unread}, first)
    more = add(loop, first, still="yes")
    loop.collect()
    assert set(queue(loop)[:3]) == {same, more, first}


@pytest.mark.parametrize(("priority", "stands_first"), [("P1", True), ("P2", False), ("P3", False)])
def test_partners_own_p2_or_p3_stands_behind_children_though_it_has_more_points(
    loop: Loop, priority: str, *, stands_first: bool
) -> None:
    partners = send_industry(loop, "threat_to_life", "self_harm", at_risk_now="yes", priority=priority)
    untold = loop.send_public(kinds=(), story="[message]").reference
    loop.collect()
    assert queue(loop) == ([partners, untold] if stands_first else [untold, partners])
    # A person who moves it decides otherwise.
    move_case(loop.desk, partners, lane="crisis", score=900, reason="A teacher rang", actor=ACTOR, roles=set())
    assert queue(loop) == [partners, untold]


def test_share_of_a_partner_is_taken_by_its_p1_first(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MOST_AHEAD", 1)
    p3 = send_industry(loop, "threat_to_life", "self_harm", at_risk_now="yes", priority="P3")
    loop.collect()
    assert not find(loop, p3).is_behind
    p1 = send_industry(loop, priority="P1")
    loop.collect()
    assert [find(loop, one).is_behind for one in (p1, p3)] == [False, True]
    read(loop, p1)
    assert find(loop, p3).tier == Tier.LOWER
