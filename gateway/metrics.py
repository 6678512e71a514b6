"""Answers Prometheus for one listener: the counts of its workers, and gauges of the database.

Runs in the process of `serve`, on loopback alone. Workers send what they counted in datagrams (gateway/web/logs.py),
so a worker's end takes at most a second of counts along, and leaves no file.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.evidence.blobs import Blobs
from gateway.store import StorageUnavailableError, Store
from gateway.store.evidence import count_evidence
from gateway.store.published import find_oldest_unlogged, read_head
from gateway.store.reports import list_waiting
from gateway.web.logs import BOUNDS, METRICS, PREFIX, SUM, Row, log_failure
from gateway.web.settings import SettingsError
from partner_sdk.wire.canonical import get_decoder

HOST: Final = "127.0.0.1"
RECEIVED_BYTES: Final = 256 * 1024
LOOK_EVERY: Final = 10.0  # a scrape looks into the database at most as often


class ListenerCounts:
    """The counts of all workers of one listener since `serve` started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[str, ...], float]] = {}

    def add(self, rows: list[Row]) -> None:
        """Add the counts of one worker."""
        with self._lock:
            for name, labels, number in rows:
                counts = self._counts.setdefault(name, {})
                counts[labels] = counts.get(labels, 0) + number

    def read(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the counts of a metric by labels."""
        with self._lock:
            return dict(self._counts.get(name, {}))


class DatabaseGauges:
    """The waiting items and their age, as read from the database at most every LOOK_EVERY seconds."""

    def __init__(self, store: Store, *, blobs: Blobs | None, clock: Callable[[], datetime]) -> None:
        self._store, self._blobs, self._clock = store, blobs, clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._rows: list[Row] = []

    def read(self) -> list[Row]:
        """Return the gauges; `database_up` alone while the database cannot be read."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_EVERY:
                try:
                    self._rows = [("database_up", (), 1.0), *self._look()]
                except StorageUnavailableError:
                    self._rows = [("database_up", (), 0.0)]
                self._looked_at = time.monotonic()
            return self._rows

    def _look(self) -> Iterator[Row]:
        now = self._clock().timestamp()
        with self._store.read() as connection:
            waiting = list_waiting(connection)
            held_bytes = count_evidence(connection)[1]
        for kind, count, oldest in waiting:
            yield "waiting_items", (kind,), count
            yield "waiting_oldest_seconds", (kind,), max(0.0, now - oldest) if count else 0.0
        yield "evidence_bytes", (), held_bytes
        free = None if self._blobs is None else self._blobs.find_free_share()
        if free is not None:
            yield "evidence_free_ratio", (), free
        head = read_head(self._store)
        if head.size:
            yield "log_age_seconds", (), max(0.0, now - head.published_at)
        unlogged = find_oldest_unlogged(self._store, head)
        yield "log_late_seconds", (), 0.0 if unlogged is None else max(0.0, now - unlogged.timestamp())


class Collector:
    """Gives prometheus-client the metrics of one listener."""

    def __init__(self, received: ListenerCounts, gauges: DatabaseGauges | None) -> None:
        self._received = received
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        """Yield a family for each metric of the table that this listener has."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        gauges: dict[str, dict[tuple[str, ...], float]] = {}
        for name, labels, number in [] if self._gauges is None else self._gauges.read():
            gauges.setdefault(name, {})[labels] = number
        for name, metric in METRICS.items():
            full = PREFIX + name
            if metric.kind == "counter":
                family = CounterMetricFamily(full, metric.help, labels=metric.labels)
                for labels, number in self._received.read(name).items():
                    family.add_metric(labels, number)
                yield family
            elif metric.kind == "histogram":
                histogram = HistogramMetricFamily(full, metric.help, labels=metric.labels)
                for labels, (buckets, total) in _gather(self._received.read(name)).items():
                    histogram.add_metric(labels, buckets, total)
                yield histogram
            elif name in gauges:
                gauge = GaugeMetricFamily(full, metric.help, labels=metric.labels)
                for labels, number in gauges[name].items():
                    gauge.add_metric(labels, number)
                yield gauge


def _gather(
    counts: dict[tuple[str, ...], float],
) -> dict[tuple[str, ...], tuple[list[tuple[str, float]], float]]:
    """Return the cumulative buckets and the sum of each histogram, by its own labels."""
    gathered = {}
    for labels in {labels[:-1] for labels in counts}:
        number, buckets = 0.0, []
        for bound in BOUNDS:
            number += counts.get((*labels, bound), 0)
            buckets.append((bound, number))
        gathered[labels] = buckets, counts.get((*labels, SUM), 0.0)
    return gathered


@contextmanager
def answering(port: int, *, path: Path, gauges: DatabaseGauges | None) -> Iterator[None]:
    """Receive the workers' counts at the socket `path`, and answer Prometheus on loopback, until the block ends.

    Raises `SettingsError` when prometheus-client is not installed or the port is taken.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise SettingsError(
            "listeners.metrics_port needs the package `prometheus-client` (the extra `metrics`).", reason="bad-settings"
        ) from None
    received = ListenerCounts()
    registry = CollectorRegistry()
    registry.register(Collector(received, gauges))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(path))
        try:
            server, thread = start_http_server(port, addr=HOST, registry=registry)
        except OSError:
            raise SettingsError(
                f"listeners.metrics_port: cannot listen on {HOST}:{port}.", reason="bad-settings"
            ) from None
        receiver = threading.Thread(target=_receive, args=(line, received), name="metrics", daemon=True)
        receiver.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            line.shutdown(socket.SHUT_RDWR)  # ends the receiver's wait
            for one in (thread, receiver):
                one.join()


def _receive(line: socket.socket, received: ListenerCounts) -> None:
    decoder = get_decoder(list[Row])
    while raw := line.recv(RECEIVED_BYTES):
        try:
            received.add(decoder.decode(raw))
        except msgspec.MsgspecError as error:
            log_failure(error, event="metrics-not-read")
