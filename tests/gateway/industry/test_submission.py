"""`POST /v1/reports` when all is well: the receipt, the repeat, the limits."""

import hashlib
from datetime import timedelta

import pytest

from gateway.config import LimitsConfig
from partner_sdk.wire import problems
from partner_sdk.wire.receipts import verify_receipt
from partner_sdk.wire.submission import Priority
from tests.builders import NOW, Door, House, Partner, make_house, seal_report, verify_key_of
from tests.problem_shape import check_problem


def key_set_of(house: House):
    return house.agency.key_set(receipt_keys=(verify_key_of(house.receipt_key),))


def test_report_is_stored_and_answered_with_a_receipt_that_verifies(house: House, industry: Door, partner: Partner):
    report = seal_report(partner, key=house.agency.sealing_key)

    response = industry.post("/v1/reports", report.body)

    assert (response.status_code, response.content_type) == (201, "application/json")
    receipt = verify_receipt(response.data, key_set=key_set_of(house), submission=report.statement, now=NOW)
    assert (receipt.clear, receipt.door, receipt.sequence) == (report.clear, "industry", 1)
    assert receipt.envelope_sha256 == hashlib.sha256(report.envelope).hexdigest()
    with house.open_gateway().store.read() as connection:
        stored = connection.exec_driver_sql("SELECT envelope, submission, intake FROM reports").one()
    assert tuple(stored) == (report.envelope, report.statement, response.data)


def test_same_report_again_gives_200_and_the_same_bytes(house: House, industry: Door, partner: Partner):
    report = seal_report(partner, key=house.agency.sealing_key)
    first = industry.post("/v1/reports", report.body)

    house.clock.advance(hours=7)
    again = industry.post("/v1/reports", report.body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.data == first.data
    assert len(house.rows("reports")) == 1


def test_same_id_with_another_statement_is_a_conflict_and_changes_nothing(
    house: House, industry: Door, partner: Partner
):
    report = seal_report(partner, key=house.agency.sealing_key)
    industry.post("/v1/reports", report.body)
    before = house.rows("reports")

    other = seal_report(partner, key=house.agency.sealing_key, report_id=report.clear.report_id)

    check_problem(industry.post("/v1/reports", other.body), problems.CONFLICTING_REPORT)
    assert house.rows("reports") == before


def test_retired_sealing_key_is_still_taken_until_a_week_before_it_opens_no_more(
    house: House, industry: Door, partner: Partner
):
    retired = house.agency.other_sealing_key(
        "retired", state="retired", seal_until=NOW, open_until=NOW + timedelta(days=20)
    )
    house.publish(partner.entry(), serial=2, sealing_keys=(house.agency.sealing_key, retired))
    report, late = (seal_report(partner, key=retired) for _ in range(2))
    assert industry.post("/v1/reports", report.body).status_code == 201

    house.clock.advance(days=13)

    check_problem(industry.post("/v1/reports", late.body), problems.UNKNOWN_AGENCY_KEY)
    assert industry.post("/v1/reports", report.body).status_code == 200


@pytest.fixture
def strict_house(tmp_path, partner: Partner) -> House:
    house = make_house(tmp_path / "strict", limits=LimitsConfig(partner_reports_per_minute=2))
    house.publish(partner.entry(), Partner("second-service").entry())
    return house


@pytest.mark.parametrize("priorities", [("P3", "P2", "P3", "P1", "P1", "P1"), ("P1", "P1", "P1", "P2", "P3", "P3")])
def test_p1_has_a_bucket_of_its_own(strict_house: House, partner: Partner, priorities: tuple[Priority, ...]):
    industry = strict_house.open_industry(partner)
    key = strict_house.agency.sealing_key
    statuses = [
        industry.post("/v1/reports", seal_report(partner, key=key, priority=priority).body).status_code
        for priority in priorities
    ]

    assert statuses == [201, 201, 429, 201, 201, 429]


def test_one_partners_flood_does_not_stop_another(strict_house: House, partner: Partner):
    industry = strict_house.open_industry(partner)
    other = Partner("second-service")
    key = strict_house.agency.sealing_key
    flood = [industry.post("/v1/reports", seal_report(partner, key=key).body).status_code for _ in range(3)]
    calm = Door(industry.app, industry.origin, strict_house.clock, other.submission_key)

    assert flood == [201, 201, 429]
    assert calm.post("/v1/reports", seal_report(other, key=key).body).status_code == 201
