"""Looks up the case that a page's address names, and checks that the person may reach it."""

from gateway.desk.cases.holding import make_scope
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.office.views.page import check_route, get_desk, get_name
from gateway.web.rules import not_found


def get_case_or_404(case_id: str) -> CaseRow:
    """Return the case of this address, or answer 404.

    A duty officer reaches only cases of the crisis lane, an officer of a faculty those of the faculty too: the route's
    permission holds for this case, or the answer is 403.
    """
    with get_desk().store.read() as connection:
        try:
            found = get_case(connection, case_id)
        except CaseError:
            not_found()
        scope = make_scope(connection, found, person=get_name())
    check_route(case=scope)
    return found
