"""Reads the two forms about a partner, asking it and telling it an outcome, and says in words what is missing.

The rules live in `gateway/desk/casework`; here stands where on the page a fault belongs.
"""

from dataclasses import dataclass
from datetime import date

from werkzeug.datastructures import MultiDict

from gateway.desk.casework.asking import Question
from gateway.desk.casework.cases import CaseError
from gateway.desk.views.case_form import Fault

Form = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class PartnerAnswers:
    """What the two forms hold, so that a page that comes back has lost nothing."""

    question: str
    purpose: str
    legal_basis: str
    due: str
    told_outcome: str
    hold_until: str


# Which field a refusal of the rules belongs to, and what to do about it.
_FAULTS = {
    "no-question": ("question", "Write the question first."),
    "no-purpose": ("purpose", "Say what the answer is needed for."),
    "no-legal-basis": ("legal_basis", "Name the law that it is asked under."),
    "unprintable": ("question", "The text holds signs that no page can show. Take them out."),
    "question-open": ("question", "A question about this case is open. Wait for its answer, or for its last day."),
    "already-closed": ("question", "This case is closed already. Nothing was asked."),
    "outcome-waits": ("told_outcome", "An outcome waits already. Take it back first."),
    "nothing-waits": ("told_outcome", "Nothing waits any more. What was released can not be taken back."),
    "not-own-duplicate": (
        "told_outcome",
        "“Known already” is told only of what this partner itself had reported. Choose “Used” instead.",
    ),
    "no-sealing-key": ("question", "No sealing key of the desk is active. Run “report-abuse-desk publish”."),
}


def read_partner_answers(form: Form) -> PartnerAnswers:
    """Return the answers as they stand in the form."""
    return PartnerAnswers(**{name: form.get(name, "").strip() for name in PartnerAnswers.__dataclass_fields__})


def make_question(answers: PartnerAnswers) -> Question:
    """Return the question that the form asks for. Raises `CaseError` (`bad-day`)."""
    return Question(
        question=answers.question,
        purpose=answers.purpose,
        legal_basis=answers.legal_basis,
        due=parse_day(answers.due),
    )


def parse_day(text: str) -> date | None:
    """Return a day written like 2026-12-24, or None for none. Raises `CaseError` (`bad-day`)."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CaseError("A day is written like 2026-12-24.", reason="bad-day") from None


def partner_fault_of(error: CaseError, *, day_field: str, otherwise: str) -> Fault:
    """Return the fault of the page for an error of the rules; `otherwise` is where an unnamed one belongs."""
    if error.reason == "bad-day":
        return Fault(day_field, str(error))
    field, said = _FAULTS.get(error.reason, (otherwise, str(error)))
    return Fault("report" if error.reason == "not-opened" else field, said)
