"""`receipt verify --all --online`: every kept receipt beside the one that the gateway has now, byte for byte."""

import pytest
import requests

from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, EXIT_FAILED
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import TransportError
from tests.builders import EXAMPLE_REPORT, House, StillClock
from tests.damaged_database import TABLE_LEAF, damage_pages
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal, run_partner, session_for

VERIFY = ("receipt", "verify", "--all", "--online")


@pytest.fixture(autouse=True)
def _log(house: House) -> None:
    """The gateway's public log has its first batch."""
    house.publish_log()


def submit(line: Terminal, count: int = 3) -> list[str]:
    """Submit reports and return their ids, the oldest first."""
    for _ in range(count):
        assert line.run("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--again") == EXIT_DONE
    return PartnerState.open(line.folder).list_receipts()


def change_gateway(house: House, statement: str, *values: object) -> None:
    with house.open_gateway().store.write() as connection:
        assert connection.exec_driver_sql(statement, tuple(values)).rowcount == 1


def test_receipts_that_the_gateway_has_too_are_well(line: Terminal) -> None:
    submit(line)
    assert line.run(*VERIFY) == EXIT_DONE
    assert line.err == ""
    assert (line.json()["compared"], line.json()["differing"]) == (3, [])


def test_receipt_that_the_gateway_has_lost_is_an_alarm_and_is_named(line: Terminal, house: House) -> None:
    _, lost, _ = submit(line)
    change_gateway(house, "DELETE FROM reports WHERE report_id = ?", lost)
    assert line.run(*VERIFY) == EXIT_ALARM
    assert line.err.count("ALARM") == 1
    assert "ALARM: 1 receipt(s): the gateway has NO receipt." in line.err
    (row,) = line.json()["differing"]
    assert (row["report_id"], row["finding"]) == (lost, "missing")
    assert "phone the agency; do not use this service for that" in line.err


def test_receipt_that_is_another_at_the_gateway_is_an_alarm(line: Terminal, house: House) -> None:
    first, second, _ = submit(line)
    swapped = "UPDATE reports SET intake = (SELECT intake FROM reports WHERE report_id = ?) WHERE report_id = ?"
    change_gateway(house, swapped, first, second)
    assert line.run(*VERIFY) == EXIT_ALARM
    ((row),) = line.json()["differing"]
    assert (row["report_id"], row["finding"], row["reason"]) == (second, "other", None)
    assert line.json()["counts"] == {
        "invalid": 0,
        "late": 0,
        "missing": 0,
        "not-logged": 0,
        "other": 1,
        "same": 2,
        "unread": 0,
    }


def test_receipt_that_was_changed_on_this_disk_is_an_alarm_and_stops_no_other(line: Terminal) -> None:
    first, second, third = submit(line)
    folder = line.folder / "receipts"
    (folder / f"{first}.json").write_bytes(b"{}")
    (folder / f"{second}.json").write_bytes((folder / f"{third}.json").read_bytes())
    assert line.run(*VERIFY) == EXIT_ALARM
    assert "ALARM: 2 receipt(s): the receipt kept here is NOT valid." in line.err
    found = {row["report_id"]: row["reason"] for row in line.json()["differing"]}
    assert found == {first: "malformed", second: "receipt-mismatch"}


def test_gateway_that_does_not_answer_is_no_alarm_and_no_success(line: Terminal) -> None:
    submit(line)
    down = Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)
    assert down.run(*VERIFY) == EXIT_FAILED
    assert "ALARM" not in down.err
    assert "Could not connect to the gateway" in down.err


def test_row_that_the_gateway_cannot_read_answers_for_itself(line: Terminal, house: House) -> None:
    """Seen: one damaged row, and no other receipt was compared."""
    _, hurt, lost = submit(line)
    store = house.open_gateway().store
    store.close()
    assert damage_pages(store.path, hurt.encode(), kind=TABLE_LEAF) == 1
    line.adapter.app = house.open_app("industry")
    assert line.run(*VERIFY) == EXIT_FAILED
    found = {row["report_id"]: row["finding"] for row in line.json()["differing"]}
    assert found[hurt] == "unread"
    assert line.json()["compared"] == 3
    assert "ALARM" not in line.err
    assert "tell the agency: its database is damaged" in line.err
    del lost


@pytest.mark.parametrize(
    "words", [("--all",), ("--online",), ("--all", "file.json"), ("--all", "--online", "file.json"), ()]
)
def test_words_that_do_not_go_together_are_wrong_usage(line: Terminal, words: tuple[str, ...]) -> None:
    assert line.run("receipt", "verify", *words) == 2


def test_progress_is_said_every_two_seconds(line: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(line, 6)
    said: list[str] = []
    clock = StillClock()

    class SlowGateway(WsgiTransport):
        """Takes a second for each answer."""

        def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
            clock.advance(seconds=1)
            return super().send(request, **settings)

    monkeypatch.setattr("partner_sdk._commands.runtime.Speaker.say_progress", lambda _, text: said.append(text))
    slow = SlowGateway(line.adapter.app)
    assert run_partner(*VERIFY, folder=line.folder, adapter=slow, clock=clock) == EXIT_DONE
    assert said == [
        f"{done} of 6 receipts compared" for done in (1, 3, 5)
    ]  # the first one also fetches a tile of the log


def test_receipts_are_compared_from_python(line: Terminal, house: House) -> None:
    first, second = submit(line, 2)
    change_gateway(house, "DELETE FROM reports WHERE report_id = ?", second)
    heard: list[tuple[int, int]] = []
    client = Partner.open(line.folder, session=session_for(line.adapter), clock=StillClock())
    compared = client.compare_receipts(on_progress=lambda *place: heard.append(place))
    assert [(one.report_id, one.finding) for one in compared] == [(first, "same"), (second, "missing")]
    assert compared[0].reference == client.receipts()[0].reference
    assert heard == [(1, 2), (2, 2)]
    down = Partner.open(
        line.folder, session=session_for(ScriptedGateway(*DOWN)), clock=StillClock(), sleep=lambda _: None
    )
    with pytest.raises(TransportError):
        down.compare_receipts()
