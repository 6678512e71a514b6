"""A damaged page, a full disk: noticed by every check of the gateway, and readable rows are handed over."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.doctor import examine
from gateway.housekeeping import PAGES_EVERY, Rounds
from gateway.intake import NewReport
from gateway.store import StorageUnavailableError
from gateway.store.reports import count_waiting, list_links, read_waiting
from gateway.store.store import PROBE_SECONDS, Soundness
from tests.builders import House, Partner, make_house
from tests.damaged_database import INDEX_LEAF, TABLE_LEAF, damage_pages
from tests.gateway.store_builders import finish_process, new_industry_report, start_process

REPORTS = 40


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, list[NewReport]]:
    """A gateway with so many reports that they take several pages; each test copies it."""
    partner = Partner()
    house = make_house(tmp_path_factory.mktemp("filled") / "gateway", partners=(partner,))
    gateway = house.open_gateway()
    reports = [new_industry_report(partner) for _ in range(REPORTS)]
    for report in reports:
        gateway.intake.accept(report)
    gateway.store.close()
    return house, reports


@pytest.fixture
def damaged(filled: tuple[House, list[NewReport]], tmp_path: Path) -> tuple[House, list[NewReport]]:
    model, reports = filled
    shutil.copytree(model.state, tmp_path / "gateway")
    house = House(tmp_path / "gateway", model.agency, model.config, model.receipt_key)
    # A page of the table, in the middle.
    holding = reports[REPORTS // 2].clear.report_id.encode()
    assert damage_pages(house.state / "gateway.sqlite", holding, kind=TABLE_LEAF) == 1
    return house, reports


def read_feed(house: House, *, limit: int = 200) -> tuple[list[str], list[int]]:
    """Return the ids of all reports that the feed shows, page by page, and the positions that it names."""
    feed, shown, named, after, more = house.open_feed(), [], [], 0, True
    while more:
        page: dict[str, Any] = feed.get(f"/feed/items/report?after={after}&limit={limit}").json
        shown += [row["envelope"] for row in page["items"]]
        named += page["unreadable"]
        assert page["last"] > after
        after, more = page["last"], page["more"]
    return shown, named


@pytest.mark.parametrize("limit", [200, 7, 1])
def test_feed_hands_over_every_report_that_can_be_read_and_names_the_others(
    damaged: tuple[House, list[NewReport]], limit: int
) -> None:
    house, _ = damaged
    shown, named = read_feed(house, limit=limit)
    assert 0 < len(named) < REPORTS // 2
    assert REPORTS // 2 + 1 in named
    assert len(shown) + len(named) == REPORTS
    assert len(set(shown)) == len(shown)


def test_status_and_reconciliation_answer_over_a_damaged_page(damaged: tuple[House, list[NewReport]]) -> None:
    house, _ = damaged
    feed = house.open_feed()
    _, named = read_feed(house)
    status = feed.get("/feed/status").json
    # Before anybody has looked at all pages: those that were needed were not there.
    assert (status["unacknowledged"], status["is_damaged"]) == (REPORTS, True)
    page = feed.get("/feed/reconciliation").json
    assert [row["position"] for row in page["statements"]] == [one for one in range(1, REPORTS + 1) if one not in named]


@pytest.mark.parametrize("holding", [b"example-chat", b""])
def test_damaged_indexes_hide_no_report(filled: tuple[House, list[NewReport]], tmp_path: Path, holding: bytes) -> None:
    """First the index of the chains, then every page of every index that has no page above it."""
    model, _ = filled
    shutil.copytree(model.state, tmp_path / "gateway")
    house = House(tmp_path / "gateway", model.agency, model.config, model.receipt_key)
    assert damage_pages(house.state / "gateway.sqlite", holding or b"\x00", kind=INDEX_LEAF) >= 1
    with house.open_gateway().store.read() as opened:
        page = read_waiting(opened, limit=REPORTS)
        assert len(page.reports) == REPORTS
        assert count_waiting(opened) == REPORTS
        assert len(list_links(opened, after=0, limit=REPORTS)[0]) == REPORTS


def test_look_at_all_pages_is_in_doctor_health_status_and_log(
    damaged: tuple[House, list[NewReport]], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    house, _ = damaged
    gateway = house.open_gateway()
    assert house.open_app("industry").test_client().get("/health").json == {"status": "ok"}
    Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock).run()
    assert "storage-damaged" in [record.getMessage() for record in caplog.records]
    # A report can still be taken, and is.
    health = house.open_app("industry").test_client().get("/health")
    assert (health.status_code, health.json) == (200, {"status": "damaged"})
    assert gateway.intake.accept(new_industry_report(Partner())).is_new
    assert house.open_feed().get("/feed/status").json["is_damaged"] is True
    gateway.store.close()
    assert [one.verdict for one in examine(house.state, clock=house.clock) if one.name == "pages"] == ["fault"]
    assert main(["doctor", "--state", str(house.state)]) == 1
    assert "damaged" in capsys.readouterr().out


def test_pages_are_looked_at_again_by_schedule_and_a_whole_database_is_said_to_be_whole(
    damaged: tuple[House, list[NewReport]], filled: tuple[House, list[NewReport]]
) -> None:
    house, _ = damaged
    gateway = house.open_gateway()
    rounds = Rounds(gateway.store, blobs=gateway.evidence.blobs, clock=house.clock)
    rounds.run()
    assert gateway.soundness.is_damaged()
    gateway.store.close()
    shutil.copy(filled[0].state / "gateway.sqlite", gateway.store.path)
    rounds.run()
    assert gateway.soundness.is_damaged()
    house.clock.now += PAGES_EVERY
    rounds.run()
    assert not gateway.soundness.is_damaged()


def test_full_disk_is_503_and_a_fault_for_doctor_until_there_is_room(house: House) -> None:
    lines = finish_process(start_process("limited_process", "full-disk", str(house.state)))
    assert lines == ["200", "refused", "503", "fault", "503", "200", "ok"]


def test_one_process_writes_once_in_a_while_however_often_it_is_asked(house: House) -> None:
    store, now, written = house.open_gateway().store, [100.0], []

    class Counted(type(store)):  # type: ignore[misc]  # the class of a store that is open
        def check(self) -> None:
            written.append(now[0])
            if now[0] >= 200:
                raise StorageUnavailableError("full", reason="full")

    store.__class__ = Counted
    soundness = Soundness(store, elapsed=lambda: now[0])
    for _ in range(50):
        assert soundness.find_fault() is None
    now[0] += PROBE_SECONDS / 2
    assert soundness.find_fault() is None
    assert len(written) == 1
    now[0] = 200
    assert [soundness.find_fault() for _ in range(50)] == ["full"] * 50
    assert len(written) == 2
    now[0] = 150  # there is room again
    soundness._probed_at = 100
    assert soundness.find_fault() is None


def test_what_a_look_writes_is_read_back_and_takes_no_more_room_each_time(house: House) -> None:
    store = house.open_gateway().store
    store.check()
    ((pages,),) = store.look("PRAGMA page_count")
    for _ in range(5):
        store.check()
    assert store.look("PRAGMA page_count") == [(pages,)]
    with store.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER t AFTER INSERT ON probes BEGIN DELETE FROM probes; END")
    with pytest.raises(StorageUnavailableError) as found:
        store.check()
    assert found.value.reason == "broken"
