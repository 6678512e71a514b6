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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
_WRAP_LABEL: Final = b"report-abuse desk case key v1\0"
_GONE_LABEL: Final = b"report-abuse desk case key destroyed v1\0"
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
                _seal(wrap, secrets.token_bytes(_KEY_BYTES), bound=_bind(CaseKey(case_id=case_id, number=number)))
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

    def destroy(self, keys: Sequence[CaseKey], *, under: KeyFile) -> list[int]:
        """Overwrite these keys and return the numbers of the keys that are gone; on return the marks are on the disk.

        Safe to repeat. Raises `OpeningError` (`does-not-open`) for a number that belongs to another case, and
        `LocalStateError` (`case-keys-behind`) for one that is not in this file: nothing is overwritten then.
        """
        if not keys:
            return []
        wrap = _load(under)
        with self._open_to_write() as descriptor:
            records = [_read(descriptor, key.number) for key in keys]
            if not all(map(_is_there, records)):
                raise _make_behind(self._path)
            for key, record in zip(keys, records, strict=True):
                if not _is_gone(wrap, key, record):
                    _open(wrap, record, bound=_bind(key))
            for key in keys:
                mark = _seal(wrap, _MARK, bound=_GONE_LABEL + encode(key))
                _write(descriptor, mark, at=key.number * RECORD_BYTES)
            os.fsync(descriptor)
            return [key.number for key in keys if _is_gone(wrap, key, _read(descriptor, key.number))]

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
        if _is_gone(wrap, key, record):
            raise OpeningError("The key of this case was destroyed: nothing can open it.", reason="destroyed")
        return _open(wrap, record, bound=_bind(key))

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


def _is_gone(wrap: AESGCM, key: CaseKey, record: bytes) -> bool:
    try:
        return _open(wrap, record, bound=_GONE_LABEL + encode(key)) == _MARK
    except OpeningError:
        return False


def _bind(key: CaseKey) -> bytes:
    return _WRAP_LABEL + encode(key)


def _seal(cipher: AESGCM, plain: bytes, *, bound: bytes) -> bytes:
    # NIST SP 800-38D §8.2.2: random nonces, far fewer than 2^32 under one key.
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, *, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise OpeningError(
            "The box does not open under the key of its case: it was altered, or belongs to another row or case.",
            reason="does-not-open",
        ) from None


def _make_behind(path: Path) -> LocalStateError:
    return LocalStateError(f"{path} never had the key of a case. {_BEHIND}", reason="case-keys-behind")


def _make_fault(path: Path, error: OSError) -> LocalStateError:
    return LocalStateError(
        f"The keys of cases in {path} cannot be read or written ({error.strerror}).", reason="case-keys-unwritable"
    )
