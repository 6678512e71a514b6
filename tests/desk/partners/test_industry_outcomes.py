"""Outcomes for a partner's own report: decided by a person, held back, taken back, never about another partner's."""

import dataclasses
from datetime import date
from pathlib import Path

import pytest

from gateway.desk.cases.choices import OUTCOMES
from gateway.desk.cases.closing import MOST_DAYS_HELD, schedule_outcome, take_back
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.stages import OutcomeSignal, list_signals, write_outcome_notes
from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import LocalStateError
from partner_sdk.wire import mailbox
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.mailbox import OutcomeNote, parse_body
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import collect_and_send, file, find, read, read_mailbox, stage_at_gateway
from tests.desk.outbox_builders import send_out
from tests.desk.work_builders import assess_and_close, make_ready


def tell(loop: Loop, reference: str, outcome: str = "used", hold_until: date | None = None) -> OutcomeSignal:
    make_ready(loop.desk, reference, actor="s-contact")
    return schedule_outcome(loop.desk, reference, outcome=outcome, hold_until=hold_until, actor="s-contact")


def refuse(loop: Loop, reference: str, outcome: str = "used", hold_until: date | None = None) -> str:
    with pytest.raises(CaseError) as caught:
        tell(loop, reference, outcome, hold_until)
    collect_and_send(loop)
    assert read_mailbox(loop) == []
    return caught.value.reason


def notes(loop: Loop) -> list[tuple[str, str]]:
    found = [parse_body(parse_base64url(message.body), body=OutcomeNote) for message in read_mailbox(loop)]
    return [(note.reference, note.outcome) for note in found]


def test_codes_of_outcomes_are_those_that_digests_count() -> None:
    assert [code for code, _ in mailbox.OUTCOMES] == [code for code, _ in OUTCOMES]


def test_outcome_goes_with_the_next_collect_by_stage_and_by_mailbox(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference, "actioned")
    assert stage_at_gateway(loop, case.reference) == ("collected", None)
    collect_and_send(loop)
    assert stage_at_gateway(loop, case.reference) == ("opened", "actioned")
    (message,) = read_mailbox(loop)
    note = parse_body(parse_base64url(message.body), body=OutcomeNote)
    assert (message.kind, note.report_id, note.outcome) == ("outcome", case.report_id, "actioned")
    assert note.released_at == "2026-11-25T08:30:00Z"
    collect_and_send(loop)
    assert len(read_mailbox(loop)) == 1


def test_outcome_that_is_held_back_goes_on_its_day_and_not_before(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference, hold_until=date(2026, 12, 1))
    for _ in range(5):
        loop.clock.advance(days=1)
        collect_and_send(loop)
        assert (stage_at_gateway(loop, case.reference), notes(loop)) == (("opened", None), [])
    loop.clock.advance(hours=15)  # 30 November, before midnight
    collect_and_send(loop)
    assert notes(loop) == []
    loop.clock.advance(hours=1)
    collect_and_send(loop)
    assert stage_at_gateway(loop, case.reference) == ("opened", "used")
    assert notes(loop) == [(case.reference, "used")]


def test_outcome_is_taken_back_before_its_release_and_never_after(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference, hold_until=date(2026, 12, 1))
    assert refuse(loop, case.reference) == "outcome-waits"
    take_back(loop.desk, case.reference, actor="Second Two")
    loop.clock.advance(days=30)
    collect_and_send(loop)
    assert (stage_at_gateway(loop, case.reference), notes(loop)) == (("opened", None), [])
    tell(loop, case.reference)
    take_back(loop.desk, case.reference, actor=ACTOR)
    tell(loop, case.reference, "needs_more")
    collect_and_send(loop)
    with pytest.raises(CaseError) as caught:
        take_back(loop.desk, case.reference, actor=ACTOR)
    assert caught.value.reason == "nothing-waits"
    assert notes(loop) == [(case.reference, "needs_more")]


def test_later_outcome_counts_instead(loop: Loop) -> None:
    case = read(loop)
    for outcome in ("used", "actioned"):
        tell(loop, case.reference, outcome)
        collect_and_send(loop)
    assert stage_at_gateway(loop, case.reference) == ("opened", "actioned")
    assert notes(loop) == [(case.reference, "used"), (case.reference, "actioned")]


def test_outcome_is_told_of_each_report_of_the_case_that_was_read(loop: Loop) -> None:
    case = read(loop)
    later = read(loop, kind="supplement", earlier_reference=case.reference)
    unread = file(loop, kind="supplement", earlier_reference=case.reference)
    tell(loop, later.reference)
    collect_and_send(loop)
    assert stage_at_gateway(loop, case.reference) == stage_at_gateway(loop, later.reference) == ("opened", "used")
    assert stage_at_gateway(loop, unread.reference) == ("collected", None)
    assert notes(loop) == [(case.reference, "used")]


def test_reading_a_report_again_takes_no_outcome_away(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference)
    collect_and_send(loop)
    read(loop, kind="supplement", earlier_reference=case.reference)
    collect_and_send(loop)
    assert stage_at_gateway(loop, case.reference) == ("opened", "used")


def test_public_and_unread_reports_have_no_outcome_to_send(loop: Loop) -> None:
    public = loop.send_public(under_18="no").reference
    unread = file(loop)
    assert refuse(loop, public) == "public-report"
    assert refuse(loop, unread.reference) == "not-opened"
    assert refuse(loop, read(loop).reference, "great") == "bad-code"
    assert loop.count("outcome_signals") == 0


@pytest.mark.parametrize(
    "day",
    [date(2026, 11, 25), date(2025, 11, 25), date.fromordinal(date(2026, 11, 25).toordinal() + MOST_DAYS_HELD + 1)],
)
def test_day_that_is_past_or_beyond_reason_is_refused(loop: Loop, day: date) -> None:
    assert refuse(loop, read(loop).reference, hold_until=day) == "bad-day"


def test_duplicate_is_told_only_of_what_this_partner_itself_had_reported(loop: Loop) -> None:
    public = loop.send_public(under_18="no").reference
    first = read(loop)
    loop.clock.advance(seconds=1)
    read(loop, kind="supplement", earlier_reference=first.reference)
    second = read(loop)
    assert refuse(loop, first.reference, "duplicate") == "not-own-duplicate"
    assess_and_close(loop.desk, first.reference, dataclasses.replace(CLOSING, same_as=public), actor=ACTOR)
    assert refuse(loop, first.reference, "duplicate") == "not-own-duplicate"
    same = dataclasses.replace(CLOSING, outcome="duplicate", same_as=first.reference)
    assess_and_close(loop.desk, second.reference, same, actor=ACTOR)
    assert refuse(loop, first.reference, "duplicate") == "not-own-duplicate"
    tell(loop, second.reference, "duplicate")


def test_two_reports_of_one_second_are_no_duplicates_of_one_another(loop: Loop) -> None:
    first, second = read(loop), read(loop)
    same = dataclasses.replace(CLOSING, same_as=first.reference)
    assess_and_close(loop.desk, second.reference, same, actor=ACTOR)
    assert first.received_at == second.received_at
    for case in (first, second):
        assert refuse(loop, case.reference, "duplicate") == "not-own-duplicate"


def test_closing_that_tells_the_outcome_writes_to_the_mailbox_too_and_keeps_to_what_waits(loop: Loop) -> None:
    case, held = read(loop), read(loop)
    assess_and_close(loop.desk, case.reference, dataclasses.replace(CLOSING, release_outcome=True), actor=ACTOR)
    collect_and_send(loop)
    assert notes(loop) == [(case.reference, "used")]
    tell(loop, held.reference, hold_until=date(2027, 1, 1))
    with pytest.raises(CaseError) as caught:
        assess_and_close(loop.desk, held.reference, dataclasses.replace(CLOSING, release_outcome=True), actor=ACTOR)
    assert caught.value.reason == "outcome-waits"
    assert find(loop, held.reference).closed_at is None
    assess_and_close(loop.desk, held.reference, CLOSING, actor=ACTOR)
    assert len(notes(loop)) == 1


def test_stage_is_told_though_the_note_cannot_be_signed_and_the_note_follows_once(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference)
    key = Path(loop.desk.paths.keys / "mailbox-signing.key")
    raw = key.read_bytes()
    key.unlink()
    with pytest.raises(LocalStateError):
        send_out(loop.desk, "stage", "message")
    assert stage_at_gateway(loop, case.reference) == ("opened", "used")
    key.touch(mode=0o600)
    key.write_bytes(raw)
    assert write_outcome_notes(loop.desk) == 1
    collect_and_send(loop)
    assert notes(loop) == [(case.reference, "used")]


def test_each_step_of_an_outcome_is_noted_with_who_took_it(loop: Loop) -> None:
    case = read(loop)
    tell(loop, case.reference)
    take_back(loop.desk, case.reference, actor="Second Two")
    tell(loop, case.reference)
    collect_and_send(loop)
    with loop.desk.store.read() as connection:
        noted = connection.execute(AUDIT.select().where(AUDIT.c.action.like("%outcome%"))).all()
        signals = list_signals(connection, case_id=case.case_id)
    assert [(entry.action, entry.actor) for entry in noted] == [
        ("decide-outcome", "s-contact"),
        ("take-back-outcome", "Second Two"),
        ("decide-outcome", "s-contact"),
        ("release-outcome", "s-contact"),
    ]
    assert [signal.waits for signal in signals] == [False, False]
