"""The worker threads of a server process keep nothing of a request that is answered."""

import asyncio
import threading
import weakref

import pytest

from gateway.web.callers import RequestThreads


class _Request:
    """Stands for all that a job holds: the text of a report, and the connection it came on."""


@pytest.mark.parametrize("fails", [False, True])
def test_thread_that_waits_holds_nothing_of_its_last_job(fails: bool) -> None:
    threads, is_gone = RequestThreads(1), threading.Event()

    async def run_once() -> None:
        request = _Request()
        weakref.finalize(request, is_gone.set)

        def job(held: _Request = request) -> None:
            if fails:
                raise ValueError(str(held))

        await threads.run(job)

    asyncio.run(run_once())
    assert is_gone.wait(timeout=10)
