"""A partner learns that its report could not be read: by the stage of the report, and by a signed notice."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.cases.stages import COARSE_REASONS, coarsen
from gateway.desk.collection.collect import try_again
from gateway.desk.collection.row_checks import ALARMING_REASONS
from gateway.intake import NewReport
from partner_sdk.report import encode_sealed_report, make_sealed_report, parse_sealed_report
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.mailbox import SetAsideNotice, parse_body
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import SET_ASIDE_REASONS, ClearFields, report_context
from tests.builders import Partner, SealedReport, make_clear_fields, make_industry_report, sign_for_envelope
from tests.desk.asking_builders import ask
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import collect_and_send, file, find, read, read_mailbox, set_partner


def seal_content(loop: Loop, content: bytes, *, clear: ClearFields, partner: Partner | None = None) -> SealedReport:
    envelope = seal(content, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    signer = (partner or loop.partner).submission_key
    return SealedReport(clear, envelope, sign_for_envelope(clear, envelope, private_key=signer))


def send_changed(loop: Loop, change: Callable[[dict[str, Any]], None], **fields: Any) -> str:
    """Send the example report after `change` was applied to its sealed part; return its reference."""
    clear = make_clear_fields(loop.partner.partner, **fields)
    content = json.loads(encode_sealed_report(make_sealed_report(make_industry_report(), clear=clear)))
    change(content)
    return loop.send_industry(seal_content(loop, encode(content), clear=clear)).reference


def add_unknown_field(content: dict[str, Any]) -> None:
    content["report"]["mood"] = "[message]"


def format_version_as_number(content: dict[str, Any]) -> None:
    content["report"]["schema_version"] = 1


def progress_of(loop: Loop, reference: str, *, partner: str | None = None) -> tuple[str, str | None]:
    with loop.gateway.store.read() as connection:
        query = "SELECT report_id FROM reports WHERE reference = ?"
        report_id = connection.exec_driver_sql(query, (reference,)).scalar_one()
    found = loop.gateway.intake.find_receipt(partner=partner or loop.partner.partner, report_id=report_id)
    assert found is not None
    return found.stage, found.set_aside_reason


def read_notices(loop: Loop) -> list[SetAsideNotice]:
    messages = [message for message in read_mailbox(loop) if message.kind == "set-aside"]
    return [parse_body(parse_base64url(message.body), body=SetAsideNotice) for message in messages]


def test_partner_is_told_of_an_unknown_field_and_of_a_version_that_is_a_number(loop: Loop) -> None:
    references = [send_changed(loop, change) for change in (add_unknown_field, format_version_as_number)]

    collect_and_send(loop)

    assert [progress_of(loop, one) for one in references] == [("set_aside", "unreadable")] * 2
    (notice,) = read_notices(loop)
    assert (notice.reason, notice.set_aside_at) == ("unreadable", "2026-11-25T08:30:00Z")
    assert [one.reference for one in notice.reports] == references
    assert "mood" not in repr(read_mailbox(loop))


def test_report_that_is_read_after_all_leaves_the_stage(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = send_changed(loop, add_unknown_field)
    collect_and_send(loop)

    def parse_without_it(plain: bytes) -> Any:
        content = json.loads(plain)
        del content["report"]["mood"]
        return parse_sealed_report(encode(content))

    # As a later release would, which knows the field.
    monkeypatch.setattr("gateway.desk.collection.row_checks.parse_sealed_report", parse_without_it)
    assert try_again(loop.desk, actor=ACTOR).filed == 1
    collect_and_send(loop)

    assert progress_of(loop, reference) == ("collected", None)


def test_report_whose_statement_is_not_the_partners_has_a_stage_and_no_notice(loop: Loop) -> None:
    clear = make_clear_fields(loop.partner.partner)
    content = encode_sealed_report(make_sealed_report(make_industry_report(), clear=clear))
    forged = seal_content(loop, content, clear=clear, partner=Partner(partner="somebody-else"))
    reference = loop.send_industry(forged).reference

    collect_and_send(loop)

    assert progress_of(loop, reference) == ("set_aside", "not-proven")
    assert read_mailbox(loop) == []


def test_box_that_does_not_open_is_told(loop: Loop) -> None:
    clear = make_clear_fields(loop.partner.partner)
    content = encode_sealed_report(make_sealed_report(make_industry_report(), clear=clear))
    other = msgspec.structs.replace(clear, priority="P3")
    envelope = seal(content, key=loop.sealing_key(), context=report_context(other)).to_bytes()
    statement = sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key)
    reference = loop.send_industry(SealedReport(clear, envelope, statement)).reference

    collect_and_send(loop)

    assert progress_of(loop, reference) == ("set_aside", "not-opened")
    assert [notice.reason for notice in read_notices(loop)] == ["not-opened"]


@pytest.mark.databases("sqlite", "postgresql")
def test_notice_is_written_once_however_often_the_row_comes(loop: Loop) -> None:
    send_changed(loop, add_unknown_field)
    collect_and_send(loop)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")

    collect_and_send(loop)

    assert len(read_notices(loop)) == 1


def test_partner_that_cannot_be_written_to_keeps_no_report_out(loop: Loop) -> None:
    unreadable, good = send_changed(loop, add_unknown_field), loop.send_industry().reference
    set_partner(loop.desk, mailbox_key=b"")

    collect_and_send(loop)

    assert progress_of(loop, unreadable) == ("set_aside", "unreadable")
    assert find(loop, good).opened_at is None


def test_public_report_has_no_stage_to_be_told(loop: Loop) -> None:
    clear = make_clear_fields("public", priority="P3")
    envelope = seal(b'{"story":"[message]"}', key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    accepted = loop.gateway.intake.accept(NewReport(door="public", envelope=envelope, submission=None, clear=clear))

    collect_and_send(loop)

    assert progress_of(loop, accepted.reference, partner="public") == ("collected", None)


def test_stage_of_a_report_that_was_read_is_never_set_aside_again(loop: Loop) -> None:
    case = read(loop)
    collect_and_send(loop)
    assert progress_of(loop, case.reference) == ("opened", None)

    file(loop)

    assert progress_of(loop, case.reference) == ("opened", None)


def test_every_reason_of_the_desk_has_a_coarse_one() -> None:
    assert set(COARSE_REASONS.values()) <= set(SET_ASIDE_REASONS)
    assert {coarsen(reason) for reason in ALARMING_REASONS} == {"mismatch", "not-proven", "held"}


def test_response_that_answers_nothing_is_told_to_its_sender_once_until_it_is_opened(loop: Loop) -> None:
    case = read(loop)
    collect_and_send(loop)
    response = file(
        loop, make_industry_report(answers_request=case.report_id), kind="response", earlier_reference=case.reference
    )

    for _ in range(3):
        collect_and_send(loop)

    assert progress_of(loop, response.reference) == ("set_aside", "no-open-request")
    (notice,) = read_notices(loop)
    assert (notice.reason, [one.reference for one in notice.reports]) == ("no-open-request", [response.reference])
    open_case(loop.desk, response.reference, actor=ACTOR)
    collect_and_send(loop)
    assert progress_of(loop, response.reference) == ("opened", None)
    assert len(read_notices(loop)) == 1


def test_response_that_answers_a_question_is_told_as_every_report(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference).action_id
    collect_and_send(loop)
    response = file(
        loop, make_industry_report(answers_request=request_id), kind="response", earlier_reference=case.reference
    )
    collect_and_send(loop)
    assert progress_of(loop, response.reference) == ("collected", None)
    assert read_notices(loop) == []
