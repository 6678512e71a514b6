"""The threads of one server process that make answers: the event loop hands jobs over and goes on meanwhile.

A plain queue instead of an executor of the standard library: less CPU for each request, measured under load.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from gateway.web.logs import log_failure

Job = Callable[[], None]
_Work = tuple[Job, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class RequestThreads:
    """So many threads. They end with the process."""

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        for number in range(count):
            Thread(target=self._work, name=f"request-{number}", daemon=True).start()

    async def run(self, job: Job) -> None:
        """Wait until a thread has done the job. What it raises is logged, not raised here."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put((job, loop, done))
        await done

    def _work(self) -> None:
        while True:
            job, loop, done = self._queue.get()
            try:
                job()
            except Exception as error:  # noqa: BLE001 - whatever it is: the next job must find this thread alive
                log_failure(error)
            # A loop that is closed waits for nothing any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, done)


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
