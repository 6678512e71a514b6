"""The desk's private key files, `keys/*.key`: read, made, and their public parts for the rest of the desk.

Only a holder and the commands that keep keys read a secret from here.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.desk.vault import PublicKey, VaultError
from partner_sdk.durable_files import sync_folder
from partner_sdk.key_files import KeyFile, KeyRole, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.keys import Environment

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
_IN_USE: Final = re.compile(r"(?:key-set|mailbox-signing|register|feed)(?:\.next)?|feed\.former|identifier")


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The folder of one desk's keys."""

    path: Path

    def get_path(self, name: str) -> Path:
        """Return the path of a key file, e.g. of `register.next`; it may not exist."""
        return self.path / f"{name}.key"

    def read(self, name: str, *, role: KeyRole) -> KeyFile:
        """Return a key with its secret, e.g. `read("register", role=...)`. Raises `LocalStateError`."""
        return read_key_file(self.get_path(name), role=role)

    def read_public(self, name: str) -> PublicKey:
        """Return the public part of a key in daily use. Raises `LocalStateError`, `VaultError` (`unknown-name`)."""
        if not _IN_USE.fullmatch(name):
            raise VaultError("The desk uses no key of this name.", reason="unknown-name")
        return to_public(self.read(name, role=KeyRole(name.partition(".")[0])))

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
        """Return names, times, sizes and numbers of the sealing keys' files, which tell whether one has changed."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if fnmatch(entry.name, SEALING_KEY_FILES):
                    said = entry.stat()
                    found.append((entry.name, said.st_mtime_ns, said.st_ctime_ns, said.st_size, said.st_ino))
        return tuple(sorted(found))

    def make(self, name: str, *, environment: Environment, now: datetime, random: Callable[[int], bytes]) -> KeyFile:
        """Return the key of this name, made if it is missing. Raises `LocalStateError`, `VaultError` (`unknown-name`).

        An existing file is left from an interrupted run, or the database is an older copy: never make a second key.
        """
        role = get_made_role(name)
        path = self.get_path(name)
        if not path.exists():
            made = new_key(role, environment=environment, created_at=format_time(now), seed=random(32))
            write_key_file(path, made)
        return self.read(name, role=role)


def get_made_role(name: str) -> KeyRole:
    """Return the role of a key that the desk may make under this name. Raises `VaultError` (`unknown-name`)."""
    for pattern, role in _MADE.items():
        if pattern.fullmatch(name):
            return role
    raise VaultError("The desk makes no key of this name.", reason="unknown-name")


def to_public(key_file: KeyFile) -> PublicKey:
    """Return a key without its secret."""
    return PublicKey(
        created_at=key_file.created_at,
        environment=key_file.environment,
        key_id=key_file.key_id,
        public_key=key_file.public_key,
        role=key_file.role,
    )
