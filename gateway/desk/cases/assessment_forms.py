"""The forms of the work on a case: have it, assess it, close it. Each fault stands at its field."""

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.desk.cases.assessing import Assessment, View, is_grown_up
from gateway.desk.cases.closing import Closing
from gateway.desk.cases.forms import make_case_fault
from gateway.desk.cases.model import MOST_WEAKNESSES, OUT_OF_REMIT, CaseError, CaseRow
from gateway.desk.cases.reading.case_work import URGENCIES
from gateway.desk.cases.reading.labels import ASSESSMENT
from gateway.desk.digests.facts import load_facts
from gateway.desk.views.page import Fault, Typed, parse_small_number

_TITLES: Final = {"already-closed": "close-title", "held": "holder-title", "not-opened": "report"}
HOLD_FIELDS: Final = _TITLES | {
    "not-yours": "holder-title",
    **dict.fromkeys(("reason-missing", "reason-too-long", "unprintable"), "over_reason"),
}
HAND_FIELDS: Final = HOLD_FIELDS | {
    **dict.fromkeys(("reason-missing", "reason-too-long", "unprintable"), "hand_reason"),
    **dict.fromkeys(("note-missing", "note-too-long", "note-unprintable"), "hand_note"),
    **dict.fromkeys(("no-recipient", "own-person"), "hand_person"),
}
ASSESS_FIELDS: Final = _TITLES | {
    "contact-undecided": "contact",
    "assessed-since": "assessment-title",
    **dict.fromkeys(("reason-missing", "reason-too-long", "unprintable", "bad-factor"), "factors"),
}
VIEW_FIELDS: Final = _TITLES | {
    "view-lowers": "view_immediate_risk",
    "bad-code": "view_immediate_risk",
    "not-assessed": "assessment-title",
}
PASS_FIELDS: Final = _TITLES | {
    "not-assessed": "assessment-title",
    "bad-code": "pass_means",
    **dict.fromkeys(("unknown-destination", "retired-destination"), "pass_to"),
    **dict.fromkeys(("reason-missing", "reason-too-long", "unprintable"), "pass_reason"),
    **dict.fromkeys(("note-missing", "note-too-long", "note-unprintable"), "pass_taken_by"),
}
CLOSE_FIELDS: Final = _TITLES | {
    "reply-owed": "code",
    "no-reply-unsigned": "reply-title",
    "contact-owed": "code",
    "not-assessed": "assessment-title",
    "assessment-stale": "assessment-title",
    "package-owed": "close-title",
    "no-redirect": "redirected_to",
    "outcome-waits": "told_outcome",
}
# What the form itself asks, beside the weaknesses.
CLOSE_FORM: Final = frozenset({"outcome", "redirected_to", "cluster", "release_outcome", *load_facts()})
_ABOVE: Final = frozenset({"report", "code", "assessment-title", "holder-title", "close-title"})
_QUESTIONS: Final = (
    *((name, f"Answer “{question}” with yes or no.") for name, question in ASSESSMENT),
    ("best_placed", "Choose who is best placed to act."),
    ("priority", "Choose the priority."),
    ("kind", "Choose the main kind of report."),
    ("age_band", "Choose the age of the child, or “Not known”."),
    ("assess_reasons", "Write why: the next person needs your reasons."),
)
_CONTACT: Final = ("contact", "Decide whether to contact the adult who reported.")


def spread_urgency(typed: Typed) -> Typed:
    """Return the form with the three answers of the chosen sentence; `each`, or none, leaves them as they are."""
    answers = typed["urgency"].split("-")
    if typed["urgency"] not in dict(URGENCIES) or len(answers) != len(ASSESSMENT):
        return typed
    return Typed(typed | {name: answer for (name, _), answer in zip(ASSESSMENT, answers, strict=True)})


def list_urgency_faults(typed: Typed) -> list[Fault]:
    """Return the fault of single answers beside a sentence that answers otherwise: never guess which one holds."""
    spread = spread_urgency(typed)
    differs = any(typed[name] and typed[name] != spread[name] for name, _ in ASSESSMENT)
    message = "Your answers differ from the sentence. Choose the sentence again, or “None of these” and each answer."
    return [Fault("urgency", message)] if differs else []


def list_assessment_faults(typed: Typed, case: CaseRow) -> list[Fault]:
    """Return the blank questions of an assessment, in the order of the page."""
    questions = [*_QUESTIONS[:-1], _CONTACT, _QUESTIONS[-1]] if is_grown_up(case) else _QUESTIONS
    return [Fault(name, message) for name, message in questions if not typed[name]]


def make_assessment(typed: Typed, case: CaseRow) -> Assessment:
    """Return the assessment from a complete form: the judged factors are those of the case."""
    judged = {code: typed[f"judge-{code}"] for code in case.factors.split()}
    return Assessment(
        immediate_risk=typed["immediate_risk"],
        urgent=typed["urgent"],
        urgent_dissemination=typed["urgent_dissemination"],
        best_placed=typed["best_placed"],
        priority=typed["priority"],
        kind=typed["kind"],
        age_band=typed["age_band"],
        reasons=typed["assess_reasons"],
        contact=typed["contact"],
        agreed={code: typed[f"why-{code}"] for code, one in judged.items() if one == "agreed"},
        struck={code: typed[f"why-{code}"] for code, one in judged.items() if one == "struck"},
    )


def make_view(typed: Typed) -> View:
    """Return the adviser's view from its form."""
    return View(
        immediate_risk=typed["view_immediate_risk"],
        urgent=typed["view_urgent"],
        urgent_dissemination=typed["view_urgent_dissemination"],
        priority=typed["view_priority"],
        reasons=typed["view_reasons"],
    )


def read_seen(typed: Typed) -> int:
    """Return the number of the assessment that the page showed; 0 for none, e.g. on a page from before the first."""
    return parse_small_number(typed["seen_step"]) or 0


def make_work_fault(error: CaseError, fields: Mapping[str, str], *, note: str = "", otherwise: str) -> Fault:
    """Return the fault of a form; `note` is the field of its longer text."""
    notes = dict.fromkeys(("note-missing", "note-too-long", "note-unprintable"), note) if note else {}
    return make_case_fault(error, {**notes, **fields}, otherwise=otherwise)


def list_closing_faults(typed: Typed, weaknesses: tuple[str, ...], refusals: Iterable[CaseError]) -> list[Fault]:
    """Return the faults that prevent closing a case, in the order of the page; `refusals` are those of the rules."""
    refused = [make_case_fault(one, CLOSE_FIELDS, otherwise="cluster") for one in refusals]
    faults = [fault for fault in refused if fault.field in _ABOVE]
    if not typed["outcome"]:
        faults.append(Fault("outcome", "Choose the outcome."))
    if typed["outcome"] == OUT_OF_REMIT and not typed["redirected_to"]:
        faults.append(Fault("redirected_to", "This is out of remit: choose where they were sent."))
    if len(weaknesses) > MOST_WEAKNESSES:
        faults.append(Fault("weakness", "Choose at most two weaknesses: the two that mattered most."))
    return faults + [fault for fault in refused if fault not in faults]


def make_closing(typed: Typed, weaknesses: tuple[str, ...]) -> Closing:
    """Return the closing from its form, which may still lack an answer."""
    return Closing(
        outcome=typed["outcome"],
        weaknesses=weaknesses,
        same_as=typed["cluster"] or None,
        release_outcome=typed["release_outcome"] == "yes",
        facts={name: typed[name] for name in load_facts()},
        # A destination left over from an earlier choice of outcome does not count.
        redirected_to=(typed["redirected_to"] or None) if typed["outcome"] == OUT_OF_REMIT else None,
    )
