"""Typed files for private keys: a file names its role, so that no key can be mistaken for another (WIRE.md §5.1).

Never writes a key that others on the machine can read.
"""

import os
import secrets
from enum import Enum
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHAKE256, Hash
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from partner_sdk.durable_files import is_open_to_others
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.sealing import sealing_key_id
from partner_sdk.wire.signing import Environment, key_id_of, public_bytes

SEED_BYTES = 32
MAX_KEY_FILE_BYTES = 8192


class KeyRole(Enum):
    """The role of a private key; one key, one role."""

    ROOT = "root"
    NEXT_ROOT = "next-root"
    KEY_SET = "key-set"
    REGISTER = "register"
    FEED = "feed"
    SEALING = "sealing"
    MAILBOX_SIGNING = "mailbox-signing"
    RECEIPT = "receipt"
    COOKIE = "cookie"
    LOG = "log"
    SUBMISSION = "submission"
    CONTEXT = "context"
    MAILBOX = "mailbox"
    ADDRESS_MAC = "address-mac"
    IDENTIFIER = "identifier"
    CASE = "case"


_XWING_ROLES = frozenset({KeyRole.SEALING, KeyRole.MAILBOX})
_RANDOM_ROLES = frozenset({KeyRole.COOKIE, KeyRole.ADDRESS_MAC, KeyRole.IDENTIFIER, KeyRole.CASE})


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A private key with its role. `secret` is 32 bytes: an Ed25519 seed, an X-Wing seed or random bytes."""

    created_at: str
    environment: Environment
    key_id: str
    public_key: str
    role: str
    secret: str
    type: str

    def __repr__(self) -> str:
        """Name the key without its secret: a repr ends in logs."""
        return f"KeyFile(role={self.role!r}, key_id={self.key_id!r})"


def new_key(role: KeyRole, *, environment: Environment, created_at: str, seed: bytes | None = None) -> KeyFile:
    """Make a key for a role: X-Wing for `sealing` and `mailbox`, random bytes for the symmetric ones, else Ed25519."""
    seed = secrets.token_bytes(SEED_BYTES) if seed is None else seed
    if role in _XWING_ROLES:
        public = xwing_public_bytes(seed)
        key_id = to_base64url(sealing_key_id(public))
    elif role in _RANDOM_ROLES:
        public, key_id = b"", ""
    else:
        public = public_bytes(Ed25519PrivateKey.from_private_bytes(seed))
        key_id = key_id_of(public)
    return KeyFile(
        created_at=created_at,
        environment=environment,
        key_id=key_id,
        public_key=to_base64url(public),
        role=role.value,
        secret=to_base64url(seed),
        type=_type_of(role),
    )


def write_key_file(path: Path, key_file: KeyFile) -> None:
    """Write a key file readable by its owner alone; never over another one (`LocalStateError`, `key-exists`)."""
    write_key_bytes(path, encode(key_file) + b"\n")


def write_key_bytes(path: Path, raw: bytes) -> None:
    """Write the bytes of a new key file as `write_key_file` does."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise LocalStateError(f"There is already a key at {path}; it is not replaced.", reason="key-exists") from None
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(raw)
        handle.flush()
        os.fsync(handle.fileno())


def read_key_file(path: Path, *, role: KeyRole) -> KeyFile:
    """Read a key file of this very role, or raise `LocalStateError`.

    Reasons: `no-key-file`, `open-to-others`, `bad-key-file`, `wrong-key-role`.
    """
    key_file = parse_key_file(read_key_bytes(path), name=str(path))
    if key_file.type != _type_of(role) or key_file.role != role.value:
        raise LocalStateError(
            f"{path} holds a key for {key_file.role!r}; a key for {role.value!r} belongs here.", reason="wrong-key-role"
        )
    return key_file


def read_key_bytes(path: Path) -> bytes:
    """Return the bytes of a key file; raises `LocalStateError` (`no-key-file`, `open-to-others`)."""
    try:
        found = path.stat()
        raw = path.read_bytes()
    except OSError:
        raise LocalStateError(f"The key file {path} is missing or cannot be read.", reason="no-key-file") from None
    if is_open_to_others(found):
        raise LocalStateError(f"Other users can read {path}: run chmod 600 on it.", reason="open-to-others")
    return raw


def parse_key_file(raw: bytes, *, name: str) -> KeyFile:
    """Read the bytes of any key file, or raise `LocalStateError` (`bad-key-file`)."""
    try:
        return parse_exact(raw.rstrip(b"\n"), kind=KeyFile, max_bytes=MAX_KEY_FILE_BYTES)
    except FormatError:
        raise LocalStateError(f"{name} is not a key file of this project.", reason="bad-key-file") from None


def load_signing_key(key_file: KeyFile) -> Ed25519PrivateKey:
    """Return the Ed25519 private key of a key file."""
    return Ed25519PrivateKey.from_private_bytes(parse_base64url(key_file.secret, length=SEED_BYTES))


def load_xwing_private_key(seed: bytes) -> MLKEM768X25519PrivateKey:
    """Expand a 32-byte X-Wing seed to its private key (draft-connolly-cfrg-xwing-kem §5.2)."""
    expanded = _expand(seed)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    )


def xwing_public_bytes(seed: bytes) -> bytes:
    """Return the 1216 public bytes of an X-Wing seed: ML-KEM-768 first, then X25519."""
    expanded = _expand(seed)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key().public_bytes_raw()
    return mlkem + X25519PrivateKey.from_private_bytes(expanded[64:]).public_key().public_bytes_raw()


def _expand(seed: bytes) -> bytes:
    # draft-connolly-cfrg-xwing-kem §5.2, SHAKE256 to 96 bytes: 64 for ML-KEM's d and z, 32 for X25519.
    shake = Hash(SHAKE256(96))
    shake.update(seed)
    return shake.finalize()


def _type_of(role: KeyRole) -> str:
    return f"report-abuse/private-{role.value}-key"
