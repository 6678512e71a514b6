"""A gateway operator's attacks on the rows of reports are visible to the desk.

Each attack is done by hand to a real gateway's database, and met by a real collect. Changes that need the receipt key
too are signed with it. Nothing is lost, and nothing is acknowledged that the desk does not hold.
"""

import hashlib
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.collection.chain import FORK, GAP, WENT_BACK
from gateway.desk.collection.collect import collect_reports
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.store.audit import clear_alarm
from gateway.desk.store.schema import QUARANTINE
from gateway.exchange.feed import ReportRow
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.report import SealedIndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import SealedReport, make_industry_report, make_key, seal_report
from tests.desk.case_box_builders import list_case_ids, open_outer
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import open_door
from tests.desk.forgery import alarms, newest_statement, quarantined, resign_newest, waiting_at_gateway
from tests.desk.import_builders import cases_of, check, import_sealed
from tests.desk.placement_builders import agree


def envelopes_here(loop: Loop) -> set[bytes]:
    """Return every envelope that the desk holds, filed or in quarantine."""
    filed = {open_outer(loop.desk, case_id) for case_id in list_case_ids(loop.desk)}
    with loop.desk.store.read() as connection:
        rows = [bytes(one) for one in connection.execute(QUARANTINE.select()).scalars(QUARANTINE.c.row)]
    kept = (msgspec.json.decode(one, type=ReportRow).envelope for one in rows)
    return filed | {parse_base64url(one) for one in kept}


def acknowledged_envelopes(loop: Loop) -> set[bytes]:
    """Return every envelope that the gateway may delete, because the desk acknowledged it."""
    with loop.gateway.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT envelope FROM reports WHERE acknowledged_at IS NOT NULL")
        return {bytes(one) for one in rows.scalars()}


def send(loop: Loop, **changes: Any) -> SealedReport:
    sealed = seal_report(loop.partner, key=loop.sealing_key(), **changes)
    loop.send_industry(sealed)
    return sealed


def exchange_newest_envelope(loop: Loop, envelope: bytes, *, with_receipt_key: bool) -> None:
    digest = hashlib.sha256(envelope).digest()
    sequence = newest_statement(loop).sequence
    loop.gateway_sql(
        "UPDATE reports SET envelope = ?, envelope_sha256 = ? WHERE sequence = ?", envelope, digest, sequence
    )
    if with_receipt_key:
        resign_newest(loop, envelope_sha256=digest.hex())


def forge(loop: Loop, like: SealedReport) -> bytes:
    """Seal another text under the same clear fields: the agency's key is public, so this needs no secret."""
    report = make_industry_report(category="grooming", sub_label="none")
    content = encode_sealed_report(make_sealed_report(report, clear=like.clear))
    return seal(content, key=loop.sealing_key(), context=report_context(like.clear)).to_bytes()


def test_two_envelopes_that_were_swapped_are_both_quarantined_with_an_alarm_and_kept(loop: Loop) -> None:
    first, second = send(loop), send(loop)
    third = send(loop)
    for sequence, sealed in ((1, second), (2, first)):
        loop.gateway_sql(
            "UPDATE reports SET envelope = ?, envelope_sha256 = ? WHERE sequence = ?",
            sealed.envelope,
            hashlib.sha256(sealed.envelope).digest(),
            sequence,
        )
    assert loop.collect().filed == 1
    assert quarantined(loop) == [("envelope-mismatch", "P1", True)] * 2
    # One alarm for one sender and one cause; both rows are kept.
    assert [kind for kind, _ in alarms(loop)] == ["envelope-mismatch"]
    assert envelopes_here(loop) == {first.envelope, second.envelope, third.envelope}
    assert acknowledged_envelopes(loop) <= envelopes_here(loop)
    assert [case.report_id for case in cases_of(loop)] == [third.clear.report_id]


def test_two_envelopes_that_were_swapped_with_the_receipt_key_are_quarantined_too(loop: Loop) -> None:
    first, second = send(loop), send(loop)
    exchange_newest_envelope(loop, first.envelope, with_receipt_key=True)
    collected = loop.collect()
    assert (collected.filed, collected.refused) == (1, {"submission-not-genuine": 1})
    assert [case.report_id for case in cases_of(loop)] == [first.clear.report_id]
    assert second.envelope not in acknowledged_envelopes(loop)


@pytest.mark.parametrize(
    ("with_receipt_key", "reason"), [(False, "envelope-mismatch"), (True, "submission-not-genuine")]
)
def test_forged_envelope_is_quarantined_under_any_signature(loop: Loop, with_receipt_key: bool, reason: str) -> None:
    sealed = send(loop)
    forged = forge(loop, sealed)
    exchange_newest_envelope(loop, forged, with_receipt_key=with_receipt_key)
    assert loop.collect().refused == {reason: 1}
    assert [kind for kind, _ in alarms(loop)] == [reason]
    assert cases_of(loop) == []
    assert envelopes_here(loop) == {forged}
    assert acknowledged_envelopes(loop) == {forged}


def test_report_whose_envelope_he_replaced_is_brought_back_by_its_partner_as_a_file(loop: Loop) -> None:
    sealed = send(loop)
    exchange_newest_envelope(loop, forge(loop, sealed), with_receipt_key=True)
    loop.collect()
    imported = import_sealed(loop, sealed)
    assert imported.state == "filed"
    (case,) = cases_of(loop)
    content = open_case(loop.desk, case.case_id, actor=ACTOR).content
    assert isinstance(content, SealedIndustryReport)
    assert content.report == make_industry_report()


def test_forged_submission_beside_a_forged_envelope_is_quarantined(loop: Loop) -> None:
    sealed = send(loop)
    stranger = load_signing_key(make_key(KeyRole.SUBMISSION, name="operator"))
    forged = seal_report(loop.partner, key=loop.sealing_key(), signed_by=stranger, report_id=sealed.clear.report_id)
    loop.gateway_sql("UPDATE reports SET submission = ?", forged.statement)
    exchange_newest_envelope(loop, forged.envelope, with_receipt_key=True)
    resign_newest(loop, submission_sha256=hashlib.sha256(forged.statement).hexdigest())
    assert loop.collect().refused == {"submission-not-genuine": 1}
    assert [kind for kind, _ in alarms(loop)] == ["submission-not-genuine"]


def test_row_that_was_dropped_is_a_gap_and_the_rest_is_filed(loop: Loop) -> None:
    sent = [send(loop) for _ in range(4)]
    loop.gateway_sql("CREATE TABLE away AS SELECT * FROM reports WHERE sequence = 2")
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 2")
    collected = loop.collect()
    assert (collected.filed, len(collected.gaps)) == (3, 1)
    assert [kind for kind, _ in alarms(loop)] == [GAP]
    loop.gateway_sql("INSERT INTO reports SELECT * FROM away")
    assert (loop.collect().filed, alarms(loop)) == (1, [])
    assert envelopes_here(loop) == {one.envelope for one in sent}


def test_newest_rows_that_were_dropped_after_the_desk_saw_them_are_an_alarm(loop: Loop) -> None:
    for _ in range(3):
        send(loop)
    loop.collect()
    loop.gateway_sql("DELETE FROM reports WHERE sequence > 1")
    assert loop.collect().filed == 0
    ((kind, subject),) = alarms(loop)
    assert (kind, subject.rpartition("/")[2]) == (WENT_BACK, "2-3")
    send(loop)
    loop.collect()
    assert FORK in [kind for kind, _ in alarms(loop)]
    assert len(cases_of(loop)) == 4


def test_gateway_that_takes_more_in_while_the_desk_collects_has_not_gone_back(loop: Loop) -> None:
    send(loop)

    class OneMore(FeedClient):
        """A gateway that takes in another report after stating its position."""

        def get_status(self) -> Any:
            status = super().get_status()
            send(loop)
            return status

    for _ in range(3):
        collect_reports(loop.desk, loop.make_feed(OneMore), actor=ACTOR)
    assert alarms(loop) == []


def test_newest_row_that_was_dropped_before_the_desk_saw_it_is_brought_by_its_partner(loop: Loop) -> None:
    send(loop)
    dropped = send(loop)
    loop.gateway_sql("DELETE FROM reports WHERE sequence = 2")
    loop.collect()
    # The chain cannot show it: nobody but the partner has seen the statement. It has the receipt, and asks.
    assert open_door(loop).get(f"/v1/reports/{dropped.clear.report_id}").status_code == 404
    imported = import_sealed(loop, dropped)
    assert (imported.state, check(loop, imported, dropped).report_id) == ("filed", dropped.clear.report_id)
    assert len(cases_of(loop)) == 2


def test_old_row_that_is_offered_again_is_known_and_files_nothing(loop: Loop) -> None:
    send(loop, priority="P1")
    loop.collect()
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")
    collected = loop.collect()
    assert (collected.known, collected.filed, collected.quarantined) == (1, 0, 0)
    assert (len(cases_of(loop)), waiting_at_gateway(loop), alarms(loop)) == (1, 0, [])


def test_old_report_under_a_new_number_is_quarantined_with_an_alarm(loop: Loop) -> None:
    send(loop)
    send(loop)
    loop.collect()
    resign_newest(loop, sequence=3, previous=hashlib.sha256(newest_raw(loop)).hexdigest(), reference="K7QF-2M9TX-D")
    loop.gateway_sql(
        "UPDATE reports SET acknowledged_at = NULL, sequence = 3, reference = 'K7QF-2M9TX-D' WHERE sequence = 2"
    )
    assert loop.collect().refused == {"duplicate-report-id": 1}
    assert "duplicate-report-id" in [kind for kind, _ in alarms(loop)]
    assert len(cases_of(loop)) == 2


def test_old_envelope_and_statement_under_a_new_id_are_quarantined(loop: Loop) -> None:
    first = send(loop)
    send(loop)
    new_id = newest_statement(loop).clear
    loop.gateway_sql("UPDATE reports SET submission = ? WHERE sequence = 2", first.statement)
    exchange_newest_envelope(loop, first.envelope, with_receipt_key=True)
    resign_newest(loop, submission_sha256=hashlib.sha256(first.statement).hexdigest(), clear=new_id)
    collected = loop.collect()
    assert (collected.filed, collected.refused) == (1, {"clear-fields-mismatch": 1})


def test_placement_in_the_column_alone_changes_nothing(loop: Loop) -> None:
    agree(loop.desk, link_id="example-chat")
    agree(loop.desk, link_id="rival-app", owner="rival-app", new_owner="Rival App Ltd")
    loop.send_public(placement="example-chat")
    loop.gateway_sql("UPDATE reports SET placement = 'rival-app'")
    assert loop.collect().filed == 1
    (case,) = cases_of(loop)
    assert (case.placement, case.about) == ("example-chat", "example-chat")


@pytest.mark.parametrize("placement", ["rival-app", None])
def test_placement_that_was_changed_with_the_receipt_key_is_quarantined_with_an_alarm(
    loop: Loop, placement: str | None
) -> None:
    loop.send_public(placement="example-chat")
    resign_newest(loop, placement=placement)
    assert loop.collect().refused == {"clear-fields-mismatch": 1}
    assert [kind for kind, _ in alarms(loop)] == ["clear-fields-mismatch"]
    assert cases_of(loop) == []


def test_placement_on_a_report_of_a_partner_is_quarantined_with_an_alarm(loop: Loop) -> None:
    send(loop)
    resign_newest(loop, placement="rival-app")
    assert loop.collect().refused == {"door-mismatch": 1}
    assert [kind for kind, _ in alarms(loop)] == ["door-mismatch"]


def test_alarm_that_was_cleared_does_not_hide_the_next_attack(loop: Loop) -> None:
    for _ in range(2):
        sealed = send(loop)
        exchange_newest_envelope(loop, forge(loop, sealed), with_receipt_key=False)
        loop.collect()
        ((kind, _),) = alarms(loop)
        assert kind == "envelope-mismatch"
        with loop.desk.store.write() as connection:
            number = connection.exec_driver_sql("SELECT max(id) FROM alarms").scalar_one()
            clear_alarm(connection, number, actor=ACTOR, now=loop.clock())


def newest_raw(loop: Loop) -> bytes:
    with loop.gateway.store.read() as connection:
        raw = connection.exec_driver_sql("SELECT intake FROM reports ORDER BY position DESC LIMIT 1").scalar_one()
    return bytes(raw)
