"""Destruction: two people, nothing half, nothing left to read, and figures as before."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from gateway.desk.cases.closing import reopen_case
from gateway.desk.cases.model import CaseError, CaseRow, get_case, list_cases, list_steps, open_texts
from gateway.desk.cases.opening import open_case, open_report
from gateway.desk.cases.replies import ReplyDraft, record_reply, write_reply
from gateway.desk.collection.collect import reconcile
from gateway.desk.digests.figures import CaseWaits, make_waits
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.office.people.releases import ReleaseError
from gateway.desk.office.wiring import Desk
from gateway.desk.retention import destruction
from gateway.desk.retention.destruction import (
    begin_destruction,
    finish_destruction,
    finish_due,
    stop_destruction,
    verify_certificate,
)
from gateway.desk.retention.lists import (
    DUE,
    RetentionError,
    draft_destruction,
    list_due,
    list_unfinished,
    place_hold,
    withdraw_draft,
)
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import OUTBOX, REPLY_MESSAGES
from gateway.desk.store.schema import CASE_STEPS, CASES, REPORTS
from gateway.desk.vault import VaultError
from gateway.desk.vault.destructions import STOP_WITHIN
from gateway.exchange.desk_statements import SIGNED_CERTIFICATE
from partner_sdk.errors import OpeningError, StatementError
from partner_sdk.wire.canonical import format_time
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import (
    collect_all,
    held,
    open_door,
    part_files,
    post,
    seal_with,
    send_film,
    tell_of,
)
from tests.desk.retention_builders import (
    A_YEAR,
    FIRST,
    SECOND,
    begin,
    close_all,
    confirm_forgetting,
    destroy,
    list_files_with,
    sign_list,
)
from tests.desk.view_builders import Clock, add_sealed_case, make_code_key, make_code_seed
from tests.desk.work_builders import assess, make_talk

MARKER = "Quetzalcoatlus"
SEED = make_code_seed("five words of a code")


@pytest.fixture
def case_id(desk: Desk, clock: Clock) -> str:
    """A public case with a step and a reply, closed a year ago."""
    made = add_sealed_case(desk, marker=MARKER, report={"reply_key": make_code_key(SEED)})
    open_case(desk, made, actor=ACTOR)
    assess(desk, made, reasons=f"Reasons {MARKER}")
    write_reply(desk, made, ReplyDraft(f"Hello and thank you, {MARKER}", is_the_reply=False), actor=ACTOR)
    record_reply(desk, made, make_talk(desk, said=f"Called them. Reason {MARKER}"), actor=ACTOR)
    send_everything(desk)
    close_all(desk)
    clock.now += A_YEAR
    return made


def send_everything(desk: Desk) -> None:
    with desk.store.write() as connection:
        connection.execute(update(OUTBOX).values(state="sent", done_at="2026-11-25T10:00:00Z"))


def read_case(desk: Desk, case_id: str) -> CaseRow:
    with desk.store.read() as connection:
        return get_case(connection, case_id)


def count(connection: Connection) -> CaseWaits:
    return make_waits(connection, since=datetime(2020, 1, 1, tzinfo=UTC), today=date(2026, 11, 25))


def refuse(error: type[Exception], reason: str, call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert getattr(caught.value, "reason", None) == reason
    return str(caught.value)


@pytest.mark.databases("sqlite", "postgresql")
def test_nothing_of_a_destroyed_case_can_be_read_and_its_codes_stay(desk: Desk, case_id: str) -> None:
    before = read_case(desk, case_id)
    with desk.store.read() as connection:
        figures, steps = count(connection), list_steps(connection, before)
        report = connection.execute(select(REPORTS)).one()
        replies = connection.execute(select(REPLY_MESSAGES)).all()
    assert any(MARKER in text.note for text in open_texts(desk, before, steps, actor=ACTOR).values())
    certificate = SIGNED_CERTIFICATE.peek(destroy(desk, [before.reference]))
    after = read_case(desk, case_id)
    assert after.destroyed_at == certificate.destroyed[0].destroyed_at
    assert (after.kind, after.outcome, after.closed_at) == (before.kind, before.outcome, before.closed_at)
    assert (after.reply_key_sha256, after.has_reply_key) == (None, False)
    refuse(OpeningError, "destroyed", lambda: open_report(desk, after, actor=ACTOR))
    with desk.store.read() as connection:
        assert count(connection) == figures
        assert audit.check_chain(connection) > 0
        assert [bytes(one.box) for one in connection.execute(select(CASE_STEPS)) if one.box] != []
        assert {bytes(one.envelope) for one in connection.execute(select(REPORTS))} == {b""}
        assert {(one.envelope, one.desk_copy) for one in connection.execute(select(REPLY_MESSAGES))} == {(b"", None)}
    assert open_texts(desk, after, steps, actor=ACTOR) == {}
    # Not a byte of the boxes is left in any file of the desk, its write-ahead log included.
    for box in (bytes(report.envelope), *(bytes(one.envelope) for one in replies)):
        assert list_files_with(desk.paths.state, box[2000:2064]) == []


def test_one_person_destroys_nothing(desk: Desk, case_id: str) -> None:
    release = draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    refuse(ReleaseError, "not-signed", lambda: begin_destruction(desk, release.subject, actor=FIRST))
    refuse(ReleaseError, "same-person", lambda: sign_list(desk, release, by=FIRST))
    refuse(ReleaseError, "not-signed", lambda: begin_destruction(desk, release.subject, actor=FIRST))
    assert open_report(desk, read_case(desk, case_id), actor=ACTOR)
    refuse(RetentionError, "in-draft", lambda: draft_destruction(desk, [case_id], reason=DUE, actor=SECOND))
    withdraw_draft(desk, release.subject, actor=FIRST)
    refuse(RetentionError, "unknown-list", lambda: begin_destruction(desk, release.subject, actor=FIRST))
    assert draft_destruction(desk, [case_id], reason=DUE, actor=SECOND).subject != release.subject


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"closed_at": None}, "a report of it is open"),
        ({"reply_owed": True, "reply_code": None}, "a reply is owed"),
        ({"hold_review": "2028-01-01"}, "a legal hold is on it"),
        ({"synthetic": True}, "it is a synthetic case"),
        ({"closed_at": "2027-11-20T09:30:00Z"}, "its time is not over"),
    ],
    ids=str,
)
def test_case_that_has_to_stay_is_refused_when_drafted_and_when_signed(
    desk: Desk, case_id: str, change: dict[str, Any], said: str
) -> None:
    release = sign_list(desk, draft_destruction(desk, [case_id], reason=DUE, actor=FIRST))
    with desk.store.write() as connection:
        before = dict(connection.execute(select(CASES).where(CASES.c.case_id == case_id)).one()._mapping)
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(**change))
    assert said in refuse(RetentionError, "changed", lambda: begin_destruction(desk, release.subject, actor=SECOND))
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(**before))
    assert open_report(desk, read_case(desk, case_id), actor=ACTOR)
    begin_destruction(desk, release.subject, actor=SECOND)
    refuse(OpeningError, "destroyed", lambda: open_report(desk, read_case(desk, case_id), actor=ACTOR))


def test_case_waits_for_its_entries_of_the_outbox(desk: Desk, case_id: str) -> None:
    with desk.store.write() as connection:
        connection.execute(update(OUTBOX).where(OUTBOX.c.kind == "reply").values(state="waiting"))
    with pytest.raises(RetentionError, match="an entry of the outbox waits"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)


def test_case_that_is_opened_again_counts_anew(desk: Desk, case_id: str, clock: Clock) -> None:
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=desk.clock())
    reopen_case(desk, case_id, reason="Another report came.", actor=ACTOR)
    close_all(desk)
    clock.now += A_YEAR - timedelta(days=10)
    with pytest.raises(RetentionError, match="its time is not over"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    clock.now += timedelta(days=10)
    assert draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)


def test_erasure_that_was_granted_does_not_wait_for_its_day_and_keeps_to_every_other_rule(
    desk: Desk, clock: Clock
) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    with pytest.raises(RetentionError, match="a report of it is open"):
        draft_destruction(desk, [case_id], reason="erasure", actor=FIRST)
    close_all(desk)
    with pytest.raises(RetentionError, match="its time is not over"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    place_hold(desk, case_id, reason="A court asked.", review=date(2027, 2, 1), actor=FIRST)
    with pytest.raises(RetentionError, match="a legal hold is on it"):
        draft_destruction(desk, [case_id], reason="erasure", actor=FIRST)
    with desk.store.write() as connection:
        connection.execute(update(CASES).values(hold_review=None))
    assert SIGNED_CERTIFICATE.peek(destroy(desk, [case_id], reason="erasure")).listed.reason == "erasure"


def test_destroyed_case_is_neither_held_nor_opened_nor_destroyed_again(desk: Desk, case_id: str) -> None:
    destroy(desk, [case_id])
    refuse(CaseError, "destroyed", lambda: reopen_case(desk, case_id, reason="Again.", actor=ACTOR))
    review = read_day(desk)
    refuse(CaseError, "destroyed", lambda: place_hold(desk, case_id, reason="Late.", review=review, actor=FIRST))
    with pytest.raises(RetentionError, match="it was destroyed"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)


def read_day(desk: Desk) -> date:
    return desk.clock().date() + timedelta(days=30)


class KilledError(Exception):
    """The process ended here."""


STEPS = ("_destroy_keys", "_empty_rows", "_remove_files", "_certify", "keep_copy")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_run_that_is_killed_between_any_two_steps_is_finished_by_the_next(
    desk: Desk, case_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, step: str, *, is_done: bool
) -> None:
    destruction_id = begin(desk, [case_id])
    confirm_forgetting(desk)
    clock.now += STOP_WITHIN
    real = getattr(destruction, step)

    def die(*words: Any, **settings: Any) -> None:
        if is_done:
            real(*words, **settings)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(destruction, step, die)
        with pytest.raises(KilledError):
            finish_due(desk)
    refuse(CaseError, "destroyed", lambda: reopen_case(desk, case_id, reason="Again.", actor=ACTOR))
    assert finish_due(desk) == ([] if (step, is_done) == ("_certify", True) else [destruction_id])
    certificate = finish_destruction(desk, destruction_id, actor=FIRST)
    assert certificate is not None
    with desk.store.read() as connection:
        assert verify_certificate(desk, connection, certificate).signed_by == SECOND
        assert list_unfinished(connection) == []
        assert len(audit.list_subjects(connection, "destroy-case")) == 1
    with pytest.raises(OpeningError):
        open_report(desk, read_case(desk, case_id), actor=ACTOR)


def test_begin_that_is_killed_after_the_vault_is_repeated(
    desk: Desk, case_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = sign_list(desk, draft_destruction(desk, [case_id], reason=DUE, actor=FIRST))

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(destruction, "_set_destroyed", die)
        with pytest.raises(KilledError):
            begin_destruction(desk, release.subject, actor=SECOND)
    assert read_case(desk, case_id).destroyed_at is None
    refuse(OpeningError, "destroyed", lambda: open_report(desk, read_case(desk, case_id), actor=ACTOR))
    for _ in range(2):
        begin_destruction(desk, release.subject, actor=SECOND)
    assert read_case(desk, case_id).destroyed_at is not None


def test_case_is_closed_for_a_week_in_which_one_person_brings_it_back(desk: Desk, case_id: str, clock: Clock) -> None:
    destruction_id = begin(desk, [case_id])
    for late in (timedelta(0), STOP_WITHIN - timedelta(seconds=1)):
        assert finish_due(desk) == []
        refuse(VaultError, "too-early", lambda: finish_destruction(desk, destruction_id, actor=FIRST))
        refuse(OpeningError, "destroyed", lambda: open_report(desk, read_case(desk, case_id), actor=ACTOR))
        clock.now += late
    stop_destruction(desk, destruction_id, actor=FIRST)
    found = read_case(desk, case_id)
    assert (found.destroyed_at, bool(open_report(desk, found, actor=ACTOR))) == (None, True)
    clock.now += A_YEAR
    assert finish_due(desk) == []
    refuse(VaultError, "stopped", lambda: desk.load_signer().change_destruction(destruction_id, "destroyed", actor="x"))
    assert open_report(desk, found, actor=ACTOR)
    with desk.store.read() as connection:
        assert audit.list_subjects(connection, "stop-destruction") == [destruction_id, case_id]
        assert connection.execute(select(OUTBOX.c.id).where(OUTBOX.c.kind == "forget")).all() == []
    destroy(desk, [case_id])
    refuse(VaultError, "unknown-list", lambda: stop_destruction(desk, "another", actor=FIRST))


def test_list_that_cannot_be_finished_does_not_keep_a_later_one(
    desk: Desk, case_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = add_sealed_case(desk, marker="")
    close_all(desk)
    clock.now += A_YEAR
    send_everything(desk)
    begun = [begin(desk, [one]) for one in (case_id, other)]
    confirm_forgetting(desk)
    clock.now += STOP_WITHIN
    bad, good = sorted(begun)
    real = destruction.finish_destruction

    def finish(desk: Desk, destruction_id: str, *, actor: str) -> bytes | None:
        if destruction_id == bad:
            raise OpeningError("A key is in use.", reason="not-closed")
        return real(desk, destruction_id, actor=actor)

    monkeypatch.setattr(destruction, "finish_destruction", finish)
    refuse(OpeningError, "not-closed", lambda: finish_due(desk))
    with desk.store.read() as connection:
        assert list_unfinished(connection) == [bad]
    assert good != bad


def test_certificate_waits_for_the_gateway_and_says_what_remains_until_which_day(
    desk: Desk, case_id: str, clock: Clock
) -> None:
    destruction_id = begin(desk, [case_id])
    clock.now += STOP_WITHIN
    assert finish_due(desk) == []
    refuse(VaultError, "too-late", lambda: stop_destruction(desk, destruction_id, actor=FIRST))
    with desk.store.read() as connection:
        assert {bytes(one.envelope) for one in connection.execute(select(REPORTS))} == {b""}
    clock.now += timedelta(days=2)
    confirm_forgetting(desk)
    clock.now += timedelta(days=1)
    assert finish_due(desk) == [destruction_id]
    raw = finish_destruction(desk, destruction_id, actor=FIRST)
    certificate = SIGNED_CERTIFICATE.peek(raw or b"")
    assert certificate.forgotten_at == format_time(clock.now - timedelta(days=1))
    assert {"case-keys", "gateway-copies", "return-places"} < set(certificate.gone)
    day = clock.now.date() + timedelta(days=30)
    assert [(one.kept, one.until) for one in certificate.remains] == [
        ("backups-of-the-desk", day.isoformat()),
        ("backups-of-the-gateway", (day - timedelta(days=1)).isoformat()),
        ("codes-days-and-hashes", None),
        ("statements-at-the-gateway", None),
    ]


def test_certificate_names_both_persons_and_every_count_and_a_changed_one_is_not_genuine(
    desk: Desk, case_id: str
) -> None:
    reference = read_case(desk, case_id).reference
    raw = destroy(desk, [case_id])
    certificate = SIGNED_CERTIFICATE.peek(raw)
    assert (certificate.drafted_by, certificate.signed_by) == (FIRST, SECOND)
    (listed,), (gone,) = certificate.listed.cases, certificate.destroyed
    assert (listed.reference, listed.retention_class, listed.due_on) == (reference, "public", "2027-11-25")
    assert len(listed.report_sha256) == 1
    # A report, a reply with its copy, a note that it was read, an assessment, why a reply was recorded.
    assert (gone.rows, gone.files) == (6, 0)
    assert gone.row_bytes > 64 * 1024
    assert MARKER.encode() not in raw
    copy = desk.paths.state / "destroyed" / f"{certificate.listed.destruction_id}.json"
    assert copy.read_bytes() == raw
    with desk.store.read() as connection:
        assert verify_certificate(desk, connection, raw) == certificate
        with pytest.raises(StatementError):
            verify_certificate(desk, connection, raw[:-40] + b"A" * 8 + raw[-32:])


@pytest.mark.databases("sqlite", "postgresql")
def test_files_go_with_the_last_case_that_names_them(loop: Loop) -> None:
    film = send_film(loop)
    shared = send_film(loop)
    other = seal_with(loop, [shared.reference], files=[tell_of(shared)])
    post(open_door(loop), other)
    collect_all(loop)
    with loop.desk.store.read() as connection:
        cases = {case.report_id: case for case in list_cases(connection)}
    assert len(cases) == 3
    last = cases.pop(other.clear.report_id)
    close_all(loop.desk)
    send_everything(loop.desk)
    loop.clock.advance(seconds=int(A_YEAR.total_seconds()))
    certificate = SIGNED_CERTIFICATE.peek(destroy(loop.desk, [case.case_id for case in cases.values()]))
    assert sum(one.files for one in certificate.destroyed) == 1
    assert sum(one.file_bytes for one in certificate.destroyed) == film.sealed.size_bytes
    assert part_files(loop, film) == []
    assert part_files(loop, shared) != []
    assert held(loop) == [shared.evidence_id]
    assert open_report(loop.desk, last, actor=ACTOR)
    destroy(loop.desk, [last.case_id])
    assert part_files(loop, shared) == []
    assert held(loop) == []


def test_gateway_is_compared_as_before_and_a_later_report_does_not_join_a_destroyed_case(loop: Loop) -> None:
    first = loop.send_industry()
    loop.collect()
    close_all(loop.desk)
    send_everything(loop.desk)
    loop.clock.advance(seconds=int(A_YEAR.total_seconds()))
    loop.publish()
    destroy(loop.desk, [first.reference])
    assert reconcile(loop.desk, loop.desk.make_feed(), actor=ACTOR).is_even
    loop.send_industry(kind="supplement", earlier_reference=first.reference)
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        (later,) = list_cases(connection)
    assert (later.joined_to, later.adds_to) == (None, first.reference)
    assert open_case(loop.desk, later.reference, actor=ACTOR)


@pytest.mark.databases("sqlite", "postgresql")
def test_cases_that_stay_hide_none_that_may_go(desk: Desk, clock: Clock) -> None:
    held_cases = [add_sealed_case(desk, marker="") for _ in range(3)]
    close_all(desk)
    for one in held_cases:
        place_hold(
            desk, one, reason="A court asked for it.", review=clock.now.date() + timedelta(days=300), actor=FIRST
        )
    clock.now += timedelta(days=1)
    free = [add_sealed_case(desk, marker="") for _ in range(3)]
    close_all(desk)
    clock.now += A_YEAR
    with desk.store.read() as connection:
        due = list_due(desk, connection, most=2)
    assert [one.refusal for one in due] == ["held", "held", None, None]
    assert {one.case.case_id for one in due if one.refusal is None} <= set(free)
