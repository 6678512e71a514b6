"""Closes connections without a complete request (idle, half a head, half a body) above a network's share.

For servers exposed directly: the server's own limits (10 seconds for a head, a total of connections) do not distinguish
networks, and it passes on no connection before its head is complete. Behind a proxy each connection is the proxy's, and
the proxy does this (`gateway/web/nginx/`). Never keeps an address longer than its connection.
"""

import os
import socket
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from gateway.web.network_bucket import name_whole_network

Peer = tuple[str, str]
"""A caller's address and port, as in `REMOTE_ADDR` and `REMOTE_PORT`."""

# For one process, e.g. a school of 40 browsers with six idle connections each.
MOST_OF_A_NETWORK: Final = 256
LOOK_SECONDS: Final = 0.2


class SilentConnections:
    """The connections of one process to its listener's port. `busy` are callers whose requests are being answered."""

    def __init__(self, *, port: int, busy: Collection[Peer], most: int = MOST_OF_A_NETWORK) -> None:
        self._port = port
        self._busy = busy
        self._most = most
        self._seen: dict[Peer, None] = {}  # in order of arrival

    def watch(self) -> None:
        """Watch in a thread that ends with the process."""
        threading.Thread(target=self._watch, name="silent-connections", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with suppress(OSError):
                if len(list_open_files()) > self._most:
                    self.end_surplus()

    def end_surplus(self) -> int:
        """Close the oldest connections of each network above its share, and return their number."""
        numbers = dict(self._list_connections())
        self._seen = {peer: None for peer in self._seen if peer in numbers} | dict.fromkeys(numbers)
        networks: dict[str, list[Peer]] = {}
        for peer in self._seen:
            if peer not in self._busy:
                networks.setdefault(name_whole_network(peer[0]), []).append(peer)
        surplus = [peer for peers in networks.values() for peer in peers[: max(0, len(peers) - self._most)]]
        return sum(self._end(peer, number=numbers[peer]) for peer in surplus)

    def _list_connections(self) -> Iterator[tuple[Peer, int]]:
        for number in list_open_files():
            peer = self._find_peer(number)
            if peer is not None:
                yield peer, number

    def _find_peer(self, number: int) -> Peer | None:
        """Return the peer of an open file, or None if it is not a connection to our port."""
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                return None
            found = socket.socket(fileno=number)
        except OSError:
            return None
        try:
            if found.family not in {socket.AF_INET, socket.AF_INET6} or found.getsockname()[1] != self._port:
                return None
            address, port = found.getpeername()[:2]
        except OSError:
            return None
        finally:
            found.detach()
        return str(address), str(port)

    def _end(self, peer: Peer, *, number: int) -> bool:
        try:
            held = os.dup(number)
        except OSError:
            return False
        # The number may have been reused for another file since; an open socket object keeps its file.
        try:
            if self._find_peer(held) != peer:
                return False
            found = socket.socket(fileno=os.dup(held))
            with found, suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            return True
        finally:
            os.close(held)


def list_open_files() -> list[int]:
    """Return the numbers of this process's open files (proc_pid_fd(5))."""
    with os.scandir("/proc/self/fd") as found:
        return [int(one.name) for one in found]
