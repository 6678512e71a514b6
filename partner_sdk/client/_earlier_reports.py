"""Earlier reports of this folder and the agency's questions about them, which a new report answers or belongs to.

A response is noted when it is sealed: `answers/REPORT_ID.json` holds the id of the request and nothing else, since the
text of the response lies sealed in the spool. Only a receipt makes it an answer. Never lets an answer go to another
case than the one that the question is about: the saved request decides, not the reference that was typed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.mailbox import OpenedMessage, read_message
from partner_sdk.durable_files import find_bytes, make_private_folder, write_durably
from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time
from partner_sdk.wire.mailbox_message import InformationRequest, parse_information_request
from partner_sdk.wire.submission import ReportKind

FOLDER = "answers"
MAX_NOTE_BYTES = 256

RequestState = Literal["open", "waiting", "answered"]


class AnswerNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request that a sealed response answers."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request of the agency about a report of this partner, and the state of its answer.

    `waiting`: an answer is sealed and has no receipt yet; `answered`: one has. `answers` are their report ids.
    """

    request: InformationRequest
    number: int
    issued_at: str
    state: RequestState
    answers: tuple[str, ...]

    @property
    def request_id(self) -> str:
        """The id that an answer names."""
        return self.request.request_id

    @property
    def text(self) -> str:
        """The agency's question."""
        return self.request.question

    @property
    def reference(self) -> str | None:
        """The reference of the report that it is about, or None: it is about `request.accounts` alone."""
        return self.request.reference

    @property
    def due_at(self) -> datetime:
        """The legal deadline of the answer (UTC)."""
        return parse_time(self.request.due_at)

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the deadline has passed without a delivered answer."""
        return self.state != "answered" and now > self.due_at


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions, the soonest due first, and the numbers of messages whose question could not be read."""

    questions: tuple[Question, ...]
    unreadable: tuple[int, ...]


def note_answer(state: PartnerState, report_id: str, *, report: IndustryReport, kind: ReportKind) -> None:
    """Record the request that a response answers, before it is saved; nothing for another kind, or for free text."""
    if kind != "response" or report.answers_request is None:
        return
    try:
        check_report_id(report.answers_request)
    except FormatError:
        return  # it may be words about a person: those are only kept sealed
    make_private_folder(state.folder / FOLDER)
    check_report_id(report_id)
    write_durably(state.folder / FOLDER / f"{report_id}.json", encode(AnswerNote(request_id=report.answers_request)))


def list_requests(state: PartnerState, *, messages: Iterable[OpenedMessage]) -> Questions:
    """Return the requests in saved messages with their states; a later message with the same id replaces it."""
    answers = _list_answers(state)
    undelivered = set(state.list_undelivered())
    delivered = state.list_delivered()
    found: dict[str, Question] = {}
    unreadable: list[int] = []
    for opened in messages:
        if opened.message.kind != "information-request":
            continue
        try:
            request = parse_information_request(opened.body)
        except FormatError:
            unreadable.append(opened.message.number)
            continue
        given = tuple(one for one in answers.get(request.request_id, ()) if one in delivered or one in undelivered)
        state_of_it: RequestState = "waiting" if given else "open"
        if any(one in delivered for one in given):
            state_of_it = "answered"
        found[request.request_id] = Question(
            request=request,
            number=opened.message.number,
            issued_at=opened.message.issued_at,
            state=state_of_it,
            answers=given,
        )
    ordered = sorted(found.values(), key=lambda one: (one.request.due_at, one.number))
    return Questions(questions=tuple(ordered), unreadable=tuple(unreadable))


def _list_answers(state: PartnerState) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((state.folder / FOLDER).glob("[0-9a-f]*.json")):
        raw = find_bytes(path) or b""
        try:
            note = parse_exact(raw, kind=AnswerNote, max_bytes=MAX_NOTE_BYTES)
        except FormatError:
            continue  # the request then counts as open: better asked twice than forgotten
        found.setdefault(note.request_id, []).append(path.stem)
    return found


_NOT_KNOWN_HERE: Final = (
    "No request with this id is saved in this folder. `requests` fetches and lists them: give the id of an open one."
)
_HAS_ANSWER: Final = {
    "waiting": "An answer waits in the spool ({answers}): `spool flush` sends it, `report discard` drops it.",
    "answered": "Your report {answers} answers it. Send more as a supplement to {reference}.",
}
_MOST_NAMED: Final = 5


def check_earlier_reference(reference: str | None, *, kind: ReportKind) -> None:
    """Raise `FormatError` if a report of this kind must name an earlier one and does not; a response need not."""
    if kind not in {"initial", "response"} and reference is None:
        raise FormatError(
            f"A {kind} needs an earlier reference (--earlier-reference) to your own report.",
            reason="no-earlier-reference",
        )


def find_earlier_reference(
    state: PartnerState, report: IndustryReport, *, kind: ReportKind, given: str | None
) -> str | None:
    """Return the earlier reference to seal: the one given, and for a response that of the question that it answers.

    Raises `FormatError` (`no-earlier-reference`), and `ReportError`: `unknown-request` when the question is not saved
    in this folder, `not-open` when it has an answer already, `other-report` when it is about another report.
    """
    check_earlier_reference(given, kind=kind)
    if kind != "response":
        return given
    kept = list_requests(state, messages=[read_message(state, number) for number in state.list_messages()]).questions
    asked = next((one for one in kept if one.request_id == report.answers_request), None)
    if asked is None:
        raise _refuse(
            "The question that this answers is not saved here, so its report is unknown too.",
            reason="unknown-request",
            detail=f"{_NOT_KNOWN_HERE} {_format_open(kept)}",
        )
    if asked.state != "open":
        raise _refuse(
            "The question has already been answered.",
            reason="not-open",
            detail=f"{_HAS_ANSWER[asked.state].format(answers=', '.join(asked.answers), reference=asked.reference)} "
            f"{_format_open(kept)}",
        )
    if given not in {None, asked.reference}:
        raise _refuse(
            "The question is about a different report from the one in --earlier-reference.",
            reason="other-report",
            detail="This request is about no report of yours: give no reference."
            if asked.reference is None
            else f"This request is about your report {asked.reference}: give that reference.",
        )
    return asked.reference


def _refuse(message: str, *, reason: str, detail: str) -> ReportError:
    return ReportError(message, reason=reason, faults=[FieldFault("#/answers_request", detail)])


def _format_open(kept: Sequence[Question]) -> str:
    """Return the ids of the open questions, the soonest due first: they come from the agency, so they may be shown."""
    still_open = [one for one in kept if one.state == "open"]
    if not still_open:
        return "No question is open."
    named = [
        f"{one.request_id} (about {one.reference}, due {one.request.due_at[:10]})" for one in still_open[:_MOST_NAMED]
    ]
    more = f", and {len(still_open) - _MOST_NAMED} more" if len(still_open) > _MOST_NAMED else ""
    return f"Open now: {', '.join(named)}{more}."
