"""Earlier reports of this folder and the agency's questions about them, which a new report answers or belongs to.

Only a receipt makes a response an answer. Never lets an answer go to another case than the one that the question is
about: the saved request decides, not the reference that was typed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._threads import OPEN_STATES, QUESTIONS, Thread, ThreadState, read_threads
from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.mailbox import InformationRequest
from partner_sdk.wire.submission import ReportKind


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the agency, and the state of its answer.

    `waiting`: an answer is sealed and not yet delivered; `answered`: one is. `answers` are reports that answer it.
    """

    request: InformationRequest
    thread: Thread

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

    @property
    def state(self) -> ThreadState:
        """The state of its thread, e.g. `open`."""
        return self.thread.state

    @property
    def answers(self) -> tuple[str, ...]:
        """The ids of the reports that answer it."""
        return self.thread.answers

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the deadline has passed without a delivered answer."""
        return self.thread.is_overdue(now)


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions, the soonest due first, and the numbers of messages whose question could not be read."""

    questions: tuple[Question, ...]
    unreadable: tuple[int, ...]


def list_requests(state: PartnerState, *, messages: Iterable[OpenedMessage] | None = None) -> Questions:
    """Return the questions in the saved messages with their states."""
    found = read_threads(state, kinds=QUESTIONS, messages=messages)
    questions = [Question(one.body, one) for one in found.threads if isinstance(one.body, InformationRequest)]
    ordered = sorted(questions, key=lambda one: (one.request.due_at, one.thread.number))
    return Questions(questions=tuple(ordered), unreadable=found.unreadable)


_UNKNOWN: Final = "No request with this id is saved here: `request list` fetches them. Give the id of an open one."
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
    kept = list_requests(state).questions
    asked = next((one for one in kept if one.request_id == report.answers_request), None)
    if asked is None:
        raise _refuse(
            "The question that this answers is not saved here, so its report is unknown too.",
            reason="unknown-request",
            detail=f"{_UNKNOWN} {_format_open(kept)}",
        )
    if asked.state not in OPEN_STATES:
        raise _refuse(
            "The question is not open any more.", reason="not-open", detail=f"{_describe(asked)} {_format_open(kept)}"
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


def _describe(asked: Question) -> str:
    """Return why a question takes no further report as its answer."""
    named = f" ({', '.join(asked.answers)})" if asked.answers else ""
    if asked.state == "waiting":
        return f"An answer waits in the spool{named}: `spool flush` sends it, `report discard` drops a report."
    if asked.state == "answered" and asked.answers:
        about = "it" if asked.reference is None else asked.reference
        return f"Your report {', '.join(asked.answers)} answers it. Send more as a supplement to {about}."
    ended = {"answered": "You answered it", "declined": "You declined it", "recalled": "The agency withdrew it"}
    return f"{ended.get(asked.state, 'The agency closed it')}: `request show {asked.request_id}` shows the thread."


def _refuse(message: str, *, reason: str, detail: str) -> ReportError:
    return ReportError(message, reason=reason, faults=[FieldFault("#/answers_request", detail)])


def _format_open(kept: Sequence[Question]) -> str:
    """Return the ids of the open questions, the soonest due first: they come from the agency, so they may be shown."""
    still_open = [one for one in kept if one.state in OPEN_STATES]
    if not still_open:
        return "No question is open."
    named = [
        f"{one.request_id} (about {one.reference or 'accounts'}, due {one.request.due_at[:10]})"
        for one in still_open[:_MOST_NAMED]
    ]
    more = f", and {len(still_open) - _MOST_NAMED} more" if len(still_open) > _MOST_NAMED else ""
    return f"Open now: {', '.join(named)}{more}."
