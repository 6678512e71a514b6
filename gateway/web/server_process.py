"""One listener's process: granian over a WSGI app factory, its workers tied to it, tied itself to who started it.

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
from typing import Any, Final

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from gateway.web.logs import AllowListFormatter, catch_stray_exceptions, configure_logging, log_failure
from gateway.web.process_guard import die_with_parent, forbid_core_dumps
from gateway.web.server_spec import SPEC_VARIABLE, ServerSpec

WORKER_STOP_SECONDS: Final = 10
APP_FAILED_EXIT: Final = 3


def load_worker_app(target: str, master_pid: int, name: str) -> Callable[..., Any]:
    """Return the WSGI app of one worker, which from now on dies with its master."""
    die_with_parent(master_pid)
    catch_stray_exceptions()
    configure_logging(name)
    module, _, factory = target.partition(":")
    try:
        app: Callable[..., Any] = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # noqa: BLE001 - whatever it is: say where, then end instead of serving nothing
        log_failure(error, event="app-failed")
        sys.exit(APP_FAILED_EXIT)
    return app


def run() -> None:
    """Serve until a signal comes."""
    forbid_core_dumps()
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
        interface=Interfaces.WSGI,
        workers=spec.workers,
        blocking_threads=spec.threads,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=_granian_logging(spec.name),
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_STOP_SECONDS,
    )
    loader = partial(load_worker_app, spec.target, os.getpid(), spec.name)
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
