"""Reads the two forms about a partner, asking it and telling it an outcome, and says in words what is missing.

The rules and their words live in `gateway/desk/casework`; here stands where on the page a fault belongs.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from werkzeug.datastructures import MultiDict

from gateway.desk.casework.asking import Question
from gateway.desk.casework.cases import CaseError
from gateway.desk.casework.promised_days import parse_day
from gateway.desk.reading.words import CASE_FAULTS
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


# Which field of the page a refusal of the rules belongs to.
_FIELDS: Final = {
    "no-question": "question",
    "no-purpose": "purpose",
    "no-legal-basis": "legal_basis",
    "unprintable": "question",
    "question-open": "question",
    "already-closed": "question",
    "outcome-waits": "told_outcome",
    "nothing-waits": "told_outcome",
    "not-own-duplicate": "told_outcome",
    "not-opened": "report",
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
        due=parse_optional_day(answers.due),
    )


def parse_optional_day(text: str) -> date | None:
    """Return the day of a field, or None where it is left blank. Raises `CaseError` (`bad-day`)."""
    return parse_day(text) if text else None


def partner_fault_of(error: CaseError, *, day_field: str, otherwise: str) -> Fault:
    """Return the fault of the page for an error of the rules; `otherwise` is where an unnamed one belongs."""
    field = day_field if error.reason == "bad-day" else _FIELDS.get(error.reason, otherwise)
    return Fault(field, CASE_FAULTS.get(error.reason, str(error)))
