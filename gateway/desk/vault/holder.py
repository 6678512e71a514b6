"""The holder of the desk's private keys: it opens boxes, signs and hashes, one function for each request.

Never returns or logs a secret. An opening is recorded before it happens, each kind of box at its own door and in the
context of its signed statements, never in another.
"""

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock as ThreadLock
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec.structs import replace

from gateway.desk.vault import (
    Answer,
    BeginDestruction,
    Bytes,
    ChangeDestruction,
    CloseHeads,
    GetStatus,
    Hashes,
    HashIdentifiers,
    HashKind,
    HashText,
    Heads,
    LearnPasskeys,
    ListLostKeys,
    Lock,
    Made,
    MakeCaseKeys,
    MakeKey,
    Numbers,
    OpenBox,
    PublicKey,
    ReadKey,
    Request,
    Sign,
    SignRequest,
    Status,
    Unlock,
    VaultError,
    to_public,
)
from gateway.desk.vault.case_keys import CaseKeys
from gateway.desk.vault.destructions import Destructions
from gateway.desk.vault.doors import get_signing_role, sign_request
from gateway.desk.vault.key_folder import (
    MAX_PASSPHRASE_BYTES,
    PROTECTION_FILE,
    KeyFolder,
    Secrets,
    find_protection,
    make_locked_error,
    make_open_error,
    normalise_passphrase,
    open_protection,
    wipe,
)
from gateway.desk.vault.record import OpeningRecord
from gateway.exchange.desk_statements import ForgetList
from gateway.exchange.request_signatures import check_signature_base
from gateway.web.logs import log_event
from partner_sdk.errors import EnvelopeError, OpeningError, ReportAbuseError
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_signing_key, load_xwing_private_key
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_exact
from partner_sdk.wire.sealing import KEY_ID_BYTES, Envelope, make_suite, unpad
from partner_sdk.wire.signing import MAX_LIST_BYTES, Environment, StatementKind
from partner_sdk.wire.submission import AGENCY

# Of these only the desk's own copy is addressed to the agency. The child's and the partner's are addressed to a
# reference or an id, and sealed to another key.
_OWN_COPIES: Final = frozenset({"reply", "mailbox"})


class SealingKeys:
    """The agency's private sealing keys, loaded once."""

    __slots__ = ("_private_keys", "_suite")

    def __init__(self, key_files: Iterable[KeyFile]) -> None:
        self._suite = make_suite()
        # Loading a key costs more than opening a box: each is expanded once and kept (see `load_xwing_private_key`).
        self._private_keys = MappingProxyType(
            {parse_base64url(one.key_id, length=KEY_ID_BYTES): _load(one) for one in key_files}
        )

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of these keys."""
        return tuple(sorted(self._private_keys))

    def open(self, request: OpenBox) -> bytes:
        """Return the plain bytes of a box.

        Raises `OpeningError`: `wrong-purpose`, `wrong-recipient`, `unknown-key`, `does-not-open`, `bad-padding`.
        """
        check_door(request)
        context = request.context
        try:
            envelope = Envelope.parse(request.envelope)
        except EnvelopeError as error:
            raise OpeningError(str(error), reason="does-not-open") from None
        private_key = self._private_keys.get(envelope.key_id)
        if private_key is None:
            raise OpeningError("The box is sealed to a key that this desk does not have.", reason="unknown-key")
        try:
            # RFC 9180 §5.1: base mode; all context is in `info`, because the library has no `aad` argument.
            padded = self._suite.decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
        except (InvalidTag, ValueError):
            raise OpeningError(
                "The box does not open: it was altered, or sealed in another context than its statement gives.",
                reason="does-not-open",
            ) from None
        return unpad(padded, purpose=request.purpose, sender=context.sender)


def check_door(request: OpenBox) -> None:
    """Raise `OpeningError` (`wrong-purpose`, `wrong-recipient`) for a box that belongs to another door."""
    if request.context.purpose != request.purpose:
        raise OpeningError(
            f"This door of the vault opens only boxes of the purpose {request.purpose}.", reason="wrong-purpose"
        )
    if request.purpose in _OWN_COPIES and request.context.recipient != AGENCY:
        raise OpeningError("This door opens only the desk's own copy of a message.", reason="wrong-recipient")


def _load(key_file: KeyFile) -> MLKEM768X25519PrivateKey:
    return load_xwing_private_key(parse_base64url(key_file.secret, length=SEED_BYTES))


_HASH_LABELS: Final = MappingProxyType[HashKind, bytes](
    {
        "address": b"report-abuse desk address v1\0",
        "domain": b"report-abuse desk domain v1\0",
        "note": b"report-abuse desk note v1\0",
        "sample": b"report-abuse desk sample v1\0",
    }
)
_IDENTIFIER_LABEL: Final = b"report-abuse desk identifier v1\0"
# Half of SHA-256: no two identifiers of a desk meet in it, and the index stays small.
IDENTIFIER_HASH_BYTES: Final = 16


# Two changes within one tick of the file system's clock have the same times (4 ms on Linux): keys that were read so
# soon after a change are read once more.
SETTLED_AFTER_NS: Final = 50_000_000


class WatchedKeys:
    """The keys of one folder, for every thread of the vault."""

    def __init__(
        self, folder: Path, *, read_ns: Callable[[], int] = time.time_ns, is_memory_locked: bool = False
    ) -> None:
        # Compared with the times of files, so it is the clock that the file system uses.
        self._path, self._read_ns = folder, read_ns
        self._is_memory_locked = is_memory_locked
        self._lock, self._unlocking = ThreadLock(), ThreadLock()
        self._secrets: Secrets | None = None
        self._loaded: SealingKeys | None = None
        self._stamp: tuple[tuple[str, int, int, int, int], ...] | None = None

    def get_folder(self) -> KeyFolder:
        """Return the folder. Raises `VaultError`."""
        secrets = self._secrets
        if secrets is None and find_protection(self._path) is not None:
            raise make_locked_error()
        return KeyFolder(self._path, secrets)

    def get_sealing_keys(self) -> SealingKeys:
        """Return the sealing keys as their files are now. Raises `LocalStateError`, `VaultError`."""
        with self._lock:
            # Asked inside the lock: keys that were read beside a `lock` would stay in memory after it.
            folder = KeyFolder(self._path, self._secrets)
            stamp = folder.get_stamp()
            if folder.secrets is None and any(name == PROTECTION_FILE for name, *_ in stamp):
                raise make_locked_error()
            if self._loaded is None or stamp != self._stamp:
                read_at = self._read_ns()
                self._loaded = SealingKeys(folder.list_sealing_keys())
                newest = max((max(times) for _, *times, _, _ in stamp), default=0)
                self._stamp = stamp if read_at - newest > SETTLED_AFTER_NS else None
            return self._loaded

    def get_public(self, name: str) -> PublicKey:
        """Return the public part of a key, also while the keys are locked."""
        return KeyFolder(self._path, self._secrets).read_public(name)

    def get_status(self) -> Status:
        """Return the state for other processes. Raises `LocalStateError`."""
        protection = find_protection(self._path)
        is_locked = protection is not None and self._secrets is None
        return Status(
            custodians=() if protection is None else tuple(one.name for one in protection.custodians),
            is_locked=is_locked,
            is_memory_locked=self._is_memory_locked,
            key_ids=() if is_locked else self.get_sealing_keys().key_ids,
            open_files=KeyFolder(self._path).count_open_files(),
        )

    def unlock(self, passphrases: Sequence[str | bytes]) -> Status:
        """Open the keys. Raises `VaultError`; `LocalStateError`."""
        # One at a time: each takes a quarter of a gigabyte for each custodian.
        if not self._unlocking.acquire(blocking=False):
            raise VaultError("Another person unlocks the vault at this moment. Try again.", reason="busy")
        try:
            protection = find_protection(self._path)
            if protection is None:
                raise make_open_error()
            secrets = open_protection(protection, passphrases)
            with self._lock:
                self._secrets, self._loaded = secrets, None
        except ReportAbuseError as error:
            log_event("vault-not-unlocked", reason=error.reason)
            raise
        finally:
            self._unlocking.release()
        log_event("vault-unlocked")
        return self.get_status()

    def lock(self) -> Status:
        """Forget the keys."""
        if find_protection(self._path) is None:
            raise make_open_error()
        with self._lock:
            self._secrets = self._loaded = None
        log_event("vault-locked")
        return self.get_status()


# Set by systemd for a unit with `LoadCredential=` (systemd.exec(5)); one file for each custodian, in their order.
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL_FILES: Final = ("passphrase-1", "passphrase-2")


def unlock_with_credentials(keys: WatchedKeys) -> None:
    """Unlock with the passphrases that the service manager hands over, if there are any. Never raises."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    paths = [Path(folder, name) for name in CREDENTIAL_FILES] if folder else []
    # After a failure it stays locked, and a person can still unlock it.
    try:
        passphrases = [_read_passphrase(path) for path in paths if path.is_file()]
    except OSError:
        log_event("vault-not-unlocked", reason="unreadable-credential")
        return
    if passphrases:
        with suppress(ReportAbuseError):  # logged
            keys.unlock(passphrases)
    for passphrase in passphrases:
        wipe(passphrase)


def _read_passphrase(path: Path) -> bytes:
    raw = bytearray(MAX_PASSPHRASE_BYTES + 2)  # one that a file object fills would leave copies
    with path.open("rb", buffering=0) as handle:
        length = handle.readinto(raw) or 0
    while length and raw[length - 1] in b"\r\n":
        length -= 1
    text = raw[:length].decode("utf-8", "replace")
    try:
        return normalise_passphrase(text)
    finally:
        wipe(raw)


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder for one desk."""

    keys: WatchedKeys
    record: OpeningRecord
    case_keys: CaseKeys
    destructions: Destructions
    environment: Environment
    feed_url: str
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]

    def answer(self, request: Request) -> Answer:
        """Return the answer, or raise `ReportAbuseError`."""
        match request:
            case OpenBox():
                return Bytes(value=self._open(request))
            case Sign() | SignRequest():
                return Bytes(value=self._sign(request) if isinstance(request, Sign) else self._sign_request(request))
            case MakeKey():
                return Made(key=self._make(request.name))
            case ReadKey():
                return Made(key=self.keys.get_public(request.name))
            case HashText():
                return Bytes(value=self._hash(request))
            case HashIdentifiers():
                # Read, never made: under a new key every case of the index would match nothing, unnoticed.
                key_file = self.keys.get_folder().read(KeyRole.IDENTIFIER.value, role=KeyRole.IDENTIFIER)
                return Hashes(values=tuple(hash_identifiers(key_file, request.identifiers)))
            case (
                MakeCaseKeys()
                | CloseHeads()
                | ListLostKeys()
                | LearnPasskeys()
                | BeginDestruction()
                | ChangeDestruction()
            ):
                return self._use_case_keys(request)
            case GetStatus():
                return self.keys.get_status()
            case Unlock() | Lock():
                return self._change_lock(request)

    def _change_lock(self, request: Unlock | Lock) -> Status:
        if isinstance(request, Lock):
            return self.keys.lock()
        try:
            return self.keys.unlock(request.passphrases)
        finally:
            for passphrase in request.passphrases:
                wipe(passphrase)

    def _use_case_keys(
        self, request: MakeCaseKeys | CloseHeads | ListLostKeys | LearnPasskeys | BeginDestruction | ChangeDestruction
    ) -> Answer:
        under, now = self._read_case_key(), self.clock()
        match request:
            case MakeCaseKeys():
                return Numbers(values=tuple(self.case_keys.make(request.case_ids, under=under, above=request.above)))
            case CloseHeads():
                return Heads(values=tuple(self.case_keys.close_heads(request.heads, under=under)))
            case ListLostKeys():
                numbers = self.case_keys.list_lost(request.keys, under=under)
            case LearnPasskeys():
                self.destructions.learn_passkeys(request.passkeys, under=under, now=now)
                return Numbers(values=())
            case BeginDestruction():
                numbers = self.destructions.begin(request, environment=self.environment, under=under, now=now)
            case ChangeDestruction():
                numbers = self.destructions.change(request, under=under, now=now)
        return Numbers(values=tuple(numbers))

    def _read_case_key(self) -> KeyFile:
        return self.keys.get_folder().read(KeyRole.CASE.value, role=KeyRole.CASE)

    def _open(self, request: OpenBox) -> bytes:
        check_door(request)
        keys = self.keys.get_sealing_keys()
        if request.place is not None:
            # Still sealed to the agency: nothing is open before it is recorded.
            box = self.case_keys.open_box(request.place, request.envelope, under=self._read_case_key())
            request = replace(request, envelope=box, place=None)
        self.record.append(request, at=format_time(self.clock()))
        return keys.open(request)

    def _sign(self, request: Sign) -> bytes:
        role = get_signing_role(request.kind)
        private_key = load_signing_key(self.keys.get_folder().read(role.value, role=role))
        if request.kind is StatementKind.FORGET:
            listed = parse_exact(request.payload, kind=ForgetList, max_bytes=MAX_LIST_BYTES)
            self.destructions.check_forgotten(listed, under=self._read_case_key())
        return sign_request(request, private_key=private_key, environment=self.environment)

    def _sign_request(self, request: SignRequest) -> bytes:
        check_signature_base(request.base, origin=self.feed_url)
        return load_signing_key(self.keys.get_folder().read(request.key, role=KeyRole.FEED)).sign(request.base)

    def _make(self, name: str) -> PublicKey:
        return to_public(self._get_or_make(name))

    def _hash(self, request: HashText) -> bytes:
        # Losing this key costs at most one second note to a person on that day.
        key = parse_base64url(self._get_or_make("address-mac").secret, length=SEED_BYTES)
        return hmac.new(key, _HASH_LABELS[request.kind] + request.text.encode(), hashlib.sha256).digest()

    def _get_or_make(self, name: str) -> KeyFile:
        folder = self.keys.get_folder()
        return folder.make(name, environment=self.environment, now=self.clock(), random=self.random)


def hash_identifiers(key_file: KeyFile, identifiers: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """Yield the hash of each identifier, a kind and a normalised value, e.g. `phone` and `+447700900123`."""
    secret = parse_base64url(key_file.secret, length=SEED_BYTES)
    keys: dict[str, bytes] = {}
    for kind, value in identifiers:
        if kind not in keys:
            # One key for each kind (HKDF, RFC 5869): equal hashes of two kinds never mean equal values.
            info = _IDENTIFIER_LABEL + kind.encode()
            keys[kind] = HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(secret)
        yield hmac.digest(keys[kind], value.encode(), "sha256")[:IDENTIFIER_HASH_BYTES]
