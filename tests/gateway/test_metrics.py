"""Prometheus gets the figures of an operator, and nothing that names a report, a partner, a person or a network."""

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import requests
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import CONFIG_FILE, ListenerConfig, write_config
from gateway.evidence.blobs import LocalBlobs
from gateway.limits import open_shared_store
from gateway.metrics import Collector, DatabaseGauges, ListenerCounts, answering
from gateway.public_log import publish_log
from gateway.store import StorageUnavailableError
from gateway.web.logs import BUCKETS, MAX_ROWS, METER, METRICS, PREFIX, Meter, send_counts
from gateway.web.settings import SettingsError
from tests.builders import Door, House, Partner, seal_report
from tests.builders.local_servers import find_free_port
from tests.gateway.commands.test_cli import served
from tests.gateway.web.process_watch import wait_until
from tests.house.sources import ROOT

RULES = ROOT / "gateway/operations/prometheus/alerts.yml"
BOARD = ROOT / "gateway/operations/prometheus/board.json"
MARKER = "marker-of-a-report-8831"


@pytest.fixture(autouse=True)
def _fresh_meter() -> None:
    METER.take()


def expose(received: ListenerCounts, gauges: DatabaseGauges | None = None) -> str:
    registry = CollectorRegistry()
    registry.register(Collector(received, gauges))
    return generate_latest(registry).decode()


def take_all() -> ListenerCounts:
    received = ListenerCounts()
    received.add(METER.take())
    return received


def read_samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return each number by its name and labels; of a histogram's buckets only the last."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        (one.name.removeprefix(PREFIX), tuple(value for name, value in sorted(one.labels.items()) if name != "le")): (
            one.value
        )
        for one in samples
        if one.labels.get("le", "+Inf") == "+Inf"
    }


def make_gauges(house: House) -> DatabaseGauges:
    blobs = LocalBlobs(house.state / "evidence", measure=lambda _folder: 0.5)
    return DatabaseGauges(house.open_gateway().store, blobs=blobs, clock=house.clock)


def test_figures_follow_the_work_and_name_nobody(house: House, industry: Door, partner: Partner) -> None:
    report = seal_report(partner, key=house.agency.sealing_key)
    assert [industry.post("/v1/reports", report.body).status_code for _ in range(2)] == [201, 200]
    industry.get(f"/v1/reports/{report.clear.report_id}")
    industry.get(f"/v1/{MARKER}?{MARKER}={MARKER}", headers={"X-Marker": MARKER, "User-Agent": MARKER})
    house.clock.advance(seconds=90)
    text = expose(take_all(), make_gauges(house))
    found = read_samples(text)
    assert found["requests_total", ("/v1/reports", "2xx")] == 2
    assert found["requests_total", ("unmatched", "4xx")] == 1
    assert found["receipt_seconds_count", ("industry",)] == 2
    assert found["request_seconds_count", ()] == 4
    assert found["commit_seconds_count", ()] >= 1
    assert found["waiting_items", ("report",)] == 1
    assert found["waiting_oldest_seconds", ("report",)] == 90
    assert found["log_late_seconds", ()] == 90
    assert ("log_age_seconds", ()) not in found  # it has not begun
    assert (found["database_up", ()], found["evidence_free_ratio", ()]) == (1, 0.5)
    assert re.findall(r"(?<!\d\.)\b(?=\d*[a-f])[0-9a-f]{16,}\b", text) == []
    for piece in (MARKER, partner.partner, report.clear.report_id, partner.entry().key_id, "127.0.0", "gateway-test"):
        assert piece not in text, piece


def test_log_has_the_age_of_its_newest_batch(house: House) -> None:
    gateway = house.open_gateway()
    assert publish_log(gateway.store, state=house.state, origin="report.example/log", clock=house.clock, random=bytes)
    house.clock.advance(seconds=40)
    found = read_samples(expose(take_all(), make_gauges(house)))
    assert (found["log_age_seconds", ()], found["log_late_seconds", ()]) == (40, 0)


def test_labels_are_those_of_the_table_and_every_metric_is_in_it(house: House) -> None:
    METER.count("storage_refusals", "full")
    METER.count("limit_store_failures")
    for family in text_string_to_metric_families(expose(take_all(), make_gauges(house))):
        metric = METRICS[family.name.removeprefix(PREFIX)]
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels - {"le"} <= set(metric.labels)
    assert {label for metric in METRICS.values() for label in metric.labels} == {
        "route",
        "status",
        "door",
        "reason",
        "kind",
    }


def test_refusals_of_storage_and_failures_of_valkey_are_counted() -> None:
    StorageUnavailableError("The disk is full.", reason="full")
    shared = open_shared_store("valkey+unix:///nonexistent/socket")
    assert shared.claim_nonce("key", "nonce", delivery="one")
    found = read_samples(expose(take_all()))
    assert found["storage_refusals_total", ("full",)] == 1
    assert found["limit_store_failures_total", ()] == 1


def test_database_that_cannot_be_read_is_a_figure_too(house: House) -> None:
    gauges = make_gauges(house)
    for path in house.state.glob("gateway.sqlite*"):
        path.unlink()
    assert gauges.read() == [("database_up", (), 0.0)]


def test_histogram_adds_up_over_workers(tmp_path: Path) -> None:
    received = ListenerCounts()
    for meter in (Meter(), Meter()):
        for seconds in (0.001, 0.3, 100.0):
            meter.observe("commit_seconds", seconds)
        received.add(meter.take())
    buckets = re.findall(r'commit_seconds_bucket\{le="(.*?)"\} (.*)', expose(received))
    assert len(buckets) == len(BUCKETS) + 1
    assert (buckets[0], buckets[-1]) == (("0.005", "2.0"), ("+Inf", "6.0"))
    assert read_samples(expose(received))["commit_seconds_sum", ()] == pytest.approx(200.602)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[tuple[socket.socket, socket.socket, str]]:
    path = str(tmp_path / "counts")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there,
    ):
        there.setblocking(False)
        yield here, there, path


def test_counts_that_cannot_be_sent_wait_and_come_whole(lines: tuple[socket.socket, socket.socket, str]) -> None:
    here, there, path = lines
    meter, received = Meter(), ListenerCounts()
    for number in range(2 * MAX_ROWS):
        meter.count("requests", f"/{number}", "2xx")
    send_counts(meter, there, path)  # nobody listens yet
    here.bind(path)
    send_counts(meter, there, path)
    for _ in range(2):
        received.add([(name, tuple(labels), number) for name, labels, number in json.loads(here.recv(1 << 20))])
    assert len(received.read("requests")) == 2 * MAX_ROWS
    assert meter.take() == []


def test_served_listener_answers_prometheus_on_loopback(house: House) -> None:
    ports = [find_free_port() for _ in range(4)]
    listeners = (
        ListenerConfig(host="127.0.0.1", port=ports[0], roles=("industry",), workers=2, metrics_port=ports[1]),
        ListenerConfig(host="127.0.0.1", port=ports[2], roles=("feed",), workers=1, metrics_port=ports[3]),
    )
    (house.state / CONFIG_FILE).unlink()
    write_config(house.state / CONFIG_FILE, msgspec.structs.replace(house.config, listeners=listeners))
    with served(house):
        for _ in range(6):
            assert requests.get(f"http://127.0.0.1:{ports[0]}/v1/status", timeout=20).status_code == 200
        industry, feed = (f"http://127.0.0.1:{port}/metrics" for port in (ports[1], ports[3]))
        counted = ("requests_total", ("/v1/status", "2xx"))
        assert wait_until(lambda: read_samples(requests.get(industry, timeout=20).text).get(counted) == 6)
        assert "waiting_items" not in requests.get(industry, timeout=20).text
        assert read_samples(requests.get(feed, timeout=20).text)["waiting_items", ("report",)] == 0


def test_port_for_metrics_without_its_library_or_with_a_taken_port_is_a_plain_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(SettingsError, match="metrics_port"),
            answering(taken.getsockname()[1], path=tmp_path / "counts", gauges=None),
        ):
            raise AssertionError
    with answering(find_free_port(), path=tmp_path / "own", gauges=None):
        pass  # and it ends
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match="prometheus-client"), answering(1, path=tmp_path / "other", gauges=None):
        raise AssertionError


def list_names(expression: str) -> set[str]:
    """Return the metrics of an expression, without the endings that Prometheus adds."""
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(rf"\b{PREFIX}(\w+)", expression)}


def test_alert_rules_and_board_are_sound_and_ask_for_metrics_that_exist() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 11
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] in {"page", "ticket"} for rule in rules)
    panels = json.loads(BOARD.read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 12
    expressions = [rule["expr"] for rule in rules] + [one["expr"] for panel in panels for one in panel["targets"]]
    assert all(one.count("(") == one.count(")") and one.count("{") == one.count("}") for one in expressions)
    asked = set().union(*(list_names(one) for one in expressions))
    assert asked == set(METRICS)
    slo = (ROOT / "docs/slo.md").read_text("utf-8")
    assert [rule["alert"] for rule in rules if f"`{rule['alert']}`" not in slo] == []
