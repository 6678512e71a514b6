"""Asks the vault over its socket. Every request may be repeated, so one that meets a vault that has just ended is."""

import select
import socket
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.desk.vault import Answer, Request, Unlock, VaultError
from gateway.desk.vault.pipe import (
    SOCKET_FILE,
    Refused,
    check_peer,
    encode_message,
    make_decoder,
    parse_message,
    raise_refusal,
    receive_frame,
    send_frame,
    short_path,
)
from partner_sdk.errors import FormatError

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
            raise_refusal(answer)
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
