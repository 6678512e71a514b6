"""Records that a body outside took a case, with the way, the officer's name and the reason (R18, R52).

The desk sends nothing here: a person calls, meets or writes, and then records it. The record covers the reports that
were read by then: a later one has to be passed on too.
"""

from typing import Final

from gateway.desk import audit
from gateway.desk.cases.assessing import count_read, find_standing
from gateway.desk.cases.holding import get_lead, hold
from gateway.desk.cases.model import CaseError, CaseRow, check_code
from gateway.desk.cases.steps import StepText, add_step, get_clean_note, get_clean_reason
from gateway.desk.destinations.register import PROTECTING, load_register
from gateway.desk.wiring import Desk

MEANS: Final = (
    ("phoned", "By phone"),
    ("met", "In person"),
    ("their_system", "In their own system"),
    ("posted", "By letter"),
)


def pass_on(
    desk: Desk, wanted: str, *, destination: str, means: str, taken_by: str, reason: str, actor: str
) -> CaseRow:
    """Record that a destination took the case: `taken_by` names the person there and their own reference.

    `reason` says why this body. Both are sealed. Raises `CaseError`: `unknown-case`, `already-closed`, `not-opened`,
    `not-assessed`, `held`, `bad-code`, `unknown-destination`, `retired-destination`, and those of a reason and a note.
    """
    check_code("means", means, tuple(dict(MEANS)))
    body = load_register(desk.paths.destinations).get(destination)
    if body is None:
        raise CaseError("No destination has this key. Choose one from the list.", reason="unknown-destination")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise CaseError(f"{body.name} takes nothing more. Choose another body.", reason="retired-destination")
    text = StepText(reason=get_clean_reason(reason), note=get_clean_note(taken_by))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.closed_at is not None:
            raise CaseError("This case is already closed.", reason="already-closed")
        if found.opened_at is None:
            raise CaseError("This report is still unread: open it first.", reason="not-opened")
        if find_standing(connection, found) is None:
            raise CaseError("Assess the case first: nothing leaves the desk before it.", reason="not-assessed")
        found = hold(desk, connection, found, actor=actor)
        codes: dict[str, audit.Detail] = {
            "destination": destination,
            "means": means,
            "protects": body.group in PROTECTING,
            "read": count_read(connection, found),
        }
        add_step(desk, connection, found.case_id, "pass-on", actor=actor, text=text, codes=codes)
        return found
