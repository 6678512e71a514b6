"""The vault as a process: answers requests on its socket, each connection in a thread; one vault for each desk.

Never writes content: not to a file, and not to its log. Bytes that are no message end their connection.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.desk.vault import Answer, Ask, Request, VaultError
from gateway.desk.vault.pipe import (
    SOCKET_FILE,
    Refused,
    check_peer,
    encode_message,
    make_decoder,
    make_refusal,
    parse_message,
    receive_frame,
    send_frame,
    short_path,
)
from gateway.desk.vault.protection import wipe
from gateway.web.logs import log_failure
from partner_sdk.errors import FormatError, ReportAbuseError

# More than the threads of all processes of a desk: pages, collector and commands.
MAX_CONNECTIONS: Final = 64
# A connection that a process keeps for its next request; the process makes a new one after that.
IDLE_SECONDS: Final = 300.0
# For the rest of a message after its first byte, and for taking an answer.
MESSAGE_SECONDS: Final = 10.0
LOCK_FILE: Final = "vault.lock"
_REQUESTS: Final = make_decoder(Request)


@contextmanager
def listen(folder: Path) -> Iterator[socket.socket]:
    """Yield the listening socket of a desk's vault, in a folder that only its user can enter.

    Raises `VaultError` (`vault-runs`) if another vault has it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener, hold_place(folder):
        # The lock is ours, so a socket that is there is left from a vault that was killed.
        (folder / SOCKET_FILE).unlink(missing_ok=True)
        former = os.umask(0o177)
        try:
            with short_path(folder, SOCKET_FILE) as path:
                listener.bind(path)
        finally:
            os.umask(former)
        listener.listen(MAX_CONNECTIONS)
        yield listener
        (folder / SOCKET_FILE).unlink(missing_ok=True)


@contextmanager
def hold_place(folder: Path) -> Iterator[None]:
    """Be the one vault of a desk, or keep any from starting. Raises `VaultError` (`vault-runs`) if one runs."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VaultError("A vault of this desk runs already: stop it first.", reason="vault-runs") from None
        yield
    finally:
        os.close(lock)


def serve_connections(listener: socket.socket, *, answer: Ask) -> None:
    """Answer until the listener is closed. Run it in a thread of its own."""
    places = threading.BoundedSemaphore(MAX_CONNECTIONS)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            if listener.fileno() < 0:
                return
            continue  # the other end is gone already, or no file is free: the next one is taken
        if not places.acquire(blocking=False):
            connection.close()
            continue
        threading.Thread(target=_serve, args=(connection, answer, places), daemon=True).start()


def _serve(connection: socket.socket, answer: Ask, places: threading.BoundedSemaphore) -> None:
    try:
        with connection, suppress(OSError, VaultError):
            check_peer(connection)
            while _answer_one(connection, answer):
                pass
    finally:
        places.release()


def _answer_one(connection: socket.socket, answer: Ask) -> bool:
    """Answer one request; False at the end of the connection, or after bytes that are no request."""
    try:
        raw = receive_frame(connection, wait_seconds=IDLE_SECONDS, seconds=MESSAGE_SECONDS)
        if raw is None:
            return False
        request = parse_message(raw, decoder=_REQUESTS)
        wipe(raw)  # it may hold a passphrase
    except FormatError as error:
        send_frame(connection, encode_message(make_refusal(error)), seconds=MESSAGE_SECONDS)
        return False
    send_frame(connection, encode_message(_get_answer(request, answer)), seconds=MESSAGE_SECONDS)
    return True


def _get_answer(request: Request, answer: Ask) -> Answer | Refused:
    try:
        return answer(request)
    except ReportAbuseError as error:
        return make_refusal(error)
    except Exception as error:  # noqa: BLE001 - one request ends no other; the error's text may be content
        log_failure(error, event="vault-failed")
        text = "The vault failed at this request. Its log names the place."
        return Refused(error="vault", reason="vault-failed", text=text)
