"""Partners' reports for the tests of the desk: every field of the model, sent, collected and opened."""

import itertools
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.wiring import Desk
from gateway.desk.store.agency_tables import PARTNERS
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.report import IndustryReport, parse_report
from partner_sdk.report.model import AMOUNT, CALLING_CODE, COUNTRY, CURRENCY, DAY, DEGREES, LANGUAGE, MOMENT
from partner_sdk.report.outline import get_value_type
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.mailbox import SIGNED_MESSAGE, MailboxMessage, mailbox_context
from partner_sdk.wire.sealing import Envelope, make_suite, unpad
from partner_sdk.wire.signing import verify_keys
from tests.builders import FULL_REPORT, Partner, seal_report
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.outbox_builders import send_out
from tests.desk.view_builders import Browser

_SPELLED = {
    AMOUNT: "12.34",
    CALLING_CODE: "+44",
    COUNTRY: "GB",
    CURRENCY: "GBP",
    DAY: "2011-05-30",
    DEGREES: "51.5",
    LANGUAGE: "en-GB",
    MOMENT: "2026-11-24T18:45:01Z",
}


def make_full_report(**changes: Any) -> IndustryReport:
    """Return the full example, changed at the top level."""
    report = parse_report(Path(FULL_REPORT).read_bytes(), priority="P2")
    return msgspec.structs.replace(report, **changes)


def make_fullest_report() -> tuple[IndustryReport, list[str]]:
    """Return a report with every field filled, each text a word of its own, and these words."""
    numbers, words = itertools.count(1), []

    def fill(kind: inspect.Type) -> Any:
        bare = get_value_type(kind)
        if isinstance(bare, inspect.StructType):
            return bare.cls(**{field.name: fill(field.type) for field in bare.fields})
        if isinstance(bare, inspect.VarTupleType):
            # Of codes one: two that are alike would be one too many.
            return tuple(fill(bare.item_type) for _ in range(2))
        if isinstance(bare, inspect.LiteralType):
            return bare.values[-1]
        if isinstance(bare, inspect.BoolType):
            return True
        if isinstance(bare, inspect.IntType):
            return (bare.ge or 0) + 7
        assert isinstance(bare, inspect.StrType)
        if bare.pattern is not None:
            return _SPELLED[bare.pattern]
        words.append(f"word-{next(numbers)}-<b>&")
        return words[-1]

    report = fill(inspect.type_info(IndustryReport))
    assert isinstance(report, IndustryReport)
    return report, words


def send(loop: Loop, report: IndustryReport | None = None, **clear: Any) -> str:
    """Send a partner's report to the gateway, without collecting it, and return its reference."""
    sealed = seal_report(loop.partner, key=loop.sealing_key(), report=report, **clear)
    return loop.send_industry(sealed).reference


def file(loop: Loop, report: IndustryReport | None = None, **clear: Any) -> CaseRow:
    """Send a partner's report, collect it, and return its case."""
    reference = send(loop, report, **clear)
    loop.collect()
    return find(loop, reference)


def read(loop: Loop, report: IndustryReport | None = None, **clear: Any) -> CaseRow:
    """Send a partner's report, collect it, open it, and return its case."""
    case = file(loop, report, **clear)
    open_case(loop.desk, case.case_id, actor=ACTOR)
    return find(loop, case.reference)


def find(loop: Loop, wanted: str) -> CaseRow:
    """Return a case as it is now."""
    with loop.desk.store.read() as connection:
        return get_case(connection, wanted)


def open_page(loop: Loop, case: CaseRow) -> str:
    """Return the page of an opened case."""
    answer = Browser(loop.desk).sign_in().post(f"/cases/{case.case_id}/read")
    assert answer.status_code == 200
    return answer.text


def set_partner(desk: Desk, **columns: Any) -> None:
    """Change the desk's register of its partners."""
    with desk.store.write() as connection:
        connection.execute(PARTNERS.update().values(**columns))


def read_mailbox(loop: Loop, *, partner: Partner | None = None) -> list[MailboxMessage]:
    """Return the messages in a partner's mailbox at the gateway, opened with its key and proven to be the agency's."""
    partner = partner or loop.partner
    with loop.gateway.store.read() as connection:
        query = "SELECT item_id, envelope FROM items WHERE kind = 'mailbox-message' AND address = ? ORDER BY position"
        rows = connection.exec_driver_sql(query, (partner.partner,)).all()
    with loop.desk.store.read() as connection:
        signing_keys = make_key_set(connection, desk=loop.desk, now=loop.clock()).mailbox_keys
    private_key = load_xwing_private_key(parse_base64url(partner.key(KeyRole.MAILBOX).secret))
    found = []
    for row in rows:
        envelope = Envelope.parse(bytes(row.envelope))
        context = mailbox_context(environment="live", partner=partner.partner, message_id=row.item_id)
        padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
        signed = unpad(padded, purpose="mailbox", sender="agency")
        keys = verify_keys(signing_keys, signed_at=parse_time(SIGNED_MESSAGE.peek(signed).issued_at), now=loop.clock())
        found.append(SIGNED_MESSAGE.open(signed, keys=keys))
    return found


def collect_and_send(loop: Loop) -> None:
    """Do one `collect` for partners: take the reports, and send stages and messages."""
    loop.collect()
    send_out(loop.desk, "stage", "message")


def stage_at_gateway(loop: Loop, reference: str) -> tuple[str, str | None]:
    """Return the stage that the gateway shows the sender of a report."""
    with loop.gateway.store.read() as connection:
        row = connection.exec_driver_sql("SELECT stage, outcome FROM reports WHERE reference = ?", (reference,)).one()
    return row.stage, row.outcome
