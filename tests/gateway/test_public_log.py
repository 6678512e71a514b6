"""The gateway publishes its log: on time, in batches that count nobody, as one history on both databases."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.doctor import examine
from gateway.keys import find_signing_key
from gateway.public_log import (
    BATCH_SECONDS,
    MAX_BATCH,
    POLL_SECONDS,
    SMALLEST_BATCH,
    LogPublisher,
    find_log_file,
    publishing,
)
from gateway.store.published import LogHead, read_head
from gateway.wiring import Gateway
from partner_sdk.errors import LogError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.public_log import (
    TILE_WIDTH,
    Checkpoint,
    Tiles,
    check_extends,
    check_included,
    compute_root,
    digest_receipt,
    find_entry,
    origin_of,
    verify_checkpoint,
)
from tests.builders import House, Partner, make_house
from tests.gateway.store_builders import new_industry_report, new_public_report

both = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def house(tmp_path: Path, partner: Partner, database_uri: str) -> House:
    """A gateway whose service has the feed, which publishes the log."""
    return make_house(tmp_path / "gateway", partners=(partner,), database_uri=database_uri, roles=("feed",))


def is_never_early(count: int) -> bytes:
    """Draw as if no batch grew before it is full; random bytes for an entry."""
    return bytes(count) if count == 4 else hashlib.sha256(b"dummy %d" % next(_NUMBERS)).digest()


_NUMBERS = iter(range(10**9))


def make_publisher(house: House, gateway: Gateway, *, random: Callable[[int], bytes] = is_never_early) -> LogPublisher:
    key = find_signing_key(house.state, KeyRole.LOG)
    assert key is not None
    return LogPublisher(
        gateway.store,
        origin=origin_of(house.config.public_origin),
        private_key=load_signing_key(key),
        clock=house.clock,
        random=random,
    )


def read_log(house: House, gateway: Gateway) -> tuple[Checkpoint, Tiles]:
    """Read the log as everybody does: its checkpoint, verified, and its tiles."""
    key = find_signing_key(house.state, KeyRole.LOG)
    assert key is not None

    def fetch(path: str, max_bytes: int) -> bytes:
        raw = find_log_file(gateway.store, path)
        assert raw is not None, path
        assert len(raw) <= max_bytes
        return raw

    public_key = load_signing_key(key).public_key().public_bytes_raw()
    note = fetch("checkpoint", 1000)
    checkpoint = verify_checkpoint(note, origin="report.example/log", public_keys=[public_key])
    tiles = Tiles(fetch, size=checkpoint.size)
    assert compute_root(tiles.node, checkpoint.size) == checkpoint.root
    return checkpoint, tiles


def go_on(house: House, gateway: Gateway, batches: int = 1, **settings: Callable[[int], bytes]) -> LogHead:
    """Let time pass, a batch at a time."""
    for _ in range(batches):
        house.clock.advance(seconds=BATCH_SECONDS)
        assert make_publisher(house, gateway, **settings).publish()
    return read_head(gateway.store)


@both
def test_report_of_each_door_is_in_the_log_within_a_minute_of_its_receipt(
    house: House, gateway: Gateway, partner: Partner
) -> None:
    receipts = [gateway.intake.accept(report).receipt for report in (new_industry_report(partner), new_public_report())]
    received_at = int(house.clock().timestamp())
    assert go_on(house, gateway).size == SMALLEST_BATCH
    checkpoint, tiles = read_log(house, gateway)
    for receipt in receipts:
        found = find_entry(digest_receipt(receipt), received_at=received_at, tiles=tiles)
        assert found is not None
        check_included(*found, checkpoint, tiles=tiles)
        assert int.from_bytes(found[1][:8], "big") - received_at <= BATCH_SECONDS
    # They stand there once.
    go_on(house, gateway, 3)
    _, tiles = read_log(house, gateway)
    digests = [entry[8:] for entry in tiles.get_entries(0)]
    assert [digests.count(digest_receipt(receipt)) for receipt in receipts] == [1, 1]


@both
def test_each_head_extends_every_earlier_one(house: House, gateway: Gateway) -> None:
    heads = []
    for _ in range(3):
        gateway.intake.accept(new_public_report())
        go_on(house, gateway, 8)  # past the first full tile
        heads.append(read_log(house, gateway)[0])
    newest, tiles = read_log(house, gateway)
    assert newest.size == 24 * SMALLEST_BATCH > TILE_WIDTH
    for head in heads:
        check_extends(head, newest, tiles=tiles)


@both
def test_two_gateways_on_one_database_publish_one_batch_for_each_interval(house: House, gateway: Gateway) -> None:
    other = house.open_gateway()
    house.clock.advance(seconds=BATCH_SECONDS)
    published = [make_publisher(house, one).publish() for one in (gateway, other, gateway)]
    assert published == [True, False, False]
    assert read_log(house, other)[0] == read_log(house, gateway)[0]
    other.store.close()


@both
def test_two_gateways_at_the_same_moment_publish_one_batch(house: House, gateway: Gateway) -> None:
    other = house.open_gateway()
    house.clock.advance(seconds=BATCH_SECONDS)
    publishers = [make_publisher(house, one) for one in (gateway, other)]
    start = threading.Barrier(2)

    def publish(publisher: LogPublisher) -> bool:
        start.wait(30)
        return publisher.publish()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(publish, publishers)) == [False, True]
    assert read_log(house, gateway)[0].size == SMALLEST_BATCH
    other.store.close()


def test_size_and_times_are_the_same_whoever_reported(house: House, gateway: Gateway, tmp_path: Path) -> None:
    quiet = [go_on(house, gateway) for _ in range(4)]
    gateway.intake.accept(new_public_report())
    busy = [go_on(house, gateway) for _ in range(4)]
    assert [head.size for head in [*quiet, *busy]] == [SMALLEST_BATCH * number for number in range(1, 9)]
    _, tiles = read_log(house, gateway)
    times = [tiles.get_time(index) for index in range(8 * SMALLEST_BATCH)]
    assert len(set(times)) == 8
    # Within a batch the order is that of the digests, and tells nothing of the order of arrival.
    digests = [tiles.get_entries(0)[index][8:] for index in range(8 * SMALLEST_BATCH)]
    batches = [digests[start : start + SMALLEST_BATCH] for start in range(0, len(digests), SMALLEST_BATCH)]
    assert batches == [sorted(batch) for batch in batches]


def test_batch_grows_in_steps_and_stays_large_until_midnight(house: House, gateway: Gateway) -> None:
    for _ in range(SMALLEST_BATCH + 1):
        gateway.intake.accept(new_public_report())
    assert go_on(house, gateway).batch == 4 * SMALLEST_BATCH
    assert go_on(house, gateway, 2).batch == 4 * SMALLEST_BATCH
    house.clock.advance(days=1)
    assert go_on(house, gateway).batch == SMALLEST_BATCH


def test_batch_begins_to_grow_at_a_random_number(house: House, gateway: Gateway) -> None:
    sizes = set()
    for spare in range(SMALLEST_BATCH // 2 + 1):
        house.clock.advance(days=1)
        for _ in range(SMALLEST_BATCH * 3 // 4):
            gateway.intake.accept(new_public_report())
        draw = (lambda value: lambda count: value.to_bytes(4, "big") if count == 4 else is_never_early(count))(spare)
        sizes.add(go_on(house, gateway, random=draw).batch)
    assert sizes == {SMALLEST_BATCH, 4 * SMALLEST_BATCH}


def test_backlog_waits_for_the_next_batches_and_none_is_lost(
    house: House, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.public_log.MAX_BATCH", SMALLEST_BATCH)
    receipts = [gateway.intake.accept(new_public_report()).receipt for _ in range(2 * SMALLEST_BATCH + 1)]
    heads = [go_on(house, gateway) for _ in range(3)]
    assert [head.report_position for head in heads] == [SMALLEST_BATCH, 2 * SMALLEST_BATCH, 2 * SMALLEST_BATCH + 1]
    _, tiles = read_log(house, gateway)
    logged = {entry[8:] for entry in tiles.get_entries(0)}
    assert logged >= {digest_receipt(receipt) for receipt in receipts}
    assert MAX_BATCH >= 1000


def test_clock_that_goes_back_never_turns_the_times_of_the_log(house: House, gateway: Gateway) -> None:
    before = go_on(house, gateway)
    house.clock.advance(seconds=-60)
    assert not make_publisher(house, gateway).publish()
    house.clock.advance(hours=-1)
    assert make_publisher(house, gateway).publish()
    assert read_head(gateway.store).published_at == before.published_at


def test_changed_entry_in_the_database_stops_the_log_and_is_never_signed(house: House, gateway: Gateway) -> None:
    before = go_on(house, gateway)
    with gateway.store.write() as connection:
        connection.exec_driver_sql("UPDATE log_tiles SET content = zeroblob(length(content))")
    house.clock.advance(seconds=BATCH_SECONDS)
    with pytest.raises(LogError):
        make_publisher(house, gateway).publish()
    assert read_head(gateway.store) == before
    assert find_verdict(house) == ("fault", "The stored public log is damaged: reports are taken, and not logged.")


def test_files_that_are_not_there_are_none(house: House, gateway: Gateway) -> None:
    assert find_log_file(gateway.store, "checkpoint") is None
    go_on(house, gateway)
    for path in ("tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/0/000.p/17", "tile/entries/../head", "head"):
        assert find_log_file(gateway.store, path) is None, path
    assert len(find_log_file(gateway.store, "tile/0/000.p/16") or b"") == 16 * 32


def find_verdict(house: House) -> tuple[str, str]:
    found = next(one for one in examine(house.state, clock=house.clock) if one.name == "log")
    return found.verdict, found.detail


def test_doctor_sees_a_log_without_key_one_that_stands_still_and_one_that_nobody_can_check(
    house: House, gateway: Gateway
) -> None:
    gateway.intake.accept(new_public_report())
    assert find_verdict(house)[0] == "ok"
    house.clock.advance(minutes=2, seconds=1)
    assert find_verdict(house)[0] == "fault"
    assert make_publisher(house, gateway).publish()
    said = f"{SMALLEST_BATCH} entries, real and random. Its public key: report.example/log+"
    assert find_verdict(house)[1].startswith(said)
    house.publish(serial=2, log_keys=())
    assert find_verdict(house)[0] == "warning"
    (house.state / "keys" / "log.key").unlink()
    assert find_verdict(house) == ("fault", "There is no log key: reports are taken, and not logged.")


def test_gateway_without_a_log_key_takes_reports_and_logs_them_once_it_has_one(house: House, gateway: Gateway) -> None:
    key_path = house.state / "keys" / "log.key"
    key_file = key_path.read_bytes()
    key_path.unlink()

    def run_once() -> None:
        store, origin = house.open_gateway().store, "report.example/log"
        with publishing(store, state=house.state, origin=origin, clock=house.clock, random=is_never_early) as done:
            assert done.wait(30)

    run_once()
    assert read_head(gateway.store).size == 0
    receipt = gateway.intake.accept(new_public_report()).receipt
    key_path.write_bytes(key_file)
    key_path.chmod(0o600)
    run_once()
    _, tiles = read_log(house, gateway)
    assert digest_receipt(receipt) in {entry[8:] for entry in tiles.get_entries(0)}


def test_failed_round_is_tried_again_soon_and_one_that_published_waits_for_the_next_batch(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    outcomes = iter([OSError("The disk is full."), False, True])

    class StoppedEvent(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return len(waits) > 3

    def publish(*_: object, **__: object) -> bool:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr("gateway.public_log.publish_log", publish)
    fake = SimpleNamespace(Event=StoppedEvent, Thread=threading.Thread)
    monkeypatch.setattr("gateway.housekeeping.threading", fake)
    store = house.open_gateway().store
    with publishing(store, state=house.state, origin="report.example/log", clock=house.clock, random=is_never_early):
        pass
    assert waits == [0.0, POLL_SECONDS, POLL_SECONDS, BATCH_SECONDS - POLL_SECONDS]


def test_files_are_served_to_anybody_and_full_tiles_are_kept_for_a_year(house: House, gateway: Gateway) -> None:
    go_on(house, gateway, 17)
    door = house.open_industry(gateway=gateway)
    head = read_head(gateway.store)
    answer = door.get("/log/checkpoint")
    assert (answer.status_code, answer.data) == (200, head.checkpoint)
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.content_type == "text/plain; charset=utf-8"
    for path, seconds in (("tile/0/000", 31_536_000), ("tile/entries/001.p/16", 60)):
        answer = door.get(f"/log/{path}")
        assert (answer.status_code, answer.data) == (200, find_log_file(gateway.store, path))
        assert answer.headers["Cache-Control"] == f"public, max-age={seconds}, immutable"
        assert answer.content_type == "application/octet-stream"
        assert "Set-Cookie" not in answer.headers
    absent = door.get("/log/tile/0/001.p/17")
    assert (absent.status_code, absent.headers["Cache-Control"]) == (404, "no-store")


def test_desk_gets_the_same_files_over_the_feed(house: House, gateway: Gateway) -> None:
    go_on(house, gateway)
    feed = house.open_feed(gateway=gateway)
    assert feed.get("/feed/log/checkpoint").data == read_head(gateway.store).checkpoint
    assert feed.get("/feed/log/tile/0/000.p/16").data == find_log_file(gateway.store, "tile/0/000.p/16")
    assert feed.get("/feed/log/tile/0/001").status_code == 404
    stranger = dataclasses.replace(feed, key=None)
    assert stranger.get("/feed/log/checkpoint").status_code == 401
