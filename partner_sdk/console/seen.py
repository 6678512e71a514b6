"""The messages that a person of this folder has looked at, by their numbers: all others are shown as new."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from partner_sdk.console.page import get_console
from partner_sdk.console.people import make_console_folder
from partner_sdk.durable_files import find_bytes, locked, write_durably
from partner_sdk.wire.canonical import decode, encode

_NAME: Final = "seen.json"


class _SeenFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    numbers: tuple[int, ...] = ()


class Seen:
    """The file in the console's folder; without it, or with a damaged one, every message is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / _NAME

    def list_numbers(self) -> frozenset[int]:
        """Return the numbers of the messages that were looked at."""
        try:
            return frozenset(decode(find_bytes(self._file) or b"{}", kind=_SeenFile).numbers)
        except msgspec.DecodeError:
            return frozenset()

    def add(self, numbers: Iterable[int]) -> None:
        """Note that these were shown."""
        wanted = frozenset(numbers)
        if wanted <= self.list_numbers():
            return
        with locked(self._folder):
            kept = self.list_numbers() | wanted
            write_durably(self._file, encode(_SeenFile(numbers=tuple(sorted(kept)))))


def get_seen() -> Seen:
    """Return the file of this request's console."""
    return Seen(make_console_folder(get_console().state))
