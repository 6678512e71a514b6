"""An urgent case stays open until the packages that were taken hold every report of the same person that was read."""

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.ledger import EntryText, record_entry, record_sent
from gateway.desk.cases.closing import list_open, list_owed
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from tests.desk.outgoing.packages.package_forms import MAKER, SECOND, add_urgent, draft, sign
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess


def is_owed(desk: Desk, case_id: str) -> bool:
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
        owed = list_owed(connection, case, list_open(desk, connection, case), actor=MAKER)
        return "package-owed" in {one.reason for one in owed}


def send(desk: Desk, maker: Browser, second: Browser, case_id: str, report: str) -> None:
    action = draft(desk, maker, case_id, reports=[report])
    assert sign(second, action).status_code == 303
    with desk.store.write() as connection:
        record_sent(desk, connection, action.action_id, actor=MAKER)
        officer = EntryText(by="DC Example")
        record_entry(desk, connection, action.action_id, kind="acknowledge", text=officer, actor=MAKER)


@pytest.mark.parametrize("is_proven", [True, False])
def test_package_that_leaves_out_a_report_of_the_same_person_does_not_count(desk: Desk, is_proven: bool) -> None:
    case_id = add_urgent(desk)
    maker, second = Browser(desk).sign_in(MAKER), Browser(desk).sign_in(SECOND, [Role.ANALYST])
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    added = open_case(desk, add_sealed_case(desk, marker="", adds_to=reference, reply_owed=False), actor=MAKER)
    later = added.case.case_id
    with desk.store.write() as connection:
        of_both = update(CASES).where(CASES.c.case_id.in_({case_id, later}))
        connection.execute(of_both.values(reply_key_sha256=b"k" * 32))
        if not is_proven:
            connection.execute(update(CASES).where(CASES.c.case_id == later).values(reply_key_sha256=b"o" * 32))
    assess(desk, case_id, actor=MAKER, urgent_dissemination="yes", immediate_risk="yes", urgent="yes")
    send(desk, maker, second, case_id, case_id)
    assert is_owed(desk, case_id) is is_proven
    send(desk, maker, second, case_id, later)
    assert not is_owed(desk, case_id)
