"""Shared by every page of outgoing actions: the case or action of its address, and a text for services."""

from gateway.desk.cases.actions.model import Action, ActionError, find_action
from gateway.desk.cases.holding import make_scope
from gateway.desk.cases.model import CaseError, CaseRow, get_case, has_control_characters, normalise
from gateway.desk.office.people.permissions import CaseScope
from gateway.desk.office.views.page import check_route, get_desk, get_name
from gateway.web.rules import not_found
from partner_sdk.wire.mailbox import MAX_ALERT_CHARACTERS


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


def get_action_or_404(action_id: str) -> Action:
    """Return the action of this address, or answer 404."""
    with get_desk().store.read() as connection:
        action = find_action(connection, action_id)
    if action is None:
        not_found()
    return action


def find_scope(action: Action) -> CaseScope | None:
    """Return the facts of an action's case that decide its readers; None for an action about no case."""
    if action.case_id is None:
        return None
    with get_desk().store.read() as connection:
        return make_scope(connection, get_case(connection, action.case_id), person=get_name())


def get_clean_text(text: str, field: str) -> str:
    """Return a text for services. Raises `ActionError`."""
    text = normalise(text)
    if not text:
        raise ActionError(f"Fill in the field “{field}”.", reason="no-text")
    if len(text) > MAX_ALERT_CHARACTERS:
        raise ActionError(f"The field “{field}” can have up to {MAX_ALERT_CHARACTERS:,} characters.", reason="too-long")
    if has_control_characters(text):
        raise ActionError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return text
