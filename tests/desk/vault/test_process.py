"""The vault as a process: its answers to hostile bytes, and its death."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.vault import GetStatus, MakeKey, Sign, VaultError
from gateway.desk.vault.process import (
    MAX_CONNECTIONS,
    MAX_FRAME_BYTES,
    SOCKET_FILE,
    encode_message,
    receive_frame,
    send_frame,
    short_path,
)
from gateway.desk.vault.record import OPENINGS_FILE
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import StatementKind
from tests.desk.vault.test_record import CONTEXT
from tests.desk.vault.test_signing import NOTICE, make_base
from tests.desk.vault.vault_process import (
    connect,
    run_vault,
    stop_vault,
)
from tests.desk.view_builders import Browser, add_sealed_case
from tests.gateway.web.process_watch import list_open_files, wait_until
from tests.house.sources import ROOT

MARKER = "Marker-of-the-vault-4402"


def open_raw(desk: Desk) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(desk.paths.vault, SOCKET_FILE) as path:
        connection.connect(path)
    return connection


def test_case_opens_through_the_socket_and_only_through_it(served: Desk) -> None:
    case_id = add_sealed_case(served, marker=MARKER)
    opened = open_case(served, case_id, actor="A. Analyst")
    assert MARKER in str(opened.content)
    assert "A. Analyst" in (served.paths.vault / OPENINGS_FILE).read_text("utf-8")


def test_every_answer_and_error_is_that_of_a_holder_in_the_process(served: Desk) -> None:
    own = open_desk(served.paths.state, clock=served.clock).load_signer()
    signer = served.load_signer()
    assert signer.get_status().key_ids == own.get_status().key_ids
    assert signer.sign(NOTICE) == own.sign(NOTICE)
    assert signer.hash_text("note", "x") == own.hash_text("note", "x")
    assert signer.make_key("register.next") == own.make_key("register.next")
    key = signer.load_feed_key()
    key.public_key().verify(key.sign(make_base(served)), make_base(served))
    for action, kind, reason in (
        (lambda: signer.make_key("root"), VaultError, "unknown-name"),
        (lambda: key.sign(b"x"), ReportAbuseError, "bad-signature-base"),
        (lambda: signer.ask(Sign(kind=StatementKind.REPLY, payload=encode(NOTICE))), FormatError, "malformed"),
        (lambda: open_stranger(served), OpeningError, "unknown-key"),
    ):
        with pytest.raises(kind) as caught:
            action()
        assert caught.value.reason == reason


def open_stranger(desk: Desk) -> bytes:
    vault = desk.load_vault(actor="A. Analyst", reason="read")
    return vault.open_report(Envelope(key_id=bytes(8), box=bytes(2000)), context=CONTEXT)


def test_connection_that_is_kept_is_used_again_without_a_wait(served: Desk) -> None:
    began = time.monotonic()
    for _ in range(20):
        assert served.load_signer().get_status()
        assert open_desk(served.paths.state, clock=served.clock).load_signer().get_status()
        assert served.load_vault(actor="A. Analyst", reason="read")
    caller = connect(served)
    assert all(caller.is_there() and caller.ask(GetStatus()) for _ in range(20))
    # A wait for a connection that is kept takes 10 seconds each time.
    assert time.monotonic() - began < 60


@given(raw=st.binary(min_size=1, max_size=300))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_are_no_request_are_refused_and_end_their_connection(served: Desk, raw: bytes) -> None:
    with open_raw(served) as connection:
        send_frame(connection, raw, seconds=5)
        answer = receive_frame(connection, wait_seconds=5, seconds=5)
        assert answer is not None
        assert b"malformed" in answer
        assert raw not in answer or len(raw) < 4
        assert receive_frame(connection, wait_seconds=5, seconds=5) is None
    assert connect(served).ask(GetStatus())


@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), cut=st.booleans()
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_request_is_refused_or_is_another_request(
    served: Desk, changes: list[tuple[int, int]], *, cut: bool
) -> None:
    raw = bytearray(encode_message(Sign(kind=StatementKind.ALERT, payload=encode(NOTICE))))
    for place, value in changes:
        raw[place % len(raw)] = value
    with open_raw(served) as connection:
        send_frame(connection, bytes(raw[:-1] if cut else raw), seconds=5)
        assert receive_frame(connection, wait_seconds=5, seconds=5) is not None
    assert connect(served).ask(GetStatus())


@pytest.mark.parametrize("head", [b"\0\0\0\0", (MAX_FRAME_BYTES + 1).to_bytes(4, "big"), b"\xff\xff\xff\xff"])
def test_impossible_length_is_refused_at_once(served: Desk, head: bytes) -> None:
    with open_raw(served) as connection:
        connection.sendall(head)
        answer = receive_frame(connection, wait_seconds=5, seconds=5)
        assert answer is not None
        assert b"too-large" in answer


def test_message_in_another_spelling_is_refused(served: Desk) -> None:
    exact = encode_message(MakeKey(name="root"))
    assert exact == b"\x82\xa4type\xa8make-key\xa4name\xa4root"
    for raw in (
        b"\x82\xa4name\xa4root\xa4type\xa8make-key",  # another order
        b"\x82\xa4type\xa8make-key\xa4name\xd9\x04root",  # a longer length
        b"\x83\xa4type\xa8make-key\xa4name\xa4root\xa4more\xc0",
        exact + b"\xc0",
    ):
        with open_raw(served) as connection:
            send_frame(connection, raw, seconds=5)
            answer = receive_frame(connection, wait_seconds=5, seconds=5)
            assert answer is not None
            assert b"malformed" in answer


def test_silent_and_slow_connections_keep_nobody_waiting(served: Desk) -> None:
    slow = [open_raw(served) for _ in range(MAX_CONNECTIONS // 2)]
    for connection in slow:
        connection.sendall(b"\0\0\1")
    began = time.monotonic()
    assert connect(served).ask(GetStatus())
    assert time.monotonic() - began < 5
    for connection in slow:
        connection.close()


def test_more_connections_than_places_are_closed_and_later_ones_are_taken(served: Desk) -> None:
    held = [open_raw(served) for _ in range(MAX_CONNECTIONS + 20)]
    with pytest.raises(VaultError) as caught:
        connect(served).ask(GetStatus())
    assert caught.value.reason == "vault-gone"
    for connection in held:
        connection.close()
    assert wait_until(lambda: is_answered(served))


def is_answered(desk: Desk) -> bool:
    try:
        return bool(connect(desk).ask(GetStatus()))
    except VaultError:
        return False


def test_second_vault_is_refused_and_the_first_goes_on(served: Desk) -> None:
    words = ["vault", "--state", str(served.paths.state)]
    done = subprocess.run(
        [sys.executable, "-m", "gateway.desk.running.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "runs already" in done.stderr
    assert connect(served).ask(GetStatus())


def test_key_that_is_made_renamed_or_removed_is_followed(desk: Desk) -> None:
    with run_vault(desk):
        caller = open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)
        before = caller.load_signer().get_status().key_ids
        caller.load_signer().make_key("sealing-2027-Q2")
        assert len(caller.load_signer().get_status().key_ids) == len(before) + 1
        (desk.paths.keys / "sealing-2027-Q2.key").rename(desk.paths.keys / "sealing-2027-Q3.key")
        assert len(caller.load_signer().get_status().key_ids) == len(before) + 1
        (desk.paths.keys / "sealing-2027-Q3.key").unlink()
        assert caller.load_signer().get_status().key_ids == before
        path = desk.paths.keys / "sealing-2026-Q4.key"
        path.chmod(0o640)
        with pytest.raises(LocalStateError):
            caller.load_signer().get_status()
        path.chmod(0o600)
        assert caller.load_signer().get_status().key_ids == before


def test_vault_that_was_killed_is_found_stopped_and_its_successor_is_used(desk: Desk) -> None:
    caller = open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)
    with pytest.raises(VaultError) as caught:
        caller.load_signer().get_status()
    assert caught.value.reason == "vault-stopped"
    with run_vault(desk) as first:
        assert caller.load_signer().get_status()
        first.kill()
        first.wait()
        assert (desk.paths.vault / SOCKET_FILE).exists()  # it is left behind
        with pytest.raises(VaultError) as caught:
            caller.load_signer().get_status()
        assert caught.value.reason == "vault-stopped"
        with run_vault(desk) as second:
            assert caller.load_signer().get_status()
            stop_vault(second)
    assert not (desk.paths.vault / SOCKET_FILE).exists()


def test_vault_that_dies_within_a_request_is_a_clear_error_and_nothing_is_half_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    caller = open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)
    killed: list[int] = []
    with run_vault(desk) as process:

        def send_and_kill(connection: socket.socket, raw: bytes, *, seconds: float) -> None:
            if not killed:
                process.send_signal(signal.SIGSTOP)  # else it could answer before it dies
                os.waitpid(process.pid, os.WUNTRACED)  # and until all its threads have stopped, it still could
            send_frame(connection, raw, seconds=seconds)
            process.kill()
            killed.append(process.pid)

        assert caller.load_signer().get_status()
        monkeypatch.setattr("gateway.desk.vault.process.send_frame", send_and_kill)
        with pytest.raises(VaultError) as caught:
            open_case(caller, case_id, actor="A. Analyst")
        assert caught.value.reason in {"vault-gone", "vault-stopped"}
        assert set(killed) == {process.pid}  # twice if the dying process still took the next connection
    with desk.store.read() as connection:
        row = connection.exec_driver_sql("SELECT opened_at FROM cases").one()
        assert row.opened_at is None
        assert connection.exec_driver_sql("SELECT count(*) FROM audit WHERE action = 'open-case'").scalar_one() == 0


def test_pages_without_a_vault_say_so_and_come_back(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    browser = Browser(open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)).sign_in()
    answer = browser.post(f"/cases/{case_id}/read")
    assert answer.status_code == 503
    assert "The vault does not answer" in answer.get_data(as_text=True)
    with run_vault(desk):
        assert MARKER in browser.post(f"/cases/{case_id}/read").get_data(as_text=True)


def test_vault_writes_no_content_anywhere(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    caller = open_desk(desk.paths.state, clock=desk.clock, may_hold_keys=False)
    with run_vault(desk, is_dumpable=True) as process:
        assert MARKER in str(open_case(caller, case_id, actor="A. Analyst").content)
        opened = {name for name in list_open_files(process.pid) if name.startswith(str(desk.paths.state))}
        assert opened <= {str(desk.paths.vault / name) for name in ("vault.lock", SOCKET_FILE)}
        log = stop_vault(process)
    assert MARKER.encode() not in log
    for path in desk.paths.state.rglob("*"):
        assert not path.is_file() or MARKER.encode() not in path.read_bytes(), path
