"""The desk's private key files, e.g. `keys/*.key`, and the passphrases over them: one custodian, or two both needed.

Only a holder and the commands that keep keys read a secret from here.

Each key file is sealed under a random key. That key is sealed in `protection.json`, beside the files, under one that is
derived from the passphrases of all custodians; no passphrase is stored anywhere.

Never tells which of two passphrases was wrong: each would otherwise be tried alone.
"""

import ctypes
import hashlib
import os
import re
import secrets as randomness
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from gateway.desk.vault import LOCKED, PublicKey, VaultError, to_public
from partner_sdk.durable_files import sync_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.key_files import (
    MAX_KEY_FILE_BYTES,
    SEED_BYTES,
    KeyFile,
    KeyRole,
    new_key,
    parse_key_file,
    read_key_bytes,
    read_key_file,
    write_key_bytes,
)
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.signing import Environment

PROTECTION_FILE: Final = "protection.json"
MOST_CUSTODIANS: Final = 2
# Fifteen characters, the least of NIST SP 800-63B-4 §3.1.1.1 for a passphrase that is used alone.
LEAST_PASSPHRASE_CHARACTERS: Final = 15
MAX_PASSPHRASE_BYTES: Final = 1024
# RFC 9106 §4 recommends 3 passes and 4 lanes at 64 MiB where memory is short. A desk is unlocked a few times a year, so
# four times that memory costs its person a second, and a thief of the files four times as much for each guess.
PASSES: Final = 3
LANES: Final = 4
MEMORY_KIB: Final = 256 * 1024
_SALT_BYTES: Final = 16  # RFC 9106 §3.1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D §5.2.1.1
_ID_BYTES: Final = 8
_MAX_PROTECTION_BYTES: Final = 8192
_WRAP_LABEL: Final = b"report-abuse desk key protection v1"
_ID_LABEL: Final = b"report-abuse desk key protection id v1\0"


class Custodian(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person whose passphrase is needed, and the salt of it."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    salt: str


class Protection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`protection.json`. `sealed` holds the keys of the key files, the newest last."""

    custodians: Annotated[tuple[Custodian, ...], Meta(min_length=1, max_length=MOST_CUSTODIANS)]
    lanes: Annotated[int, Meta(ge=1, le=16)]
    # The bounds keep a damaged file from taking all memory.
    memory_kib: Annotated[int, Meta(ge=8 * 1024, le=4 * 1024 * 1024)]
    passes: Annotated[int, Meta(ge=1, le=16)]
    sealed: str
    type: Literal["report-abuse/key-protection"] = "report-abuse/key-protection"


class ProtectedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key file under a passphrase: as `KeyFile`, but its secret is sealed, under the key with the id `under`."""

    created_at: str
    environment: Environment
    key_id: str
    public_key: str
    role: str
    sealed: str
    type: str
    under: str


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The keys that open the key files, by id, in memory only; new files are sealed under the `newest`."""

    keys: Mapping[str, bytes]
    newest: str

    def seal(self, key_file: KeyFile) -> ProtectedKey:
        """Return a key file with its secret sealed."""
        nonce = randomness.token_bytes(_NONCE_BYTES)
        public = msgspec.structs.asdict(to_public(key_file))
        protected = ProtectedKey(**public, sealed="", type=_type_of(key_file.role), under=self.newest)
        secret = parse_base64url(key_file.secret, length=SEED_BYTES)
        box = AESGCM(self.keys[self.newest]).encrypt(nonce, secret, encode(protected))
        return msgspec.structs.replace(protected, sealed=to_base64url(nonce + box))

    def open(self, protected: ProtectedKey, *, name: str) -> KeyFile:
        """Return the key file with its secret. Raises `LocalStateError` (`bad-key-file`)."""
        try:
            raw = parse_base64url(protected.sealed, length=_NONCE_BYTES + SEED_BYTES + 16)
            bound = encode(msgspec.structs.replace(protected, sealed=""))
            secret = AESGCM(self.keys[protected.under]).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (FormatError, InvalidTag, KeyError):
            raise LocalStateError(
                f"The key file {name} does not open under this desk's passphrase: restore it from the backup that "
                f"belongs to this {PROTECTION_FILE}.",
                reason="bad-key-file",
            ) from None
        public = msgspec.structs.asdict(to_public(protected))
        return KeyFile(**public, secret=to_base64url(secret), type=f"report-abuse/private-{protected.role}-key")


def parse_protected_key(raw: bytes) -> ProtectedKey:
    """Read a protected key file without opening it; raises `FormatError`."""
    protected = parse_exact(raw.rstrip(b"\n"), kind=ProtectedKey, max_bytes=MAX_KEY_FILE_BYTES)
    if protected.type != _type_of(protected.role):
        raise FormatError("The type of the key file does not match its role.", reason="malformed")
    return protected


def find_protection(folder: Path) -> Protection | None:
    """Return the protection of a folder of keys; None if it has none. Raises `LocalStateError` (`bad-protection`)."""
    path = folder / PROTECTION_FILE
    try:
        raw = path.read_bytes()
        return parse_exact(raw.rstrip(b"\n"), kind=Protection, max_bytes=_MAX_PROTECTION_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, FormatError):
        raise LocalStateError(
            f"{path} is damaged or cannot be read: restore it from the backup of the keys.", reason="bad-protection"
        ) from None


def open_protection(protection: Protection, passphrases: Sequence[str | bytes]) -> Secrets:
    """Return the keys of the key files. Raises `VaultError`; takes a second for each custodian."""
    if len(passphrases) != len(protection.custodians):
        raise VaultError(f"{len(protection.custodians)} passphrases are needed.", reason="wrong-passphrase")
    try:
        raw = parse_base64url(protection.sealed)
        wrap = AESGCM(_derive(protection, passphrases))
        plain = wrap.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bind(protection))
    except (FormatError, InvalidTag, ValueError):
        whose = "The passphrase" if len(passphrases) == 1 else "One of the passphrases"
        raise VaultError(f"{whose} is wrong.", reason="wrong-passphrase") from None
    return _make_secrets([plain[start : start + _KEY_BYTES] for start in range(0, len(plain), _KEY_BYTES)])


def write_protection(folder: Path, secrets: Secrets, *, passphrases: Mapping[str, str]) -> None:
    """Seal the keys of the key files under passphrases, by custodian, and replace `protection.json` in one step."""
    protection = Protection(
        custodians=tuple(
            Custodian(name=name, salt=to_base64url(randomness.token_bytes(_SALT_BYTES))) for name in passphrases
        ),
        lanes=LANES,
        memory_kib=MEMORY_KIB,
        passes=PASSES,
        sealed="",
    )
    nonce = randomness.token_bytes(_NONCE_BYTES)
    wrap = AESGCM(_derive(protection, list(passphrases.values())))
    box = wrap.encrypt(nonce, b"".join(secrets.keys.values()), _bind(protection))
    write_durably(
        folder / PROTECTION_FILE, encode(msgspec.structs.replace(protection, sealed=to_base64url(nonce + box))) + b"\n"
    )


def add_new_key(secrets: Secrets | None) -> Secrets:
    """Return these keys of key files with a new one as the newest."""
    known = [] if secrets is None else list(secrets.keys.values())
    return _make_secrets([*known, randomness.token_bytes(_KEY_BYTES)])


def drop_older_keys(secrets: Secrets) -> Secrets:
    """Return the newest key alone, once every file is sealed under it."""
    return _make_secrets([secrets.keys[secrets.newest]])


def check_passphrase(passphrase: str) -> None:
    """Raise `VaultError` (`weak-passphrase`) for a new passphrase that is too short or too long."""
    plain = normalise_passphrase(passphrase)
    if len(set(passphrase)) < LEAST_PASSPHRASE_CHARACTERS // 3 or len(passphrase) < LEAST_PASSPHRASE_CHARACTERS:
        raise VaultError(
            f"A passphrase has at least {LEAST_PASSPHRASE_CHARACTERS} characters: take five words that a die chose.",
            reason="weak-passphrase",
        )
    if len(plain) > MAX_PASSPHRASE_BYTES:
        raise VaultError(f"A passphrase has at most {MAX_PASSPHRASE_BYTES} bytes.", reason="weak-passphrase")


def _derive(protection: Protection, passphrases: Sequence[str | bytes]) -> bytes:
    """Return the key over the keys. Without one of the passphrases nothing is known about it (RFC 5869 §3.1)."""
    parts, lanes = list[bytes](), protection.lanes
    for custodian, passphrase in zip(protection.custodians, passphrases, strict=True):
        plain = passphrase if isinstance(passphrase, bytes) else normalise_passphrase(passphrase)
        salt = parse_base64url(custodian.salt, length=_SALT_BYTES)
        # RFC 9106 §3.1, type 2 (Argon2id).
        slow = Argon2id(
            salt=salt, length=_KEY_BYTES, iterations=protection.passes, lanes=lanes, memory_cost=protection.memory_kib
        )
        parts.append(slow.derive(plain))
        # OpenSSL frees the block with its parameters as it is (OSSL_PARAM_free): a quick second call of the same sizes
        # gets that block and writes zeros over the passphrase.
        quick = Argon2id(salt=salt, length=_KEY_BYTES, iterations=1, lanes=lanes, memory_cost=8 * lanes)
        quick.derive(bytes(len(plain)))
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_WRAP_LABEL).derive(b"".join(parts))


def normalise_passphrase(passphrase: str) -> bytes:
    """Return the bytes of a passphrase: the same ones for the same passphrase typed on another keyboard."""
    # RFC 8265 §4.2 takes NFC; compatibility forms are one as well.
    return unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")


def wipe(secret: bytes | bytearray) -> None:
    """Overwrite a secret in memory after its last use, as far as Python allows: no copy made elsewhere."""
    if isinstance(secret, bytearray):
        secret[:] = bytes(len(secret))
    elif len(secret) > 1:  # CPython keeps one object for each single byte
        # Its bytes end the object, before a zero byte: Include/cpython/bytesobject.h.
        ctypes.memset(id(secret) + sys.getsizeof(secret) - len(secret) - 1, 0, len(secret))


def _bind(protection: Protection) -> bytes:
    return encode(msgspec.structs.replace(protection, sealed=""))


def _make_secrets(keys: Sequence[bytes]) -> Secrets:
    by_id = {to_base64url(hashlib.sha256(_ID_LABEL + key).digest()[:_ID_BYTES]): key for key in keys}
    return Secrets(by_id, list(by_id)[-1])


def _type_of(role: str) -> str:
    # It begins as every private key file does: a gateway refuses to start beside one.
    return f"report-abuse/private-{role}-key-protected"


SEALING_KEY_FILES: Final = "sealing-*.key"
# The keys that a running desk makes for itself, by the name of their file: `sealing-2026-Q4`, and `sealing-2026-Q4-2`
# for one that replaces it.
_MADE: Final = MappingProxyType(
    {
        re.compile(r"sealing-20[0-9]{2}-Q[1-4](?:-[1-9][0-9]{0,2})?"): KeyRole.SEALING,
        re.compile(r"register\.next"): KeyRole.REGISTER,
        re.compile(r"mailbox-signing\.next"): KeyRole.MAILBOX_SIGNING,
        re.compile(r"feed\.next"): KeyRole.FEED,
        re.compile(r"key-set\.next"): KeyRole.KEY_SET,
        re.compile(r"address-mac"): KeyRole.ADDRESS_MAC,
        re.compile(r"identifier"): KeyRole.IDENTIFIER,
    }
)
_IN_USE: Final = re.compile(r"(?:key-set|mailbox-signing|register|feed)(?:\.next)?|feed\.former|identifier|case")


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The folder of one desk's keys. `secrets` opens those that have a passphrase; without it they stay closed."""

    path: Path
    secrets: Secrets | None = None

    def get_path(self, name: str) -> Path:
        """Return the path of a key file, e.g. of `register.next`; it may not exist."""
        return self.path / f"{name}.key"

    def read(self, name: str, *, role: KeyRole) -> KeyFile:
        """Return a key with its secret, e.g. `read("register", role=...)`.

        Raises `LocalStateError`, and `VaultError` for a key under a passphrase without `secrets`.
        """
        path = self.get_path(name)
        protected = self._find_protected(path, role=role)
        if protected is None:
            return read_key_file(path, role=role)
        if self.secrets is None:
            if find_protection(self.path) is None:
                raise LocalStateError(
                    f"{path} is under a passphrase, and {PROTECTION_FILE} is not beside it: bring the whole folder.",
                    reason="bad-protection",
                )
            raise make_locked_error()
        return self.secrets.open(protected, name=str(path))

    def encode(self, key_file: KeyFile) -> bytes:
        """Return the bytes of a key file for this folder: sealed if its keys have a passphrase."""
        return encode(key_file if self.secrets is None else self.secrets.seal(key_file)) + b"\n"

    def read_public(self, name: str) -> PublicKey:
        """Return the public part of a key in daily use. Raises `LocalStateError`, `VaultError`."""
        if not _IN_USE.fullmatch(name):
            raise VaultError("The desk uses no key of this name.", reason="unknown-name")
        role = KeyRole(name.partition(".")[0])
        protected = self._find_protected(self.get_path(name), role=role)
        return to_public(self.read(name, role=role) if protected is None else protected)

    def count_open_files(self) -> int:
        """Return how many key files have no passphrase."""
        return sum(_parse_protected(read_key_bytes(path)) is None for path in sorted(self.path.glob("*.key")))

    def protect(self) -> None:
        """Seal every key file under the newest of `secrets`, each in one step; safe to interrupt and to repeat."""
        if self.secrets is None:
            raise make_locked_error()
        for path in sorted(self.path.glob("*.key")):
            protected = _parse_protected(raw := read_key_bytes(path))
            if protected is None:
                key_file = parse_key_file(raw, name=str(path))
            elif protected.under != self.secrets.newest:
                key_file = self.secrets.open(protected, name=str(path))
            else:
                continue
            write_durably(path, self.encode(key_file))

    def _find_protected(self, path: Path, *, role: KeyRole) -> ProtectedKey | None:
        protected = _parse_protected(read_key_bytes(path))
        if protected is not None and protected.role != role.value:
            raise LocalStateError(
                f"{path} holds a key for {protected.role!r}; a key for {role.value!r} belongs here.",
                reason="wrong-key-role",
            )
        return protected

    def add_name(self, name: str, *, to: str) -> None:
        """Give a key file a second name, in place of any file of that name, without reading it."""
        beside = self.path / f".{to}.part"
        beside.unlink(missing_ok=True)
        os.link(self.get_path(name), beside)
        beside.replace(self.get_path(to))
        beside.unlink(missing_ok=True)  # rename(2) leaves it if both names are of one file already
        sync_folder(self.path)

    def list_sealing_keys(self) -> list[KeyFile]:
        """Return every sealing key. Raises `LocalStateError` for a file that is not one."""
        names = sorted(path.stem for path in self.path.glob(SEALING_KEY_FILES))
        return [self.read(name, role=KeyRole.SEALING) for name in names]

    def get_stamp(self) -> tuple[tuple[str, int, int, int, int], ...]:
        """Return name, times, size and inode of the files of sealing keys and of the protection: a change shows."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name
                if (name.startswith("sealing-") and name.endswith(".key")) or name == PROTECTION_FILE:
                    stat = entry.stat()
                    found.append((name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))
        return tuple(sorted(found))

    def make(self, name: str, *, environment: Environment, now: datetime, random: Callable[[int], bytes]) -> KeyFile:
        """Return the key of this name, made if it is missing. Raises `LocalStateError`, `VaultError`.

        An existing file is left from an interrupted run, or the database is an older copy: never make a second key.
        """
        role = get_made_role(name)
        path = self.get_path(name)
        if not path.exists():
            made = new_key(role, environment=environment, created_at=format_time(now), seed=random(SEED_BYTES))
            write_key_bytes(path, self.encode(made))
        return self.read(name, role=role)


def get_made_role(name: str) -> KeyRole:
    """Return the role of a key that the desk may make under this name. Raises `VaultError`."""
    for pattern, role in _MADE.items():
        if pattern.fullmatch(name):
            return role
    raise VaultError("The desk makes no key of this name.", reason="unknown-name")


def _parse_protected(raw: bytes) -> ProtectedKey | None:
    # A strict parse, not a look at the first bytes: a file is exactly one of the two kinds.
    try:
        return parse_protected_key(raw)
    except FormatError:
        return None


def make_locked_error() -> VaultError:
    """Return the error of keys whose passphrase was not given."""
    return VaultError("The vault is locked: run `report-abuse-desk unlock` on the desk's machine.", reason=LOCKED)


def make_open_error() -> VaultError:
    """Return the error of an attempt to lock or unlock keys without a passphrase."""
    return VaultError("The desk's keys have no passphrase: run `keys protect` first.", reason="no-passphrase")
