"""Logs by allow-list: one JSON object a line, with the fields named here and no others.

Never writes a path, a query, a body, a header, an address, an exception's message or a local variable: words of a
report could be in any of them. Records of libraries keep their logger, level, exception type and code location only.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType

import msgspec

LOG_FIELDS: Mapping[str, str] = {
    "time": "when, UTC, in seconds",
    "level": "how grave",
    "event": "what happened: a word of ours",
    "process_role": "which process: a word of ours",
    "method": "one of the known HTTP methods, or OTHER",
    "route": "the route as the code spells it, the neutral word of its rule, or unmatched; never the path asked for",
    "status": "the answer's status",
    "duration_ms": "how long the answer took",
    "request_id": "made by us, also in the answer",
    "reason": "a slug of ours",
    "exception": "the type of an exception",
    "location": "module and line of our code where it was raised",
    "logger": "the library that spoke",
    "listener": "host and port that this process serves",
    "count": "how many",
    "exit_code": "how a process ended",
}
_SAFE_TEXT = re.compile(r"[A-Za-z0-9_.,:+<>/\[\] -]{0,120}")
_OWN_PACKAGES = ("gateway", "partner_sdk")
_RECORD_ATTRIBUTE = "allowed_fields"

_logger = logging.getLogger("report_abuse")


def _describe_no_request() -> dict[str, str]:
    return {}


# What is said of the request that is answered; a process that serves no app answers none, and loads no Flask.
_describe_request: Callable[[], dict[str, str]] = _describe_no_request


class UnknownLogFieldError(Exception):
    """The code tried to log a field that is not on the allow-list."""


class AllowListFormatter(logging.Formatter):
    """Turns a record into one JSON line of allowed fields; the message of a foreign record is dropped."""

    def __init__(self, process_role: str) -> None:
        super().__init__()
        self._process_role = process_role

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON line of a record."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
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
    """Send every record of this process, libraries included, through the allow-list to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AllowListFormatter(process_role))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # A handler that fails would print the record's message and arguments.
    logging.raiseExceptions = False


def catch_stray_exceptions() -> None:
    """Log exceptions that nothing caught by type and location, instead of printing message and source lines."""
    sys.excepthook = _log_stray
    threading.excepthook = _log_stray_in_thread
    sys.unraisablehook = _log_unraisable


def log_event(event: str, *, level: int = logging.INFO, **fields: str | int) -> None:
    """Write one line; raises `UnknownLogFieldError` for a field outside `LOG_FIELDS`."""
    if unknown := fields.keys() - LOG_FIELDS.keys():
        raise UnknownLogFieldError(f"Not on the allow-list of logs: {', '.join(sorted(unknown))}.")
    if not _logger.isEnabledFor(level):
        return
    cleaned = {name: _clean(value) if isinstance(value, str) else value for name, value in fields.items()}
    # Not by `Logger.log`: it walks the stack for the file and line of its caller, which no line of ours has.
    record = logging.LogRecord(_logger.name, level, "", 0, event, None, None)
    setattr(record, _RECORD_ATTRIBUTE, {"event": _clean(event), **cleaned})
    _logger.handle(record)


def describe_requests_by(describe: Callable[[], dict[str, str]]) -> None:
    """From now on add to each failure of this process what `describe` says of the request that its thread answers.

    One for all apps of a process: `describe` must ask which request is current, and belong to no app of its own.
    """
    global _describe_request  # as the handlers of `logging`, one for a process
    _describe_request = describe


def log_failure(error: BaseException, *, event: str = "failure") -> None:
    """Write the type of an exception and where it was raised, with the request's id and route when there is one."""
    log_event(event, level=logging.ERROR, **describe_exception(error), **_describe_request())


def describe_exception(error: BaseException) -> dict[str, str]:
    """Return the type and the innermost location in our own code (else in any code); no message, no locals."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [(_module_of(frame.filename), frame.lineno) for frame in frames]
    own = [name for name in names if name[0].split(".")[0] in _OWN_PACKAGES]
    places = [f"{module}:{line}" for module, line in (own or names)[-1:]]
    return {"exception": type(error).__name__, "location": places[0] if places else "unknown"}


def format_exception(error: BaseException) -> str:
    """Return the same in one line, e.g. `LookupError at gateway.desk.cli:45`."""
    return "{exception} at {location}".format_map(describe_exception(error))


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
