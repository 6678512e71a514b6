"""The industry door when something behind it is not there: 503 and nothing stored, or simply going on."""

import sqlite3
from pathlib import Path

import pytest
from limits.storage import MemoryStorage

from gateway.wiring import Gateway
from partner_sdk.wire import problems
from tests.builders import Door, House, Partner, SealedReport, seal_report
from tests.problem_shape import check_problem


@pytest.fixture
def hurried_industry(hurried_house: House, partner: Partner) -> Door:
    return hurried_house.open_industry(partner)


@pytest.fixture
def report(house: House, partner: Partner) -> SealedReport:
    return seal_report(partner, key=house.agency.sealing_key)


def fill_up(gateway: Gateway) -> None:
    """Let SQLite take no page more: the next growth is a real SQLITE_FULL on the connection that the store keeps."""
    with gateway.store.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def make_room(gateway: Gateway) -> None:
    with gateway.store.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


def test_full_storage_is_503_and_the_same_report_is_taken_later(house: House, partner: Partner):
    gateway = house.open_gateway()
    industry = house.open_industry(partner, gateway=gateway)
    report = seal_report(partner, key=house.agency.sealing_key)
    fill_up(gateway)

    refused = industry.post("/v1/reports", report.body)

    check_problem(refused, problems.STORAGE_UNAVAILABLE)
    assert house.rows("reports") == []
    make_room(gateway)
    assert industry.post("/v1/reports", report.body).status_code == 201
    assert len(house.rows("reports")) == 1


def test_database_locked_by_another_program_is_503(hurried_house: House, hurried_industry: Door, report: SealedReport):
    stranger = sqlite3.connect(hurried_house.state / "gateway.sqlite", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")

    check_problem(hurried_industry.post("/v1/reports", report.body), problems.STORAGE_UNAVAILABLE)

    stranger.close()
    assert hurried_house.rows("reports") == []
    assert hurried_industry.post("/v1/reports", report.body).status_code == 201


def test_missing_database_is_503_for_every_call(house: House, industry: Door, report: SealedReport, tmp_path: Path):
    (house.state / "gateway.sqlite").rename(tmp_path / "elsewhere.sqlite")

    check_problem(industry.post("/v1/reports", report.body), problems.STORAGE_UNAVAILABLE)
    check_problem(industry.get("/v1/mailbox"), problems.STORAGE_UNAVAILABLE)
    check_problem(industry.get("/v1/keys"), problems.STORAGE_UNAVAILABLE)


class DownStorage(MemoryStorage):
    """A limiter's store that does not answer, as the library sees one."""

    STORAGE_SCHEME = ("down",)
    asked = 0

    @property
    def base_exceptions(self):
        return ConnectionError

    def incr(self, *_arguments: object, **_settings: object) -> int:
        DownStorage.asked += 1
        raise ConnectionError("the store is down")

    def get(self, *_arguments: object) -> int:
        raise ConnectionError("the store is down")

    def get_expiry(self, *_arguments: object) -> float:
        raise ConnectionError("the store is down")

    def check(self) -> bool:
        return False
