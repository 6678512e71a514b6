"""Collecting against a real gateway: verified rows are filed, others are kept in quarantine, nothing is lost.

The gateway's database is changed by hand here, as an attacker with its disk could.
"""

from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from gateway.desk.cases.model import list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.collection.collect import collect_reports, try_again
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.store.schema import QUARANTINE, REPORTS
from gateway.exchange.feed import ItemKind, ItemPage
from gateway.exchange.public_report import encode_public_report
from gateway.intake import NewReport
from partner_sdk.errors import TransportError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.report import SealedIndustryReport, encode_sealed_report
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import PUBLIC_SENDER, report_context
from tests.builders import Partner, make_clear_fields, make_industry_report, make_key, seal_report, sign_for_envelope
from tests.desk.case_box_builders import list_case_ids, open_outer
from tests.desk.desk_loop import ACTOR, Loop, make_public_report, seal_public
from tests.desk.forgery import alarms, newest_statement, quarantined, resign_newest, waiting_at_gateway
from tests.desk.view_builders import count_openings


def test_report_of_each_door_is_filed_as_a_case_and_acknowledged(loop: Loop) -> None:
    industry, public = loop.send_industry(), loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.quarantined, collected.gaps) == (2, 0, [])
    assert waiting_at_gateway(loop) == 0
    with loop.desk.store.read() as connection:
        assert {case.reference for case in list_cases(connection)} == {industry.reference, public.reference}
    assert alarms(loop) == []


def test_stored_bytes_are_those_that_the_senders_made_and_got(loop: Loop) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key())
    accepted = loop.send_industry(sealed)
    loop.collect()
    with loop.desk.store.read() as connection:
        row = connection.execute(REPORTS.select()).one()
    (case_id,) = list_case_ids(loop.desk)
    assert (open_outer(loop.desk, case_id), bytes(row.submission), bytes(row.intake)) == (
        sealed.envelope,
        sealed.statement,
        accepted.receipt,
    )


def test_desk_database_holds_no_word_of_a_report(loop: Loop) -> None:
    marker = "Quetzalcoatlus"
    accepted = loop.send_public(story=marker, name=marker)
    loop.collect()
    opened = open_case(loop.desk, accepted.reference, actor=ACTOR)
    assert opened.content.story == marker  # type: ignore[union-attr]  # a report of the public
    files = [path for path in loop.desk.paths.state.rglob("*") if path.is_file()]
    assert len(files) >= 10
    assert [path for path in files if marker.encode() in path.read_bytes()] == []


def test_more_than_one_page_is_collected(loop: Loop) -> None:
    for _ in range(5):
        loop.send_public()
    asked = 0

    class SmallPages(FeedClient):
        """The same client, asking for less."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            nonlocal asked
            asked += 1
            return super().get_items(kind, limit=2, after=after)

    feed = loop.make_feed(SmallPages)
    assert collect_reports(loop.desk, feed, actor=ACTOR).filed == 5
    assert asked == 3


def test_lost_acknowledgement_files_nothing_twice(loop: Loop) -> None:
    loop.send_industry()
    calls = 0

    class LostReply(FeedClient):
        """The same client, whose acknowledgement is lost."""

        def acknowledge(self, *named: Any, **more: Any) -> int:
            nonlocal calls
            calls += 1
            raise TransportError("There is no connection.", reason="connection")

    feed = loop.make_feed(LostReply)
    with pytest.raises(TransportError):
        collect_reports(loop.desk, feed, actor=ACTOR)
    assert calls == 1
    assert (loop.count("reports"), waiting_at_gateway(loop)) == (1, 1)
    collected = loop.collect()
    assert (collected.filed, collected.known) == (0, 1)
    assert (loop.count("reports"), loop.count("cases"), waiting_at_gateway(loop)) == (1, 1, 0)


def test_nothing_is_acknowledged_when_the_desk_cannot_store(loop: Loop) -> None:
    loop.send_industry()
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON cases BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(IntegrityError, match="disk full"):
        loop.collect()
    assert waiting_at_gateway(loop) == 1
    assert (loop.count("reports"), loop.count("chain_links")) == (0, 0)


ALTERATIONS = {
    "envelope-mismatch": "UPDATE reports SET envelope = x'0102' WHERE sequence = 1",
    "submission-mismatch": "UPDATE reports SET submission = (SELECT submission FROM reports WHERE sequence = 2) "
    "WHERE sequence = 1",
    "door-mismatch": "UPDATE reports SET submission = NULL WHERE sequence = 1",
    "malformed": 'UPDATE reports SET intake = CAST(replace(CAST(intake AS TEXT), \'"sig":"\', \'"sig":"A\') AS BLOB) '
    "WHERE sequence = 1",
    "no-intake-statement": "UPDATE reports SET intake = x'' WHERE sequence = 1",
}


@pytest.mark.parametrize("reason", sorted(ALTERATIONS))
def test_row_altered_by_hand_is_quarantined_with_its_reason_and_the_rest_goes_on(loop: Loop, reason: str) -> None:
    for _ in range(3):
        loop.send_industry()
    loop.gateway_sql(ALTERATIONS[reason])
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (2, 1)
    assert quarantined(loop) == [(reason, "P1", reason != "malformed")]
    assert (reason in [kind for kind, _ in alarms(loop)]) == (reason != "malformed")
    # Kept once, however often it comes again.
    assert loop.collect().quarantined == 0


def test_row_whose_columns_were_changed_is_judged_by_its_statement_and_reported(loop: Loop) -> None:
    loop.send_industry(priority="P3")
    loop.gateway_sql("UPDATE reports SET partner = 'other-chat', priority = 'P1'")
    assert loop.collect().filed == 1
    with loop.desk.store.read() as connection:
        (case,) = list_cases(connection)
    assert (case.partner, case.priority) == ("example-chat", "P3")
    # Its columns name a chain of which the desk has no statement.
    assert sorted(kind for kind, _ in alarms(loop)) == ["acknowledgement-not-taken", "chain-gap"]


def test_statement_with_a_forged_signature_is_quarantined(loop: Loop) -> None:
    loop.send_industry()
    forger = load_signing_key(make_key(KeyRole.RECEIPT, name="forger"))
    raw = SIGNED_INTAKE.sign(newest_statement(loop), forger)
    loop.gateway_sql("UPDATE reports SET intake = ?", raw)
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("intake-not-genuine", "P1", True)]


def test_row_put_in_by_hand_for_a_partner_who_never_sent_it_is_quarantined(loop: Loop) -> None:
    forger = load_signing_key(make_key(KeyRole.SUBMISSION, name="forger"))
    # Somebody who holds the gateway with its receipt key, but no partner's key.
    loop.send_industry(seal_report(loop.partner, key=loop.sealing_key(), signed_by=forger))
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("submission-not-genuine", "P1", True)]


def test_report_that_one_partner_signs_in_anothers_name_is_quarantined(loop: Loop) -> None:
    other = Partner("other-chat")
    loop.enrol(partner=other)
    loop.send_industry(seal_report(loop.partner, key=loop.sealing_key(), signed_by=other.submission_key))
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("submission-not-genuine", "P1", True)]


def test_partners_report_passed_off_as_public_is_quarantined(loop: Loop) -> None:
    loop.send_industry()
    resign_newest(loop, door="public", submission_sha256=None)
    loop.gateway_sql("UPDATE reports SET submission = NULL")
    assert loop.collect().filed == 0
    assert quarantined(loop)[0][0] == "door-mismatch"


def test_clear_fields_that_the_gateway_changed_are_quarantined_at_the_higher_priority(loop: Loop) -> None:
    loop.send_industry(priority="P2")
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, priority="P3"))
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("clear-fields-mismatch", "P2", True)]
    assert [kind for kind, _ in alarms(loop)] == ["clear-fields-mismatch"]


@pytest.mark.parametrize(
    "inside",
    [{"priority": "P1"}, {"kind": "retraction"}, {"evidence_ids": ("01a211d3-7340-7100-bd26-c4bfe4e0f4c1",)}],
    ids=["priority", "kind", "evidence"],
)
def test_clear_fields_that_differ_inside_the_seal_are_quarantined(loop: Loop, inside: dict[str, Any]) -> None:
    clear = make_clear_fields(loop.partner.partner, priority="P3")
    sealed = SealedIndustryReport(clear=msgspec.structs.replace(clear, **inside), report=make_industry_report())
    envelope = seal(encode_sealed_report(sealed), key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key)
    loop.gateway.intake.accept(NewReport(door="industry", envelope=envelope, submission=statement, clear=clear))
    assert loop.collect().filed == 0
    assert quarantined(loop) == [("clear-fields-mismatch", inside.get("priority", "P3"), True)]


def test_placement_that_differs_inside_the_seal_is_quarantined(loop: Loop) -> None:
    report = make_public_report(placement="example-chat")
    loop.gateway.intake.accept(
        NewReport(
            door="public",
            envelope=seal_public(report, key=loop.sealing_key()),
            submission=None,
            clear=report.clear,
            placement="other-chat",
        )
    )
    assert loop.collect().filed == 0
    assert quarantined(loop)[0][0] == "clear-fields-mismatch"


def test_way_that_differs_inside_the_seal_is_quarantined(loop: Loop) -> None:
    report = make_public_report()
    clear = msgspec.structs.replace(report.clear, way="phone")
    envelope = seal_public(report, key=loop.sealing_key())
    loop.gateway.intake.accept(NewReport(door="public", envelope=envelope, submission=None, clear=clear))
    assert loop.collect().filed == 0
    assert quarantined(loop)[0][0] == "clear-fields-mismatch"


def test_way_is_named_for_every_report_of_the_form_and_for_no_other(loop: Loop) -> None:
    loop.send_public()
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, way=None))
    assert loop.collect().filed == 0
    loop.send_industry()
    resign_newest(loop, clear=msgspec.structs.replace(newest_statement(loop).clear, way="plain"))
    assert loop.collect().filed == 0
    assert [reason for reason, _, _ in quarantined(loop)] == ["door-mismatch"] * 2


def test_what_does_not_open_is_quarantined_and_acknowledged_because_it_is_kept(loop: Loop) -> None:
    report = make_public_report()
    other = msgspec.structs.replace(report.clear, priority="P1")
    envelope = seal(encode_public_report(report), key=loop.sealing_key(), context=report_context(other)).to_bytes()
    loop.gateway.intake.accept(NewReport(door="public", envelope=envelope, submission=None, clear=report.clear))
    loop.send_public()
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (1, 1)
    assert quarantined(loop) == [("does-not-open", "P1", False)]
    assert waiting_at_gateway(loop) == 0
    with loop.desk.store.read() as connection:
        kept = bytes(connection.execute(QUARANTINE.select()).one().row)
    assert to_base64url(envelope).encode() in kept


def test_content_of_another_form_is_quarantined(loop: Loop) -> None:
    clear = make_clear_fields(PUBLIC_SENDER, priority="P3")
    envelope = seal(b'{"story":"hello"}', key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    loop.gateway.intake.accept(NewReport(door="public", envelope=envelope, submission=None, clear=clear))
    loop.collect()
    assert quarantined(loop) == [("unreadable-content", "P1", False)]


def test_second_report_under_a_taken_id_is_quarantined(loop: Loop) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key())
    loop.send_industry(sealed)
    loop.collect()
    again = seal_report(loop.partner, key=loop.sealing_key(), report_id=sealed.clear.report_id)
    loop.gateway_sql("UPDATE reports SET report_id = 'moved-away'")
    loop.send_industry(again)
    assert loop.collect().filed == 0
    assert quarantined(loop)[0][0] == "duplicate-report-id"
    assert loop.count("reports") == 1


def test_quarantined_row_is_filed_once_its_key_is_back(loop: Loop) -> None:
    loop.send_public()
    path = loop.desk.paths.sealing_key("2026-Q4")
    away = path.with_suffix(".away")
    path.rename(away)
    assert loop.collect().quarantined == 1
    assert quarantined(loop)[0][0] == "unknown-key"
    assert try_again(loop.desk, actor=ACTOR).filed == 0
    away.rename(path)
    assert try_again(loop.desk, actor=ACTOR).filed == 1
    assert quarantined(loop) == []
    assert loop.count("cases") == 1


def test_run_opens_the_database_once(loop: Loop) -> None:
    loop.send_public()
    assert count_openings(loop.desk, loop.collect) == 1
    assert loop.count("cases") == 1


def test_partner_that_signs_with_new_keys_keeps_its_earlier_reports(loop: Loop) -> None:
    accepted = loop.send_industry()
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE partners SET submission_key = x'00', key_id = 'replaced'")
        connection.exec_driver_sql(
            "INSERT INTO former_partner_keys (key_id, partner, submission_key, ended_at) VALUES (?, ?, ?, ?)",
            (
                loop.partner.key(KeyRole.SUBMISSION).key_id,
                loop.partner.partner,
                loop.partner.submission_key.public_key().public_bytes_raw(),
                "2026-11-25T08:30:00Z",
            ),
        )
    assert loop.collect().filed == 1
    assert open_case(loop.desk, accepted.reference, actor=ACTOR).case.partner == loop.partner.partner


def test_row_json_in_another_spelling_is_quarantined(loop: Loop) -> None:
    loop.send_public()

    class OtherSpelling(FeedClient):
        """A gateway that adds a space."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            page = super().get_items(kind, limit=limit, after=after)
            rows = tuple(msgspec.Raw(bytes(row).replace(b'"envelope":', b'"envelope": ')) for row in page.items)
            return msgspec.structs.replace(page, items=rows)

    feed = loop.make_feed(OtherSpelling)
    collect_reports(loop.desk, feed, actor=ACTOR)
    assert quarantined(loop) == [("malformed", "P1", False)]


def test_rows_that_cannot_be_acknowledged_do_not_hold_up_the_rest(loop: Loop) -> None:
    for _ in range(3):
        loop.send_public()
    with loop.gateway.store.write() as connection:
        # Not even bytes: a statement that cannot be read names nothing that could be acknowledged.
        connection.exec_driver_sql(
            "UPDATE reports SET intake = 'a text where a statement was: ' || sequence, envelope = 7"
        )
    accepted = loop.send_industry()

    class SmallPages(FeedClient):
        """The same client, asking for less."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return super().get_items(kind, limit=2, after=after)

    collected = collect_reports(loop.desk, loop.make_feed(SmallPages), actor=ACTOR)
    assert (collected.filed, collected.quarantined) == (1, 3)
    assert open_case(loop.desk, accepted.reference, actor=ACTOR).case.partner == loop.partner.partner


def test_gateway_that_leads_in_a_circle_is_left_with_an_alarm(loop: Loop) -> None:
    for _ in range(3):
        loop.send_public()

    class Circle(FeedClient):
        """A gateway that shows the first page for ever."""

        first: Any = None

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            self.first = self.first or super().get_items(kind, limit=1)
            return self.first

    collect_reports(loop.desk, loop.make_feed(Circle), actor=ACTOR)
    with loop.desk.store.read() as connection:
        kinds = [kind for (kind,) in connection.exec_driver_sql("SELECT kind FROM alarms")]
    assert "feed-stuck" in kinds
