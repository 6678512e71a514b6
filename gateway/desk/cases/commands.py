"""Commands for cases: list, show, index.

assessment_commands.py has `case assess` and `case close`, replying/commands.py `case reply`. All other work is on
the page of a case (docs/decisions/0061).
"""

from dataclasses import asdict
from functools import partial
from typing import Final

import click
import msgspec

from gateway.desk.cases.assessment_commands import case_assess as case_assess
from gateway.desk.cases.assessment_commands import case_close as case_close
from gateway.desk.cases.case_files import make_whole_case
from gateway.desk.cases.files.commands import list_file_json, say_files
from gateway.desk.cases.lines import list_context_json, list_doubt_lines, print_contact, print_context, print_typed
from gateway.desk.cases.model import (
    CaseRow,
    count_days_late,
    find_promised_day,
    find_read_by,
    format_day,
    format_lateness,
    format_read_by,
)
from gateway.desk.cases.opening import find_page_context, open_case, open_whole_case
from gateway.desk.cases.partner_commands import (
    ListMarks,
    format_content,
    list_partner_json,
    make_marks,
    say_partner_case,
)
from gateway.desk.cases.queue import QueueView, list_queue
from gateway.desk.cases.reading.case_work import make_case_work, make_timeline
from gateway.desk.cases.reading.labels import PUBLIC_WORDS
from gateway.desk.cases.reading.partner_case import make_partner_case
from gateway.desk.cases.reading.public_report import make_context_view, make_sections
from gateway.desk.cases.replying.commands import case_reply as case_reply
from gateway.desk.cases.search import index_cases
from gateway.desk.collection.filing import BY_FILE
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import (
    DONE,
    LOOK,
    Call,
    desk_command,
    end_progress,
    print_json,
    print_result,
    say,
    show_progress,
)
from gateway.desk.uk_times import get_uk_day
from gateway.desk.wiring import Desk, open_desk
from gateway.exchange.public_report import NOT_UK
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

_COLUMNS: Final = "{:<5} {:4} {:18} {:20} {:9} {:20} {}"
# Thousands of letters each, too long to read.
_NOT_READ: Final = frozenset({PUBLIC_WORDS["reply_key"], PUBLIC_WORDS["context"]})
_HEADER: Final = _COLUMNS.format("SCORE", "PRIO", "CASE", "RECEIVED (UTC)", "CAME BY", "ABOUT", "MARKS")


_CASE = click.argument("case", help="Its reference or case id.")


@desk_command(Permission.SEE_QUEUE, example="--json")
@click.option("--all", "with_closed", is_flag=True, help="The closed cases too.")
def case_list(call: Call, *, with_closed: bool) -> int:
    """List open cases in the order of the queue: crisis lane, score, waiting time.

    This opens no case.
    """
    desk = open_desk(call.state)
    today = get_uk_day(desk.clock())
    with desk.store.read() as connection:
        cases = list_queue(connection, QueueView(lane="all" if with_closed else "open"))
    marks = make_marks(desk, cases)
    lines = [_line(row, marks=marks, days_late=count_days_late(row, today=today)) for row in cases]
    found = {"cases": [asdict(row) | marks.as_json(row) for row in cases]}
    return print_result(call, found, *([_HEADER, *lines] if lines else []), empty="No case is open.")


@desk_command(Permission.READ_CASES, example="K7QF-2M9TX-D")
@_CASE
def case_show(call: Call, case: str) -> int:
    """Open the report of a case and print it; the audit log records it.

    Its sender's additions, corrections and retractions are opened and printed with it, the first report first.
    """
    desk, actor = open_desk(call.state), call.actor
    opened = open_case(desk, case, actor=actor)
    if isinstance(opened.content, SealedIndustryReport):
        return _show_partners(desk, opened.case, opened.content, as_json=call.as_json, actor=actor)
    context = make_context_view(find_page_context(desk, opened.case, opened.content, actor=actor))
    if call.as_json:
        doubts = list_doubt_lines(desk, opened, actor=actor)
        read_by = find_read_by(opened.case, desk.agency)
        said = {
            "case": asdict(opened.case) | {"read_by": None if read_by is None else format_time(read_by)},
            "doubts": doubts,
            "report": msgspec.to_builtins(opened.content),
        }
        print_json(said | list_context_json(context))
        return DONE
    say(_HEADER)
    say(_line(opened.case))
    if words := format_read_by(opened.case, desk.agency, now=desk.clock()):
        say(f"To be read by {words}.")
    if (promised := find_promised_day(opened.case)) and opened.case.reply_owed:
        say(f"An answer by {format_day(promised)}.")
    _say_risk(desk, opened.case, actor=actor)
    print_contact(desk, opened, actor=actor)
    for section in make_sections(opened.content):
        say("")
        say(section.title.upper())
        for line in section.lines:
            if line.text and line.title not in _NOT_READ:
                print_typed(line.title, line.text)
    print_context(context)
    return DONE


def _show_partners(desk: Desk, case: CaseRow, content: SealedIndustryReport, *, as_json: bool, actor: str) -> int:
    reports = open_whole_case(desk, case, content, actor=actor)
    partner, files = make_partner_case(desk, case, reports, actor=actor), make_whole_case(desk, reports, actor=actor)
    if as_json:
        print_json(
            {"case": asdict(case), "files": list_file_json(files), "report": format_content(content)}
            | list_partner_json(partner, reports)
        )
        return DONE
    say(_HEADER)
    say(_line(case, marks=make_marks(desk, [case])))
    _say_risk(desk, case, actor=actor)
    say_partner_case(partner)
    if files.files or files.doubts:
        say("")
        say("FILES")
        say_files(files, case=case)
    return DONE


@desk_command(Permission.RUN_DESK, example="--json")
@click.option("--anew", "is_anew", is_flag=True, help="All cases, e.g. after the key of the index was replaced.")
def case_index(call: Call, *, is_anew: bool) -> int:
    """Add older cases to the index of identifiers.

    Needed once after an upgrade: a new case is added when it is filed. A run that was stopped goes on where it was.
    Opening a report for this is not reading it: its sender learns nothing.

    Exit code 1: a report did not open.
    """
    desk = open_desk(call.state)
    done = index_cases(desk, actor=call.actor, is_anew=is_anew, progress=partial(show_progress, verb="indexed"))
    end_progress()
    text = f"{done.added} cases added to the index, {done.unopened} do not open."
    found = {"added": done.added, "unopened": done.unopened}
    return print_result(call, found, text, code=LOOK if done.unopened else DONE)


def _say_risk(desk: Desk, case: CaseRow, *, actor: str) -> None:
    say(f"{'Crisis lane' if case.crisis else 'Queue'}, score {case.score}:")
    for one in case.reasons:
        say(f"  {one.points:4} {one.reason}")
    work = make_case_work(desk, case, actor=actor, is_open=True)
    if work.holder is not None:
        say(f"{work.holder} has this case, since {work.lead.held_since}.")
    sender = "A person" if case.partner == PUBLIC_SENDER else case.partner
    for line in make_timeline(desk, work.lead, work.lines, sender=sender):
        say(f"  {line.at} {line.name} {line.done}{f' {line.to.reference}' if line.to else ''}")
        for title, text in (("because", line.reason), ("note", line.note), *line.factors):
            if text:
                print_typed(f"    {title}", text)


def _line(case: CaseRow, *, marks: ListMarks | None = None, days_late: int = 0) -> str:
    words = [
        word
        for word, is_set in (
            ("CRISIS", case.crisis),
            ("BEHIND: ITS SENDER HAS MANY UNREAD", case.is_behind and case.closed_at is None),
            (f"REPLY {format_lateness(days_late).upper()}", days_late > 0),
            ("REPLY OWED", case.reply_owed and case.reply_code is None and not days_late),
            ("FLAGGED", case.flagged),
            ("OUTSIDE THE UK", case.region == NOT_UK),
            ("SYNTHETIC", case.synthetic),
            ("NOT A REPORT", case.environment == "sandbox"),
            ("CAME AS A FILE", case.channel == BY_FILE),
            (f"ADDS TO {case.adds_to}", case.adds_to is not None),
            ("closed", case.closed_at is not None),
            *((one.reason[:1].lower() + one.reason[1:], True) for one in case.reasons[:2]),
        )
        if is_set
    ]
    if marks is not None:
        words += marks.list_marks(case)
    came_by = case.came_by if marks is None else marks.name_source(case)
    columns = (case.score, case.priority, case.reference, case.received_at, came_by, case.about or "-")
    return _COLUMNS.format(*columns, ", ".join(words)).rstrip()
