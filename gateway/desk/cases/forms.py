"""The forms of a case: close, move, write or record a reply, ask its partner, tell an outcome.

The rules live beside this file; the forms only place each fault at its field, and name a blank question in words.
"""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

from werkzeug.datastructures import MultiDict

from gateway.desk.cases.closing import Assessment, Closing
from gateway.desk.cases.model import MOST_WEAKNESSES, OUT_OF_REMIT, CaseError, CaseRow, is_waiting, parse_day
from gateway.desk.cases.partner_side import Question
from gateway.desk.cases.reading import labels
from gateway.desk.cases.reading.labels import ASSESSMENT, CASE_FAULTS
from gateway.desk.cases.replies import ReplyDraft, clean_text, normalise
from gateway.desk.outbox.replies import REPLIED_BY_RETURN_CODE
from gateway.desk.views.page import Fault, parse_small_number
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.reply_message import MAX_BODY_CHARACTERS

Form = MultiDict[str, str]


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


COUNTS = (
    ("yes", "Yes, this is the reply that they were promised"),
    ("no", "No, they are answered another way as well"),
)


@dataclass(frozen=True, slots=True)
class ReplyAnswers:
    """What the two forms hold, so that a page that comes back has lost nothing."""

    reply_text: str
    counts: str
    counts_reason: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A reply as it will be shown. `mark` binds what is sent to what was looked at, `message_id` sends it once."""

    text: str
    is_the_reply: bool
    reason: str
    mark: str
    message_id: str


def read_reply(form: Form) -> ReplyAnswers:
    """Return the answers as they stand in the form."""
    return ReplyAnswers(
        reply_text=normalise(form.get("reply_text", "")),
        counts=form.get("counts", ""),
        counts_reason=form.get("counts_reason", "").strip(),
        code=form.get("code", ""),
        reason=form.get("reason", "").strip(),
    )


def make_draft(answers: ReplyAnswers) -> ReplyDraft:
    """Return the reply that complete answers ask for."""
    return ReplyDraft(answers.reply_text, is_the_reply=answers.counts == "yes", reason=answers.counts_reason)


def make_mark(draft: ReplyDraft) -> str:
    """Return what a preview carries to the sending: other words, or another answer, have another mark."""
    whole = "\0".join((draft.text, "yes" if draft.is_the_reply else "no", draft.reason))
    return hashlib.sha256(whole.encode()).hexdigest()


def list_reply_faults(case: CaseRow, answers: ReplyAnswers) -> list[Fault]:
    """Return what is missing in a reply before it is looked at."""
    faults = []
    try:
        clean_text(answers.reply_text)
    except ReportAbuseError as error:
        faults.append(fault_of(error, answers))
    if is_waiting(case) and answers.counts not in dict(COUNTS):
        faults.append(Fault("counts", "Say whether this is the reply that they were promised."))
    return faults


def list_record_faults(answers: ReplyAnswers) -> list[Fault]:
    """Return what is missing in the record of a reply that was given."""
    return [] if answers.code else [Fault("code", "Say how the person was answered.")]


def fault_of(error: ReportAbuseError, answers: ReplyAnswers) -> Fault:
    """Return the fault of the page for an error of the rules."""
    if error.reason == "too-long":
        return Fault("reply_text", _say_too_long(len(answers.reply_text)))
    field, said = labels.REPLY_FAULTS.get(error.reason, ("reply_text", str(error)))
    if error.reason == "reason-too-long" and answers.code == "":
        field = "counts_reason"
    if error.reason == "return-code-reason-missing" and answers.code == REPLIED_BY_RETURN_CODE:
        field = "reason"
    return Fault(field, said)


def _say_too_long(count: int) -> str:
    if count <= MAX_BODY_CHARACTERS:
        return "The text does not fit. Take some of it away."
    return (
        f"A reply has at most {MAX_BODY_CHARACTERS:,} characters. This one has {count:,}: "
        f"take {count - MAX_BODY_CHARACTERS:,} away."
    )


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
