"""One listener's process: granian and a bridge to a WSGI app; workers tied to it, itself tied to who started it.

Started as `python -m gateway.web.server_process` by `serving.py`; never by hand. granian measured 1.4 times gunicorn's
threads, but its workers outlive a killed master and go on serving: hence the guards.
"""

import importlib
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from gateway.web.logs import AllowListFormatter, catch_stray_exceptions, configure_logging, log_failure
from gateway.web.process_guard import allow_open_files, die_with_parent, end_without_teardown, forbid_core_dumps
from gateway.web.server_spec import SPEC_VARIABLE, ServerSpec

if TYPE_CHECKING:
    from gateway.web.wsgi_bridge import BodyRule, WsgiBridge

WORKER_STOP_SECONDS: Final = 10
APP_FAILED_EXIT: Final = 3
# An idle connection costs some kilobytes and no thread; granian's own ceiling, 1024 for all workers, is soon full.
MAX_CONNECTIONS: Final = 2048


def load_worker_app(spec: ServerSpec, master_pid: int) -> "WsgiBridge":
    """Return the app of one worker, which from now on dies with its master."""
    die_with_parent(master_pid)
    catch_stray_exceptions()
    configure_logging(spec.name)
    # Imported here and not above, as in `make_body_rule`: what answers requests is the worker's alone.
    from gateway.web.body_reader import BodyReader
    from gateway.web.wsgi_bridge import WsgiBridge

    module, _, factory = spec.target.partition(":")
    try:
        app: Callable[..., Any] = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # noqa: BLE001 - whatever it is: say where, then end instead of serving nothing
        log_failure(error, event="app-failed")
        sys.exit(APP_FAILED_EXIT)
    end_without_teardown()
    bodies = BodyReader(seconds=spec.body_seconds)
    return WsgiBridge(app, body_rule=make_body_rule(app), bodies=bodies, threads=spec.threads)


def make_body_rule(app: Callable[..., Any]) -> "BodyRule":
    """Return which bodies an app takes where: as the rules of its routes say. An app without rules takes none."""
    from flask import Flask

    from gateway.web.rules import NO_BODY, get_body_terms

    if not isinstance(app, Flask):
        return lambda _method, _path: NO_BODY
    return lambda method, path: get_body_terms(app, method=method, path=path)


def run() -> None:
    """Serve until a signal comes."""
    forbid_core_dumps()
    allow_open_files(2 * MAX_CONNECTIONS)
    spec = msgspec.json.decode(os.environ.pop(SPEC_VARIABLE), type=ServerSpec)
    die_with_parent(spec.parent_pid)
    catch_stray_exceptions()
    configure_logging(spec.name)
    # A forked worker could inherit a lock that a thread of the master holds, and hang; a spawned one can not.
    multiprocessing.set_start_method("spawn")
    server = Server(
        spec.target,
        address=spec.host,
        port=spec.port,
        # Not RSGI: it hands over neither the raw path nor header values outside ASCII.
        interface=Interfaces.ASGINL,
        loop=Loops.asyncio,
        workers=spec.workers,
        backpressure=MAX_CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=_granian_logging(spec.name),
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_STOP_SECONDS,
    )
    loader = partial(load_worker_app, spec, os.getpid())
    server.serve(target_loader=loader, wrap_loader=False)


def _granian_logging(name: str) -> dict[str, Any]:
    """Send granian's own words through the allow-list too: they could name an address."""
    return {
        "formatters": {"allow-list": {"()": AllowListFormatter, "process_role": name}},
        "handlers": {
            "allow-list": {"class": "logging.StreamHandler", "formatter": "allow-list", "stream": "ext://sys.stderr"}
        },
        "loggers": {
            "_granian": {"handlers": ["allow-list"], "level": "WARNING", "propagate": False},
            "granian.access": {"handlers": [], "level": logging.CRITICAL, "propagate": False},
        },
    }


if __name__ == "__main__":
    run()
