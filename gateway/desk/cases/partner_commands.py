"""A partner's case on the terminal: its reports, questions and outcomes in `case list` and `case show`, `case ask`,
`case outcome`.

Never sends anything itself: the next `collect` takes it along.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.desk.cases.lines import print_changes, print_report, print_typed, read_text
from gateway.desk.cases.model import OUTCOMES, CaseError, CaseRow, get_uk_day, parse_day
from gateway.desk.cases.opening import OpenedReport, Source, list_sources
from gateway.desk.cases.partner_side import (
    DAYS_TO_ANSWER,
    Clock,
    Question,
    ask_partner,
    format_open_questions,
    schedule_outcome,
    take_back,
)
from gateway.desk.cases.queue import Later, list_later
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.cases.reading.partner_case import PartnerCase, ShownQuestion
from gateway.desk.partners.questions import list_unanswered
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import FILE, Call, desk_command, print_result, say
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.mailbox_message import OUTCOMES as TOLD
from partner_sdk.wire.mailbox_message import format_outcome

_TOLD = "; ".join(f"{code}: {meaning}" for code, meaning in TOLD)


@dataclass(frozen=True, slots=True)
class ListMarks:
    """The marks of cases in lists: their source, later reports, and the clock of a question."""

    sources: Mapping[str, Source]
    later: Mapping[str, Later]
    clocks: Mapping[str, Clock]

    def list_marks(self, case: CaseRow) -> list[str]:
        """Return the marks of one case."""
        later, clock = self.later.get(case.case_id), self.clocks.get(case.case_id)
        marks = []
        if case.report_kind == "retraction" or (later is not None and later.is_taken_back):
            marks.append("TAKEN BACK BY ITS SENDER")
        if later is not None and later.unread:
            marks.append(f"NEW: {', '.join(later.unread)}")
        if later is not None:
            marks.append(f"{later.count + 1} reports")
        if clock is not None and case.closed_at is None:
            marks.append(f"QUESTION {clock.words.upper()}" if clock.is_late else f"question: {clock.words.lower()}")
        return marks

    def name_source(self, case: CaseRow) -> str:
        """Return the source of a case, e.g. `police GB`."""
        source = self.sources.get(case.partner)
        if source is None or source.type == "service":
            return case.came_by
        return f"{source.type} {source.country}" if source.country else source.type

    def as_json(self, case: CaseRow) -> dict[str, Any]:
        """Return the same for machines."""
        source, later, clock = (
            self.sources.get(case.partner),
            self.later.get(case.case_id),
            self.clocks.get(case.case_id),
        )
        return {
            "later": None if later is None else asdict(later),
            "question": None if clock is None else asdict(clock),
            "source": None if source is None else asdict(source),
        }


def make_marks(desk: Desk, cases: Collection[CaseRow]) -> ListMarks:
    """Return the marks of these cases."""
    with desk.store.read() as connection:
        return ListMarks(
            sources=list_sources(connection, cases),
            later=list_later(connection, cases),
            clocks=format_open_questions(list_unanswered(connection), today=get_uk_day(desk.clock())),
        )


def say_partner_case(partner: PartnerCase) -> None:
    """Print everything of an opened case of a partner, the first report first."""
    for head, rest in partner.doubts:
        say(f"WARNING: {head} {rest}")
    _say_source(partner)
    _say_timeline(partner)
    for linked in partner.linked:
        place = "" if linked.case_id else " (not at this desk)"
        say(f"Its sender says that it belongs to {linked.reference}{place}.")
    for number, shown in enumerate(partner.shown):
        if number:
            say("")
            say(f"{title_of(shown.case.report_kind).upper()} {shown.case.reference}, {shown.case.received_at}")
            print_changes(shown)
        print_report(shown)
    for left in partner.left_closed:
        say(f"Not opened here: {left.reference}. Open it: {suggest(f'case show {left.reference}')}")
    _say_questions(partner.questions)
    _say_signals(partner)


def list_partner_json(partner: PartnerCase, opened: Sequence[OpenedReport]) -> dict[str, Any]:
    """Return the same for machines, without the secrets that open evidence."""
    return {
        "doubts": [f"{head} {rest}" for head, rest in partner.doubts],
        "linked_reports": [asdict(one) for one in partner.linked],
        "outcomes": [asdict(one) for one in partner.signals],
        "questions": [
            {
                **asdict(one.row),
                "clock": asdict(one.clock),
                "words": None if one.words is None else msgspec.to_builtins(one.words),
            }
            for one in partner.questions
        ],
        "reports": [
            {"case": asdict(one.case), "fault": one.fault, "report": format_content(one.content)} for one in opened
        ],
        "source": None if partner.source is None else asdict(partner.source),
    }


def format_content(content: SealedIndustryReport | None) -> dict[str, Any] | None:
    """Return an opened report for machines, without the secrets that open its evidence."""
    if content is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(content)
    for reference in plain.get("evidence", ()):
        reference.pop("secret", None)
    return plain


def _say_source(partner: PartnerCase) -> None:
    source = partner.source
    if source is not None:
        country = f", {source.country}" if source.country else ""
        print_typed("Source", f"{title_of(source.type)}{country}: {source.name}")
    own = next((one.own_reference for one in partner.shown if one.own_reference), "")
    if own:
        print_typed("Their own number", own)


def _say_timeline(partner: PartnerCase) -> None:
    for one in partner.timeline:
        if one.report_kind == "retraction":
            reason = partner.reasons.get(one.case_id, "not opened here")
            print_typed(f"THE PARTNER TAKES IT BACK ({one.reference})", reason)
            say("Nothing is lost: the first report is unchanged below. The case stays open until a person closes it.")
    if len(partner.timeline) == 1:
        return
    say(f"The {len(partner.timeline)} reports of this case:")
    for number, one in enumerate(partner.timeline, start=1):
        reason = f" Because: {partner.reasons[one.case_id]}" if one.case_id in partner.reasons else ""
        read = "" if one.opened_at else ", nobody has read it"
        say(
            f"  {number}. {title_of(one.report_kind)} {one.reference}, {one.received_at}, {one.priority}{read}.{reason}"
        )


def _say_questions(questions: Sequence[ShownQuestion]) -> None:
    for one in questions:
        say("")
        clock = one.clock.words.upper() if one.clock.is_late else one.clock.words
        say(f"QUESTION asked {one.row.asked_at} by {one.row.asked_by}: {clock}")
        if one.words is None:
            say("  It can no longer be opened.")
            continue
        for title, text in (
            ("Question", one.words.question),
            ("For", one.words.purpose),
            ("Under", one.words.legal_basis),
        ):
            print_typed(f"  {title}", text)
        if one.answer is not None:
            say(f"  Answered by {one.answer.reference}.")


def _say_signals(partner: PartnerCase) -> None:
    for one in partner.signals:
        state = (
            f"taken back {one.taken_back_at} by {one.taken_back_by}"
            if one.taken_back_at
            else f"told {one.released_at}"
            if one.released_at
            else f"waits until {one.held_until}"
        )
        say(f"OUTCOME {one.outcome}: {format_outcome(one.outcome)} {state}.")


class Day(click.ParamType[date]):
    """A day such as 2026-12-24."""

    name = "day"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day, or fail."""
        try:
            return value if isinstance(value, date) else parse_day(value)
        except CaseError as error:
            self.fail(str(error), param, ctx)


@desk_command(
    Permission.ASK_SERVICES,
    example='K7QF-2M9TX-D --question-file question.txt --purpose "To find the child" '
    '--legal-basis "Data Protection Act 2018, Schedule 2, paragraph 2"',
)
@click.argument("case", help="Its reference or case id.")
@click.option("--question", metavar="TEXT", help="The question. Other users of this machine can see command lines.")
@click.option(
    "--question-file", type=FILE, metavar="FILE", help="The question in a plain text file; - reads standard input."
)
@click.option("--purpose", required=True, metavar="TEXT", help="The purpose of the question.")
@click.option("--legal-basis", required=True, metavar="TEXT", help="Its legal basis.")
@click.option(
    "--due",
    type=Day(),
    metavar="DATE",
    help=f"The answer is due on this day, e.g. 2026-12-24.  [default: in {DAYS_TO_ANSWER} days]",
)
def case_ask(call: Call, case: str, question: str | None, question_file: Path | None, **terms: Any) -> int:
    """Ask the partner that sent a report one question about it. Read the report first.

    The question is sealed to the partner's mailbox, goes out with the next `collect` and names you. Ask the next one
    when this one is answered or late.
    """
    if (question is None) == (question_file is None):
        raise click.UsageError("Give --question or --question-file.")
    text = question if question_file is None else read_text(question_file)
    request_id = ask_partner(open_desk(call.state), case, Question(question=text or "", **terms), actor=call.actor)
    line = f"The question {request_id} is sealed. The next `collect` sends it."
    return print_result(call, {"request_id": request_id}, line)


@desk_command(Permission.TELL_OUTCOMES, example="K7QF-2M9TX-D --outcome used")
@click.argument("case", help="Its reference or case id.")
@click.option("--outcome", "code", type=click.Choice(OUTCOMES), help=f"The outcome for the partner. {_TOLD}")
@click.option("--take-back", "is_taken_back", is_flag=True, help="Withdraw the waiting outcome.")
@click.option("--hold-until", type=Day(), metavar="DATE", help="Send it on this day, e.g. 2026-12-24.")
def case_outcome(call: Call, case: str, code: str | None, hold_until: date | None, *, is_taken_back: bool) -> int:
    """Tell the partner that sent a report its outcome, or withdraw it before it is sent.

    It goes with the next `collect`, or with the first one on the day of --hold-until. Public reports have none.
    """
    if (code is None) != is_taken_back:
        raise click.UsageError("Give --outcome or --take-back.")
    desk = open_desk(call.state)
    if code is None:
        signal = take_back(desk, case, actor=call.actor)
        line = f"Withdrawn: the partner will not get {signal.outcome}."
    else:
        signal = schedule_outcome(desk, case, outcome=code, hold_until=hold_until, actor=call.actor)
        when = "the next `collect`" if hold_until is None else f"the first `collect` from {signal.held_until}"
        line = f"The partner gets {signal.outcome} with {when}."
    return print_result(call, {"outcome": asdict(signal), "taken_back": is_taken_back}, line)
