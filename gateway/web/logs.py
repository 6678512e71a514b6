"""Logs by allow-list: one JSON object for each line, with only the fields named here.

Never writes a path, query, body, header, address, exception message or local variable: any of them could contain text
of a report. Records of libraries keep only their logger, level, exception type and code location.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from types import TracebackType

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
    threading.excepthook = _log_stray_in_thread
    sys.unraisablehook = _log_unraisable


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
    """Return the type and location in one line, e.g. `LookupError at gateway.desk.cli:45`."""
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


def _log_stray_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        log_failure(arguments.exc_value, event="stray-exception")


def _log_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    if arguments.exc_value is not None:
        log_failure(arguments.exc_value, event="stray-exception")
