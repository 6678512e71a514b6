"""A sealed report that came as a file is filed like one of the gateway, once, and answered with a desk receipt."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.cases.opening import find_earlier, open_case
from gateway.desk.collection.collect import try_again
from gateway.desk.collection.importing import import_report, try_imports_again
from gateway.desk.collection.joining import list_cluster
from gateway.desk.collection.row_checks import KEY_ENDED_GRACE
from gateway.desk.office.organisations import get_partner
from gateway.desk.partners.account_changes import FORMER_KEY_GRACE, keep_former_key, suspend_partner
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.audit import check_chain
from partner_sdk.errors import FormatError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import key_id_of, public_bytes
from partner_sdk.wire.submission import SIGNED_SUBMISSION
from tests.builders import (
    Partner,
    SealedReport,
    make_clear_fields,
    make_industry_report,
    seal_report,
    sign_for_envelope,
)
from tests.builders.evidence import hand_over
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import collect_all, make_film, open_door, post, seal_with, tell_of
from tests.desk.forgery import alarms, quarantined, resign_newest, waiting_at_gateway
from tests.desk.import_builders import cases_of, check, import_sealed, make_file, make_post, seal_for
from tests.desk.outbox_builders import list_all_alerts, send_out


def test_file_is_filed_as_a_case_that_says_how_it_came_and_opens(loop: Loop) -> None:
    sealed = seal_for(loop)
    imported = import_sealed(loop, sealed)
    assert imported.state == "filed"
    (case,) = cases_of(loop)
    assert (case.channel, case.door, case.reference) == ("file", "industry", imported.reference)
    assert (case.partner, case.report_id, case.priority) == ("example-chat", sealed.clear.report_id, "P2")
    content = open_case(loop.desk, case.case_id, actor=ACTOR).content
    assert isinstance(content, SealedIndustryReport)
    assert content.report == make_industry_report()


def test_case_of_the_gateway_says_that_it_came_that_way(loop: Loop) -> None:
    loop.send_industry()
    loop.collect()
    assert [case.channel for case in cases_of(loop)] == ["gateway"]


def test_receipt_names_the_very_report_and_verifies_offline(loop: Loop) -> None:
    sealed = seal_for(loop)
    receipt = check(loop, import_sealed(loop, sealed), sealed)
    assert receipt.statement.clear == sealed.clear
    assert receipt.statement.received_at == format_time(loop.clock())
    assert receipt.statement.envelope_sha256 == hashlib.sha256(sealed.envelope).hexdigest()


def test_same_file_again_gives_the_same_receipt_and_no_second_case(loop: Loop) -> None:
    sealed = seal_for(loop, priority="P1")
    first = import_sealed(loop, sealed)
    loop.clock.advance(days=3)
    again = import_sealed(loop, sealed)
    assert (again.state, again.receipt, again.reference) == ("known", first.receipt, first.reference)
    assert len(cases_of(loop)) == 1
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_urgent_file_pages_like_an_urgent_row(loop: Loop) -> None:
    import_sealed(loop, seal_for(loop, priority="P1"))
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_report_that_came_through_the_gateway_is_known_and_its_receipt_names_that_reference(loop: Loop) -> None:
    sealed = seal_for(loop)
    reference = loop.send_industry(sealed).reference
    loop.collect()
    imported = import_sealed(loop, sealed)
    assert (imported.state, imported.reference) == ("known", reference)
    assert check(loop, imported, sealed).reference == reference
    assert len(cases_of(loop)) == 1
    assert import_sealed(loop, sealed).receipt == imported.receipt
    assert loop.collect().known == 0


def test_imported_report_that_comes_through_the_gateway_is_acknowledged_chained_and_no_second_case(loop: Loop) -> None:
    loop.send_industry()
    sealed = seal_for(loop)
    imported = import_sealed(loop, sealed)
    accepted = loop.send_industry(sealed)
    loop.send_industry()
    collected = loop.collect()
    assert (collected.filed, collected.known, collected.quarantined, collected.gaps) == (2, 1, 0, [])
    assert waiting_at_gateway(loop) == 0
    (case,) = [case for case in cases_of(loop) if case.report_id == sealed.clear.report_id]
    assert (case.channel, case.reference, case.other_reference) == ("file", imported.reference, accepted.reference)
    assert (alarms(loop), quarantined(loop)) == ([], [])
    assert import_sealed(loop, sealed).receipt == imported.receipt
    with loop.desk.store.read() as connection:
        check_chain(connection)


@pytest.mark.parametrize("name", ["reference", "other_reference"])
def test_supplement_finds_its_first_report_under_either_reference(loop: Loop, name: str) -> None:
    sealed = seal_for(loop, priority="P1")
    import_sealed(loop, sealed)
    loop.send_industry(sealed)
    loop.collect()
    (first,) = cases_of(loop)
    loop.send_industry(kind="supplement", priority="P3", earlier_reference=getattr(first, name))
    loop.collect()
    (added,) = [case for case in cases_of(loop) if case.adds_to is not None]
    assert added.priority == "P1"
    with loop.desk.store.read() as connection:
        assert list_cluster(connection, added.case_id) == {added.case_id, first.case_id}
        assert find_earlier(connection, added) == first


def test_stage_that_the_gateway_could_not_take_is_told_again_once_it_knows_the_report(loop: Loop) -> None:
    sealed = seal_for(loop)
    import_sealed(loop, sealed)
    open_case(loop.desk, cases_of(loop)[0].case_id, actor=ACTOR)
    send_out(loop.desk, "stage")
    loop.send_industry(sealed)
    loop.collect()
    assert send_out(loop.desk, "stage") == 1
    with loop.gateway.store.read() as connection:
        assert connection.exec_driver_sql("SELECT stage FROM reports").scalar_one() == "opened"


@pytest.mark.parametrize("first_way", ["file", "gateway"])
def test_other_report_under_a_taken_id_is_quarantined_and_alarmed(loop: Loop, first_way: str) -> None:
    sealed = seal_for(loop)
    other = seal_for(loop, report_id=sealed.clear.report_id, priority="P1")
    if first_way == "file":
        import_sealed(loop, sealed)
        loop.send_industry(other)
        assert loop.collect().refused == {"duplicate-report-id": 1}
        assert waiting_at_gateway(loop) == 0
    else:
        loop.send_industry(sealed)
        loop.collect()
        assert import_sealed(loop, other).reason == "duplicate-report-id"
    assert quarantined(loop) == [("duplicate-report-id", "P1", True)]
    assert [kind for kind, _ in alarms(loop)] == ["duplicate-report-id"]
    assert len(cases_of(loop)) == 1


def sign_again(loop: Loop, sealed: SealedReport) -> SealedReport:
    """Change the partner's key, and sign its spool again, as the SDK does: the box stays the same."""
    new = Ed25519PrivateKey.generate()
    with loop.desk.store.write() as connection:
        row = get_partner(connection, loop.partner.partner)
        keep_former_key(connection, row, ended_at=format_time(loop.clock() + FORMER_KEY_GRACE))
        raw = public_bytes(new)
        connection.execute(PARTNERS.update().values(key_id=key_id_of(raw), submission_key=raw))
    loop.publish()
    statement = SIGNED_SUBMISSION.sign(SIGNED_SUBMISSION.peek(make_post(sealed).statement), new)
    return SealedReport(clear=sealed.clear, envelope=sealed.envelope, statement=statement)


def test_file_whose_report_comes_through_the_gateway_signed_with_the_next_key_is_one_report(loop: Loop) -> None:
    sealed = seal_for(loop, priority="P1")
    imported = import_sealed(loop, sealed)
    accepted = loop.send_industry(sign_again(loop, sealed))
    collected = loop.collect()
    assert (collected.known, collected.quarantined, collected.gaps) == (1, 0, [])
    (case,) = cases_of(loop)
    assert (case.reference, case.other_reference) == (imported.reference, accepted.reference)
    assert alarms(loop) == []


@pytest.mark.parametrize("first_way", ["file", "gateway"])
def test_report_that_is_here_comes_as_a_file_signed_with_the_next_key_and_gets_its_receipt(
    loop: Loop, first_way: str
) -> None:
    sealed = seal_for(loop)
    if first_way == "file":
        import_sealed(loop, sealed)
    else:
        loop.send_industry(sealed)
        loop.collect()
    again = sign_again(loop, sealed)
    loop.clock.advance(minutes=5)
    imported = import_sealed(loop, again)
    assert imported.state == "known"
    assert check(loop, imported, again).reference == cases_of(loop)[0].reference
    loop.clock.advance(minutes=5)
    assert import_sealed(loop, again).receipt == imported.receipt
    assert len(cases_of(loop)) == 1
    assert (alarms(loop), quarantined(loop)) == ([], [])


def test_same_box_under_a_strangers_key_is_no_word_of_the_partner(loop: Loop) -> None:
    sealed = seal_for(loop)
    import_sealed(loop, sealed)
    stranger = Partner("stranger").submission_key
    statement = SIGNED_SUBMISSION.sign(SIGNED_SUBMISSION.peek(make_post(sealed).statement), stranger)
    forged = SealedReport(clear=sealed.clear, envelope=sealed.envelope, statement=statement)
    assert import_sealed(loop, forged).reason == "submission-not-genuine"


def test_file_of_a_stranger_is_quarantined_with_its_reason_and_pages_when_it_says_urgent(loop: Loop) -> None:
    sealed = seal_report(Partner("stranger"), key=loop.sealing_key(), priority="P1")
    imported = import_sealed(loop, sealed)
    assert (imported.state, imported.reason, imported.receipt) == ("quarantined", "submission-not-genuine", None)
    assert quarantined(loop) == [("submission-not-genuine", "P1", True)]
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]
    import_sealed(loop, sealed)
    assert len(quarantined(loop)) == 1
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


def test_file_for_another_environment_is_quarantined(loop: Loop) -> None:
    assert import_sealed(loop, seal_for(loop, environment="sandbox")).reason == "wrong-environment"


def test_file_whose_envelope_was_exchanged_is_quarantined(loop: Loop) -> None:
    sealed, other = seal_for(loop, priority="P3"), seal_for(loop)
    raw = encode(msgspec.structs.replace(make_post(sealed), envelope=to_base64url(other.envelope)))
    assert import_report(loop.desk, raw, actor=ACTOR).reason == "submission-not-genuine"
    assert cases_of(loop) == []


def test_file_whose_seal_says_another_priority_than_its_statement_counts_at_the_higher(loop: Loop) -> None:
    sealed = seal_for(loop, priority="P1")
    lowered = msgspec.structs.replace(sealed.clear, priority="P3")
    statement = sign_for_envelope(lowered, sealed.envelope, private_key=loop.partner.submission_key)
    changed = msgspec.structs.replace(make_post(sealed), statement=make_post(sealed).statement)
    assert import_report(loop.desk, encode(changed), actor=ACTOR).state == "filed"
    other = type(sealed)(clear=lowered, envelope=sealed.envelope, statement=statement)
    # The context of the seal holds the priority: the box does not open under another.
    assert import_sealed(loop, other).reason == "does-not-open"


@pytest.mark.parametrize("raw", [b"", b"{}", b"PK\x03\x04", b"null", b'{"envelope":"AA"}'])
def test_what_is_no_sealed_report_is_refused_and_nothing_is_kept(loop: Loop, raw: bytes) -> None:
    with pytest.raises(FormatError):
        import_report(loop.desk, raw, actor=ACTOR)
    assert quarantined(loop) == []


def test_file_with_one_more_byte_is_refused(loop: Loop) -> None:
    with pytest.raises(FormatError):
        import_report(loop.desk, make_file(seal_for(loop)) + b"x", actor=ACTOR)


def test_file_encoded_differently_on_its_way_is_the_same_report(loop: Loop) -> None:
    sealed = seal_for(loop)
    assert import_report(loop.desk, make_file(sealed) + b"\n", actor=ACTOR).state == "filed"
    assert import_sealed(loop, sealed).state == "known"


def test_file_under_a_key_that_has_ended_counts_within_the_grace_and_by_word_after_it(loop: Loop) -> None:
    early, late = seal_for(loop), seal_for(loop, priority="P3")
    suspend_partner(loop.desk, partner=loop.partner.partner, actor=ACTOR)
    assert import_sealed(loop, early).state == "filed"
    loop.clock.advance(seconds=KEY_ENDED_GRACE.total_seconds() + 1)
    assert import_sealed(loop, late).reason == "key-ended"
    assert import_sealed(loop, early).state == "known"
    assert quarantined(loop) == [("key-ended", "P3", True)]
    assert try_again(loop.desk, actor=ACTOR).filed == 0
    assert try_imports_again(loop.desk, actor=ACTOR) == []
    (taken,) = try_imports_again(loop.desk, actor=ACTOR, by_word=1)
    assert taken.state == "filed"
    assert check(loop, taken, late)
    assert quarantined(loop) == []
    assert import_sealed(loop, late).receipt == taken.receipt


def test_file_that_was_quarantined_is_filed_once_its_partner_is_registered(loop: Loop) -> None:
    newcomer = Partner("new-service")
    sealed = seal_report(newcomer, key=loop.sealing_key())
    assert import_sealed(loop, sealed).state == "quarantined"
    loop.enrol(partner=newcomer)
    assert [one.state for one in try_imports_again(loop.desk, actor=ACTOR)] == ["filed"]
    assert quarantined(loop) == []
    assert [case.channel for case in cases_of(loop)] == ["file"]


def test_gateway_that_gives_an_imported_reference_to_another_report_is_caught(loop: Loop) -> None:
    imported = import_sealed(loop, seal_for(loop))
    loop.send_public(clear=make_clear_fields("public"))
    resign_newest(loop, reference=imported.reference)
    assert loop.collect().refused == {"duplicate-reference": 1}


def test_evidence_that_an_imported_report_names_comes_once_the_gateway_has_the_report(loop: Loop) -> None:
    film = make_film()
    sealed = seal_with(loop, [film.reference], files=[tell_of(film)])
    import_sealed(loop, sealed)
    door = open_door(loop)
    hand_over(door, film.sealed)
    assert collect_all(loop).collected == 0
    post(door, sealed)
    assert collect_all(loop).collected == 1
