"""Work that takes longer than a page: files on their way to the agency, each in a thread of its own.

Everything that a job does is on disk before it is sent, so a console that ends in the middle loses nothing.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from partner_sdk.client._evidence_upload import Progress
from partner_sdk.console.page import ErrorLines, describe_error, locate_fault
from partner_sdk.errors import ReportAbuseError

_LOGGER: Final = logging.getLogger(__name__)
EXTENSION: Final = "report_abuse_jobs"


@dataclass
class Job:
    """One run of work: how far each file is, and its end. `report_id` is known once the report is sealed."""

    key: str
    report_id: str | None = None
    reference: str | None = None
    error: ErrorLines | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    files: dict[str, Progress] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.ended.is_set()

    def show(self, progress: Progress) -> None:
        """Take the progress of a file."""
        self.files[progress.file_id] = progress

    def list_rows(self) -> list[dict[str, object]]:
        """Return the files for a page, or for the script of a page."""
        return [
            {"file_id": one.file_id, "words": one.verb, "percent": int(100 * one.share)}
            for one in list(self.files.values())
        ]


class Jobs:
    """The jobs of one console, by the id of a draft or a report."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, key: str, work: Callable[[Job], None]) -> Job:
        """Start work in a thread, or return the job of this key that still runs."""
        with self._lock:
            running = self._jobs.get(key)
            if running is not None and not running.is_done:
                return running
            job = self._jobs[key] = Job(key)
        threading.Thread(target=_run, args=(job, work), daemon=True).start()
        return job

    def find(self, key: str) -> Job | None:
        """Return the last job of a key, or None."""
        return self._jobs.get(key)

    @property
    def is_busy(self) -> bool:
        """Whether a job runs: then the console is in use, also without a click."""
        return any(not job.is_done for job in list(self._jobs.values()))


def _run(job: Job, work: Callable[[Job], None]) -> None:
    try:
        work(job)
    except ReportAbuseError as error:
        job.error = describe_error(error)
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it, and its traceback may quote an answer
        job.error = ErrorLines("This program failed. Nothing that was sealed is lost.", ())
        _LOGGER.error("A job failed: %s", locate_fault(error))  # noqa: TRY400 - for the same reason
    finally:
        job.ended.set()
