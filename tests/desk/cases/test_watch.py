"""Nothing stops silently: collector, reports, alerts, a full quarantine; `/status` and `/health`."""

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from gateway.desk.cases.watch import find_unfit, list_waiting_concerns, update_alarms
from gateway.desk.collection import quarantine
from gateway.desk.collection.chain import get_collector_state, note_failed
from gateway.desk.office.config import WatchConfig
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.running.app import make_desk_app
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from gateway.desk.store import DeskStoreError, open_store
from gateway.desk.store.agency_tables import ALERTS, OUTBOX
from gateway.desk.store.audit import clear_alarm, list_alarms
from gateway.desk.store.schema import ALARMS
from gateway.exchange.feed import FeedStatus, ItemKind, WaitingReports
from partner_sdk.errors import ProblemError, TransportError
from partner_sdk.wire.canonical import format_time
from tests.builders import NOW
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.outbox_builders import file_urgent, open_all, send_alerts
from tests.desk.view_builders import ORIGIN, Browser

MARKER = "quetzal-of-the-watch"


def codes(loop: Loop) -> list[str]:
    return [one.code for one in update_alarms(loop.desk)]


def open_alarms(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return [one.kind for one in list_alarms(connection)]


def get_json(loop: Loop, path: str) -> tuple[int, dict[str, Any]]:
    app = make_desk_app(loop.desk, origin=ORIGIN, secret_key=b"k" * 32)
    answer = app.test_client().get(path, base_url=ORIGIN)
    assert answer.content_type == "application/json"
    return answer.status_code, json.loads(answer.get_data())


def get_status_codes(loop: Loop) -> list[str]:
    status, body = get_json(loop, "/status")
    assert status == 200
    assert body["status"] == ("alarm" if body["alarms"] else "ok")
    return [one["code"] for one in body["alarms"]]


def list_findings(loop: Loop, name: str) -> list[tuple[str, str]]:
    return [(one.verdict, one.detail) for one in examine(loop.desk.paths.state, clock=loop.clock) if one.name == name]


def read_first_page(loop: Loop) -> str:
    return Browser(loop.desk).sign_in().get("/").text


def test_stopped_collector_is_an_alarm_everywhere_and_ends_by_itself(loop: Loop) -> None:
    loop.collect()
    loop.clock.advance(minutes=3)
    assert codes(loop) == []
    assert list_findings(loop, "collecting")[0][0] == "ok"
    loop.clock.advance(seconds=1)
    assert get_status_codes(loop) == ["collector-stopped"]
    assert "No report has been collected for 3 minutes." in read_first_page(loop)
    assert list_findings(loop, "collecting") == [("fault", "No report has been collected for 3 minutes.")]
    assert open_alarms(loop) == ["collector-stopped"]
    loop.collect()
    assert get_status_codes(loop) == []
    assert open_alarms(loop) == []
    assert "has stopped" not in read_first_page(loop)
    with loop.desk.store.read() as connection:
        (kept,) = connection.execute(ALARMS.select()).all()
    assert (kept.kind, kept.cleared_by) == ("collector-stopped", "desk")


def test_collector_that_stops_again_is_a_new_alarm_and_one_that_was_cleared_by_hand_too(loop: Loop) -> None:
    for _ in range(2):
        loop.collect()
        assert codes(loop) == []
        loop.clock.advance(minutes=4)
        assert codes(loop) == codes(loop) == ["collector-stopped"]
    with loop.desk.store.write() as connection:
        (alarm,) = list_alarms(connection)
        clear_alarm(connection, alarm.id, actor=ACTOR, now=loop.clock())
    loop.clock.advance(seconds=1)
    codes(loop)
    assert open_alarms(loop) == ["collector-stopped"]
    with loop.desk.store.read() as connection:
        assert len(connection.execute(ALARMS.select()).all()) == 3


def test_how_long_collecting_may_pause_is_the_agencys_own(loop: Loop) -> None:
    config = msgspec.structs.replace(loop.desk.config, watch=WatchConfig(collect_within_minutes=20))
    loop.desk = replace(loop.desk, config=config)
    loop.collect()
    loop.clock.advance(minutes=20)
    assert codes(loop) == []
    loop.clock.advance(seconds=1)
    assert codes(loop) == ["collector-stopped"]


def test_round_that_fails_is_no_success_and_its_reason_is_kept(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    loop.collect()
    loop.clock.advance(minutes=4)
    # No gateway listens at the address in desk.toml.
    assert main(["collect", "--state", str(loop.desk.paths.state)]) == 3
    capsys.readouterr()
    assert "collector-stopped" in open_alarms(loop)  # the command itself raises it, by the machine's clock
    with loop.desk.store.read() as connection:
        state = get_collector_state(connection)
    assert (state.succeeded_at, state.failure) == (format_time(NOW), "connection")
    assert get_status_codes(loop) == ["collector-stopped"]
    # A gateway that is silent is no reason to take the desk away: cases can be read.
    assert get_json(loop, "/health") == (200, {"role": "desk", "status": "ok"})


def test_new_desk_has_not_collected_yet_and_doctor_says_so(loop: Loop) -> None:
    loop.clock.advance(hours=5)
    assert codes(loop) == []
    assert list_findings(loop, "collecting") == [("warning", "Nothing has been collected yet.")]
    note_failed(loop.desk, TransportError("no reply", reason="connection"))
    assert codes(loop) == ["collector-stopped"]


@pytest.mark.parametrize(
    ("priority", "code", "limit"),
    [
        ("P1", "urgent-reports-wait", timedelta(minutes=2)),
        ("P2", "reports-wait", timedelta(hours=1)),
        ("P3", "reports-wait", timedelta(hours=1)),
    ],
)
def test_report_that_waits_at_the_gateway_longer_than_its_priority_allows_is_an_alarm(
    loop: Loop, priority: Any, code: str, limit: timedelta
) -> None:
    loop.send_industry(priority=priority)
    # The acknowledgement gets lost each time, as when a row cannot be named: the report stays there.
    feed = loop.make_feed(DeafFeed)
    for step, expected in ((limit, []), (timedelta(seconds=1), [code])):
        loop.clock.now += step
        with working_feed(loop, feed):
            loop.collect()
        assert [one for one in codes(loop) if one != "alert-not-sent"] == expected
        status = feed.get_status()
        assert [one.code for one in list_waiting_concerns(status, now=loop.clock())] == expected
    assert code in get_status_codes(loop)
    assert "wait at the gateway for" in read_first_page(loop)
    loop.collect()
    assert code not in codes(loop)


class DeafFeed(FeedClient):
    """A feed whose acknowledgements get lost."""

    def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
        return len(items)


@contextmanager
def working_feed(loop: Loop, feed: FeedClient) -> Iterator[None]:
    desk = loop.desk
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(desk), "make_feed", lambda _: feed)
        yield


def test_time_that_the_gateway_makes_up_ends_nothing(loop: Loop) -> None:
    waiting = tuple(
        WaitingReports(count=1, oldest_received_at=text, priority="P1") for text in ("soon", "9999-12-31T00:00:00Z")
    )
    status = FeedStatus(
        chains=(),
        environment="live",
        epoch="e",
        instance="gateway-1",
        is_damaged=False,
        key_set_serial=None,
        register_serial=None,
        unacknowledged=2,
        waiting=waiting,
    )
    assert list_waiting_concerns(status, now=NOW) == []


def test_alert_that_has_not_gone_out_in_two_minutes_is_an_alarm(loop: Loop) -> None:
    file_urgent(loop)
    loop.clock.advance(minutes=2)
    assert codes(loop) == []
    loop.clock.advance(seconds=1)
    send_alerts(loop.desk)
    assert codes(loop) == ["alert-not-sent"]
    assert "nobody-to-alert" in read_first_page(loop)
    open_all(loop)
    send_alerts(loop.desk)
    assert codes(loop) == []


def test_crisis_unread_past_its_promised_hour_is_an_alarm_even_if_acknowledged(loop: Loop) -> None:
    file_urgent(loop)
    with loop.desk.store.write() as connection:
        connection.execute(OUTBOX.update().values(state="sent", done_at=format_time(NOW)))
        connection.execute(ALERTS.update().values(acknowledged_at=format_time(NOW)))
    loop.clock.advance(minutes=59)
    assert "crisis-unread" not in codes(loop)
    loop.clock.advance(minutes=1)
    assert "crisis-unread" in codes(loop)
    assert "crisis-unread" in get_status_codes(loop)
    assert "unread past the hour" in read_first_page(loop)
    open_all(loop)
    assert "crisis-unread" not in codes(loop)


def test_sender_with_too_many_in_quarantine_is_an_alarm_until_they_are_settled(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST_ROWS_OF_ONE", 2)
    for _ in range(3):
        loop.send_industry()
    loop.gateway_sql("UPDATE reports SET envelope = x'00'")
    assert loop.collect().left == 1
    assert codes(loop) == ["quarantine-full"]
    assert loop.partner.partner in read_first_page(loop)
    with loop.desk.store.write() as connection:
        quarantine.resolve_row(connection, 2, resolution="forged", actor=ACTOR, now=loop.clock(), with_alike=True)
    assert codes(loop) == []
    assert loop.collect().left == 0


@pytest.mark.parametrize("role", ["feed", "key-set", "mailbox-signing", "register"])
def test_health_is_503_where_a_key_is_missing(loop: Loop, role: str) -> None:
    assert get_json(loop, "/health")[0] == 200
    (loop.desk.paths.keys / f"{role}.key").unlink()
    assert get_json(loop, "/health") == (503, {"reason": "keys-missing", "role": "desk", "status": "unfit"})


def test_health_is_503_where_a_sealing_key_is_missing(loop: Loop) -> None:
    next(loop.desk.paths.keys.glob("sealing-*.key")).unlink()
    assert get_json(loop, "/health") == (503, {"reason": "keys-missing", "role": "desk", "status": "unfit"})


def test_health_is_503_where_the_database_cannot_be_written(loop: Loop) -> None:
    event.listen(loop.desk.store.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
    assert get_json(loop, "/health") == (503, {"reason": "store-not-writable", "role": "desk", "status": "unfit"})


def test_health_is_503_where_cases_cannot_be_read(loop: Loop) -> None:
    """Seen: 200, while no page of the desk could be shown."""
    loop.send_public()
    loop.collect()
    with loop.desk.store.read() as connection:
        (root,) = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'cases'").one()
    loop.desk.store.close()
    path = loop.desk.paths.database
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(bytes(4096))
    assert get_json(loop, "/health") == (503, {"reason": "store-damaged", "role": "desk", "status": "unfit"})
    assert list_findings(loop, "data")[0] == ("fault", "Pages of the desk's database are damaged.")


def test_full_disk_is_called_a_full_disk(loop: Loop) -> None:
    """Seen: "broken: restore a backup", because SQLite cannot lay out its shared memory there."""
    copy = loop.folder / "copy.sqlite"
    with sqlite3.connect(loop.desk.paths.database) as raw:
        raw.execute("VACUUM INTO ?", (str(copy),))
    desk = replace(loop.desk, store=open_store(copy))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))  # of files, as a disk without room
    try:
        with pytest.raises(DeskStoreError) as caught, desk.store.read():
            pass
        unfit = find_unfit(desk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.reason, unfit) == ("disk-full", "disk-full")
    assert "The disk is full: free space. Nothing is lost." in str(caught.value)
    assert find_unfit(desk) is None


@pytest.mark.parametrize(("status", "expected"), [(401, 503), (403, 503), (422, 200), (503, 200)])
def test_health_is_503_where_the_feed_turns_this_desk_away_and_only_there(
    loop: Loop, status: int, expected: int
) -> None:
    loop.collect()
    refused = ProblemError(type="x/no", title="No", status=status, detail="", request_id=None)
    note_failed(loop.desk, refused)
    assert get_json(loop, "/health")[0] == expected
    loop.collect()
    assert get_json(loop, "/health")[0] == 200


def test_health_stays_200_while_work_waits_for_a_person(loop: Loop) -> None:
    file_urgent(loop)
    loop.clock.advance(hours=9)
    assert {"collector-stopped", "alert-not-sent"} <= set(get_status_codes(loop))
    assert get_json(loop, "/health") == (200, {"role": "desk", "status": "ok"})


def test_status_has_codes_counts_and_ages_and_no_content(loop: Loop) -> None:
    loop.send_public(danger="yes", story=MARKER, name=MARKER)
    loop.collect()
    loop.clock.advance(minutes=4)
    _, body = get_json(loop, "/status")
    assert set(body) == {"alarms", "collector", "environment", "role", "status", "waiting_at_gateway"}
    assert body["collector"] == {"age_seconds": 240, "failure": None, "succeeded_at": format_time(NOW)}
    assert {
        "age_seconds": 240,
        "code": "collector-stopped",
        "count": 1,
        "since": format_time(NOW),
    } in body["alarms"]
    assert all(set(one) == {"age_seconds", "code", "count", "since"} for one in body["alarms"])
    assert MARKER not in json.dumps(body)


def test_status_is_answered_on_this_machine_only(loop: Loop) -> None:
    app = make_desk_app(loop.desk, origin=ORIGIN, secret_key=b"k" * 32)
    assert app.test_client().get("/status", base_url="http://desk.example").status_code == 421
