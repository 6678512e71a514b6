"""The desk's private key files, e.g. `keys/*.key`: read, made, and their public parts for the rest of the desk.

Only a holder and the commands that keep keys read a secret from here.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.desk.vault import LOCKED, PublicKey, Status, VaultError, to_public
from gateway.desk.vault.opening import SealingKeys
from gateway.desk.vault.protection import (
    PROTECTION_FILE,
    ProtectedKey,
    Secrets,
    find_protection,
    parse_protected_key,
)
from partner_sdk.durable_files import sync_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.key_files import (
    SEED_BYTES,
    KeyFile,
    KeyRole,
    new_key,
    parse_key_file,
    read_key_bytes,
    read_key_file,
    write_key_bytes,
)
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.signing import Environment

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

        Raises `LocalStateError`, and `VaultError` (`locked`) for a key under a passphrase without `secrets`.
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
        """Return the public part of a key in daily use. Raises `LocalStateError`, `VaultError` (`unknown-name`)."""
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
        """Return name, times, size and inode of each sealing key's file: a changed file changes them."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if fnmatch(entry.name, SEALING_KEY_FILES):
                    stat = entry.stat()
                    found.append((entry.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))
        return tuple(sorted(found))

    def make(self, name: str, *, environment: Environment, now: datetime, random: Callable[[int], bytes]) -> KeyFile:
        """Return the key of this name, made if it is missing. Raises `LocalStateError`, `VaultError` (`unknown-name`).

        An existing file is left from an interrupted run, or the database is an older copy: never make a second key.
        """
        role = get_made_role(name)
        path = self.get_path(name)
        if not path.exists():
            made = new_key(role, environment=environment, created_at=format_time(now), seed=random(SEED_BYTES))
            write_key_bytes(path, self.encode(made))
        return self.read(name, role=role)


def get_made_role(name: str) -> KeyRole:
    """Return the role of a key that the desk may make under this name. Raises `VaultError` (`unknown-name`)."""
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


class OwnKeys:
    """The keys of a process that holds them itself; every one must be without a passphrase."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder

    @cached_property
    def _sealing_keys(self) -> SealingKeys:
        return SealingKeys(self._folder.list_sealing_keys())

    def get_folder(self) -> KeyFolder:
        """Return the folder."""
        return self._folder

    def get_sealing_keys(self) -> SealingKeys:
        """Return the sealing keys."""
        return self._sealing_keys

    def get_public(self, name: str) -> PublicKey:
        """Return the public part of a key."""
        return self._folder.read_public(name)

    def get_status(self) -> Status:
        """Return the state."""
        return Status(key_ids=self._sealing_keys.key_ids, open_files=self._folder.count_open_files())

    def unlock(self, passphrases: Sequence[str | bytes]) -> Status:
        """Refuse: these keys are open."""
        raise make_open_error()

    def lock(self) -> Status:
        """Refuse: these keys have no passphrase."""
        raise make_open_error()
