"""The local socket between the desk and its vault: its place, who may use it, one framing of messages, and errors.

A frame is a length of four bytes and a message in MessagePack, because a report of 64 KiB would be base64 in JSON. Each
message has one spelling: bytes that would be written differently are refused.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, TypeVar

import msgspec

from gateway.desk.vault import VaultError
from gateway.desk.vault.protection import wipe
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


def raise_refusal(refused: Refused) -> NoReturn:
    """Raise the error of a message."""
    raise _ERRORS[refused.error](refused.text, reason=refused.reason)
