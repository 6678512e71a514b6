"""The vault as a process, and its client: a local socket, who may use it, and one framing of messages.

A frame is a length of four bytes and a message in MessagePack, because a report of 64 KiB would be base64 in JSON. Each
message has one spelling: bytes that would be written differently are refused. Every request may be repeated, so one
that meets a vault that has just ended is.

Each connection is answered in a thread; one vault for each desk. Its keys are locked until the passphrases came, and
are read again when a file of them has changed. Never writes content: not to a file, and not to its log.
"""

import fcntl
import os
import select
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

import msgspec

from gateway.desk.vault import Answer, Ask, Request, Unlock, VaultError
from gateway.desk.vault.key_folder import wipe
from gateway.web.logs import log_failure
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, ReportAbuseError, SignatureProfileError
from partner_sdk.wire.canonical import get_decoder
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES

SOCKET_FILE: Final = "socket"
# An envelope or a list has at most 4 MiB; a signed list comes back as base64.
MAX_FRAME_BYTES: Final = 2 * MAX_ENVELOPE_BYTES
_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)
_CHUNK_BYTES: Final = 256 * 1024

ErrorName = Literal["format", "opening", "profile", "state", "vault"]
_ERRORS: Final = MappingProxyType[ErrorName, type[ReportAbuseError]](
    {
        "format": FormatError,
        "opening": OpeningError,
        "profile": SignatureProfileError,
        "state": LocalStateError,
        "vault": VaultError,
    }
)

T = TypeVar("T")
_ENCODER: Final = msgspec.msgpack.Encoder()
_SPARE_BYTES: Final = 256


def encode_message(message: msgspec.Struct) -> bytes:
    """Return a message in its one spelling."""
    return msgspec.msgpack.encode(message)


def parse_message(raw: bytes | bytearray, *, decoder: "msgspec.msgpack.Decoder[T]") -> T:
    """Read a message, or raise `FormatError` (`malformed`): its text repeats nothing of the message."""
    try:
        message = decoder.decode(raw)
        again = bytearray(
            len(raw) + _SPARE_BYTES
        )  # of the whole size at once: one that grows would leave copies of a passphrase
        _ENCODER.encode_into(message, again)
        is_exact = again == raw
        wipe(again)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError):
        is_exact = False
    if not is_exact:
        raise FormatError("This is no message of the vault, or not in its one spelling.", reason="malformed")
    return message


def send_frame(connection: socket.socket, raw: bytes, *, seconds: float) -> None:
    """Send one frame. Raises `OSError`; `TimeoutError` after `seconds`."""
    connection.settimeout(seconds)  # of the whole of `sendall`
    connection.sendall(_LENGTH.pack(len(raw)) + raw)


def receive_frame(connection: socket.socket, *, wait_seconds: float, seconds: float) -> bytearray | None:
    """Return one frame, or None at the end of the connection.

    Waits for its first byte, then gives the rest `seconds`. Raises `TimeoutError` or another `OSError`, and
    `FormatError` for a length that no message has.
    """
    connection.settimeout(wait_seconds)
    first = connection.recv(_LENGTH.size)
    if not first:
        return None
    deadline = time.monotonic() + seconds
    head = bytearray(first) + _receive_exactly(connection, _LENGTH.size - len(first), deadline=deadline)
    (length,) = _LENGTH.unpack(head)
    if not 0 < length <= MAX_FRAME_BYTES:
        raise FormatError("A frame of the vault has another length.", reason="too-large")
    return _receive_exactly(connection, length, deadline=deadline)


def _receive_exactly(connection: socket.socket, count: int, *, deadline: float) -> bytearray:
    # Into one place, which the vault wipes.
    received, place = 0, bytearray(count)
    while received < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        length = connection.recv_into(memoryview(place)[received:], min(count - received, _CHUNK_BYTES))
        if not length:
            raise ConnectionResetError
        received += length
    return place


def check_peer(connection: socket.socket) -> None:
    """Raise `VaultError` (`other-user`) unless the process at the other end runs as this user."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    if uid != os.geteuid():
        raise VaultError("The process at the other end of the socket runs as another user.", reason="other-user")


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """Yield a path of a socket in a folder that fits into 108 bytes, however deep the folder is (unix(7))."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def make_decoder(kind: Any) -> "msgspec.msgpack.Decoder[Any]":
    """Return the decoder of a union of messages."""
    get_decoder(kind)
    return msgspec.msgpack.Decoder(kind)


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="refused"):
    """An error: its class, its slug, and its text for a person. It never repeats a box or a statement."""

    error: ErrorName
    reason: str
    text: str


def make_refusal(error: ReportAbuseError) -> Refused:
    """Return an error as a message; one of an unforeseen class is a `VaultError`."""
    names = (name for name, kind in _ERRORS.items() if isinstance(error, kind))
    return Refused(error=next(names, "vault"), reason=error.reason, text=str(error))


CONNECT_SECONDS: Final = 5.0
# The vault takes milliseconds. A caller may wait inside a transaction, so not for long.
ANSWER_SECONDS: Final = 10.0
# Argon2id for two custodians on a slow and busy machine.
UNLOCK_SECONDS: Final = 120.0
MOST_KEPT: Final = 8  # as many as threads of a web process ask at once
_ANSWERS: Final = make_decoder(Answer | Refused)


class VaultClient:
    """One process's way to the vault of a desk; threads share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: list[socket.socket] = []
        weakref.finalize(self, _close_all, self._kept)

    def is_there(self) -> bool:
        """Return whether a vault listens, whatever its state."""
        with suppress(IndexError):
            while not _is_open(connection := self._kept.pop()):
                connection.close()
            self._keep(connection)
            return True
        try:
            self._keep(self._connect())
        except VaultError as error:
            if error.reason == "vault-stopped":
                return False
            raise
        return True

    def ask(self, request: Request) -> Answer:
        """Return the vault's answer, or raise as a holder in this process does, and `VaultError`.

        Reasons: `vault-stopped`, `vault-gone` if it ended or was silent, `other-user`.
        """
        raw = encode_message(request)
        seconds = UNLOCK_SECONDS if isinstance(request, Unlock) else ANSWER_SECONDS
        while self._kept:
            with suppress(IndexError, ConnectionError):  # taken by another thread; or of a vault that has ended since
                return self._exchange(self._kept.pop(), raw, seconds=seconds)
        try:
            return self._exchange(self._connect(), raw, seconds=seconds)
        except ConnectionError:
            raise _make_gone() from None

    def _exchange(self, connection: socket.socket, raw: bytes, *, seconds: float) -> Answer:
        try:
            send_frame(connection, raw, seconds=seconds)
            frame = _receive_answer(connection, seconds=seconds)
            answer: Answer | Refused = parse_message(frame, decoder=_ANSWERS)
        except BaseException as error:
            connection.close()
            if isinstance(error, ConnectionError):
                raise
            if isinstance(error, OSError | FormatError):
                raise _make_gone() from None
            raise
        self._keep(connection)
        if isinstance(answer, Refused):
            raise _ERRORS[answer.error](answer.text, reason=answer.reason)
        return answer

    def _keep(self, connection: socket.socket) -> None:
        if len(self._kept) < MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            with short_path(self._folder, SOCKET_FILE) as path:
                connection.connect(path)
            check_peer(connection)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            raise VaultError(
                "No vault runs for this desk. Start `report-abuse-desk vault`, or `report-abuse-desk serve`, which "
                "starts one.",
                reason="vault-stopped",
            ) from None
        except OSError as error:
            connection.close()
            raise VaultError(f"The vault cannot be reached: {error.strerror}.", reason="vault-gone") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connections."""
        _close_all(self._kept)


def _close_all(kept: list[socket.socket]) -> None:
    while kept:
        kept.pop().close()


def _receive_answer(connection: socket.socket, *, seconds: float) -> bytearray:
    frame = receive_frame(connection, wait_seconds=seconds, seconds=seconds)
    if frame is None:
        raise ConnectionResetError
    return frame


def _is_open(connection: socket.socket) -> bool:
    # The vault says nothing unasked: anything to read is the end. Not `recv`, which waits here whatever its flags say,
    # because the socket has a timeout.
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return not poll.poll(0)


def _make_gone() -> VaultError:
    return VaultError(
        "The vault ended or fell silent before it answered. Nothing was half done: try again.", reason="vault-gone"
    )


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

    Raises `VaultError` if another vault has it.
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
    """Be the one vault of a desk, or keep any from starting. Raises `VaultError` if one runs."""
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
