"""The keys of cases: one random key for each, in a file that the vault alone reads. Never returns a key.

The file has a record of 60 bytes for each key, by its number: a nonce, and the key sealed under `keys/case.key` for
this number and case. Destroying a key overwrites its record in place with a mark that is sealed for the same number and
case: no page of a database, no log and no copy of the database ever had the key, and no record of another case passes
for its mark. Numbers are never used again.

Of a box only the head lies under that key: its header and its encapsulated key. Without the latter HPKE's own key for
the rest cannot be derived, also with the agency's private key (RFC 9180 §5.1), and long boxes need not be copied.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.vault import HEAD_BYTES, CaseKey, CasePlace
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import LocalStateError, OpeningError
from partner_sdk.key_files import KeyFile
from partner_sdk.wire.canonical import encode, parse_base64url

CASE_KEYS_FILE: Final = "case-keys"
_KEY_BYTES: Final = 32  # AES-256
_NONCE_BYTES: Final = 12  # NIST SP 800-38D §5.2.1.1
_TAG_BYTES: Final = 16
RECORD_BYTES: Final = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_MARK: Final = bytes(_KEY_BYTES)
_BEHIND: Final = "It is missing, or older than the database. Bring its newest copy back: the key is still in that one."
# A record is sealed for its state, so that no process without `case.key` opens a closed one by writing the file.
KeyState = Literal["open", "closed", "destroyed"]
_LABELS: Final[Mapping[KeyState, bytes]] = MappingProxyType(
    {
        "open": b"report-abuse desk case key v1\0",
        "closed": b"report-abuse desk case key closed v1\0",
        "destroyed": b"report-abuse desk case key destroyed v1\0",
    }
)
_BOX_LABEL: Final = b"report-abuse desk case box v1\0"


class CaseKeys:
    """The file of keys; several processes may use it. `under` is the key file `case.key`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self, case_ids: Sequence[str], *, under: KeyFile, above: int = -1) -> list[int]:
        """Add a key for each case and return their numbers, all above `above`; on return they are on the disk.

        `above` is the highest number that the database knows: a file that was restored from an older copy gives no
        number twice. Raises `LocalStateError` (`case-keys-unwritable`).
        """
        if not case_ids:
            return []
        wrap = _load(under)
        with self._open_to_write() as descriptor:
            # A record that a loss of power cut short was never given to a case.
            first = max(os.fstat(descriptor).st_size // RECORD_BYTES, above + 1)
            os.ftruncate(descriptor, first * RECORD_BYTES)
            records = (
                _seal(
                    wrap,
                    secrets.token_bytes(_KEY_BYTES),
                    bound=_LABELS["open"] + encode(CaseKey(case_id=case_id, number=number)),
                )
                for number, case_id in enumerate(case_ids, first)
            )
            _write(descriptor, b"".join(records), at=first * RECORD_BYTES)
        return list(range(first, first + len(case_ids)))

    def close_heads(self, heads: Sequence[tuple[CasePlace, bytes]], *, under: KeyFile) -> list[bytes]:
        """Return heads of boxes under the keys of their cases. Raises `OpeningError` as `open_box`."""
        return [
            _seal(key, head, bound=_BOX_LABEL + encode(place))
            for key, (place, head) in zip(
                self._load_keys([place for place, _ in heads], under=under), heads, strict=True
            )
        ]

    def open_box(self, place: CasePlace, closed: bytes, *, under: KeyFile) -> bytes:
        """Return the box, still sealed to the agency.

        Raises `OpeningError`: `destroyed` if the key of the case was destroyed, `case-keys-behind` if it is not in this
        file, `does-not-open`.
        """
        (key,) = self._load_keys([place], under=under)
        end = HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES
        return _open(key, closed[:end], bound=_BOX_LABEL + encode(place)) + closed[end:]

    def change(self, keys: Sequence[CaseKey], *, to: KeyState, under: KeyFile, is_tried: bool = False) -> list[int]:
        """Close these keys, open them again or overwrite them; return the numbers that are so now.

        On return it is on the disk. A destroyed key stays so. Safe to repeat. Raises `OpeningError` (`does-not-open`)
        for a number that belongs to another case, `not-closed` for one
        to destroy that is in use, and `LocalStateError` (`case-keys-behind`) for one that is not in
        this file: nothing is changed then. `is_tried`: only look whether it would raise.
        """
        if not keys:
            return []
        wrap = _load(under)
        with self._open_to_write() as descriptor:
            records = [_read(descriptor, key.number) for key in keys]
            if not all(map(_is_there, records)):
                fault = f"{self._path} never had the key of a case. {_BEHIND}"
                raise LocalStateError(fault, reason="case-keys-behind")
            found = [_open_record(wrap, key, record) for key, record in zip(keys, records, strict=True)]
            if to == "destroyed" and any(state == "open" for state, _ in found):
                # A record of destructions that was cut behind a stop ends nothing.
                raise OpeningError("A key is in use: close it first.", reason="not-closed")
            for key, (state, secret) in zip(keys, found, strict=True):
                if not is_tried and state not in {to, "destroyed"}:
                    plain = _MARK if to == "destroyed" else secret
                    sealed = _seal(wrap, plain, bound=_LABELS[to] + encode(key))
                    _write(descriptor, sealed, at=key.number * RECORD_BYTES)
            os.fsync(descriptor)
            return [key.number for key in keys if _open_record(wrap, key, _read(descriptor, key.number))[0] == to]

    def list_lost(self, keys: Sequence[CaseKey], *, under: KeyFile) -> list[int]:
        """Return the numbers of the keys that are neither here nor destroyed. Raises `LocalStateError`."""
        wrap, lost = _load(under), list[int]()
        for key, record in zip(keys, self._read_records([key.number for key in keys]), strict=True):
            try:
                self._open_key(wrap, key, record)
            except OpeningError as error:
                lost += [key.number] if error.reason != "destroyed" else []
        return lost

    def _load_keys(self, places: Sequence[CasePlace], *, under: KeyFile) -> list[AESGCM]:
        records, wrap = self._read_records([place.key.number for place in places]), _load(under)
        return [AESGCM(self._open_key(wrap, place.key, record)) for place, record in zip(places, records, strict=True)]

    def _read_records(self, numbers: Sequence[int]) -> list[bytes]:
        try:
            with self._path.open("rb") as handle:
                return [_read(handle.fileno(), number) for number in numbers]
        except FileNotFoundError:
            return [b""] * len(numbers)
        except OSError as error:
            raise _make_fault(self._path, error) from None

    def _open_key(self, wrap: AESGCM, key: CaseKey, record: bytes) -> bytes:
        if not _is_there(record):
            raise OpeningError(f"The key of this case is not in {self._path}. {_BEHIND}", reason="case-keys-behind")
        state, secret = _open_record(wrap, key, record)
        if state == "destroyed":
            raise OpeningError("The key of this case was destroyed: nothing can open it.", reason="destroyed")
        if state == "closed":
            raise OpeningError("This case waits for its destruction: stop that to open it.", reason="destroyed")
        return secret

    @contextmanager
    def _open_to_write(self) -> Iterator[int]:
        try:
            is_new = not self._path.exists()
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self._path.parent)
        except OSError as error:
            raise _make_fault(self._path, error) from None


def _load(under: KeyFile) -> AESGCM:
    return AESGCM(parse_base64url(under.secret, length=_KEY_BYTES))


def _read(descriptor: int, number: int) -> bytes:
    return os.pread(descriptor, RECORD_BYTES, number * RECORD_BYTES)


def _write(descriptor: int, raw: bytes, *, at: int) -> None:
    if os.pwrite(descriptor, raw, at) != len(raw):
        raise OSError(0, "the disk is full")


def _is_there(record: bytes) -> bool:
    # Zeros are a gap: numbers that an older copy of the file never had.
    return len(record) == RECORD_BYTES and any(record)


def _open_record(wrap: AESGCM, key: CaseKey, record: bytes) -> tuple[KeyState, bytes]:
    """Return the state of a key, and the key, or the mark in its place. Raises `OpeningError` (`does-not-open`)."""
    for state, label in _LABELS.items():
        with suppress(OpeningError):
            return state, _open(wrap, record, bound=label + encode(key))
    raise _make_closed()


def _seal(cipher: AESGCM, plain: bytes, *, bound: bytes) -> bytes:
    # NIST SP 800-38D §8.2.2: random nonces, far fewer than 2^32 under one key.
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, *, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise _make_closed() from None


def _make_closed() -> OpeningError:
    return OpeningError(
        "The box does not open under the key of its case: it was altered, or belongs to another row or case.",
        reason="does-not-open",
    )


def _make_fault(path: Path, error: OSError) -> LocalStateError:
    return LocalStateError(
        f"The keys of cases in {path} cannot be read or written ({error.strerror}).", reason="case-keys-unwritable"
    )
