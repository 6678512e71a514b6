"""One list of everything that happened to a case, the newest last: reports, reading, work, messages.

Made from the audit log, which names every act on a case, from the steps, which have the sealed reasons, and from the
times at which reports came and messages left. Holds typed texts only if the report is open beside it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from gateway.desk import audit
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import list_additions, list_joined
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.outbox.replies import WrittenReply, list_written
from gateway.desk.partners.questions import QuestionRow, list_questions
from gateway.desk.people.register import format_person
from gateway.desk.wiring import Desk

# More than a person reads: the oldest acts are left out of the page, never of the audit log.
MOST_ACTS: Final = 200
_READ: Final = "open-case"
_Detail = Mapping[str, Any]
# The acts of the audit log on the page, each with its sentence after the person's name. The steps of a case are acts
# too, and come with their reasons (case_work.py).
SENTENCES: Final[Mapping[str, Callable[[_Detail], str]]] = {
    _READ: lambda _: "opened the report",
    "open-evidence": lambda detail: f"opened a file ({detail['evidence_id']})",
    "came-through-gateway-too": lambda detail: f"received it through the gateway too, as {detail['as']}",
    "carry-holder": lambda detail: f"found it with {detail['holder']}, when a report that was taken apart joined it",
    "write-to-return-code": lambda detail: (
        "wrote a reply to the return code" if detail["kind"] == "reply" else "left a note that the report was read"
    ),
    "no-read-note": lambda _: "could not leave a note that the report was read",
    "decide-outcome": lambda detail: f"decided the outcome for the partner: {title_of(detail['outcome'])}",
    "release-outcome": lambda detail: f"told the partner the outcome: {title_of(detail['outcome'])}",
    "take-back-outcome": lambda detail: f"took the outcome for the partner back: {title_of(detail['outcome'])}",
    "ask-partner": lambda _: "asked the partner a question",
    "sign-release": lambda _: "signed that no reply is safe",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One line: `name` is a person or the sender, `done` the rest of the sentence, and `to` a case that it names.

    `is_sealed` means that something was typed that is not open here. `times` and `until` count readings by one person
    without another act between them.
    """

    at: str
    name: str
    done: str
    to: CaseRow | None = None
    reason: str = ""
    note: str = ""
    factors: Sequence[tuple[str, str]] = ()
    is_sealed: bool = False
    is_hot: bool = False
    times: int = 1
    until: str = ""


def make_timeline(
    desk: Desk, lead: CaseRow, steps: Sequence[Event], *, sender: str, reasons: Mapping[str, str] = MappingProxyType({})
) -> list[Event]:
    """Return what happened to a case, the oldest first. `steps` are those of the case, the newest first.

    `reasons` are the sender's, by case id, of opened reports.
    """
    with desk.store.read() as connection:
        reports = list_joined(connection, lead)
        ids = [one.case_id for one in reports]
        added = [one for one in list_additions(connection, lead) if one.case_id not in ids]
        acts = audit.list_acts(connection, subjects=ids, actions=list(SENTENCES), most=MOST_ACTS)
        replies = list_written(connection, case_id=lead.case_id)
        questions = list_questions(connection, case_id=lead.case_id)
        names = {one: format_person(connection, one) for one in {act.actor for act in acts}}
    events = [
        *(_receive(one, lead, sender=sender, reason=reasons.get(one.case_id, "")) for one in (*reports, *added)),
        *(Event(act.at, names[act.actor], SENTENCES[act.action](act.detail)) for act in acts),
        *reversed(steps),
        *_list_messages(replies, questions),
    ]
    # Stable: acts of one moment keep the order above.
    return _join_readings(sorted(events, key=lambda one: one.at))


def _receive(report: CaseRow, first: CaseRow, *, sender: str, reason: str) -> Event:
    kind = title_of(report.report_kind).lower() if report.report_kind else "report" if report == first else "addition"
    done = f"sent {'an' if kind[0] in 'aeiou' else 'a'} {kind}, {report.priority}"
    return Event(
        report.received_at,
        sender,
        f"{done}, crisis:" if report.crisis and report != first else f"{done}:",
        to=report,
        reason=reason,
        is_hot=report.opened_at is None and report.closed_at is None,
    )


def _list_messages(replies: Iterable[WrittenReply], questions: Iterable[QuestionRow]) -> Iterator[Event]:
    for reply in replies:
        what = "reply" if reply.kind == "reply" else "note that the report was read"
        if reply.posted_at:
            yield Event(reply.posted_at, "The gateway", f"took the {what}")
        if reply.no_place_at:
            yield Event(reply.no_place_at, "The gateway", f"refused the {what}: its return code is gone")
    for question in questions:
        if question.posted_at:
            yield Event(question.posted_at, "The gateway", "took the question")


def _join_readings(events: Iterable[Event]) -> list[Event]:
    joined = list[Event]()
    for one in events:
        last = joined[-1] if joined else None
        if last is not None and one.done == SENTENCES[_READ]({}) and (last.name, last.done) == (one.name, one.done):
            joined[-1] = replace(last, times=last.times + 1, until=one.at)
        else:
            joined.append(one)
    return joined
