"""Asks Linux which account's program is at the other end of a connection on this machine.

Every account sees the list of processes, and with it the link that a browser was started with; and a browser sends the
console's cookie to every port of this machine. Neither may let another account's program in.
"""

import os
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

# The rows of IPv4, and those of programs that reach IPv4 through a socket of IPv6.
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _ACCOUNT = 1, 2, 7
_ROOT: Final = 0  # reads every folder anyway, and forwards the connections of containers and of WSL
Place = tuple[str, int]


def is_own_program(client: Place, *, server: Place) -> bool:
    """Return whether a client is a program of this account or of root; also where the system does not tell."""
    return find_account(client, server=server) in {None, _ROOT, os.getuid()}


def find_account(client: Place, *, server: Place) -> int | None:
    """Return the id of the account that holds the client's end, or None without such a row, e.g. on macOS."""
    for table, prefix in zip(_TABLES, ("", _spell(bytes(8)) + _spell(b"\x00\x00\xff\xff")), strict=True):
        wanted = [f"{prefix}{_spell(IPv4Address(host).packed)}:{port:04X}" for host, port in (client, server)]
        try:
            rows = table.read_text("ascii").splitlines()
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[_LOCAL : _REMOTE + 1] == wanted:
                return int(row[_ACCOUNT])
    return None


def _spell(address: bytes) -> str:
    """Return bytes of an address as the kernel does: words of four bytes, each as a number of this machine."""
    words = (address[start : start + 4] for start in range(0, len(address), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
