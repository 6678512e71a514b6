"""One listener's process: granian with a bridge to a WSGI app; workers die with it, and it dies with its parent.

Started by `serving.py` as `python -m gateway.web.server_process`; never by hand. granian measured 1.4 times the speed
of gunicorn's threads, but its workers survive a killed master and keep serving: hence the guards.
"""

import gc
import importlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from granian._granian import ListenerSpec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from gateway.web.logs import AllowListFormatter, catch_stray_exceptions, configure_logging, log_event, log_failure
from gateway.web.process_guard import (
    allow_open_files,
    die_with_parent,
    end_without_teardown,
    protect_memory,
    stop_accepting,
)
from gateway.web.serving import SPEC_VARIABLE, TRUSTED_PROXIES, ServerSpec
from partner_sdk.wire.canonical import decode

if TYPE_CHECKING:
    from gateway.web.wsgi_bridge import BodyRule, JourneyFinder, WsgiBridge

WORKER_STOP_SECONDS: Final = 10
APP_FAILED_EXIT: Final = 3
# An idle connection costs some kilobytes and no thread; granian's default of 1024 for all workers fills up quickly.
MAX_CONNECTIONS: Final = 2048
# Each worker is replaced once an hour, so that text in freed memory does not survive for weeks.
WORKER_LIFETIME_SECONDS: Final = 3600
LOAD_PATIENCE_SECONDS: Final = 60
# A worker being replaced accepts no new connections, and has a while to answer before it is told to end: at its end the
# server drops connections that are accepted and not yet read.
LEAVE_SIGNAL: Final = signal.SIGUSR1
LEAVE_SECONDS: Final = 2
LOOK_SECONDS: Final = 0.2
HEAD_SECONDS: Final = 10
# The server itself answers 431 to a larger head, or to one of more than 100 headers (hyper). Bodies arrive in pieces of
# at most this size.
MAX_BUFFER_BYTES: Final = 64 * 1024


def load_worker_app(spec: ServerSpec, master_pid: int, has_loaded: Connection | None = None) -> "WsgiBridge":
    """Return the app of one worker, which dies with its master; signals `has_loaded` once it is ready."""
    protect_memory()
    die_with_parent(master_pid)
    catch_stray_exceptions()
    configure_logging(spec.listener.name)
    gc.disable()  # nothing that is loaded is garbage: an app loads in 14 % less time
    # Imported here, as in `make_body_rule`: only workers need these modules.
    from gateway.web.wsgi_bridge import BodyReader, WsgiBridge

    module, _, factory = spec.listener.target.partition(":")
    try:
        app: Callable[..., Any] = getattr(importlib.import_module(module), factory)()
    except Exception as error:  # noqa: BLE001 - log the location, then end instead of serving nothing
        log_failure(error, event="app-failed")
        sys.exit(APP_FAILED_EXIT)
    end_without_teardown()
    bodies = BodyReader(seconds=spec.listener.body_seconds)
    bridge = WsgiBridge(
        app,
        body_rule=make_body_rule(app),
        bodies=bodies,
        threads=spec.listener.threads,
        trusted_proxies=int(getattr(app, "config", {}).get(TRUSTED_PROXIES, 0)),
        find_journey=make_journey_finder(app),
    )

    def leave(_signal: int, _frame: object) -> None:
        stop_accepting()
        bridge.leave()

    signal.signal(LEAVE_SIGNAL, leave)
    # The app lives as long as the worker: no search for garbage needs to walk through it. The first would take a tenth
    # of the worker's start, and find no page of memory to give back.
    gc.freeze()
    gc.enable()
    if has_loaded is not None:
        has_loaded.send_bytes(b"1")
        has_loaded.close()
    return bridge


def make_body_rule(app: Callable[..., Any]) -> "BodyRule":
    """Return the body rule of an app, from the rules of its routes. An app without rules accepts no bodies."""
    from flask import Flask

    from gateway.web.rules import NO_BODY, get_body_terms, list_fixed_terms

    if not isinstance(app, Flask):
        return lambda _method, _path: NO_BODY
    fixed = list_fixed_terms(app)
    return lambda method, path: fixed.get((method, path)) or get_body_terms(app, method=method, path=path)


def make_journey_finder(app: Callable[..., Any]) -> "JourneyFinder":
    """Return a function that finds the journey in a request's cookie; an app without our sessions has none."""
    from gateway.web.web_app import PageSessions, WebApp

    sessions = app.session_interface if isinstance(app, WebApp) else None
    if not isinstance(app, WebApp) or not isinstance(sessions, PageSessions):
        return lambda _environ: None
    return partial(sessions.find_journey, name=app.config["SESSION_COOKIE_NAME"])


class RecyclingServer(MPServer):
    """granian's server, with workers that are replaced without cutting a request.

    granian gives each worker its own socket; when one closes, the kernel resets the connections in its queue. Here all
    workers share one socket and one queue. granian stops the old worker a few seconds after it has started the new one;
    here the new one must have loaded its app first. If it cannot, e.g. because the settings were edited, the old one
    keeps working.
    """

    recycle_patience_seconds: float = WORKER_STOP_SECONDS

    def _init_shared_socket(self) -> None:
        holder: Any = ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._shd, self._sfd, self._ssp = holder, holder.get_fd(), None
        self._sso = socket.socket(fileno=self._sfd)
        self._sso.set_inheritable(True)

    def _spawn_workers(self, spawn_target: Any, target_loader: Callable[..., Any]) -> None:
        """Start one worker, and the others once it serves: on a busy machine each start slows all others down."""
        told, has_loaded = multiprocessing.Pipe(duplex=False)
        first = self._spawn_worker(idx=0, target=spawn_target, callback_loader=partial(target_loader, has_loaded))
        first.start()
        self.wrks.append(first)
        has_loaded.close()
        with suppress(EOFError):  # it ended: the main loop sees that
            while not told.poll(LOOK_SECONDS) and not self.main_loop_interrupt.is_set():
                pass
        told.close()
        for idx in range(1, 1 if self.interrupt_signal else self.workers):
            worker = self._spawn_worker(idx=idx, target=spawn_target, callback_loader=target_loader)
            worker.start()
            self.wrks.append(worker)
        self._metrics.incr_spawn(self.workers)

    def _respawn_workers(
        self, workers: list[int], spawn_target: Any, target_loader: Callable[..., Any], delay: float = 0
    ) -> None:
        for idx in workers:
            if self.wrks[idx].is_alive():
                self._recycle_worker(idx, spawn_target, target_loader)
            else:
                super()._respawn_workers([idx], spawn_target, target_loader, delay=0)

    def _recycle_worker(self, idx: int, spawn_target: Any, target_loader: Callable[..., Any]) -> None:
        told, has_loaded = multiprocessing.Pipe(duplex=False)
        old = self.wrks[idx]
        new = self._spawn_worker(idx=idx, target=spawn_target, callback_loader=partial(target_loader, has_loaded))
        new.interrupt_by_parent = True  # until it has loaded, its end is not a failure of the listener
        new.start()
        has_loaded.close()
        try:
            is_ready = told.poll(LOAD_PATIENCE_SECONDS) and told.recv_bytes() == b"1"
        except EOFError:
            is_ready = False
        told.close()
        if not is_ready:
            log_event("worker-kept", listener=f"{self.bind_addr}:{self.bind_port}")
            new.kill()
            old.birth = time.monotonic()  # retried after another lifetime
            return
        self.wrks[idx] = new
        self.respawned_wrks[idx] = time.monotonic()
        new.interrupt_by_parent = False
        if not new.is_alive():
            self.interrupt_children.append(idx)
            self.main_loop_interrupt.set()
        os.kill(old.inner.pid, LEAVE_SIGNAL)
        time.sleep(LEAVE_SECONDS)
        old.terminate()
        old.join(self.recycle_patience_seconds)
        if old.is_alive():
            old.kill()
            old.join()

    def _stop_workers(self) -> None:
        for worker in self.wrks:
            worker.interrupt_by_parent = True
            with suppress(ProcessLookupError, TypeError):  # it ended, or never began
                os.kill(worker.inner.pid, LEAVE_SIGNAL)  # a wait for news would hold it longer than it is given
        stop: Callable[[], None] = super()._stop_workers
        stop()


def run() -> None:
    """Serve until a signal arrives."""
    protect_memory()
    allow_open_files(2 * MAX_CONNECTIONS)
    spec = decode(os.environ.pop(SPEC_VARIABLE), kind=ServerSpec)
    die_with_parent(spec.parent_pid)
    catch_stray_exceptions()
    configure_logging(spec.listener.name)
    # A forked worker could inherit a lock held by a thread of the master, and hang; a spawned one cannot.
    multiprocessing.set_start_method("spawn")
    server = make_server(spec)
    loader = partial(load_worker_app, spec, os.getpid())
    server.serve(target_loader=loader, wrap_loader=False)


def make_server(spec: ServerSpec) -> RecyclingServer:
    """Return the server of one listener, not yet running."""
    server = RecyclingServer(
        spec.listener.target,
        address=spec.listener.host,
        port=spec.listener.port,
        # Not RSGI: it passes neither the raw path nor non-ASCII header values.
        interface=Interfaces.ASGINL,
        loop=Loops.asyncio,
        workers=spec.listener.workers,
        backpressure=MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=MAX_BUFFER_BYTES),
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=_granian_logging(spec.listener.name),
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_STOP_SECONDS,
        workers_lifetime=WORKER_LIFETIME_SECONDS,
        workers_max_rss=spec.worker_memory_mib,
        rss_sample_interval=spec.memory_look_seconds,
    )
    server.recycle_patience_seconds = spec.listener.body_seconds + WORKER_STOP_SECONDS
    return server


def _granian_logging(name: str) -> dict[str, Any]:
    """Send granian's messages through the allow-list too, since they could contain an address."""
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
