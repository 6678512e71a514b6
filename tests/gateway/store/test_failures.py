"""Storage that is locked, full, read-only, missing, broken: a refusal with its reason, and nothing half stored."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from gateway.intake import NewReport
from gateway.store import StorageUnavailableError, open_store
from gateway.store.items import put_draft
from gateway.store.store import make_store
from gateway.wiring import Gateway
from tests.builders import DAY, NOW, House, Partner
from tests.gateway.store_builders import (
    finish_process,
    new_industry_report,
    new_public_report,
    new_store,
    open_raw,
    start_process,
)

DRAFT = b"\x07" * 32


def check_refused(gateway: Gateway, report: NewReport, *, reason: str) -> None:
    with pytest.raises(StorageUnavailableError) as refused:
        gateway.intake.accept(report)
    assert refused.value.reason == reason
    assert str(gateway.store.path.parent) not in str(refused.value)


def count(path: Path, table: str = "reports") -> int:
    raw = open_raw(path)
    try:
        return int(raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own name
    finally:
        raw.close()


def test_a_store_locked_by_a_stranger_refuses_in_time_and_goes_on_afterwards(
    hurried_house: House, partner: Partner
) -> None:
    gateway = hurried_house.open_gateway()
    report = new_industry_report(partner)
    stranger = open_raw(gateway.store.path)
    stranger.execute("BEGIN IMMEDIATE")
    check_refused(gateway, report, reason="locked")
    stranger.execute("ROLLBACK")
    stranger.close()
    assert count(gateway.store.path) == 0
    assert gateway.intake.accept(report).is_new


def test_a_full_disk_stores_neither_report_nor_draft(house: House) -> None:
    """SQLite answers SQLITE_FULL for a page limit exactly as for ENOSPC."""
    gateway = house.open_gateway()
    with gateway.store.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limited = gateway.store._connections.writers[0][2]
    driver = limited.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(f"PRAGMA max_page_count = {pages}")

    report = new_public_report(
        extra_write=lambda connection, _accepted: put_sent(connection),
    )
    check_refused(gateway, report, reason="full")
    assert count(gateway.store.path) == count(gateway.store.path, "drafts") == 0
    # The page limit belonged to the connection, which is not used again after a failure.
    assert gateway.intake.accept(report).is_new
    assert count(gateway.store.path) == count(gateway.store.path, "drafts") == 1


def put_sent(connection: object) -> None:
    assert put_draft(connection, draft_id=DRAFT, version=1, box=b"sent", expires_at=NOW + DAY)


def test_a_write_that_the_system_cuts_short_loses_nothing_that_was_promised(house: House) -> None:
    lines = finish_process(start_process("limited_process", "file-size", str(house.state)))
    promised, refused = lines[:-1], lines[-1]
    assert refused.startswith("refused:")
    assert refused.split(":")[1] in {"broken", "full"}
    assert len(promised) >= 2
    rows = (
        open_raw(house.state / "gateway.sqlite").execute("SELECT report_id FROM reports ORDER BY position").fetchall()
    )
    assert [row[0] for row in rows] == promised
    assert house.open_gateway().intake.accept(new_industry_report(Partner())).is_new


@pytest.mark.parametrize("limit", ["read-only-file", "read-only-folder"])
def test_storage_that_is_read_only_is_refused_with_its_reason(house: House, limit: str) -> None:
    assert finish_process(start_process("limited_process", limit, str(house.state))) == ["refused:read-only"]
    house.state.chmod(0o700)
    assert count(house.state / "gateway.sqlite") == 0


def test_a_removed_file_is_noticed_and_no_empty_one_is_made(house: House, partner: Partner) -> None:
    gateway = house.open_gateway()
    gateway.intake.accept(new_industry_report(partner))
    for path in house.state.glob("gateway.sqlite*"):
        path.rename(path.with_name("away-" + path.name))
    check_refused(gateway, new_industry_report(partner), reason="missing")
    with pytest.raises(StorageUnavailableError), gateway.store.read():
        pass
    assert not (house.state / "gateway.sqlite").exists()
    for path in house.state.glob("away-*"):
        path.rename(path.with_name(path.name.removeprefix("away-")))
    assert gateway.intake.accept(new_industry_report(partner)).is_new
    assert count(gateway.store.path) == 2


@pytest.mark.parametrize(
    ("content", "reason"), [(b"this is no database, only words. " * 200, "broken"), (b"", "schema")]
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "gateway.sqlite"
    path.write_bytes(content)
    store = open_store(path, lock_path=tmp_path / "gateway.lock", lock_timeout_seconds=0.2)
    for attempt in (store.write, store.read):
        with pytest.raises(StorageUnavailableError) as refused, attempt():
            pass
        assert refused.value.reason == reason
    with pytest.raises(StorageUnavailableError):
        store.check()


def test_a_file_of_another_release_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.close()
    raw = open_raw(store.path)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StorageUnavailableError) as refused, store.read():
        pass
    assert refused.value.reason == "schema"


def test_a_fault_of_ours_is_not_called_a_storage_failure(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with pytest.raises(OperationalError, match="no such column"), store.write() as connection:
        connection.exec_driver_sql("SELECT no_such FROM drafts")


def test_error_texts_do_not_repeat_what_was_bound(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    values = (b"marker-of-the-test", b"marker-in-the-box")

    def insert_twice() -> None:
        with store.write() as connection:
            for _ in range(2):
                connection.exec_driver_sql(
                    "INSERT INTO drafts (draft_id, version, box, expires_at) VALUES (?, 1, ?, 1)", values
                )

    with pytest.raises(IntegrityError) as found:
        insert_twice()
    assert "marker" not in str(found.value)


def test_a_store_in_a_folder_that_is_not_there_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_store(
            tmp_path / "nowhere" / "gateway.sqlite", lock_path=tmp_path / "gateway.lock", name="n", epoch="e", now=NOW
        )
