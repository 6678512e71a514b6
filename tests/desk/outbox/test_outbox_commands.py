"""What `collect` sends at its end, and one that keeps going: words, JSON, exit codes and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.serving import make_server

from gateway.desk.office.config import CarriersConfig
from gateway.desk.office.terminal import DONE, LOOK, TRY_AGAIN, WRONG_USE
from gateway.desk.outbox.queue import drop, queue
from gateway.desk.running.cli import main
from gateway.desk.running.commands import collecting
from gateway.desk.running.commands.collecting import keep_going
from gateway.web.settings import format_settings
from tests.builders.local_servers import run_server
from tests.desk.desk_loop import FEED_PORT, Loop
from tests.desk.loop_model import copy_loop_of_now
from tests.desk.mail_server import run_receiver
from tests.desk.outbox_builders import FROM, list_outbox, send_asking, write_escalation


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A desk and a gateway at the time of this machine."""
    return copy_loop_of_now(tmp_path)


@pytest.fixture
def served(loop: Loop) -> Iterator[Loop]:
    """The same with its public log begun and the feed on its socket."""
    loop.publish_log(seconds=0)
    with run_server(make_server("127.0.0.1", FEED_PORT, loop.feed_app)):
        yield loop


def set_up(loop: Loop, *, pager: str = "off", **carriers: Any) -> None:
    wanted = {"notes": "on", "mail": "folder", "mail_from": FROM, "folder": str(loop.folder / "out"), **carriers}
    config = msgspec.structs.replace(loop.desk.config, carriers=CarriersConfig(**wanted))
    loop.desk.paths.config.write_text(format_settings(config), encoding="utf-8")
    write_escalation(loop.desk.paths, pager)


def run(loop: Loop, *words: str) -> int:
    return main([*words, "--state", str(loop.desk.paths.state)])


def test_collect_sends_notes_at_its_end(served: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(served, pager="https://pager.example")
    send_asking(served)
    assert run(served, "collect", "--json") == DONE
    said = json.loads(capsys.readouterr().out)
    assert said["notes"] == {"given_up": 0, "held": 0, "open": 0, "problems": {}, "sent": 1}
    assert said["alerts"] == {"is_stuck": False, "unacknowledged": 0, "sent": 0, "waiting": 0, "warnings": []}
    assert len(list((served.folder / "out").glob("*.eml"))) == 1


def test_collect_alerts_and_warns_when_no_pager_is_on(served: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(served)
    assert run(served, "collect") == DONE
    assert capsys.readouterr().out.count("NOBODY TO ALERT") == 1
    served.send_public(danger="yes")
    assert run(served, "collect") == LOOK
    assert "ALERT NOT DELIVERED: 1 urgent" in capsys.readouterr().out
    with run_receiver() as posts:
        set_up(served, pager=posts.url)
        assert run(served, "collect") == DONE
        assert len(posts.taken) == 1
    assert "1 alert(s) sent to the people on duty." in capsys.readouterr().out


def test_gateway_that_is_away_does_not_keep_back_page_and_notes(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    send_asking(loop, danger="yes")
    loop.collect()
    with run_receiver() as posts:
        set_up(loop, pager=posts.url)
        assert run(loop, "collect", "--json") == TRY_AGAIN
        assert len(posts.taken) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 notes sent" in said.err


def test_carrier_that_fails_makes_exit_code_1_and_a_fault_of_the_doctor(
    served: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    send_asking(served)
    served.collect()
    (served.folder / "file").touch()
    set_up(served, folder=str(served.folder / "file" / "below"))
    assert run(served, "collect") == LOOK
    assert "NOTE NOT SENT: 1 because of folder." in capsys.readouterr().out
    run(served, "doctor", "--json")
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["verdict"] for one in findings if one["name"] == "outbox"] == ["fault"]


def test_secret_file_that_is_missing_keeps_back_notes_and_no_page(
    served: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    send_asking(served, danger="yes")
    served.collect()
    with run_receiver() as posts:
        set_up(served, pager=posts.url, mail="smtp", smtp_host="mail.example", smtp_login_file="/no/such/file")
        assert run(served, "collect") == LOOK
        assert len(posts.taken) == 1
    assert "NOTE NOT SENT: 1 because of no-secret-file." in capsys.readouterr().out


def test_doctor_tells_that_the_carriers_work(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(loop, pager="https://pager.example")
    run(loop, "doctor", "--json")
    verdicts = {one["name"]: one["verdict"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert (verdicts["outbox"], verdicts["escalation"], verdicts["hours"]) == ("ok", "ok", "ok")


def test_work_is_repeated_until_it_is_asked_to_stop() -> None:
    stop, done = threading.Event(), []

    def work() -> int:
        done.append(1)
        if len(done) == 3:
            stop.set()
        return len(done)

    assert keep_going(work, every_seconds=0.001, stop=stop) == 3


def test_alert_is_called_while_a_round_is_held_by_a_carrier(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    called, rounds = threading.Event(), list[bool]()

    def hold(*_: object, **__: object) -> int:
        # The first round is short; the second waits for a mail server, and ends once an alert was called meanwhile.
        rounds.append(not rounds or called.wait(30))
        if len(rounds) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return DONE

    monkeypatch.setattr(collecting, "_collect_once", hold)
    monkeypatch.setattr(collecting, "send_due", lambda _desk, *, only: called.set() if only == {"alert"} else None)
    assert run(loop, "collect", "--every", "1") == DONE
    assert rounds == [True, True]


@pytest.mark.parametrize("seconds", ["0", "0.5", "3601", "-1", "nan", "soon"])
def test_pause_is_between_a_second_and_an_hour(loop: Loop, capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    assert run(loop, "collect", f"--every={seconds}") == WRONG_USE
    assert "Invalid value for '--every'" in capsys.readouterr().err


def test_collect_goes_on_through_a_gateway_that_is_away_and_ends_cleanly_when_asked(loop: Loop) -> None:
    with run_receiver() as posts:
        set_up(loop, pager=posts.url)
        command = [sys.executable, "-m", "gateway.desk.running.cli", "collect", "--every", "1", "--json"]
        process = subprocess.Popen(
            [*command, "--state", str(loop.desk.paths.state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stderr is not None
            while "tries again" not in process.stderr.readline():
                pass
            loop.publish_log(seconds=0)
            send_asking(loop, danger="yes")
            with run_server(make_server("127.0.0.1", FEED_PORT, loop.feed_app)):
                deadline = time.monotonic() + 30
                while not posts.taken and time.monotonic() < deadline:
                    time.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == DONE
    assert len(posts.taken) == 1
    rounds = [json.loads(line) for line in out.splitlines()]
    assert sum(one["filed"] for one in rounds) == 1
    assert sum(one["notes"]["sent"] for one in rounds) == 1


def test_number_of_an_entry_is_given_once(loop: Loop) -> None:
    """A run that slept longer than its claim would else note another entry as sent."""
    numbers = []
    for _ in range(2):
        with loop.desk.store.write() as connection:
            queue(connection, "alert", ["1"], now=loop.clock())
        numbers += [entry["id"] for entry in list_outbox(loop.desk, "alert")]
        with loop.desk.store.write() as connection:
            drop(connection, "alert", ["1"])
    assert numbers[0] < numbers[1]
