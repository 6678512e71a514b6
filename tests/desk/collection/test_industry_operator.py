"""A gateway operator that changes a partner's report is caught at the desk: alarm, higher priority, nothing hidden."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.cases.opening import list_reports
from gateway.intake import NewReport
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.submission import SIGNED_SUBMISSION, clear_fields_of
from tests.builders import seal_report
from tests.desk.desk_loop import Loop
from tests.desk.forgery import alarms, newest_statement, quarantined, resign_newest
from tests.desk.industry_builders import file, find, open_page, send


def reports_of(loop: Loop, reference: str) -> list[str | None]:
    with loop.desk.store.read() as connection:
        return [case.report_kind for case in list_reports(connection, find(loop, reference).first_id)]


@pytest.mark.parametrize(("said", "changed"), [("P1", "P3"), ("P3", "P1")])
def test_operator_changes_a_priority(loop: Loop, said: str, changed: str) -> None:
    send(loop, priority=said)
    statement = newest_statement(loop)
    resign_newest(loop, clear=msgspec.structs.replace(statement.clear, priority=changed))
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (0, 1)
    # Whoever lowers it wins nothing: the higher of the two counts, a person is told, and the bytes are kept.
    assert quarantined(loop) == [("clear-fields-mismatch", "P1", True)]
    assert [kind for kind, _ in alarms(loop)] == ["clear-fields-mismatch"]
    assert loop.count("alerts") == 1


def test_operator_changes_a_priority_in_the_partners_own_statement(loop: Loop) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key(), priority="P1")
    loop.send_industry(sealed)
    statement = SIGNED_SUBMISSION.open(
        sealed.statement,
        keys={loop.partner.entry().key_id: loop.partner.submission_key.public_key().public_bytes_raw()},
    )
    # Signed anew with a key that the operator has, over the same envelope: only the partner's own key says such things.
    forged = seal_report(loop.partner, key=loop.sealing_key(), priority="P3", signed_by=Ed25519PrivateKey.generate())
    loop.gateway_sql("UPDATE reports SET submission = ?", forged.statement)
    resign_newest(
        loop,
        clear=msgspec.structs.replace(clear_fields_of(statement), priority="P3"),
        submission_sha256=hashlib.sha256(forged.statement).hexdigest(),
    )
    assert loop.collect().filed == 0
    ((reason, priority, alarmed),) = quarantined(loop)
    assert (reason, priority, alarmed) == ("submission-not-genuine", "P1", True)


def test_operator_injects_a_retraction(loop: Loop) -> None:
    case = file(loop, priority="P1")
    # The gateway can seal to the agency and sign intake statements; it has no key of the partner.
    forged = seal_report(
        loop.partner,
        key=loop.sealing_key(),
        kind="retraction",
        priority="P3",
        earlier_reference=case.reference,
        signed_by=Ed25519PrivateKey.generate(),
    )
    loop.gateway.intake.accept(
        NewReport(door="industry", envelope=forged.envelope, submission=forged.statement, clear=forged.clear)
    )
    collected = loop.collect()
    assert (collected.filed, collected.quarantined) == (0, 1)
    assert quarantined(loop) == [("submission-not-genuine", "P1", True)]
    assert [kind for kind, _ in alarms(loop)] == ["submission-not-genuine"]
    after = find(loop, case.reference)
    assert (after.closed_at, after.priority) == (None, "P1")
    assert reports_of(loop, case.reference) == ["initial"]
    page = open_page(loop, after)
    assert "takes it back" not in page
    assert "What happened" in page


def test_operator_makes_a_retraction_of_a_true_supplement(loop: Loop) -> None:
    case = file(loop)
    send(loop, kind="supplement", earlier_reference=case.reference, priority="P2")
    statement = newest_statement(loop)
    resign_newest(loop, clear=msgspec.structs.replace(statement.clear, kind="retraction"))
    loop.collect()
    assert quarantined(loop) == [("clear-fields-mismatch", "P2", True)]
    assert reports_of(loop, case.reference) == ["initial"]


def test_operator_sends_a_true_report_a_second_time_as_a_retraction_of_itself(loop: Loop) -> None:
    case = file(loop)
    with loop.gateway.store.read() as connection:
        raw = connection.exec_driver_sql("SELECT intake FROM reports").scalar_one()
    intake = SIGNED_INTAKE.peek(bytes(raw))
    changed = msgspec.structs.replace(intake.clear, kind="retraction", earlier_reference=case.reference)
    loop.gateway_sql("UPDATE reports SET acknowledged_at = NULL")
    resign_newest(loop, clear=changed)
    loop.collect()
    assert [reason for reason, _, _ in quarantined(loop)] == ["clear-fields-mismatch"]
    assert encode(changed) != encode(intake.clear)
    assert reports_of(loop, case.reference) == ["initial"]
