"""A partner notices a report that is hidden, a log that is rolled back or forked, and a receipt that is dated back."""

from pathlib import Path

import pytest

from gateway.store.published import read_head
from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, EXIT_LATE
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.wire.public_log import peek_checkpoint
from tests.builders import EXAMPLE_REPORT, House
from tests.sdk.sdk_builders import Terminal

ALL = ("receipt", "verify", "--all", "--online")
LONG = 180  # after that a receipt must stand in the log


@pytest.fixture
def sender(line: Terminal, house: House) -> Terminal:
    """A partner whose clock is the gateway's, and who has seen the log."""
    line.clock = house.clock
    house.publish_log()
    assert line.run(*ALL) == EXIT_DONE
    return line


def submit(sender: Terminal) -> str:
    """Submit a report and return the file of its receipt."""
    before = set(PartnerState.open(sender.folder).list_receipts())
    assert sender.run("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--again") == EXIT_DONE
    (report_id,) = set(PartnerState.open(sender.folder).list_receipts()) - before
    return str(sender.folder / "receipts" / f"{report_id}.json")


def change(house: House, *statements: str) -> None:
    """Change the gateway's database, as its operator could."""
    with house.open_gateway().store.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_receipt_stands_in_the_log_and_the_log_is_remembered(sender: Terminal, house: House) -> None:
    receipt = submit(sender)
    house.publish_log(seconds=30)
    house.publish_log(seconds=LONG)
    assert sender.run("receipt", "verify", receipt, "--online") == EXIT_DONE
    assert sender.json()["log"] == {"reason": None, "size": 48}
    remembered = (sender.folder / "log.checkpoint").read_bytes()
    assert remembered == read_head(house.open_gateway().store).checkpoint
    assert sender.run(*ALL) == EXIT_DONE
    assert sender.json()["log"] == {"reason": None, "size": 48}


def test_receipt_older_than_the_log_is_in_its_first_batches(line: Terminal, house: House) -> None:
    line.clock = house.clock
    receipt = submit(line)
    house.publish_log(seconds=86_400)
    assert line.run("receipt", "verify", receipt, "--online") == EXIT_DONE
    assert line.json()["log"] == {"reason": "pre-log", "size": 16}
    house.publish_log(seconds=LONG)
    assert line.run(*ALL) == EXIT_DONE
    assert line.json()["pre_log"] == 1


def test_receipt_of_a_time_to_come_is_an_alarm(sender: Terminal, house: House) -> None:
    house.clock.advance(hours=1)
    ahead = submit(sender)
    house.clock.advance(hours=-1)
    house.publish_log(seconds=30)
    assert sender.run("receipt", "verify", ahead, "--online") == EXIT_ALARM
    assert sender.json()["reason"] == "ahead"


def test_receipt_that_is_new_is_waited_for(sender: Terminal, house: House) -> None:
    receipt = submit(sender)
    assert sender.run("receipt", "verify", receipt, "--online") == EXIT_DONE
    house.clock.advance(seconds=LONG)
    assert sender.run("receipt", "verify", receipt, "--online") == EXIT_ALARM
    assert "not-included" in sender.err


def test_one_hidden_report_is_an_alarm_and_is_named(sender: Terminal, house: House) -> None:
    hidden = submit(sender)
    change(house, "UPDATE log_head SET report_position = (SELECT max(position) FROM reports)")
    submit(sender)
    house.publish_log(seconds=30)
    house.publish_log(seconds=LONG)
    assert sender.run(*ALL) == EXIT_ALARM
    assert "ALARM: 1 receipt(s): the receipt is NOT in the public log as it must be." in sender.err
    (row,) = sender.json()["differing"]
    assert (row["report_id"], row["reason"]) == (Path(hidden).stem, "not-included")
    assert sender.run("receipt", "verify", hidden, "--online") == EXIT_ALARM


def test_log_that_is_rolled_back_or_forked_is_an_alarm_and_both_checkpoints_are_kept(
    sender: Terminal, house: House
) -> None:
    change(
        house, "CREATE TABLE old_head AS SELECT * FROM log_head", "CREATE TABLE old_tiles AS SELECT * FROM log_tiles"
    )
    submit(sender)
    house.publish_log(seconds=30)
    assert sender.run(*ALL) == EXIT_DONE
    seen = (sender.folder / "log.checkpoint").read_bytes()
    change(
        house,
        "DELETE FROM log_head",
        "DELETE FROM log_tiles",
        "INSERT INTO log_head SELECT * FROM old_head",
        "INSERT INTO log_tiles SELECT * FROM old_tiles",
    )
    for size, reason in ((16, "rolled-back"), (32, "forked"), (48, "forked")):
        if size > 16:
            house.publish_log(seconds=30)
        assert sender.run(*ALL) == EXIT_ALARM
        assert f"({reason})" in sender.err
        assert "phone the agency" in sender.err
        assert (sender.folder / "log.checkpoint").read_bytes() == seen
    # Each signed checkpoint is kept, and never written again; one without a valid signature proves nothing.
    proof = {path.name: path.read_bytes() for path in sender.folder.glob("log.contradiction*")}
    assert sorted(peek_checkpoint(raw).size for raw in proof.values()) == [16, 32, 48]
    change(house, "UPDATE log_head SET checkpoint = CAST('nothing' AS BLOB)")
    assert sender.run(*ALL) == EXIT_ALARM
    assert {path.name: path.read_bytes() for path in sender.folder.glob("log.contradiction*")} == proof


def test_receipt_that_was_dated_back_was_passed_over_by_the_log(sender: Terminal, house: House) -> None:
    house.clock.advance(minutes=10)
    house.publish_log()
    house.clock.advance(minutes=-10)
    dated_back = submit(sender)
    house.clock.advance(minutes=10)
    house.publish_log(seconds=30)
    assert sender.run("receipt", "verify", dated_back, "--online") == EXIT_ALARM
    assert sender.json() == {"environment": "live", "not_a_report": False, "reason": "passed-over", "verified": False}
    assert "630 seconds after the time that its receipt states" in sender.err


def test_entries_that_come_late_after_a_pause_are_no_alarm_and_are_told_together(
    sender: Terminal, house: House
) -> None:
    """Seen: 18 alarms to phone the agency, because the log's process was restarted slowly."""
    receipts = [submit(sender) for _ in range(3)]
    house.publish_log(seconds=LONG)
    house.publish_log(seconds=30)
    assert sender.run(*ALL) == EXIT_LATE
    assert "ALARM" not in sender.err
    assert "phone the agency" not in sender.err
    assert "3 receipt(s): the public log stood still, and holds the receipt since." in sender.err
    rows = sender.json()["differing"]
    assert {row["report_id"] for row in rows} == {Path(one).stem for one in receipts}
    assert sender.run("receipt", "verify", receipts[0], "--online") == EXIT_LATE
    assert (sender.json()["reason"], sender.json()["verified"]) == ("late", True)
    change(house, "DELETE FROM reports WHERE position = (SELECT max(position) FROM reports)")
    assert sender.run(*ALL) == EXIT_ALARM


def test_log_that_is_gone_is_an_alarm_also_where_the_agency_lists_none_any_more(sender: Terminal, house: House) -> None:
    change(house, "DELETE FROM log_head")
    assert sender.run(*ALL) == EXIT_ALARM
    assert "no-log" in sender.err
    house.publish(serial=2, log_keys=())
    assert sender.run(*ALL) == EXIT_ALARM


def test_gateway_without_a_log_is_checked_as_before(line: Terminal, house: House) -> None:
    house.publish(serial=2, log_keys=())
    assert line.run(*ALL) == EXIT_DONE
    assert line.json()["log"] == {"reason": None, "size": None}
