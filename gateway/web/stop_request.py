"""A request to stop, made by SIGTERM or SIGINT and waited for in any thread."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A flag that a signal handler sets and threads wait for.

    Not a `threading.Event`: if the signal interrupts `Event.wait`, the handler's `set` waits for ever for the lock that
    the interrupted thread holds.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def set(self) -> None:
        """Make the request; safe in a signal handler."""
        with suppress(BlockingIOError):  # the pipe is full of earlier requests
            os.write(self._writing, b"\0")

    def is_set(self) -> bool:
        """Return whether the request was made."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the request; return whether it was made."""
        poll = select.poll()  # one for each call: no two threads may wait with the same
        poll.register(self._reading, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reading)
        os.close(self._writing)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that SIGTERM and SIGINT set. Main thread only."""
    request = StopRequest()

    def ask(_number: int, _frame: FrameType | None) -> None:
        request.set()

    former = {number: signal.signal(number, ask) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        request.close()
