"""Commands about cases: list, next, show, move, close.

reply_commands.py has `case reply`, partner_commands.py the questions to partners.
"""

import argparse
from dataclasses import asdict
from typing import Final

import msgspec

from gateway.desk.cases import partner_commands, reply_commands
from gateway.desk.cases.closing import (
    Assessment,
    Closing,
    check_closing,
    close_case,
)
from gateway.desk.cases.file_commands import list_file_json, say_files
from gateway.desk.cases.files import make_whole_case
from gateway.desk.cases.lines import list_context_json, list_said_doubts, say_contact, say_context, say_typed
from gateway.desk.cases.model import (
    AGE_BANDS,
    BEST_PLACED,
    KINDS,
    OUTCOMES,
    REDIRECTS,
    REPLY_CODES,
    WEAKNESSES,
    YES_NO,
    CaseRow,
    count_days_late,
    find_promised_day,
    find_read_by,
    format_day,
    format_lateness,
    format_read_by,
    get_uk_day,
)
from gateway.desk.cases.opening import open_case, open_whole_case
from gateway.desk.cases.page_contexts import find_page_context
from gateway.desk.cases.partner_commands import (
    ListMarks,
    format_content,
    list_partner_json,
    make_marks,
    say_partner_case,
)
from gateway.desk.cases.queue import (
    LANES,
    MOST_SCORE,
    find_next,
    list_moves,
    list_queue,
    move_case,
)
from gateway.desk.cases.reading.content import make_sections
from gateway.desk.cases.reading.labels import PUBLIC_WORDS
from gateway.desk.cases.reading.page_context import make_context_view
from gateway.desk.cases.reading.partner_case import make_partner_case
from gateway.desk.cases.replies import record_reply
from gateway.desk.collection.filing import BY_FILE
from gateway.desk.store import read_row
from gateway.desk.terminal import DONE, Commands, add_group, get_actor, print_json, print_result, say
from gateway.desk.wiring import Desk, open_desk
from gateway.guidance.risk import list_reasons
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.public_codes import NOT_UK

_COLUMNS: Final = "{:<5} {:4} {:18} {:20} {:9} {:20} {}"
# Thousands of letters each, which nobody reads.
_NOT_READ: Final = frozenset({PUBLIC_WORDS["reply_key"], PUBLIC_WORDS["context"]})
_HEADER: Final = _COLUMNS.format("SCORE", "PRIO", "CASE", "RECEIVED (UTC)", "CAME BY", "ABOUT", "MARKS")


def run_list(parsed: argparse.Namespace) -> int:
    """List open cases in the order of the queue: crisis lane, score, waiting time; nothing is opened."""
    desk = open_desk(parsed.state)
    today = get_uk_day(desk.clock())
    with desk.store.read() as connection:
        cases = list_queue(connection, state="all" if parsed.all else "open")
    marks = make_marks(desk, cases)
    lines = [_line(case, marks=marks, days_late=count_days_late(case, today=today)) for case in cases]
    found = {"cases": [asdict(case) | marks.as_json(case) for case in cases]}
    return print_result(parsed, found, *([_HEADER, *lines] if lines else []), empty="No case is open.")


def run_show(parsed: argparse.Namespace) -> int:
    """Open the report of a case and print it for you to read; that you did is noted in the audit log.

    What its sender added, corrected or took back is opened and printed with it, the first report first.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    opened = open_case(desk, parsed.case, actor=actor)
    if isinstance(opened.content, SealedIndustryReport):
        return _show_partners(desk, opened.case, opened.content, as_json=parsed.json, actor=actor)
    context = make_context_view(find_page_context(desk, opened.case, opened.content))
    if parsed.json:
        doubts = list_said_doubts(desk, opened, actor=actor)
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
    _say_risk(desk, opened.case)
    say_contact(desk, opened, actor=actor)
    for section in make_sections(opened.content):
        say("")
        say(section.title.upper())
        for line in section.lines:
            if line.text and line.title not in _NOT_READ:
                say_typed(line.title, line.text)
    say_context(context)
    return DONE


def _show_partners(desk: Desk, case: CaseRow, content: SealedIndustryReport, *, as_json: bool, actor: str) -> int:
    reports = open_whole_case(desk, case, content, actor=actor)
    partner, files = make_partner_case(desk, case, reports), make_whole_case(desk, reports)
    if as_json:
        print_json(
            {"case": asdict(case), "files": list_file_json(files), "report": format_content(content)}
            | list_partner_json(partner, reports)
        )
        return DONE
    say(_HEADER)
    say(_line(case, marks=make_marks(desk, [case])))
    _say_risk(desk, case)
    say_partner_case(partner)
    if files.files or files.doubts:
        say("")
        say("FILES")
        say_files(files, case=case)
    return DONE


def run_next(parsed: argparse.Namespace) -> int:
    """Print the case to read next: the first of the queue that nobody has opened. Nothing is opened."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        found = find_next(connection)
    if found is None:
        return print_result(parsed, {"case": None}, "Every open case was read.")
    line = _line(found, marks=make_marks(desk, [found]))
    return print_result(parsed, {"case": asdict(found)}, _HEADER, line)


def run_move(parsed: argparse.Namespace) -> int:
    """Move a case in the queue: into the crisis lane or out of it, or to another score. The reason stays."""
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    moved = move_case(desk, parsed.case, lane=parsed.lane, score=parsed.score, reason=parsed.reason, actor=actor)
    return print_result(
        parsed,
        {"case": asdict(moved)},
        f"{moved.reference} stands in the {'crisis lane' if moved.crisis else 'queue'} now, score {moved.score}.",
    )


def _say_risk(desk: Desk, case: CaseRow) -> None:
    say(f"{'Crisis lane' if case.crisis else 'Queue'}, score {case.score}:")
    for one in list_reasons(case.factors):
        say(f"  {one.points:4} {one.reason}")
    with desk.store.read() as connection:
        moves = list_moves(connection, case)
    for move in moves:
        before, after = ("crisis lane" if one else "queue" for one in (move.crisis_before, move.crisis))
        say(
            f"  moved at {move.moved_at} by {move.moved_by}, from {before} {move.score_before} to {after} {move.score}:"
        )
        say_typed("    because", move.reason)


def run_close(parsed: argparse.Namespace) -> int:
    """Close a case with its assessment. A child who is owed a reply must have one first (--reply-recorded)."""
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    assessment, weaknesses = read_row(Assessment, parsed), tuple(parsed.weakness)
    closing = read_row(Closing, parsed, assessment=assessment, weaknesses=weaknesses, cluster_id=parsed.same_as)
    check_closing(closing)
    if parsed.reply_recorded is not None:
        record_reply(desk, parsed.case, code=parsed.reply_recorded, reason=parsed.reply_reason, actor=actor)
    closed = close_case(desk, parsed.case, closing, actor=actor, release_outcome=parsed.release_outcome)
    return print_result(parsed, {"case": asdict(closed)}, f"{closed.reference} is closed: {closed.outcome}.")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "case")
    listed = add("list", run=run_list, example="--json")
    listed.add_argument("--all", action="store_true", help="also cases that are closed")
    show = add("show", run=run_show, example="K7QF-2M9TX-D")
    show.add_argument("case", metavar="CASE", help="its reference or case id")
    add("next", run=run_next)
    move = add("move", run=run_move, example='K7QF-2M9TX-D --lane crisis --reason "A teacher rang"')
    move.add_argument("case", metavar="CASE", help="its reference or case id")
    move.add_argument("--lane", required=True, choices=LANES, help="where it belongs")
    move.add_argument("--score", type=int, metavar="N", help=f"from 0 to {MOST_SCORE} (default: as it is)")
    move.add_argument("--reason", required=True, metavar="TEXT", help="why; no details of the report")
    reply_commands.add_command_to(add)
    partner_commands.add_commands_to(add)
    close = add(
        "close",
        run=run_close,
        example="K7QF-2M9TX-D --outcome used --kind grooming --age-band 13_15 --weakness open_direct_messages "
        '--assessor "A. Analyst" --immediate-risk no --urgent no --urgent-dissemination no '
        "--best-placed harm_reduction --reply-recorded replied_by_call",
    )
    close.add_argument("case", metavar="CASE", help="its reference or case id")
    close.add_argument("--outcome", required=True, choices=OUTCOMES)
    close.add_argument("--kind", required=True, choices=KINDS)
    close.add_argument("--age-band", required=True, choices=AGE_BANDS, help="of the child")
    close.add_argument(
        "--weakness", action="append", default=[], choices=WEAKNESSES, help="what made it possible; at most two"
    )
    close.add_argument("--assessor", required=True, metavar="NAME", help="the person who assessed it")
    close.add_argument("--immediate-risk", required=True, choices=YES_NO, help="is a child at immediate risk?")
    close.add_argument("--urgent", required=True, choices=YES_NO, help="is it urgent?")
    close.add_argument(
        "--urgent-dissemination", required=True, choices=YES_NO, help="must police or child protection know at once?"
    )
    close.add_argument("--best-placed", required=True, choices=BEST_PLACED, help="who is best placed to act?")
    close.add_argument("--redirected-to", choices=REDIRECTS, help="with --outcome out_of_remit: where they were sent")
    close.add_argument("--same-as", metavar="CASE", help="another case about the same person or incident")
    close.add_argument("--reply-recorded", choices=REPLY_CODES, help="how the person reporting was answered")
    close.add_argument("--reply-reason", metavar="TEXT", help="why no other reply is safe; no details of the report")
    close.add_argument("--release-outcome", action="store_true", help="tell the partner whose own report it is")


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
            *((one.reason[:1].lower() + one.reason[1:], True) for one in list_reasons(case.factors)[:2]),
        )
        if is_set
    ]
    if marks is not None:
        words += marks.list_marks(case)
    came_by = case.door if marks is None else marks.name_source(case)
    columns = (case.score, case.priority, case.reference, case.received_at, came_by, case.provider or "-")
    return _COLUMNS.format(*columns, ", ".join(words)).rstrip()
