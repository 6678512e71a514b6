"""The outcome for the child, as a body outside reports it: identified, safeguarded, and the rest of R52.

Apart from the outcome that goes to a partner about its own report, and from the one that closes a case: it may come
months later. A case can have several, e.g. located and safeguarded; one that was recorded in error is taken back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, check_code
from gateway.desk.cases.steps import CaseStep, StepKind, StepText, add_step, get_clean_note, list_steps
from gateway.desk.wiring import Desk
from partner_sdk.wire.thread_entry import PACKAGE_OUTCOMES

# The codes with which a body answers a package; each as the page has it.
CHILD_OUTCOMES: Final[Mapping[str, str]] = {code: title.removesuffix(".") for code, title in PACKAGE_OUTCOMES.items()}

_STEP: Final[StepKind] = "child-outcome"


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """One outcome that holds; `by` recorded it here. `action_id` is the package that it answers."""

    code: str
    at: str
    by: str
    action_id: str | None

    @property
    def title(self) -> str:
        """The outcome in words."""
        return CHILD_OUTCOMES.get(self.code, self.code)


def record_child_outcome(
    desk: Desk, wanted: str, *, outcome: str, told_by: str, actor: str, action_id: str | None = None
) -> CaseRow:
    """Record an outcome, also of a closed case; `told_by` names its source, e.g. an officer, and is sealed.

    Raises `CaseError`: `unknown-case`, `bad-code`, `not-opened`, `outcome-recorded`, and those of a note.
    """
    return _record(desk, wanted, outcome, note=told_by, actor=actor, action_id=action_id, holds=True)


def take_back_child_outcome(desk: Desk, wanted: str, *, outcome: str, reason: str, actor: str) -> CaseRow:
    """Record that an outcome was recorded in error. Raises `CaseError`, also `outcome-not-recorded`."""
    return _record(desk, wanted, outcome, note=reason, actor=actor, action_id=None, holds=False)


def list_child_outcomes(steps: Iterable[CaseStep]) -> list[ChildOutcome]:
    """Return the outcomes that hold, the oldest first, from the steps of a case, the newest first."""
    found: dict[str, ChildOutcome] = {}
    for step in sorted((one for one in steps if one.kind == _STEP), key=lambda one: one.number):
        code = step.detail["outcome"]
        found.pop(code, None)
        if step.detail["holds"]:
            found[code] = ChildOutcome(code, step.at, step.by, step.detail["action_id"])
    return list(found.values())


def _record(
    desk: Desk, wanted: str, outcome: str, *, note: str, actor: str, action_id: str | None, holds: bool
) -> CaseRow:
    check_code("outcome for the child", outcome, tuple(CHILD_OUTCOMES))
    text = StepText(note=get_clean_note(note))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.opened_at is None:
            raise CaseError("This report is still unread: open it first.", reason="not-opened")
        held = {one.code for one in list_child_outcomes(list_steps(connection, found, kinds={_STEP}))}
        if holds and outcome in held:
            raise CaseError("This outcome is recorded already.", reason="outcome-recorded")
        if not holds and outcome not in held:
            raise CaseError(
                "This outcome is not recorded, so there is nothing to take back.", reason="outcome-not-recorded"
            )
        codes = {"outcome": outcome, "action_id": action_id, "holds": holds}
        add_step(desk, connection, found.case_id, _STEP, actor=actor, text=text, codes=codes)
        return found
