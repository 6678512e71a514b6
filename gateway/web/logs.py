"""Logs by allow-list, one JSON object a line with only the fields named here; and counts for Prometheus.

Never writes a path, query, body, header, address, exception message or local variable: any of them could contain text
of a report. Records of libraries keep only their logger, level, exception type and code location.

Counts are sent once a second to the process that answers Prometheus. Each label is a word of the code, a route's
pattern or a class of status. Never waits: a count that cannot be sent stays for the next second. The workers are
replaced every hour, which the multiprocess mode of prometheus-client answers with a new file for each.
"""

import logging
import os
import re
import socket
import sys
import threading
import traceback
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from types import TracebackType
from typing import Final, Literal

import msgspec

LOG_FIELDS: Mapping[str, str] = {
    "time": "time in UTC, to the second",
    "level": "how grave",
    "event": "a fixed event name",
    "process_role": "a fixed process name",
    "method": "one of the known HTTP methods, or OTHER",
    "route": "the route pattern, the neutral log word of its rule, or unmatched; never the requested path",
    "status": "the response status",
    "duration_ms": "the time to answer",
    "request_id": "the request id, also in the response",
    "reason": "a fixed reason slug",
    "exception": "the type of an exception",
    "location": "the module and line in our code that raised it",
    "logger": "the logger of a library",
    "listener": "the host and port of this process",
    "count": "how many",
    "exit_code": "the exit code of a process",
}
_SAFE_TEXT = re.compile(r"[A-Za-z0-9_.,:+<>/\[\] -]{0,120}")
_OWN_PACKAGES = ("gateway", "partner_sdk")
_RECORD_ATTRIBUTE = "allowed_fields"

_logger = logging.getLogger("report_abuse")


def _describe_no_request() -> dict[str, str]:
    return {}


# The log fields of the current request. A process without an app has no request, and does not load Flask.
_describe_request: Callable[[], dict[str, str]] = _describe_no_request


class UnknownLogFieldError(Exception):
    """The code tried to log a field that is not on the allow-list."""


class AllowListFormatter(logging.Formatter):
    """Formats a record as one JSON line of allowed fields; drops the messages of libraries."""

    def __init__(self, process_role: str) -> None:
        super().__init__()
        self._process_role = process_role

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON line of a record."""
        fields: dict[str, object] = {
            "time": _format_second(int(record.created)),
            "level": record.levelname.lower(),
            "process_role": self._process_role,
        }
        allowed = getattr(record, _RECORD_ATTRIBUTE, None)
        if allowed is None:
            fields |= {"event": "library-record", "logger": _clean(record.name)}
            if record.exc_info and record.exc_info[1] is not None:
                fields |= describe_exception(record.exc_info[1])
        else:
            fields |= allowed
        return msgspec.json.encode(fields).decode("utf-8")


def configure_logging(process_role: str) -> None:
    """Send every record of this process, including those of libraries, through the allow-list to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AllowListFormatter(process_role))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # Our lines name no thread and no process; finding them out took a fifth of a line's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # The default error handler would print the record's message and arguments.
    logging.raiseExceptions = False


def catch_stray_exceptions() -> None:
    """Log uncaught exceptions by type and location, instead of printing message and source lines."""
    sys.excepthook = _log_stray
    threading.excepthook = _log_caught
    sys.unraisablehook = _log_caught


def log_event(event: str, *, level: int = logging.INFO, **fields: str | int) -> None:
    """Write one line; raises `UnknownLogFieldError` for a field outside `LOG_FIELDS`."""
    if unknown := fields.keys() - LOG_FIELDS.keys():
        raise UnknownLogFieldError(f"Not on the log allow-list: {', '.join(sorted(unknown))}.")
    if not _logger.isEnabledFor(level):
        return
    cleaned = {name: _clean(value) if isinstance(value, str) else value for name, value in fields.items()}
    # Not `Logger.log`, which walks the stack for the caller's file and line; our lines have neither.
    record = logging.LogRecord(_logger.name, level, "", 0, event, None, None)
    setattr(record, _RECORD_ATTRIBUTE, {"event": _clean(event), **cleaned})
    _logger.handle(record)


def describe_requests_by(describe: Callable[[], dict[str, str]]) -> None:
    """Add the result of `describe` to each failure that this process logs.

    One function serves all apps of a process: it must look up the current request, and belong to no single app.
    """
    global _describe_request  # one for each process, as the handlers of `logging`
    _describe_request = describe


def log_failure(error: BaseException, *, event: str = "failure") -> None:
    """Log the type and location of an exception, with the request's id and route if there is one."""
    log_event(event, level=logging.ERROR, **describe_exception(error), **_describe_request())


def describe_exception(error: BaseException) -> dict[str, str]:
    """Return the exception's type and its innermost location in our code (else in any code); no message, no locals."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [(_module_of(frame.filename), frame.lineno) for frame in frames]
    own = [name for name in names if name[0].split(".")[0] in _OWN_PACKAGES]
    places = [f"{module}:{line}" for module, line in (own or names)[-1:]]
    return {"exception": type(error).__name__, "location": places[0] if places else "unknown"}


def format_exception(error: BaseException) -> str:
    """Return the type and location in one line, e.g. `LookupError at gateway.desk.running.cli:45`."""
    return "{exception} at {location}".format_map(describe_exception(error))


@lru_cache(maxsize=4)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clean(text: str) -> str:
    return text if _SAFE_TEXT.fullmatch(text) else "unprintable"


def _module_of(filename: str) -> str:
    parts = PurePath(filename).with_suffix("").parts
    for package in (*_OWN_PACKAGES, "site-packages"):
        if package in parts:
            start = len(parts) - 1 - parts[::-1].index(package) + (package == "site-packages")
            return ".".join(parts[start:])
    return parts[-1] if parts else "unknown"


def _log_stray(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    log_failure(error, event="stray-exception")


def _log_caught(arguments: "threading.ExceptHookArgs | sys.UnraisableHookArgs") -> None:
    if arguments.exc_value is not None:
        log_failure(arguments.exc_value, event="stray-exception")


Kind = Literal["counter", "histogram", "gauge"]

SOCKET_VARIABLE: Final = "REPORT_ABUSE_METRICS_SOCKET"
SEND_EVERY: Final = 1.0
MAX_ROWS: Final = 300  # in a datagram: each row has at most two short labels
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BOUNDS: Final = (*(str(one) for one in BUCKETS), "+Inf")
SUM: Final = "sum"
PREFIX: Final = "report_abuse_"


class Metric(msgspec.Struct, frozen=True):
    """One metric: its kind, its labels and its help text."""

    kind: Kind
    labels: tuple[str, ...]
    help: str


# Every metric and every label. A test compares the alert rules and the board with it.
METRICS: Final[Mapping[str, Metric]] = {
    "requests": Metric("counter", ("route", "status"), "Answers by route pattern and class of status."),
    "request_seconds": Metric("histogram", (), "Time from a request's arrival at the app to its answer."),
    "receipt_seconds": Metric("histogram", ("door",), "Time from a checked report to its durable receipt."),
    "commit_seconds": Metric("histogram", (), "Time of a commit, its sync included; several writers may share it."),
    "storage_refusals": Metric("counter", ("reason",), "Failed uses of the database or the evidence store, by reason."),
    "limit_store_failures": Metric("counter", (), "Times that Valkey failed and a worker went on alone."),
    "database_up": Metric("gauge", (), "1 if the database can be read."),
    "waiting_items": Metric("gauge", ("kind",), "Items that the other side has not acknowledged."),
    "waiting_oldest_seconds": Metric("gauge", ("kind",), "Age of the oldest of them."),
    "evidence_bytes": Metric("gauge", (), "Bytes of stored evidence."),
    "evidence_free_ratio": Metric("gauge", (), "Share of the evidence store that is free."),
    "log_age_seconds": Metric("gauge", (), "Age of the newest batch of the public log; absent before the first."),
    "log_late_seconds": Metric("gauge", (), "Age of the oldest report that is not in the public log; 0 if none waits."),
}
Row = tuple[str, tuple[str, ...], float]
"""Name, labels and number; a histogram's last label is its bucket's bound, or `sum`."""


class Meter:
    """The counts of one process since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[str, ...]], float] = {}

    def count(self, name: str, *labels: str, number: float = 1) -> None:
        """Add to a counter."""
        with self._lock:
            key = (name, labels)
            self._counts[key] = self._counts.get(key, 0) + number

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        bound = BOUNDS[bisect_left(BUCKETS, seconds)]
        with self._lock:
            for part, number in ((bound, 1.0), (SUM, seconds)):
                key = (name, (*labels, part))
                self._counts[key] = self._counts.get(key, 0) + number

    def take(self) -> list[Row]:
        """Return the counts, and start again from zero."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return [(name, labels, number) for (name, labels), number in counts.items()]

    def give_back(self, rows: list[Row]) -> None:
        """Add counts that could not be sent."""
        for name, labels, number in rows:
            self.count(name, *labels, number=number)


METER: Final = Meter()
"""The one meter of this process, as the handlers of `logging` are."""


def start_sending() -> None:
    """Send this process's counts from a thread, if its parent asks for them."""
    path = os.environ.get(SOCKET_VARIABLE)
    if path is not None:
        threading.Thread(target=_send_always, args=(path,), name="metrics", daemon=True).start()


def _send_always(path: str) -> None:
    pause = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        while not pause.wait(SEND_EVERY):
            send_counts(METER, line, path)


def send_counts(meter: Meter, line: socket.socket, path: str) -> None:
    """Send the counts in as many datagrams as they need; those that do not go stay."""
    rows = meter.take()
    while rows:
        batch, rows = rows[:MAX_ROWS], rows[MAX_ROWS:]
        try:
            line.sendto(msgspec.json.encode(batch), path)
        except OSError as error:
            meter.give_back([*batch, *rows])
            if not isinstance(error, BlockingIOError):
                log_failure(error, event="metrics-not-sent")
            return
