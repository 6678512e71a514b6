"""Storage that vanished: a removed log and an old copy are refused, and no number is given out again."""

import hashlib
import shutil
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from gateway.cli import main
from gateway.commands.serve import _check_start
from gateway.doctor import examine
from gateway.housekeeping import KEEP_COLLECTED, clean_store
from gateway.store import StorageUnavailableError
from gateway.store.connections import HighWaterMark, Mark
from gateway.store.reports import acknowledge_report, list_links
from gateway.wiring import Gateway
from partner_sdk.wire.receipts import SIGNED_INTAKE
from tests.builders import House, Partner
from tests.gateway.store_builders import new_industry_report, new_public_report, start_process


def check_refused(house: House, reason: str) -> None:
    """Fail unless every door of a new process refuses, with the reason."""
    gateway = house.open_gateway()
    with pytest.raises(StorageUnavailableError) as refused:
        gateway.intake.accept(new_public_report())
    assert refused.value.reason == reason
    for role in ("public", "industry", "feed"):
        assert house.open_app(role).test_client().get("/health").status_code == 503
    # Another way stands on the page: the form is not taken away.
    page = house.open_app("public").test_client().get("/", base_url="https://report.example")
    assert "999" in page.get_data(as_text=True)


def mark_of(house: House) -> HighWaterMark:
    return HighWaterMark(house.state / "gateway.mark")


def send(gateway: Gateway, number: int = 1) -> list[bytes]:
    return [gateway.intake.accept(new_industry_report(Partner())).receipt for _ in range(number)]


def test_removed_log_with_acknowledged_reports_is_refused_with_the_line_to_run(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen: 20 reports with receipts were gone without a word, and the next ones got their numbers."""
    process = start_process("writer_process", str(house.state), "100000")
    assert process.stdout is not None
    for _ in range(20):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for name in ("gateway.sqlite-wal", "gateway.sqlite-shm"):
        (house.state / name).unlink()

    check_refused(house, "behind")
    line = f"report-abuse-gateway restored --state {house.state}"
    (store,) = [one for one in examine(house.state, clock=house.clock) if one.name == "store"]
    assert (store.verdict, line in (store.fix or "")) == ("fault", True)
    _check_start(house.state, config=house.config)
    assert line in capsys.readouterr().err

    assert main(["restored", "--state", str(house.state)]) == 0
    receipt = SIGNED_INTAKE.peek(send(house.open_gateway())[0])
    assert receipt.epoch != "epoch-of-tests"
    assert house.open_app("industry").test_client().get("/health").status_code == 200


def test_old_copy_put_back_is_refused_until_somebody_says_that_it_was_restored(house: House) -> None:
    gateway = house.open_gateway()
    send(gateway, 2)
    gateway.store.close()
    shutil.copy(gateway.store.path, house.state / "backup")
    lost = send(gateway, 3)
    gateway.store.close()
    shutil.copy(house.state / "backup", gateway.store.path)

    check_refused(house, "behind")

    assert main(["restored", "--state", str(house.state)]) == 0
    after = house.open_gateway()
    given = [SIGNED_INTAKE.peek(receipt) for receipt in send(after, 3)]
    taken = {(one.epoch, one.sequence) for one in map(SIGNED_INTAKE.peek, lost)}
    assert taken.isdisjoint((one.epoch, one.sequence) for one in given)
    # The mark follows again.
    assert mark_of(house).find() == Mark(5, after.store.look("SELECT intake_sha256 FROM reports")[-1][0])


def test_another_history_of_the_same_length_is_refused(house: House) -> None:
    gateway = house.open_gateway()
    send(gateway, 2)
    mark_of(house).put(Mark(2, bytes(32)))
    check_refused(house, "behind")


def test_rows_taken_out_under_a_running_gateway_are_noticed_at_the_next_report(house: House) -> None:
    gateway = house.open_gateway()
    send(gateway, 3)
    with gateway.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM reports WHERE position > 1")
    # A process that has its connections open says so too, not a new one alone.
    client = house.open_app("industry", gateway=gateway).test_client()
    assert client.get("/health").status_code == 503
    with pytest.raises(StorageUnavailableError) as refused:
        send(gateway)
    assert refused.value.reason == "behind"
    assert main(["restored", "--state", str(house.state)]) == 0
    gateway.store.check()


@pytest.mark.parametrize("first", ["write", "read"])
def test_log_removed_under_a_running_gateway_is_noticed_and_what_it_held_is_saved(
    house: House, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = house.open_gateway()
    send(gateway, 20)
    (house.state / "gateway.sqlite-wal").unlink()

    for _ in range(2):
        with pytest.raises(StorageUnavailableError) as refused:
            send(gateway) if first == "write" else gateway.intake.draw_reference()
        assert refused.value.reason == "log-gone"
    assert [one.getMessage() for one in caplog.records].count("storage-log-gone") == 1
    client = house.open_app("industry", gateway=gateway).test_client()
    assert client.get("/health").status_code == 503
    assert not (house.state / "gateway.sqlite-wal").exists()
    # What a start after the end of this process finds.
    copy = house.state / "copy.sqlite"
    shutil.copy(house.state / "gateway.sqlite", copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM reports").fetchone() == (20,)
    gateway.store.close()


def test_log_replaced_under_a_running_gateway_is_not_mixed_with_its_own(house: House) -> None:
    gateway = house.open_gateway()
    send(gateway, 3)
    log = house.state / "gateway.sqlite-wal"
    log.unlink()
    log.write_bytes(b"")
    before = (house.state / "gateway.sqlite").read_bytes()
    with pytest.raises(StorageUnavailableError):
        send(gateway)
    gateway.store.close()
    assert (house.state / "gateway.sqlite").read_bytes() == before


def test_mark_that_is_older_missing_or_unreadable_refuses_nothing(house: House) -> None:
    """A machine that lost its power may have kept an older one; the database is never behind its acknowledgements."""
    gateway = house.open_gateway()
    path = house.state / "gateway.mark"
    receipts = send(gateway, 3)
    mark_of(house).put(Mark(1, hashlib.sha256(receipts[0]).digest()))
    send(house.open_gateway())
    newest = mark_of(house).find()
    assert newest is not None
    assert newest.position == 4
    for raw in (b"", path.read_bytes()[:40], b"\x00" * len(path.read_bytes()), path.read_bytes()[:-4] + b"000\n"):
        path.write_bytes(raw)
        assert mark_of(house).find() is None
        send(house.open_gateway())
    path.unlink()
    send(house.open_gateway())
    assert mark_of(house).find() is not None


@pytest.mark.parametrize("first", ["removed", "replaced"])
def test_mark_that_is_removed_under_a_running_gateway_is_written_anew_with_the_next_report(
    house: House, first: str
) -> None:
    gateway, other = house.open_gateway(), house.open_gateway()
    path = house.state / "gateway.mark"
    send(gateway, 2)
    send(other)
    path.unlink()
    if first == "replaced":
        path.write_bytes(b"")
    send(gateway)
    assert mark_of(house).find() == Mark(4, gateway.store.look("SELECT intake_sha256 FROM reports")[-1][0])
    send(other)  # whose open file was that of the old mark too
    send(gateway)
    assert mark_of(house).find() == Mark(6, gateway.store.look("SELECT intake_sha256 FROM reports")[-1][0])


@pytest.mark.parametrize("raw", [None, b"", b"nonsense"])
def test_doctor_warns_of_reports_without_a_mark_that_can_be_read(house: House, raw: bytes | None) -> None:
    def find_warnings() -> list[tuple[str, str]]:
        return [(one.name, one.verdict) for one in examine(house.state, clock=house.clock) if one.name == "mark"]

    path = house.state / "gateway.mark"
    path.unlink(missing_ok=True)
    assert find_warnings() == []  # no report yet
    gateway = house.open_gateway()
    send(gateway)
    assert find_warnings() == []
    path.unlink()
    if raw is not None:
        path.write_bytes(raw)
    assert find_warnings() == [("mark", "warning")]
    send(gateway)
    assert find_warnings() == []


def test_mark_is_never_ahead_of_what_was_committed(house: House) -> None:
    gateway = house.open_gateway()
    receipts = send(gateway)
    before = Mark(1, hashlib.sha256(receipts[0]).digest())
    assert mark_of(house).find() == before

    def fail(*_: object) -> None:
        assert mark_of(house).find() == before
        raise ValueError("given up")

    with pytest.raises(ValueError, match="given up"):
        gateway.intake.accept(new_public_report(extra_write=fail))
    assert mark_of(house).find() == before
    gateway.store.check()  # a write that stores no report
    assert mark_of(house).find() == before


def test_report_is_promised_though_the_mark_cannot_be_written(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = house.open_gateway()

    def fail(_self: HighWaterMark, _mark: Mark) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(HighWaterMark, "put", fail)
    assert send(gateway)
    assert "mark-not-written" in [record.getMessage() for record in caplog.records]


def test_deleted_envelopes_do_not_put_the_database_behind(house: House) -> None:
    gateway = house.open_gateway()
    send(gateway, 3)
    with gateway.store.write() as connection:
        for link in list_links(connection, after=0, limit=9)[0]:
            assert acknowledge_report(
                connection,
                partner=link.partner,
                report_id=link.report_id,
                intake_sha256=link.intake_sha256,
                now=house.clock(),
            )
    later = house.clock() + KEEP_COLLECTED + timedelta(seconds=1)
    assert clean_store(gateway.store, now=later).envelopes == 3
    assert send(house.open_gateway())
