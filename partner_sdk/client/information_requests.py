"""What the agency asked this partner, from the saved mailbox, and which of it is answered.

A response is noted when it is sealed: `answers/REPORT_ID.json` holds the id of the request and nothing else, since what
the response says lies sealed in the spool. Only a receipt makes it an answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.durable_files import find_bytes, make_private_folder, write_durably
from partner_sdk.errors import FormatError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time
from partner_sdk.wire.questions import InformationRequest, parse_information_request
from partner_sdk.wire.submission import ReportKind

FOLDER = "answers"
MAX_NOTE_BYTES = 256

RequestState = Literal["open", "waiting", "answered"]


class AnswerNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which request a sealed response answers."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request of the agency about a report of this partner, and how far its answer is.

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
        """What the agency asks."""
        return self.request.question

    @property
    def reference(self) -> str:
        """The reference of the report that it is about; `request.report_id` is its id."""
        return self.request.reference

    @property
    def due_at(self) -> datetime:
        """By when the law wants the answer (UTC)."""
        return parse_time(self.request.due_at)

    def is_overdue(self, now: datetime) -> bool:
        """Whether the due time is past and no answer was delivered."""
        return self.state != "answered" and now > self.due_at


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions, the soonest due first, and the numbers of messages whose question could not be read."""

    questions: tuple[Question, ...]
    unreadable: tuple[int, ...]


def note_answer(state: PartnerState, report_id: str, *, report: IndustryReport, kind: ReportKind) -> None:
    """Note which request a response answers, before it is saved; nothing for another kind, or for free words."""
    if kind != "response" or report.answers_request is None:
        return
    try:
        check_report_id(report.answers_request)
    except FormatError:
        return  # whatever it says, it may be words about somebody: those are only kept sealed
    make_private_folder(state.folder / FOLDER)
    check_report_id(report_id)
    write_durably(state.folder / FOLDER / f"{report_id}.json", encode(AnswerNote(request_id=report.answers_request)))


def list_requests(state: PartnerState, *, messages: Iterable[OpenedMessage]) -> Questions:
    """Return the requests of the saved messages with how far each is; a later message with the same id counts."""
    answers = _list_answers(state)
    undelivered = set(state.list_undelivered())
    delivered = {*state.list_receipts(), *state.list_desk_receipts()}
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
