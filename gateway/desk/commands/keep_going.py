"""Runs one piece of work again and again until the process is asked to end; it ends between two runs, never within."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def keep_going(work: Callable[[], int], *, every_seconds: float, stop: threading.Event) -> int:
    """Do the work, wait, and do it again until `stop` is set; returns what the last run returned."""
    while True:
        code = work()
        if stop.wait(every_seconds):
            return code


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; the run that goes on is let finish."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
