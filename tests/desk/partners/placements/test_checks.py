"""Submitted checks: matched to their owner, kept once, bounded, and reflected in the state of a placement."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_agreeing import end_placement, suspend_placement
from gateway.desk.partners.placement_checks import (
    KEPT_CHECKS,
    CheckRow,
    Condition,
    TakenChecks,
    forget_runner_token,
    is_runner_token,
    list_checks,
    list_conditions,
    make_runner_token,
    make_targets,
    take_checks,
)
from gateway.desk.partners.placement_labels import format_age, format_condition, format_result
from gateway.desk.store.schema import AUDIT
from partner_sdk.console.findings import ButtonCheck, CheckTarget
from tests.desk.placement_builders import ADDRESS, LINK_ID, PAGE, agree, make_check, make_finding, make_post
from tests.desk.view_builders import Clock

HELP = "https://chat.example/help"


def take(desk: Desk, *checks: ButtonCheck) -> TakenChecks:
    return take_checks(desk, make_post(*checks), channel="runner", actor="runner")


def kept(desk: Desk, placement: str = LINK_ID) -> list[CheckRow]:
    with desk.store.read() as connection:
        return list_checks(connection, placement)


def stand(desk: Desk) -> dict[str, Condition]:
    with desk.store.read() as connection:
        return {one.placement.placement: one for one in list_conditions(connection, now=desk.clock())}


def test_check_is_kept_with_its_findings(desk: Desk) -> None:
    agree(desk)
    check = make_check(result="faults", findings=(make_finding(), make_finding(severity="advice", code="no-lang")))
    assert take(desk, check) == TakenChecks(taken=1, repeated=0, unknown=0, not_yet=0)
    (row,) = kept(desk)
    assert (row.result, row.faults, row.findings, row.named) == ("faults", 1, check.findings, LINK_ID)
    assert (row.address, row.method, row.channel, row.checked_at) == (PAGE, "static", "runner", check.checked_at)


@pytest.mark.databases("sqlite", "postgresql")
def test_same_check_again_changes_nothing(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check())
    assert take(desk, make_check(), make_check(method="browser")) == TakenChecks(
        taken=1, repeated=1, unknown=0, not_yet=0
    )
    assert take(desk, make_check(result="faults", findings=(make_finding(),))).repeated == 1
    assert [row.result for row in kept(desk)] == ["passes", "passes"]


@pytest.mark.parametrize(
    "changes",
    [
        {"placement": "nobody", "address": "https://elsewhere.example/"},
        {"placement": None, "address": "https://elsewhere.example/"},
        # A page elsewhere that copied the snippet says nothing of the placement that the snippet names.
        {"address": "https://elsewhere.example/people/sam"},
        {"address": "https://chat.example.evil.example/people/sam"},
        {"address": "javascript:alert(1)"},
    ],
)
def test_check_of_a_page_without_an_agreement_is_counted_and_dropped(desk: Desk, changes: dict[str, Any]) -> None:
    agree(desk)
    assert take(desk, make_check(**changes), make_check()) == TakenChecks(taken=1, repeated=0, unknown=1, not_yet=0)
    assert len(kept(desk)) == 1
    assert kept(desk, "nobody") == []


def test_page_without_its_button_speaks_against_the_placement_that_was_agreed_there(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check(placement=None, result="faults", findings=(make_finding(code="no-button"),)))
    assert [(row.named, row.is_well) for row in kept(desk)] == [(None, False)]


def test_page_whose_button_names_another_id_is_not_well_though_the_check_passes(desk: Desk) -> None:
    agree(desk)
    agree(desk, owner="rival-app", new_owner="Rival App Ltd", address=HELP, look_at=None, surface="help")
    take(desk, make_check(placement="rival-app-help"))
    assert [(row.named, row.is_well, row.names_another) for row in kept(desk)] == [("rival-app-help", False, True)]
    assert kept(desk, "rival-app-help") == []
    assert stand(desk)[LINK_ID].code == "with_faults"
    assert format_condition(stand(desk)[LINK_ID]) == "Another link id"


def test_two_placements_on_one_page_get_the_check_that_names_them(desk: Desk) -> None:
    for link_id in ("one", "two"):
        agree(desk, link_id=link_id, address=HELP, look_at=None)
    take(desk, make_check(address=HELP, placement="one"))
    assert [len(kept(desk, one)) for one in ("one", "two")] == [1, 0]
    take(desk, make_check(address=HELP, placement=None, result="faults", checked_at="2026-11-25T08:00:00Z"))
    assert [len(kept(desk, one)) for one in ("one", "two")] == [2, 1]


def test_check_of_another_page_of_the_agreed_kind_counts_by_the_id_that_it_names(desk: Desk) -> None:
    agree(desk)
    assert take(desk, make_check(address="https://chat.example/people/kim?tab=1")).taken == 1
    assert take(desk, make_check(address="https://chat.example/people/kim", placement=None)).unknown == 1


def test_suspended_placement_is_checked_on_and_an_ended_one_is_not(desk: Desk) -> None:
    agree(desk)
    suspend_placement(desk, LINK_ID, reason="x", actor="test")
    assert take(desk, make_check()).taken == 1
    end_placement(desk, LINK_ID, reason="x", actor="test")
    assert take(desk, make_check(checked_at="2026-11-25T08:00:00Z")).unknown == 1


def test_check_of_tomorrow_is_dropped(desk: Desk) -> None:
    agree(desk)
    ahead = take(desk, make_check(checked_at="2026-11-25T09:41:00Z"), make_check(checked_at="2026-11-25T09:39:00Z"))
    assert ahead == TakenChecks(taken=1, repeated=0, unknown=0, not_yet=1)


def test_only_the_newest_checks_are_kept_in_any_order(desk: Desk) -> None:
    agree(desk)
    times = [f"2026-11-{day:02}T07:00:00Z" for day in range(1, KEPT_CHECKS + 4)]
    take(desk, *(make_check(checked_at=at) for at in reversed(times)))
    assert [row.checked_at for row in kept(desk)] == times[:2:-1]
    assert take(desk, make_check(checked_at=times[0])).taken == 1
    assert [row.checked_at for row in kept(desk)] == times[:2:-1]


def test_what_was_taken_stands_in_the_audit_log_as_numbers(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check(), make_check(placement="nobody", address="https://elsewhere.example/"))
    with desk.store.read() as connection:
        row = connection.execute(AUDIT.select().order_by(AUDIT.c.id.desc())).first()
    assert row is not None
    assert (row.actor, row.action, row.subject) == ("runner", "take-placement-checks", "runner")
    assert row.detail == '{"not_yet":0,"repeated":0,"taken":1,"unknown":1}'


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, "as_agreed", "As agreed"),
        ({"result": "faults", "findings": (make_finding(),)}, "with_faults", "1 fault"),
        ({"result": "faults", "findings": (make_finding(), make_finding())}, "with_faults", "2 faults"),
        ({"result": "unreachable", "placement": None}, "not_reached", "Could not load the page"),
    ],
)
def test_placement_stands_as_its_newest_check_says(
    desk: Desk, clock: Clock, changes: dict[str, Any], code: str, words: str
) -> None:
    agree(desk)
    assert stand(desk)[LINK_ID].code == "not_looked_at"
    take(desk, make_check(checked_at="2026-11-24T07:00:00Z"), make_check(**changes))
    condition = stand(desk)[LINK_ID]
    assert (condition.code, format_condition(condition), condition.days) == (code, words, 0)
    assert condition.last is not None
    assert format_result(condition.last) == words
    clock.now += timedelta(days=31)
    assert stand(desk)[LINK_ID].code == "long_ago"
    assert format_condition(stand(desk)[LINK_ID]) == "Check is too old"
    assert format_age(stand(desk)[LINK_ID].days) == "31 days ago"


def test_placement_without_a_check_is_late_after_a_month(desk: Desk, clock: Clock) -> None:
    agree(desk)
    clock.now += timedelta(days=30)
    assert stand(desk)[LINK_ID].code == "not_looked_at"
    clock.now += timedelta(seconds=1)
    assert format_condition(stand(desk)[LINK_ID]) == "Never checked"


def test_runner_is_told_pages_and_link_ids_and_nothing_else(desk: Desk) -> None:
    agree(desk, link_id="many", look_at=None)
    agree(desk, link_id="one")
    agree(desk, link_id="held", address=HELP, look_at=None)
    suspend_placement(desk, "held", reason="x", actor="test")
    agree(desk, link_id="gone", address="https://chat.example/old", look_at=None)
    end_placement(desk, "gone", reason="x", actor="test")
    targets = make_targets(desk)
    assert targets.check_list.targets == (
        CheckTarget(address=HELP, placement="held"),
        CheckTarget(address=PAGE, placement="one"),
    )
    assert targets.without_page == ("many",)
    assert targets.check_list.agency_origin == desk.config.gateway_origin
    assert ADDRESS not in str(targets.check_list)


def test_runner_token_is_kept_as_a_hash_and_only_the_newest_counts(desk: Desk) -> None:
    assert not is_runner_token(desk, "")
    first = make_runner_token(desk, replace=False, actor="test")
    assert is_runner_token(desk, first)
    second = make_runner_token(desk, replace=True, actor="test")
    assert [is_runner_token(desk, one) for one in (first, second, second + "x", "", "\udc80")] == [
        *(False, True, False, False, False)
    ]
    assert forget_runner_token(desk, actor="test")
    assert not forget_runner_token(desk, actor="test")
    assert not is_runner_token(desk, second)
    raw = desk.paths.database.read_bytes()
    wal = desk.paths.database.with_name(desk.paths.database.name + "-wal")
    raw += wal.read_bytes() if wal.exists() else b""
    assert b"runner_tokens" in raw
    assert [one for one in (first, second) if one.encode() in raw] == []


UNASKED = {"code": "not-public", "severity": "unseen", "what": "127.0.0.1 is not public."}


def test_page_that_was_never_asked_for_takes_nothing_from_what_was_seen_of_it(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check(checked_at="2026-11-24T07:00:00Z"))
    take(desk, make_check(result="unreachable", findings=(make_finding(**UNASKED),)))
    assert [row.result for row in kept(desk)] == ["passes", "unreachable"]
    assert stand(desk)[LINK_ID].code == "as_agreed"


@pytest.mark.databases("sqlite", "postgresql")
def test_page_that_was_only_never_asked_for_says_why(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check(result="unreachable", findings=(make_finding(**UNASKED),)))
    condition = stand(desk)[LINK_ID]
    assert condition.code == "not_reached"
    assert condition.last is not None
    assert format_result(condition.last) == "The page was not requested"
    assert condition.last.findings[0].what == "127.0.0.1 is not public."


def test_page_that_was_asked_for_and_did_not_come_is_newer_than_what_was_seen_of_it(desk: Desk) -> None:
    agree(desk)
    take(desk, make_check(checked_at="2026-11-24T07:00:00Z"))
    answer = make_finding(code="other-answer", severity="unseen", what='The host answered 404. "code":"not-public"')
    take(desk, make_check(result="unreachable", findings=(answer,)))
    assert stand(desk)[LINK_ID].code == "not_reached"
