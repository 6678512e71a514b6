"""The forms of a case: move, link, write or record a reply, send an outcome.

The rules are in the modules beside this one; the forms only place each fault at its field and name each blank question.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.desk.cases.model import REPLIED_BY_RETURN_CODE, CaseError, CaseRow, is_waiting, normalise, parse_day
from gateway.desk.cases.replying.replies import ReplyDraft, clean_text
from gateway.desk.people.permissions import Permission, format_roles
from gateway.desk.views.page import Fault, Typed, parse_small_number
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.reply_message import MAX_BODY_CHARACTERS

# The field of the page for each refusal of the rules, by form.
MOVE_FIELDS: Final = {"bad-lane": "lane", "bad-score": "score", "already-closed": "risk-title"}
_REASON_FAULTS: Final = ("reason-missing", "reason-too-long", "unprintable")
LINK_FIELDS: Final = dict.fromkeys(_REASON_FAULTS, "link_reason")
MATCH_FIELDS: Final = dict.fromkeys(_REASON_FAULTS, "match_reason")
ASSIGN_FIELDS: Final = dict.fromkeys(_REASON_FAULTS, "assign_reason")
ABOUT_FIELDS: Final = dict.fromkeys(_REASON_FAULTS, "about_reason")
OUTCOME_FIELDS: Final = {
    "bad-day": "hold_until",
    "outcome-waits": "told_outcome",
    "nothing-waits": "told_outcome",
    "not-own-duplicate": "told_outcome",
    "not-opened": "report",
}
# The form's messages when the rules of casework refuse; the errors' own text is for the command line.
CASE_FAULTS = {
    "already-closed": "This case is already closed. Nothing was changed.",
    "not-opened": "This report is still unread. Open it first.",
    "reply-owed": "A reply is owed to the person who reported. Record the reply below before you close the case.",
    "no-reply-unsigned": "No reply was given to this child: a second person has to sign the reason first.",
    "no-redirect": "This is out of remit: choose where they were sent.",
    "bad-code": "One of the answers is not on the list. Choose it again.",
    "unknown-case": "No case has that id or reference.",
    "synthetic": "This is a made-up case. It has no report to read.",
    "bad-lane": "Choose where the case belongs: the crisis lane or the queue.",
    "bad-score": "Give a score from 0 to 999, or leave it as it is.",
    "reason-missing": "Give the reason.",
    "unknown-service": "No service in the register has this name. Check the spelling, or tick that it is new.",
    "own-case": "That is this case itself. Give the reference of another one.",
    "linked-already": "These two cases are linked already.",
    "no-link": "These two cases have no link of their own. End the links that connect them.",
    "reason-too-long": "Make the reason shorter: 300 characters at most.",
    "unprintable": "The text contains characters that a page cannot show. Remove them.",
    "lowered-unread": (
        "Part of this case is unread. Open each of its reports first, then move it out of the crisis lane."
    ),
    "lowered-by-other": f"Only {format_roles(Permission.MOVE_CASES)} lowers a case. Raise it, or ask one of them.",
    "not-moved": "The case already has this lane and score. Change one of them.",
    "not-assessed": "Assess the case first. Nothing leaves the desk and nothing closes before it is assessed.",
    "assessment-stale": "Assess the case again: more was read, or it was reopened, after its assessment.",
    "assessed-since": (
        "This case was assessed again while you wrote. Read that, change yours if you need to, and record it."
    ),
    "bad-factor": "One of the risk factors is not of this case. Judge those of the list.",
    "contact-undecided": "Decide whether to contact the adult who reported: yes or no.",
    "view-lowers": "A view can only raise an answer. Ask the assessor to assess the case again.",
    "note-missing": "Write this part: the next person needs it.",
    "note-too-long": "Make the text shorter: a note has at most 4,000 characters, an answer to a request 20,000.",
    "note-unprintable": "The text contains characters that a page cannot show. Remove them.",
    "no-recipient": "Choose one faculty, or one person who works on cases of this lane, by the handle.",
    "own-person": "Choose another person. To have a case yourself, take it on its page.",
    "none-chosen": "Tick the cases in the list first.",
    "not-yours": "Nobody has this case. Take it first.",
    "package-owed": (
        "Police or child protection need this urgently: send them a package and wait until they acknowledge it, "
        "record who took it there, or a supervisor records why not."
    ),
    "unknown-destination": "Choose the body that took it.",
    "retired-destination": "This body takes nothing more. Choose another one.",
    "outcome-recorded": "This outcome is recorded already. Choose another one.",
    "outcome-not-recorded": "This outcome is not recorded, so there is nothing to take back. Choose a recorded one.",
    "no-package-owed": "This case does not wait for a package.",
    "contact-owed": "The assessment says to contact the adult who reported. Record that, or assess the case again.",
    "not-closed": "This case is open. Nothing was changed.",
    "outcome-waits": "An outcome is already waiting. Take it back before you choose another.",
    "not-own-duplicate": ("“Known already” is only for reports that this partner sent before. Choose “Used” instead."),
}

# The same for a reply: the field, and how to fix it.
REPLY_FAULTS = {
    "no-text": ("reply_text", "Write the reply first."),
    **dict.fromkeys(("said-missing", "note-missing", "note-too-long", "note-unprintable"), ("said", "")),
    **dict.fromkeys(("bad-day", "time-ahead", "time-before"), ("said_day", "")),
    **dict.fromkeys(("bad-time", "no-such-time", "time-twice"), ("said_clock", "")),
    **dict.fromkeys(("spoke-to-missing", "bad-spoke-to"), ("spoke_to", "")),
    "way-not-open": ("code", ""),
    "bad-code": ("code", ""),
    "unprintable": ("reply_text", "The text contains characters that a page cannot show. Remove them."),
    "reason-missing": ("reason", "Explain in a sentence why there is no safe way to reply."),
    "return-code-reason-missing": ("counts_reason", "Explain in a sentence why the return code alone is enough."),
    "reason-too-long": ("reason", "Make the reason shorter: 300 characters at most."),
    "no-sealed-reply": ("code", "No reply has been written to the return code yet. Write one first."),
    "no-reply-key": ("reply_text", "This report has no return code. Answer another way, then record it."),
    "not-opened": ("report", "This report is still unread. Open it first."),
    "first-not-opened": (
        "report",
        "This adds to a report that is still unread. Open that report first: it explains how to reach them safely.",
    ),
    "not-proven": (
        "reply_text",
        "This is not proven to come from the same person, so you cannot reply here. Reply from the first report.",
    ),
    "no-place": ("reply_text", "The gateway no longer keeps this return code. Answer another way."),
    "no-sealing-key": ("reply_text", "The desk has no active sealing key. Ask your administrator to publish one."),
}
COUNTS = (
    ("yes", "Yes, this is the reply they were promised"),
    ("no", "No, they will also be answered another way"),
)


def make_case_fault(error: ReportAbuseError, fields: Mapping[str, str], *, otherwise: str) -> Fault:
    """Return the page's fault for an error of the rules; `otherwise` is the field for an unlisted one."""
    return Fault(fields.get(error.reason, otherwise), CASE_FAULTS.get(error.reason, str(error)))


def parse_score(text: str) -> int | None:
    """Return the form's score, or None if it is blank. Raises `CaseError` (`bad-score`)."""
    score = parse_small_number(text) if text else None
    if text and score is None:
        raise CaseError("Enter the score as a number.", reason="bad-score")
    return score


@dataclass(frozen=True, slots=True)
class Preview:
    """A reply as it will be shown. `mark` binds the sent text to the previewed one; `message_id` makes it send once."""

    draft: ReplyDraft
    mark: str
    message_id: str


def make_draft(typed: Typed) -> ReplyDraft:
    """Return the reply from a complete form."""
    is_the_reply = typed["counts"] == "yes"
    return ReplyDraft(normalise(typed["reply_text"]), is_the_reply=is_the_reply, reason=typed["counts_reason"])


def make_mark(draft: ReplyDraft) -> str:
    """Return the mark that a preview passes on to the sending; another text or answer has another mark."""
    whole = "\0".join((draft.text, "yes" if draft.is_the_reply else "no", draft.reason))
    return hashlib.sha256(whole.encode()).hexdigest()


def list_reply_faults(case: CaseRow, typed: Typed) -> list[Fault]:
    """Return the faults that prevent the preview of a reply."""
    faults = []
    try:
        clean_text(typed["reply_text"])
    except ReportAbuseError as error:
        faults.append(make_reply_fault(error, typed))
    if is_waiting(case) and typed["counts"] not in dict(COUNTS):
        faults.append(Fault("counts", "Choose whether this is the reply they were promised."))
    return faults


def make_reply_fault(error: ReportAbuseError, typed: Typed) -> Fault:
    """Return the page's fault for an error of the rules for replies."""
    if error.reason == "too-long":
        return Fault("reply_text", _format_too_long(len(normalise(typed["reply_text"]))))
    field, said = REPLY_FAULTS.get(error.reason, ("reply_text", str(error)))
    if isinstance(error, CaseError) and error.reason == "unprintable":
        field = "reason"
    if error.reason in {"reason-too-long", "unprintable"} and field == "reason" and typed["code"] == "":
        field = "counts_reason"
    if error.reason == "return-code-reason-missing" and typed["code"] == REPLIED_BY_RETURN_CODE:
        field = "reason"
    return Fault(field, said or str(error))


def _format_too_long(count: int) -> str:
    if count <= MAX_BODY_CHARACTERS:
        return "The text is too long. Shorten it."
    return (
        f"A reply can have up to {MAX_BODY_CHARACTERS:,} characters. This one has {count:,}: "
        f"remove {count - MAX_BODY_CHARACTERS:,}."
    )


def parse_optional_day(text: str) -> date | None:
    """Return the day of a field, or None if it is blank. Raises `CaseError` (`bad-day`)."""
    return parse_day(text) if text else None
