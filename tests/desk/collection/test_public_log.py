"""The desk checks the public log after it has collected: a contradiction is an alarm, and no report waits for it."""

from hashlib import sha256
from pathlib import Path

import pytest

from gateway.desk.collection.collect import collect_reports
from gateway.desk.collection.damage import LOG_CONTRADICTS, LOG_LACKS, LOG_STANDS_STILL
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.running.doctor import examine
from gateway.desk.store.audit import clear_alarm, list_alarms
from gateway.intake import Accepted
from gateway.store.published import read_head
from partner_sdk.errors import LocalStateError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.wire.public_log import peek_checkpoint
from tests.desk.desk_loop import ACTOR, Loop, make_loop

KEEP = ("CREATE TABLE old_head AS SELECT * FROM log_head", "CREATE TABLE old_tiles AS SELECT * FROM log_tiles")
ROLL_BACK = (
    "DELETE FROM log_head",
    "DELETE FROM log_tiles",
    "INSERT INTO log_head SELECT * FROM old_head",
    "INSERT INTO log_tiles SELECT * FROM old_tiles",
)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = make_loop(tmp_path)
    made.enrol()
    return made


def change(loop: Loop, *statements: str) -> None:
    with loop.gateway.store.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def list_subjects(loop: Loop, kind: str = LOG_CONTRADICTS) -> list[str]:
    with loop.desk.store.read() as connection:
        return [alarm.subject for alarm in list_alarms(connection) if alarm.kind == kind]


def list_kept_sizes(loop: Loop) -> list[int]:
    """Return the sizes of the checkpoints that are kept as proof."""
    return sorted(peek_checkpoint(path.read_bytes()).size for path in loop.desk.paths.state.glob("log.contradiction-*"))


def clear_alarms(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        for alarm in list_alarms(connection):
            if alarm.kind == LOG_CONTRADICTS:
                clear_alarm(connection, alarm.id, actor=ACTOR, now=loop.clock())


def test_log_that_goes_on_is_remembered_without_a_word(loop: Loop) -> None:
    for _ in range(3):
        loop.send_industry()
        assert loop.collect().log_fault is None
        loop.publish_log()
    assert loop.collect().log_fault is None
    remembered = (loop.desk.paths.state / "log.checkpoint").read_bytes()
    assert remembered == read_head(loop.gateway.store).checkpoint
    assert list_subjects(loop) == []


def test_log_that_went_back_or_forked_is_an_alarm_and_every_report_is_filed_all_the_same(loop: Loop) -> None:
    loop.publish_log()
    change(loop, *KEEP)
    loop.publish_log()
    assert loop.collect().log_fault is None
    seen = (loop.desk.paths.state / "log.checkpoint").read_bytes()
    change(loop, *ROLL_BACK)
    for size, reason in ((16, "rolled-back"), (32, "forked"), (48, "forked")):
        if size > 16:
            loop.publish_log()
        loop.send_industry()
        collected = loop.collect()
        assert (collected.filed, collected.log_fault) == (1, reason)
        assert (loop.desk.paths.state / "log.checkpoint").read_bytes() == seen
    # Both sides of each contradiction are kept, the first of its kind.
    assert list_kept_sizes(loop) == [16, 32, 32]
    # One alarm for each kind, however often the desk collects.
    assert [subject.split(": ")[1].split(",")[0] for subject in list_subjects(loop)] == ["rolled-back", "forked"]


def test_log_is_taken_again_once_a_person_has_cleared_the_alarm(loop: Loop) -> None:
    loop.publish_log()
    change(loop, *KEEP)
    loop.publish_log()
    loop.collect()
    change(loop, *ROLL_BACK)
    assert loop.collect().log_fault == "rolled-back"
    with loop.desk.store.write() as connection:
        (alarm,) = [one for one in list_alarms(connection) if one.kind == LOG_CONTRADICTS]
        clear_alarm(connection, alarm.id, actor=ACTOR, now=loop.clock())
    assert loop.collect().log_fault is None
    loop.publish_log()
    assert loop.collect().log_fault is None
    # The next contradiction is an alarm of its own.
    change(loop, *ROLL_BACK)
    assert loop.collect().log_fault == "rolled-back"
    assert len(list_subjects(loop)) == 1


def test_log_that_is_gone_or_signed_by_another_key_is_an_alarm(loop: Loop) -> None:
    assert loop.collect().log_fault is None  # it has not begun
    loop.publish_log()
    assert loop.collect().log_fault is None
    change(loop, *KEEP, "DELETE FROM log_head")
    assert loop.collect().log_fault == "no-log"
    change(loop, *ROLL_BACK)
    key_path = loop.folder / "gateway" / "keys" / "log.key"
    key_path.unlink()
    loop.restart_gateway()
    (loop.folder / "gateway" / "keys" / "log.key").write_bytes(make_other_key(loop))
    key_path.chmod(0o600)
    loop.publish_log()
    loop.send_industry()
    collected = loop.collect()
    assert (collected.filed, collected.log_fault) == (1, "unknown-key")


def make_other_key(loop: Loop) -> bytes:
    """Return the bytes of a log key that the desk does not know."""
    other = make_loop(loop.folder / "other")
    return (other.folder / "gateway" / "keys" / "log.key").read_bytes()


class BrokenLog(FeedClient):
    """The feed of a gateway that answers everything but its log."""

    error: ReportAbuseError

    def get_log_file(self, name: str, *, max_bytes: int) -> bytes:
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        TransportError("The gateway did not answer in time.", reason="timeout"),
        UnavailableError(type="x", title="Unavailable", status=503, detail="", request_id=None),
        LocalStateError("Could not save it.", reason="not-saved"),
    ],
)
def test_log_that_cannot_be_checked_keeps_back_no_report_and_is_an_alarm_after_an_hour(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, error: ReportAbuseError
) -> None:
    loop.publish_log()
    loop.collect()
    monkeypatch.setattr(BrokenLog, "error", error, raising=False)
    for minutes, alarms in ((59, 0), (2, 1), (2, 1)):
        loop.clock.advance(minutes=minutes)
        loop.send_industry()
        collected = collect_reports(loop.desk, loop.make_feed(BrokenLog), actor=ACTOR)
        assert (collected.filed, collected.log_fault) == (1, "unchecked")
        assert len(list_subjects(loop, LOG_STANDS_STILL)) == alarms
    assert list_subjects(loop) == []


def test_clearing_accepts_one_checkpoint_once_and_no_other_roll_back(loop: Loop) -> None:
    loop.publish_log()
    change(loop, *KEEP)
    loop.publish_log()
    loop.collect()
    change(loop, *ROLL_BACK)
    assert loop.collect().log_fault == "rolled-back"
    clear_alarms(loop)
    # A log that is shorter still was accepted by nobody.
    change(loop, "DELETE FROM log_head", "DELETE FROM log_tiles")
    loop.publish_log()
    assert loop.collect().log_fault == "rolled-back"
    assert len(list_subjects(loop)) == 1
    # The accepted one is, and when the log goes back from there again, that is a new alarm.
    change(loop, *ROLL_BACK)
    assert loop.collect().log_fault is None
    loop.publish_log()
    assert loop.collect().log_fault is None
    clear_alarms(loop)
    change(loop, *ROLL_BACK)
    assert loop.collect().log_fault == "rolled-back"
    assert len(list_subjects(loop)) == 1


def test_proof_of_a_fork_is_never_replaced_and_an_unsigned_checkpoint_is_not_kept(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.publish_log()
    change(loop, *KEEP)
    loop.publish_log()
    loop.collect()
    change(loop, *ROLL_BACK)
    loop.publish_log()
    assert loop.collect().log_fault == "forked"
    proof = {path.name: path.read_bytes() for path in loop.desk.paths.state.glob("log.contradiction*")}
    assert len(proof) == 2
    monkeypatch.setattr(FeedClient, "get_log_file", lambda *_, **__: b"nothing")
    assert loop.collect().log_fault == "malformed"
    assert {path.name: path.read_bytes() for path in loop.desk.paths.state.glob("log.contradiction*")} == proof


def test_gateway_that_does_not_answer_is_no_contradiction(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.publish_log()
    loop.collect()

    def be_silent(*_: object, **__: object) -> None:
        raise TransportError("The gateway did not answer in time.", reason="timeout")

    monkeypatch.setattr(loop.transport, "send", be_silent)
    with pytest.raises(TransportError):
        loop.collect()
    assert list_subjects(loop) == []


def test_report_without_its_entry_is_an_alarm_that_names_it_whichever_door_it_came_by(loop: Loop) -> None:
    shown, hidden, by_industry = loop.send_public(), loop.send_public(), loop.send_industry()
    hide_from_log(loop, hidden, by_industry)
    loop.publish_log()
    assert loop.collect().log_fault is None  # an entry may follow within two minutes
    loop.clock.advance(seconds=120)
    loop.publish_log()
    collected = loop.collect()
    assert (collected.filed, collected.log_fault) == (0, "not-included")
    (subject,) = list_subjects(loop, LOG_LACKS)  # one a day, naming the first
    assert subject == f"report.example/log: not-included on 2026-11-25: {hidden.reference}"
    assert shown.reference not in subject
    assert list_subjects(loop) == []
    # Each report is looked for once.
    assert loop.collect().log_fault is None


def hide_from_log(loop: Loop, *hidden: Accepted) -> None:
    """Publish a batch as a gateway that leaves out these reports: their place in the log is taken by random bytes."""
    digests = [sha256(one.receipt).digest() for one in hidden]
    spoil = "UPDATE reports SET intake_sha256 = ? WHERE intake_sha256 = ?"
    for digest in digests:
        loop.gateway_sql(spoil, digest[::-1], digest)
    loop.publish_log()
    for digest in digests:
        loop.gateway_sql(spoil, digest, digest[::-1])


def test_entry_that_came_late_is_an_alarm_and_a_report_from_before_the_log_is_none(loop: Loop) -> None:
    loop.send_public()
    loop.clock.advance(seconds=120)
    loop.publish_log()
    loop.collect()
    loop.send_public()
    loop.clock.advance(seconds=61)
    loop.publish_log()  # 91 seconds after the receipt
    loop.collect()
    loop.clock.advance(seconds=61)
    loop.publish_log()
    assert loop.collect().log_fault is None
    loop.clock.advance(seconds=61)
    loop.publish_log()
    assert loop.collect().log_fault == "passed-over"  # no batch for 91 seconds, which is not yet a pause
    assert len(list_subjects(loop, LOG_LACKS)) == 1


@pytest.mark.parametrize("is_begun", [False, True])
def test_log_that_never_begins_or_stops_is_an_alarm_after_an_hour_and_again_the_next_day(
    loop: Loop, is_begun: bool
) -> None:
    if is_begun:
        loop.publish_log()
    loop.collect()
    loop.clock.advance(minutes=59)
    assert loop.collect().log_fault is None
    loop.clock.advance(minutes=2)
    for days in (1, 2):
        assert loop.collect().log_fault == ("no-new-batch" if is_begun else "no-log")
        loop.collect()
        assert len(list_subjects(loop, LOG_STANDS_STILL)) == days
        loop.clock.advance(days=1)
    loop.publish_log()
    assert loop.collect().log_fault is None


def test_gateway_without_a_log_key_is_a_warning_of_the_doctor_alone(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM verify_keys WHERE role = 'log'")
    loop.clock.advance(days=2)
    assert loop.collect().log_fault is None
    warned = [one.fix for one in examine(loop.desk.paths.state, clock=loop.clock) if "public log" in one.detail]
    assert ["rotate-log-key" in fix for fix in warned] == [True]
