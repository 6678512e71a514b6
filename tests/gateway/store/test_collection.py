"""The desk's side of the reports: waiting ones, acknowledgement, stages, and deletion after it."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.exchange.feed import MAILBOX_MESSAGE, StageItem
from gateway.housekeeping import KEEP_COLLECTED, Forgotten, clean_store
from gateway.intake import NewReport
from gateway.store import Store
from gateway.store.items import acknowledge_item, put_item
from gateway.store.reports import (
    DELETE_BATCH,
    WaitingReport,
    acknowledge_report,
    count_waiting,
    delete_collected,
    list_links,
    read_waiting,
    set_stage,
)
from gateway.wiring import Gateway
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.sealing import Envelope
from tests.builders import DAY, NOW, Agency, Partner
from tests.gateway.store_builders import new_industry_report

pytestmark = pytest.mark.databases("sqlite", "postgresql")

MARKER = b"bytes-that-must-be-gone-from-the-disk"


def waiting(store: Store, *, limit: int = 100, max_bytes: int = 1 << 30) -> tuple[list[WaitingReport], bool]:
    with store.read() as connection:
        page = read_waiting(connection, limit=limit, max_bytes=max_bytes)
    assert page.unreadable == []
    return page.reports, page.more


def send(gateway: Gateway, partner: Partner, *, number: int) -> list[NewReport]:
    reports = [new_industry_report(partner) for _ in range(number)]
    for report in reports:
        gateway.intake.accept(report)
    return reports


def acknowledge_all(store: Store, *, at: timedelta = timedelta()) -> None:
    with store.write() as connection:
        for link in list_links(connection, after=0, limit=10_000)[0]:
            assert acknowledge_report(
                connection,
                partner=link.partner,
                report_id=link.report_id,
                intake_sha256=link.intake_sha256,
                now=NOW + at,
            )


def test_an_acknowledgement_out_of_order_hides_no_older_report(gateway: Gateway, partner: Partner) -> None:
    send(gateway, partner, number=3)
    with gateway.store.write() as connection:
        last = list_links(connection, after=2, limit=1)[0][0]
        assert acknowledge_report(
            connection, partner=last.partner, report_id=last.report_id, intake_sha256=last.intake_sha256, now=NOW
        )
        assert count_waiting(connection) == 2
    assert [row.position for row in waiting(gateway.store)[0]] == [1, 2]


@pytest.mark.parametrize(
    ("limit", "max_bytes", "expected"),
    [
        (1, 1 << 30, (1, True)),
        (2, 1 << 30, (2, True)),
        (3, 1 << 30, (3, False)),
        (3, 1, (1, True)),
        (3, 6000, (2, True)),
    ],
)
def test_a_page_of_reports_is_bounded_in_number_and_bytes(
    gateway: Gateway, partner: Partner, limit: int, max_bytes: int, expected: tuple[int, bool]
) -> None:
    send(gateway, partner, number=3)
    found, more = waiting(gateway.store, limit=limit, max_bytes=max_bytes)
    assert (len(found), more) == expected


def test_a_repeated_acknowledgement_keeps_the_first_time(gateway: Gateway, partner: Partner) -> None:
    send(gateway, partner, number=1)
    acknowledge_all(gateway.store)
    acknowledge_all(gateway.store, at=10 * DAY)
    rows = gateway.store.look("SELECT acknowledged_at, stage FROM reports")
    assert rows == [(int(NOW.timestamp()), "collected")]


def test_a_stage_moves_forward_only_and_keeps_its_outcome(gateway: Gateway, partner: Partner) -> None:
    report = send(gateway, partner, number=1)[0]
    with gateway.store.write() as connection:
        key = {"partner": partner.partner, "report_id": report.clear.report_id}
        assert set_stage(connection, StageItem(**key, stage="opened", outcome="used"))
        assert set_stage(connection, StageItem(**key, stage="collected", outcome=None, set_aside_reason="held"))
        other = StageItem(partner="someone-else", report_id=key["report_id"], stage="opened", outcome=None)
        assert not set_stage(connection, other)
    acknowledge_all(gateway.store)
    view = gateway.intake.find_receipt(partner=partner.partner, report_id=report.clear.report_id)
    assert view is not None
    assert (view.stage, view.outcome, view.set_aside_reason) == ("opened", "used", None)


def test_links_for_reconciliation_come_in_pages(gateway: Gateway, partner: Partner) -> None:
    send(gateway, partner, number=3)
    with gateway.store.read() as connection:
        first, more = list_links(connection, after=0, limit=2)
        rest, no_more = list_links(connection, after=first[-1].position, limit=2)
    assert [(link.position, link.sequence) for link in (*first, *rest)] == [(1, 1), (2, 2), (3, 3)]
    assert (more, no_more) == (True, False)


def test_an_envelope_goes_30_days_after_its_acknowledgement_and_its_statement_stays(
    gateway: Gateway, partner: Partner
) -> None:
    report = send(gateway, partner, number=1)[0]
    receipt = gateway.intake.accept(report).receipt
    acknowledge_all(gateway.store)
    send(gateway, partner, number=1)
    assert clean_store(gateway.store, now=NOW + KEEP_COLLECTED) == Forgotten(drafts=0, envelopes=0, places=0)
    assert clean_store(gateway.store, now=NOW + KEEP_COLLECTED + timedelta(seconds=1)) == Forgotten(0, 1, 0)
    rows = gateway.store.look(
        "SELECT envelope IS NULL, length(envelope_sha256), submission IS NULL FROM reports ORDER BY position"
    )
    assert rows == [(1, 32, 0), (0, 32, 0)]
    # The same report again still gets its receipt, also with the envelope gone.
    again = gateway.intake.accept(report)
    assert (again.receipt, again.is_new) == (receipt, False)


def test_no_envelope_goes_before_the_desk_has_it_whatever_its_age(gateway: Gateway, partner: Partner) -> None:
    send(gateway, partner, number=2)
    assert delete_collected(gateway.store, before=NOW + 4000 * DAY) == 0
    with pytest.raises(IntegrityError), gateway.store.write() as connection:
        connection.exec_driver_sql("UPDATE reports SET envelope = NULL")
    assert len(waiting(gateway.store)[0]) == 2


@pytest.mark.databases("sqlite")
def test_deleted_bytes_are_in_no_file_of_the_state_folder(gateway: Gateway, partner: Partner) -> None:
    key_id = parse_base64url(Agency().sealing_key.key_id)
    envelope = Envelope(key_id=key_id, box=bytes(1136) + MARKER * 400).to_bytes()
    gateway.intake.accept(new_industry_report(partner, envelope=envelope))
    send(gateway, partner, number=3)
    assert files_with_marker(gateway.store.path.parent)
    acknowledge_all(gateway.store)
    assert delete_collected(gateway.store, before=NOW + DAY) == 4
    assert files_with_marker(gateway.store.path.parent) == []


def files_with_marker(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and MARKER in path.read_bytes()]


def test_more_than_one_batch_is_deleted_and_mail_goes_the_same_way(gateway: Gateway, partner: Partner) -> None:
    with gateway.store.write() as connection:
        for number in range(DELETE_BATCH + 3):
            key = {"address": partner.partner, "item_id": f"message-{number}"}
            put_item(connection, MAILBOX_MESSAGE, **key, envelope=b"sealed", now=NOW)
            if number:
                assert acknowledge_item(connection, MAILBOX_MESSAGE, **key, now=NOW)
    assert delete_collected(gateway.store, before=NOW + DAY) == DELETE_BATCH + 2
    rows = gateway.store.look("SELECT item_id FROM items WHERE envelope IS NOT NULL")
    assert rows == [("message-0",)]
