"""Reads the answers that close a case or move it in the queue, and gives what is missing in words.

The rules live in `gateway/desk/casework` (closing.py, moving.py); this file only knows which question was left blank.
"""

from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from gateway.desk.casework.case_codes import MOST_WEAKNESSES, OUT_OF_REMIT
from gateway.desk.casework.cases import CaseError
from gateway.desk.casework.closing import Assessment, Closing
from gateway.desk.reading.words import ASSESSMENT, CASE_FAULTS
from gateway.desk.views.list_pages import parse_small_number

Form = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: which question, and what to do about it."""

    field: str
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What the form holds, so that a page that comes back has lost nothing."""

    single: dict[str, str]
    weaknesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveAnswers:
    """What the form holds that moves a case in the queue."""

    lane: str
    score: str
    move_reason: str


_MOVE_FIELDS = {"bad-lane": "lane", "bad-score": "score"}
_QUESTIONS = (
    *((name, f"Answer “{question}” with yes or no.") for name, question in ASSESSMENT),
    ("best_placed", "Say who is best placed to act."),
    ("kind", "Choose the main kind of report."),
    ("age_band", "Choose the age of the child, or “Not known”."),
    ("outcome", "Choose the outcome."),
    ("assessor", "Give the name of the person who assessed this."),
)
_OPTIONAL = ("cluster", "redirected_to", "release_outcome")


def read_answers(form: Form, *, person: str) -> Answers:
    """Return the answers as they stand in the form; before the first post the assessor is who is signed in."""
    names = [name for name, _ in _QUESTIONS] + list(_OPTIONAL)
    single = {name: form.get(name, "").strip() for name in names}
    if "assessor" not in form:
        single["assessor"] = person
    return Answers(single, tuple(form.getlist("weakness")))


def list_faults(answers: Answers) -> list[Fault]:
    """Return what is missing, in the order of the form."""
    faults = [Fault(name, words) for name, words in _QUESTIONS if not answers.single[name]]
    if answers.single["outcome"] == OUT_OF_REMIT and not answers.single["redirected_to"]:
        faults.append(Fault("redirected_to", "Say where they were sent, because this is out of remit."))
    if len(answers.weaknesses) > MOST_WEAKNESSES:
        faults.append(Fault("weakness", "Choose two weaknesses at most: the two that mattered most."))
    return faults


def make_closing(answers: Answers) -> Closing:
    """Return the closing that complete answers ask for."""
    single = answers.single
    return Closing(
        assessment=Assessment(
            assessor=single["assessor"],
            immediate_risk=single["immediate_risk"],
            urgent=single["urgent"],
            urgent_dissemination=single["urgent_dissemination"],
            best_placed=single["best_placed"],
        ),
        outcome=single["outcome"],
        kind=single["kind"],
        age_band=single["age_band"],
        weaknesses=answers.weaknesses,
        cluster_id=single["cluster"] or None,
        # A place that is still chosen from before the outcome was changed is no answer.
        redirected_to=(single["redirected_to"] or None) if single["outcome"] == OUT_OF_REMIT else None,
    )


def read_move(form: Form) -> MoveAnswers:
    """Return the answers as they stand in the form."""
    return MoveAnswers(**{name: form.get(name, "").strip() for name in MoveAnswers.__dataclass_fields__})


def parse_score(text: str) -> int | None:
    """Return the score of the form, or None where it is left as it is. Raises `CaseError` (`bad-score`)."""
    score = parse_small_number(text) if text else None
    if text and score is None:
        raise CaseError("A score is a number.", reason="bad-score")
    return score


def move_fault_of(error: CaseError) -> Fault:
    """Return the fault of the page for an error of moving."""
    return Fault(_MOVE_FIELDS.get(error.reason, "move_reason"), CASE_FAULTS.get(error.reason, str(error)))
