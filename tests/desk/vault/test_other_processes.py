"""The vault beside other processes: another user gets no answer, and its own user's cannot read its memory."""

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.desk.office.wiring import Desk
from gateway.desk.vault import Bytes, GetStatus, VaultError, process
from gateway.desk.vault.process import SOCKET_FILE, check_peer, encode_message, receive_frame, send_frame
from tests.desk.vault.vault_process import CAP_SETUID, connect, give_up_reading_others, has_capability, run_vault
from tests.gateway.web.process_watch import find_living, read_command, read_core_limit
from tests.house.sources import ROOT


def test_only_its_user_reaches_the_socket(served: Desk) -> None:
    said = (served.paths.vault / SOCKET_FILE).stat()
    assert stat.S_ISSOCK(said.st_mode)
    assert stat.S_IMODE(said.st_mode) == 0o600
    assert stat.S_IMODE(served.paths.vault.stat().st_mode) == 0o700


def test_folder_that_others_could_enter_is_closed_before_a_vault_listens(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    folder.mkdir()
    folder.chmod(0o755)
    with process.listen(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / SOCKET_FILE).stat().st_mode) == 0o600


# What a connection of another user sees: it is made as root, which no mode keeps out, and asks as `nobody`. So it shows
# the check of the peer's credentials, beside the modes of socket and folder.
_AS_ANOTHER = """
import os, socket, sys
from gateway.desk.vault import GetStatus
from gateway.desk.vault.process import encode_message, receive_frame, send_frame
folder = os.open(sys.argv[1], os.O_PATH)
os.chmod(sys.argv[1], 0o711); os.chmod(sys.argv[1] + "/socket", 0o666)
os.setresuid(65534, 65534, 65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(f"/proc/self/fd/{folder}/socket")
try:
    send_frame(connection, encode_message(GetStatus()), seconds=5)
    print("answer:", receive_frame(connection, wait_seconds=5, seconds=5))
except ConnectionError as error:
    print("answer:", None)
"""


def test_another_user_gets_no_answer(desk: Desk) -> None:
    with run_vault(desk):
        vault = desk.paths.vault
        command = [sys.executable, "-c", _AS_ANOTHER, str(vault)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if has_capability(CAP_SETUID):
            assert (done.stdout, done.stderr) == ("answer: None\n", "")
        else:  # nobody here can become another user; the next test shows the check to everyone
            assert "PermissionError" in done.stderr
        vault.chmod(0o700)
        assert connect(desk).ask(GetStatus())


def test_connection_of_another_user_is_closed_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def check(connection: socket.socket) -> None:
        try:
            check_peer(connection)
        except VaultError as error:
            refused.append(error.reason)
            raise

    monkeypatch.setattr(process, "check_peer", check)
    for uid, reasons, is_answered in ((os.geteuid(), [], True), (4242, ["other-user"], False)):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        places = threading.BoundedSemaphore(1)
        assert places.acquire()
        with ours:
            send_frame(ours, encode_message(GetStatus()), seconds=5)
            ours.shutdown(socket.SHUT_WR)
            process._serve(theirs, lambda _: Bytes(value=b"answered"), places)
            try:
                answer = receive_frame(ours, wait_seconds=5, seconds=5)
            except ConnectionResetError:  # closed with our request unread
                answer = None
        assert (refused, answer is not None) == (reasons, is_answered)


def test_client_asks_no_vault_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Desk) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(VaultError) as caught:
        connect(served).ask(GetStatus())
    assert caught.value.reason == "other-user"


def test_vault_leaves_no_core_and_locks_its_memory_where_it_may(served: Desk) -> None:
    (process,) = find_vaults(served)
    assert read_core_limit(process) == ["0", "0"]
    status = Path(f"/proc/{process}/status").read_text("ascii")
    locked = int(status.split("VmLck:")[1].split()[0])
    assert (locked > 0) == served.load_signer().get_status().is_memory_locked


def test_no_process_of_its_user_reads_the_memory_of_a_vault(served: Desk, desk: Desk) -> None:
    (process,) = find_vaults(served)
    assert Path(f"/proc/{process}/mem").stat().st_uid == 0
    for access in ("open('mem', 'rb')", "os.readlink('fd/0')"):
        assert "PermissionError" in look_from_another_process(process, access)
        # Yama lets a process open the memory of its own children only, and list the files of any.
    with run_vault(desk, is_dumpable=True) as readable:
        assert look_from_another_process(readable.pid, "os.readlink('fd/0')") == ""


def look_from_another_process(pid: int, access: str) -> str:
    """Look at a process from another one that lacks the capability to read others; return the error."""
    command = [sys.executable, "-c", f"import os; os.chdir('/proc/{pid}'); {access}"]
    done = subprocess.run([*give_up_reading_others(), *command], capture_output=True, text=True, check=False)
    return done.stderr


def find_vaults(desk: Desk) -> list[int]:
    mine = f"\0vault\0--state\0{desk.paths.state}\0".encode()
    return [pid for pid in find_living() if mine in read_command(pid)]
