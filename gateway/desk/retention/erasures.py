"""Drafts the erasure that a person asked for and a colleague decided on: one list with every report of this person.

Two people then sign and carry it out like any list; the request ends with it.
"""

from gateway.desk.cases.model import get_case
from gateway.desk.people.releases import Release
from gateway.desk.retention.lists import RetentionError, draft_destruction
from gateway.desk.rights.exporting import list_reports_of_person
from gateway.desk.rights.requests import WIPE, list_requests
from gateway.desk.wiring import Desk


def draft_erasure(desk: Desk, wanted: str, *, actor: str) -> Release:
    """Draft the list for a case whose request was decided as "erase".

    Raises `CaseError` (`unknown-case`) and `RetentionError`: `not-decided`, `other-requests`, those of a draft.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        cases = list_reports_of_person(connection, found)
        requests = [(case, one) for case in cases for one in list_requests(connection, case)]
    if not any(one.to_erase_by for case, one in requests if case.case_id == found.case_id):
        raise RetentionError("Nobody has decided to erase this report.", reason="not-decided")
    if any(one.kind != WIPE for _, one in requests):
        raise RetentionError(
            "Answer this person's other requests first: nothing of them can be shown or corrected afterwards.",
            reason="other-requests",
        )
    return draft_destruction(desk, [case.case_id for case in cases], reason="erasure", actor=actor)
