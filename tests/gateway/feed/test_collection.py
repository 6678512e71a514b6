"""The desk's pulls from the feed: reports until they are acknowledged, the chain, enrolments."""

import hashlib

import msgspec
import pytest
from sqlalchemy import update

from gateway.exchange.feed import REPORT
from gateway.store.schema import reports
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import format_time, make_report_id, to_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from tests.builders import FEED_ORIGIN, NOW, Door, House, Partner, SealedReport, seal_report
from tests.problem_shape import check_problem

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def submit(house: House, partner: Partner, *, count: int) -> list[tuple[SealedReport, bytes]]:
    """Submit reports at the industry door and return each with its receipt."""
    industry = house.open_industry(partner)
    reports = [seal_report(partner, key=house.agency.sealing_key) for _ in range(count)]
    taken = [(report, industry.post("/v1/reports", report.body)) for report in reports]
    assert [answer.status_code for _, answer in taken] == [201] * count
    return [(report, answer.data) for report, answer in taken]


def row_of(report: SealedReport, receipt: bytes) -> bytes:
    return b'{"envelope":"%s","intake":%s,"submission":%s}' % (
        to_base64url(report.envelope).encode(),
        receipt,
        report.statement,
    )


def acknowledgement_of(report: SealedReport, receipt: bytes) -> dict[str, str]:
    return {
        "address": report.clear.partner,
        "item_id": report.clear.report_id,
        "sha256": hashlib.sha256(receipt).hexdigest(),
    }


def test_waiting_reports_are_served_byte_for_byte_in_order(house: House, feed: Door, partner: Partner):
    first, second = submit(house, partner, count=2)

    answer = feed.get("/feed/items/report")

    assert answer.status_code == 200
    assert answer.data == b'{"items":[%s,%s],"last":2,"more":false,"unreadable":[]}' % (
        row_of(*first),
        row_of(*second),
    )


def test_page_is_as_long_as_asked_and_says_that_more_wait(house: House, feed: Door, partner: Partner):
    first, *_others = submit(house, partner, count=3)

    assert feed.get(
        "/feed/items/report?limit=1"
    ).data == b'{"items":[%s],"last":1,"more":true,"unreadable":[]}' % row_of(*first)
    assert feed.get("/feed/items/report?after=1&limit=1").json["last"] == 2
    assert feed.get("/feed/items/report?after=3").json == {"last": 3, "more": False, "items": [], "unreadable": []}
    assert feed.get("/feed/items/report?limit=3").json["more"] is False


@pytest.mark.databases("sqlite")  # refused or counted before a row is read
@pytest.mark.parametrize(
    "query", ["limit=0", f"limit={REPORT.max_items + 1}", "limit=x", "limit=01", "limit=1&limit=2", "after=-1"]
)
def test_limit_of_a_page_is_checked(query: str, feed: Door):
    check_problem(feed.get(f"/feed/items/report?{query}"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


def test_reports_come_again_until_they_are_acknowledged(house: House, feed: Door, partner: Partner):
    taken = submit(house, partner, count=2)
    assert feed.get("/feed/items/report").json == feed.get("/feed/items/report").json

    for known in (1, 1):
        answer = feed.post("/feed/acknowledgements", {"items": [acknowledgement_of(*taken[0])], "kind": "report"})
        assert (answer.status_code, answer.json) == (200, {"acknowledged": known})

    assert feed.get("/feed/items/report").data == b'{"items":[%s],"last":2,"more":false,"unreadable":[]}' % row_of(
        *taken[1]
    )
    assert house.open_industry(partner).get(f"/v1/reports/{taken[0][0].clear.report_id}").json["stage"] == "collected"


def test_acknowledgement_of_another_statement_acknowledges_nothing(house: House, feed: Door, partner: Partner):
    ((report, receipt),) = submit(house, partner, count=1)
    wrong = [
        acknowledgement_of(report, receipt + b" "),
        {**acknowledgement_of(report, receipt), "address": "second-service"},
        {**acknowledgement_of(report, receipt), "item_id": make_report_id(NOW, bytes(10))},
    ]

    assert feed.post("/feed/acknowledgements", {"items": wrong, "kind": "report"}).json == {"acknowledged": 0}
    assert len(feed.get("/feed/items/report").json["items"]) == 1


@pytest.mark.databases("sqlite")  # refused or counted before a row is read
@pytest.mark.parametrize("digest", ["", "AB" * 32, "ab" * 31, "zz" * 32])
def test_acknowledgement_with_a_misspelled_digest_is_refused(digest: str, feed: Door):
    row = {"address": "example-chat", "item_id": make_report_id(NOW, bytes(10)), "sha256": digest}

    answer = feed.post("/feed/acknowledgements", {"items": [row], "kind": "report"})

    check_problem(answer, problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


@pytest.mark.parametrize("column", ["intake", "submission"])
def test_row_altered_by_hand_is_handed_on_and_does_not_hide_the_others(
    column: str, house: House, feed: Door, partner: Partner
):
    submit(house, partner, count=1)
    intact = submit(house, partner, count=1)[0]
    with house.open_gateway().store.write() as connection:
        connection.execute(update(reports).where(reports.c.position == 1).values({column: b'{"\xff'}))

    page = msgspec.json.decode(feed.get("/feed/items/report").data, type=dict[str, msgspec.Raw])
    altered, other = msgspec.json.decode(page["items"], type=list[msgspec.Raw])

    assert msgspec.json.decode(altered)[column] == to_base64url(b'{"\xff')
    assert bytes(other) == row_of(*intact)


def test_status_says_where_the_chain_stands(house: House, feed: Door, partner: Partner):
    empty = {
        "chains": [],
        "environment": "live",
        "epoch": "epoch-of-tests",
        "instance": "gateway-test",
        "is_damaged": False,
        "key_set_serial": 1,
        "register_serial": 1,
        "unacknowledged": 0,
        "waiting": [],
    }
    assert feed.get("/feed/status").json == empty

    taken = submit(house, partner, count=2)
    feed.post("/feed/acknowledgements", {"items": [acknowledgement_of(*taken[0])], "kind": "report"})

    assert feed.get("/feed/status").json == {
        **empty,
        "chains": [{"partner": partner.partner, "sequence": 2}],
        "unacknowledged": 1,
        "waiting": [{"count": 1, "oldest_received_at": format_time(NOW), "priority": "P2"}],
    }


def test_status_names_the_oldest_that_waits_of_each_priority(house: House, feed: Door, partner: Partner):
    submit(house, partner, count=1)
    house.clock.advance(minutes=2)
    submit(house, partner, count=2)
    with house.open_gateway().store.write() as connection:
        # A priority and a time that a hand has written count as the most urgent, and end nothing.
        connection.exec_driver_sql(
            "UPDATE reports SET priority = 'P9', received_at = 99999999999999999 WHERE position = 3"
        )
    assert feed.get("/feed/status").json["waiting"] == [
        {"count": 1, "oldest_received_at": "9999-12-31T00:00:00Z", "priority": "P1"},
        {"count": 2, "oldest_received_at": format_time(NOW), "priority": "P2"},
    ]


def test_reconciliation_lists_every_link_acknowledged_or_not(house: House, feed: Door, partner: Partner):
    taken = submit(house, partner, count=3)
    feed.post("/feed/acknowledgements", {"items": [acknowledgement_of(*taken[1])], "kind": "report"})
    links = [
        {
            "intake_sha256": hashlib.sha256(receipt).hexdigest(),
            "partner": report.clear.partner,
            "position": position,
            "report_id": report.clear.report_id,
            "sequence": SIGNED_INTAKE.peek(receipt).sequence,
        }
        for position, (report, receipt) in enumerate(taken, start=1)
    ]

    assert feed.get("/feed/reconciliation").json == {"more": False, "statements": links}
    assert feed.get("/feed/reconciliation?after=2").json == {"more": False, "statements": links[2:]}
    assert feed.get("/feed/reconciliation?after=3").json == {"more": False, "statements": []}
    check_problem(feed.get("/feed/reconciliation?after=-1"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


def test_stage_and_outcome_reach_the_partner_and_never_go_back(house: House, feed: Door, partner: Partner):
    ((report, _receipt),) = submit(house, partner, count=1)
    item = {"partner": partner.partner, "report_id": report.clear.report_id}
    path = f"/v1/reports/{report.clear.report_id}"
    industry = house.open_industry(partner)

    assert feed.post(
        "/feed/stages", {"stages": [{**item, "outcome": "used", "set_aside_reason": None, "stage": "opened"}]}
    ).json == {"updated": 1}
    assert feed.post(
        "/feed/stages", {"stages": [{**item, "outcome": None, "set_aside_reason": None, "stage": "collected"}]}
    ).json == {"updated": 1}

    answer = industry.get(path).json
    assert (answer["stage"], answer["outcome"]) == ("opened", "used")
    unknown = {
        "partner": "nobody",
        "report_id": report.clear.report_id,
        "outcome": None,
        "set_aside_reason": None,
        "stage": "opened",
    }
    assert feed.post("/feed/stages", {"stages": [unknown]}).json == {"updated": 0}


@pytest.mark.databases("sqlite")  # refused or counted before a row is read
@pytest.mark.parametrize(
    "change",
    [{"stage": "received"}, {"stage": "lost"}, {"outcome": "Some words."}, {"set_aside_reason": "Some words."}],
)
def test_stage_takes_codes_only(change: dict, feed: Door):
    item = {
        "outcome": None,
        "partner": "example-chat",
        "report_id": "x",
        "set_aside_reason": None,
        "stage": "opened",
        **change,
    }

    check_problem(feed.post("/feed/stages", {"stages": [item]}), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)
