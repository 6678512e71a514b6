"""Reads the two forms of a reply, writing one and recording one, and says in words what is missing.

The rules live in `gateway/desk/replying` and `gateway/desk/casework`; here stands where on the page a fault belongs.
"""

import hashlib
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from gateway.desk.casework.cases import CaseRow
from gateway.desk.casework.promised_days import is_waiting
from gateway.desk.outbox.replies import REPLIED_BY_RETURN_CODE
from gateway.desk.reading import words
from gateway.desk.replying.replies import ReplyDraft, clean_text, normalise
from gateway.desk.views.case_form import Fault
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.reply_message import MAX_BODY_CHARACTERS

Form = MultiDict[str, str]
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
    field, said = words.REPLY_FAULTS.get(error.reason, ("reply_text", str(error)))
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
