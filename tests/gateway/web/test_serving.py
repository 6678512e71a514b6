"""Real server processes: none outlives its parent, a dead one comes back, and no port is shared by two commands.

A request to stop reaches the loop that waits for it, whatever it is doing when the signal comes.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import requests

from gateway.web import server_process, serving
from gateway.web.serving import (
    MAX_RESTARTS_IN_WINDOW,
    Listener,
    PortInUseError,
    ServerGroup,
    ServerProcess,
    ServerSpec,
    ServingError,
    check_port_is_free,
    start_server,
)
from tests.builders.local_servers import find_free_port
from tests.gateway.web.process_watch import find_living, is_gone, is_listening, read_core_limit, wait_until
from tests.gateway.web_builders import JSON_BYTES
from tests.house.sources import ROOT

TARGET = "tests.gateway.web.serving_target:make_app"


def make_listener(*, target: str = TARGET, workers: int = 1, port: int | None = None, **environment: str) -> Listener:
    return Listener(
        name="test",
        target=target,
        host="127.0.0.1",
        port=port or find_free_port(),
        workers=workers,
        threads=2,
        environment=environment,
    )


def get(listener: Listener, path: str = "/") -> str:
    return requests.get(f"http://{listener.address}{path}", timeout=10).text


def find_workers(listener: Listener, *, count: int) -> set[int]:
    """Ask until so many different workers have answered."""
    seen: set[int] = set()

    def has_seen_all() -> bool:
        try:
            seen.add(int(get(listener)))
        except requests.RequestException:
            return False
        return len(seen) >= count

    assert wait_until(has_seen_all)
    return seen


@contextmanager
def lone_server(listener: Listener) -> Iterator[ServerProcess]:
    """Start a listener without a watcher."""
    server = start_server(listener)
    try:
        assert wait_until(lambda: is_listening(listener.port))
        yield server
    finally:
        server.end(deadline=0.0)


def kill_and_restart(group: ServerGroup) -> None:
    """Kill the first master and let the group look until it has started another."""
    (killed, *_others) = group.pids
    os.kill(killed, signal.SIGKILL)

    def is_replaced() -> bool:
        group.check()
        return group.pids[0] != killed

    assert wait_until(is_replaced)


def test_each_listener_is_a_process_group_and_stopping_leaves_no_process() -> None:
    listeners = [make_listener(workers=2), make_listener()]
    with ServerGroup(listeners) as group:
        pids = group.pids
        assert len(find_workers(listeners[0], count=2)) == 2
        assert int(get(listeners[1])) in find_living(group=pids[1])
        assert all(pid in find_living(group=pid) for pid in pids)
        assert os.getpgid(0) not in pids
    assert [find_living(group=pid) for pid in pids] == [set(), set()]
    assert not any(is_listening(listener.port) for listener in listeners)


def test_first_worker_loads_alone_and_serves_before_the_others(tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    listener = make_listener(target="tests.gateway.web.serving_target:make_slow_app", workers=3, LOADS=str(loads))
    with ServerGroup([listener]):
        assert int(get(listener))
        assert len(find_workers(listener, count=3)) == 3
    assert loads.read_text("ascii").split()[:2] == ["begins", "ends"]


def test_start_waits_as_long_as_its_server_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of 30 seconds ended each start on a busy machine, and the next one began from nothing."""
    listener = make_listener()
    tries = iter(range(20_000))  # of 0.05 seconds each: a quarter of an hour

    def connect(_address: object, timeout: float) -> AbstractContextManager[None]:
        if next(tries, None) is None:
            return nullcontext()
        raise ConnectionRefusedError

    clock = iter(range(0, 10**9, 60))
    monkeypatch.setattr(serving, "socket", SimpleNamespace(create_connection=connect))
    monkeypatch.setattr(serving, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(clock)))
    living = cast("ServerProcess", SimpleNamespace(listener=listener, find_exit_code=lambda: None))
    serving._wait_until_ready(living)
    assert next(tries, None) is None
    dead = cast("ServerProcess", SimpleNamespace(listener=listener, find_exit_code=lambda: 3))
    with pytest.raises(ServingError, match="crashed at startup"):
        serving._wait_until_ready(dead)


def test_no_process_may_write_a_core_dump_and_a_worker_that_has_loaded_searches_for_garbage() -> None:
    listener = make_listener(workers=2)
    with ServerGroup([listener]) as group:
        (killed, other) = find_workers(listener, count=2)
        for pid in (group.pids[0], killed, other):
            assert read_core_limit(pid) == ["0", "0"]
        assert get(listener, "/garbage") == "True"
        # A killed worker is replaced, and the rest goes on.
        os.kill(killed, signal.SIGKILL)
        assert wait_until(lambda: len(find_living(parent=group.pids[0]) - {killed}) >= 3)  # two workers, one tracker
        again = find_workers(listener, count=2)
        assert (killed in again, other in again) == (False, True)
        # A killed master is started again by its group.
        kill_and_restart(group)
        assert wait_until(lambda: is_listening(listener.port))
        assert int(get(listener)) in find_living(group=group.pids[0])


def test_killed_master_leaves_nothing_serving() -> None:
    listener = make_listener(workers=2)
    with lone_server(listener) as server:
        workers = find_workers(listener, count=2)
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: all(is_gone(worker) for worker in workers), patience_seconds=3)
        assert wait_until(lambda: not is_listening(listener.port), patience_seconds=3)
        assert wait_until(lambda: find_living(group=server.pid) == set(), patience_seconds=3)


def test_server_that_dies_again_and_again_is_given_up() -> None:
    with ServerGroup([make_listener()]) as group:
        for _ in range(MAX_RESTARTS_IN_WINDOW):
            kill_and_restart(group)
        with pytest.raises(ServingError, match="kept crashing"):
            kill_and_restart(group)


def give_up_reading_others() -> None:
    """Before a program begins: give up the right to read the memory of any process, which only root has."""
    if os.geteuid() == 0:
        # linux/prctl.h: PR_CAPBSET_DROP, and linux/capability.h: CAP_SYS_PTRACE.
        assert ctypes.CDLL(None).prctl(24, 19, 0, 0, 0) == 0


def test_no_process_of_the_same_user_reads_the_memory_of_a_server_or_a_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.gateway.web.memory_reader"],
        preexec_fn=give_up_reading_others,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert dict(line.split() for line in run.stdout.splitlines()) == {
        "plain": "opened",
        "master": "refused",
        "worker": "refused",
        "gateway.cli": "0",
        "gateway.desk.running.cli": "0",
    }


def test_request_in_flight_is_finished_before_the_end_and_one_that_waits_for_news_is_answered(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    listener = make_listener(SERVING_TEST_MARK=str(mark))
    answers: list[str] = []
    with ServerGroup([listener]):
        asking = [
            threading.Thread(target=lambda path=path: answers.append(get(listener, path)))
            for path in ("/slow", "/waits")
        ]
        for one in asking:
            one.start()
        assert wait_until(lambda: mark.exists() and mark.with_suffix(".waits").exists())
    for one in asking:
        one.join()
    assert len(answers) == 2
    assert all(map(str.isdecimal, answers))


# A hundred requests a second; without a rest they would take the cores that a new worker needs to start.
BETWEEN_SECONDS = 0.03


@contextmanager
def stream_of_requests(listener: Listener, *, keeps_connection: bool = False) -> Iterator[list[str]]:
    """Ask without end, from four threads; collect the answers, and the errors of requests that were cut."""
    has_ended, answers = threading.Event(), []

    def ask() -> None:
        with requests.Session() as session:
            while not has_ended.is_set():
                try:
                    asked = session if keeps_connection else requests
                    answers.append(asked.get(f"http://{listener.address}/", timeout=30).text)
                except requests.RequestException as error:
                    answers.append(repr(error))
                time.sleep(BETWEEN_SECONDS)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("keeps_connection", [False, True])
def test_recycling_cuts_no_request_and_leaves_new_workers(tmp_path: Path, keeps_connection: bool) -> None:
    mark = tmp_path / "started"
    listener = make_listener(workers=2, SERVING_TEST_MARK=str(mark))
    slow: list[str] = []
    with ServerGroup([listener]) as group:
        old = find_workers(listener, count=2)
        with stream_of_requests(listener, keeps_connection=keeps_connection) as answers:
            asking = threading.Thread(target=lambda: slow.append(get(listener, "/slow")))
            asking.start()
            assert wait_until(mark.exists)
            os.kill(group.pids[0], signal.SIGHUP)  # as each lifetime does
            assert wait_until(lambda: all(is_gone(pid) for pid in old), patience_seconds=60)
            asked = len(answers)
            assert wait_until(lambda: len(answers) > asked + 100)
        asking.join()
        new = find_workers(listener, count=2)
    assert [one for one in answers if not one.isdecimal()] == []
    assert {int(one) for one in answers} <= old | new
    assert not old & new
    assert int(slow[0]) in old


def test_worker_that_holds_too_much_memory_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # Any Python process holds more than one mebibyte: each look finds the worker too large.
    monkeypatch.setattr(
        "gateway.web.serving.ServerSpec", partial(ServerSpec, worker_memory_mib=1, memory_look_seconds=1)
    )
    listener = make_listener()
    with ServerGroup([listener]), stream_of_requests(listener) as answers:
        assert wait_until(lambda: len(set(answers)) >= 3, patience_seconds=60)
    assert [one for one in answers if not one.isdecimal()] == []


def test_worker_stays_where_the_one_that_follows_cannot_load_its_app(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    listener = make_listener(target="tests.gateway.web.serving_target:make_or_fail", SERVING_TEST_MARK=str(fault))
    with ServerGroup([listener]) as group:
        (old,) = find_workers(listener, count=1)
        fault.touch()
        with stream_of_requests(listener) as answers:
            os.kill(group.pids[0], signal.SIGHUP)
            assert wait_until(lambda: fault.read_text() == "tried")
            asked = len(answers)
            assert wait_until(lambda: len(answers) > asked + 100)
        assert set(answers) == {str(old)}
        fault.unlink()
        os.kill(group.pids[0], signal.SIGHUP)
        assert wait_until(lambda: is_gone(old), patience_seconds=60)
        assert find_workers(listener, count=1) != {old}


def test_port_of_another_program_is_a_clear_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listener = make_listener(port=other.getsockname()[1])
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{listener.port}"):
            check_port_is_free(listener, patience_seconds=0.1)


def test_start_does_not_join_a_server_that_no_command_holds() -> None:
    # As after a SIGKILL without the guards: granian's sockets would share the port.
    listener = make_listener()
    with lone_server(listener):
        first = get(listener)
        with pytest.raises(PortInUseError):
            ServerGroup([listener]).start(port_patience_seconds=0.1)
        assert {get(listener) for _ in range(10)} == {first}


def test_of_two_starts_at_the_same_moment_one_gets_the_port() -> None:
    listener = make_listener()
    groups = [ServerGroup([listener]), ServerGroup([listener])]
    both = threading.Barrier(3)
    errors: list[ServingError] = []

    def start(group: ServerGroup) -> None:
        both.wait()
        try:
            group.start(port_patience_seconds=0.1)
        except ServingError as error:
            errors.append(error)
        both.wait()  # a server ends with the thread that started it
        both.wait()

    threads = [threading.Thread(target=start, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    both.wait()
    both.wait()
    try:
        assert [type(error) for error in errors] == [PortInUseError]
        assert sorted(len(group.pids) for group in groups) == [0, 1]
    finally:
        for group in groups:
            group.stop()
        both.wait()
        for thread in threads:
            thread.join()


def test_group_of_which_one_listener_fails_stops_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    good = make_listener()
    bad = make_listener(target="tests.gateway.web.serving_target:fail")
    group = ServerGroup([good, bad])
    with pytest.raises(ServingError, match="crashed at startup"):
        group.start()
    assert not is_listening(good.port)
    assert find_living(parent=os.getpid()) & set(group.pids) == set()
    log = capfd.readouterr().err
    assert "app-failed" in log
    assert "words that belong in no log" not in log


def test_server_refuses_bodies_that_are_too_large_or_of_no_stated_length() -> None:
    listener = make_listener(target="tests.gateway.web.serving_target:make_web")
    url = f"http://{listener.address}/v1/things/1"
    headers = {"Content-Type": "application/json"}
    with ServerGroup([listener]):
        assert requests.post(url, data=b"x" * JSON_BYTES, headers=headers, timeout=10).json()["size"] == JSON_BYTES
        assert requests.post(url, data=b"x" * (JSON_BYTES + 1), headers=headers, timeout=10).status_code == 413
        assert requests.post(url, data=iter([b"x", b"y"]), headers=headers, timeout=10).status_code == 411
        assert requests.get(url, timeout=10).headers["Server"] == "web"


# A signal at each call inside the wait: one that comes while a lock is held would leave the process waiting for ever.
HIT_EVERY_MOMENT = """
import signal, sys
from gateway.web.serving import stop_on_signals
hits = 0
def hit(frame, event, argument):
    global hits
    hits += 1
    signal.raise_signal(signal.SIGTERM)
with stop_on_signals() as stop:
    sys.setprofile(hit)
    stop.wait(0.01)
    sys.setprofile(None)
    assert stop.is_set()
assert hits >= 3, hits
print("stopped")
"""


def test_signal_at_any_moment_of_the_wait_is_a_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIT_EVERY_MOMENT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "stopped\n"


def test_workers_live_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    # granian takes no lifetime under a minute, so that no test waits for one: the rest of it is what SIGHUP does too.
    given: dict[str, object] = {}

    def note(_target: str, **settings: object) -> SimpleNamespace:
        given.update(settings)
        return SimpleNamespace()

    monkeypatch.setattr(server_process, "RecyclingServer", note)
    server_process.make_server(ServerSpec(listener=make_listener(), parent_pid=1))
    assert given["workers_lifetime"] == 3600
