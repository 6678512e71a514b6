"""The holder of the desk's private keys: answers the requests of this package, one function for each.

Never returns or logs a secret. An opening is recorded before it happens.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
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
    to_public,
)
from gateway.desk.vault.case_keys import CaseKeys
from gateway.desk.vault.destructions import Destructions
from gateway.desk.vault.key_folder import wipe
from gateway.desk.vault.opening import SealingKeys, check_door
from gateway.desk.vault.record import OpeningRecord
from gateway.desk.vault.signing import get_rule, sign_request
from gateway.guidance.destruction import ForgetList
from partner_sdk.key_files import SEED_BYTES, KeyFile, KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_exact
from partner_sdk.wire.signature_profile import check_signature_base
from partner_sdk.wire.signing import MAX_LIST_BYTES, Environment, StatementKind

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


class Folder(Protocol):
    """The files of the keys, able to read their secrets."""

    def read(self, name: str, *, role: KeyRole) -> KeyFile:
        """Return a key. Raises `LocalStateError`."""

    def make(self, name: str, *, environment: Environment, now: datetime, random: Callable[[int], bytes]) -> KeyFile:
        """Return a key, made if it is missing. Raises `LocalStateError`, `VaultError` (`unknown-name`)."""


class Keys(Protocol):
    """The keys as they are now. Each method raises `VaultError` (`locked`) while they are locked."""

    def get_folder(self) -> Folder:
        """Return the files."""

    def get_sealing_keys(self) -> SealingKeys:
        """Return the sealing keys. Raises `LocalStateError` for a damaged file."""

    def get_public(self, name: str) -> PublicKey:
        """Return the public part of a key, also while the keys are locked. Raises `LocalStateError`."""

    def get_status(self) -> Status:
        """Return the state for other processes, also while the keys are locked. Raises `LocalStateError`."""

    def unlock(self, passphrases: Sequence[str | bytes]) -> Status:
        """Open the keys. Raises `VaultError` (`wrong-passphrase`, `no-passphrase`)."""

    def lock(self) -> Status:
        """Forget the keys. Raises `VaultError` (`no-passphrase`) for keys that have no passphrase."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder for one desk."""

    keys: Keys
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
        role = get_rule(request.kind).role
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
