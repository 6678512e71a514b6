"""A worker process for tests: sends reports from threads, and prints each that has a receipt.

    writer_process STATE COUNT [THREADS [LAST]]

`LAST` ends the process by SIGKILL at that commit of a shared transaction: its writers have made their savepoints, and
their reports, printed as `lost ID`, have no receipt.
"""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from gateway.config import load_config
from gateway.databases.database import SqliteFile
from gateway.intake import NewReport
from gateway.wiring import make_gateway
from tests.builders import Partner, StillClock
from tests.gateway.store_builders import PATIENT_SECONDS, new_industry_report, new_public_report, open_raw

_printing = threading.Lock()


def main(state: Path, count: int, threads: int = 1, last: int = 0) -> None:
    """Send `count` reports, every third one by the public door; a printed id is a promise made to a sender."""
    config = msgspec.structs.replace(load_config(state), lock_timeout_seconds=PATIENT_SECONDS)
    gateway = make_gateway(config, state=state, clock=StillClock())
    if last:
        die_at_shared_commit(last)

    def send(number: int) -> None:
        report: NewReport = new_public_report() if number % 3 == 0 else new_industry_report(Partner())
        print_line(f"{report.clear.report_id}:{gateway.intake.accept(report).reference}")

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(send, range(count)):
            pass


def print_line(line: str) -> None:
    """Print a line at once and whole."""
    with _printing:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def die_at_shared_commit(last: int) -> None:
    """Kill this process instead of its commit number `last` of at least two reports."""
    commit, shared = SqliteFile.commit, []

    def commit_or_die(self: SqliteFile, connection: Connection) -> None:
        with closing(open_raw(self.path)) as other:  # which does not see these reports yet
            ((stored,),) = other.execute("SELECT coalesce(max(position), 0) FROM reports").fetchall()
        new = connection.exec_driver_sql("SELECT report_id FROM reports WHERE position > ?", (stored,)).fetchall()
        if len(new) > 1:
            shared.append(len(new))
        if len(shared) == last:
            for (report_id,) in new:
                print_line(f"lost {report_id}")
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, connection)

    SqliteFile.commit = commit_or_die  # type: ignore[method-assign] - in this process alone


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
