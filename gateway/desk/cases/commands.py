"""Commands for cases: list, next, show, move, close.

reply_commands.py has `case reply`, partner_commands.py `case ask` and `case outcome`.
"""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import Final

import click
import msgspec

from gateway.desk.cases.about import set_about
from gateway.desk.cases.closing import (
    Assessment,
    Closing,
    check_closing,
    close_case,
)
from gateway.desk.cases.file_commands import list_file_json, say_files
from gateway.desk.cases.files import make_whole_case
from gateway.desk.cases.indexing import index_cases
from gateway.desk.cases.lanes import QueueView, find_next, list_queue
from gateway.desk.cases.lines import list_context_json, list_doubt_lines, print_contact, print_context, print_typed
from gateway.desk.cases.linking import link_cases, unlink_cases
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
from gateway.desk.cases.partner_commands import case_ask as case_ask
from gateway.desk.cases.partner_commands import case_outcome as case_outcome
from gateway.desk.cases.queue import LANES, MOST_SCORE, list_moves, move_case
from gateway.desk.cases.reading.content import make_sections
from gateway.desk.cases.reading.labels import PUBLIC_WORDS
from gateway.desk.cases.reading.page_context import make_context_view
from gateway.desk.cases.reading.partner_case import make_partner_case
from gateway.desk.cases.replies import record_reply
from gateway.desk.cases.reply_commands import case_reply as case_reply
from gateway.desk.collection.filing import BY_FILE
from gateway.desk.digests.facts import load_facts
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
from gateway.desk.wiring import Desk, open_desk
from gateway.guidance.risk import list_reasons
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.public_codes import NOT_UK

_COLUMNS: Final = "{:<5} {:4} {:18} {:20} {:9} {:20} {}"
# Thousands of letters each, too long to read.
_NOT_READ: Final = frozenset({PUBLIC_WORDS["reply_key"], PUBLIC_WORDS["context"]})
_HEADER: Final = _COLUMNS.format("SCORE", "PRIO", "CASE", "RECEIVED (UTC)", "CAME BY", "ABOUT", "MARKS")


_CASE = click.argument("case", help="Its reference or case id.")
_YES_NO = click.Choice(YES_NO)


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
    _say_risk(desk, opened.case)
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
    _say_risk(desk, case)
    say_partner_case(partner)
    if files.files or files.doubts:
        say("")
        say("FILES")
        say_files(files, case=case)
    return DONE


@desk_command(Permission.SEE_QUEUE)
def case_next(call: Call) -> int:
    """Print the case to read next: the first unread one of the queue.

    This opens no case.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        found = find_next(connection)
    if found is None:
        return print_result(call, {"case": None}, "Every open case has been read.")
    line = _line(found, marks=make_marks(desk, [found]))
    return print_result(call, {"case": asdict(found)}, _HEADER, line)


@desk_command(Permission.RAISE_CASES, example='K7QF-2M9TX-D --lane crisis --reason "A teacher rang"')
@_CASE
@click.option("--lane", required=True, type=click.Choice(LANES), help="Its new place.")
@click.option("--score", type=int, metavar="N", help=f"From 0 to {MOST_SCORE}.  [default: unchanged]")
@click.option("--reason", required=True, metavar="TEXT", help="The reason, without details of the report.")
def case_move(call: Call, case: str, lane: str, score: int | None, reason: str) -> int:
    """Move a case into the crisis lane or out of it, or to another score. The reason is kept."""
    desk = open_desk(call.state)
    moved = move_case(desk, case, lane=lane, score=score, reason=reason, actor=call.actor, roles=call.roles)
    return print_result(
        call,
        {"case": asdict(moved)},
        f"{moved.reference} is in the {'crisis lane' if moved.crisis else 'queue'} now, score {moved.score}.",
    )


_OTHER_CASE = click.argument("other", metavar="OTHER", help="The other case, by its reference or id.")
_WHY = click.option("--reason", required=True, metavar="TEXT", help="The reason, without details of the report.")


@desk_command(Permission.LINK_CASES, example='K7QF-2M9TX-D W4HB-7N3KC-R --reason "The same account"')
@_CASE
@_OTHER_CASE
@_WHY
def case_link(call: Call, case: str, other: str, reason: str) -> int:
    """Link another case about the same person or incident.

    This works after closing too. Digests count linked cases once.
    """
    linked = link_cases(open_desk(call.state), case, other, reason=reason, actor=call.actor)
    return print_result(call, {"case": asdict(linked)}, f"{linked.reference} and {other} count as one incident now.")


@desk_command(Permission.LINK_CASES, example='K7QF-2M9TX-D W4HB-7N3KC-R --reason "Two people share the name"')
@_CASE
@_OTHER_CASE
@_WHY
def case_unlink(call: Call, case: str, other: str, reason: str) -> int:
    """End the link of two cases. A digest that was made before keeps its count."""
    linked = unlink_cases(open_desk(call.state), case, other, reason=reason, actor=call.actor)
    return print_result(call, {"case": asdict(linked)}, f"The link of {linked.reference} and {other} has ended.")


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


@desk_command(Permission.LINK_CASES, example='K7QF-2M9TX-D --service "Other Chat" --new --reason "Named in the report"')
@_CASE
@click.option("--service", metavar="NAME", help="Its id, name or web address.  [default: no service is named]")
@click.option("--new", "is_new", is_flag=True, help="Add an unknown service to the register, without keys.")
@_WHY
def case_about(call: Call, case: str, service: str | None, reason: str, *, is_new: bool) -> int:
    """Record the service that a case is about. Digests count by it, never by the sender of the report."""
    changed = set_about(open_desk(call.state), case, service, reason=reason, actor=call.actor, is_new=is_new)
    return print_result(
        call, {"case": asdict(changed)}, f"{changed.reference} is about {changed.about or 'no named service'} now."
    )


def _parse_facts(facts: Iterable[str]) -> dict[str, str]:
    pairs = [fact.partition("=") for fact in facts]
    if not all(code for _, _, code in pairs):
        raise click.UsageError("Write a fact as NAME=CODE, e.g. moved_to=messenger.")
    return {name: code for name, _, code in pairs}


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
        print_typed("    because", move.reason)


@desk_command(
    Permission.ASSESS_CASES,
    example="K7QF-2M9TX-D --outcome used --kind grooming --age-band 13_15 --weakness open_direct_messages "
    '--assessor "A. Analyst" --immediate-risk no --urgent no --urgent-dissemination no '
    "--best-placed harm_reduction --reply-recorded replied_by_call",
)
@_CASE
@click.option("--outcome", "outcome_code", required=True, type=click.Choice(OUTCOMES))
@click.option("--kind", required=True, type=click.Choice(KINDS))
@click.option("--age-band", required=True, type=click.Choice(AGE_BANDS), help="Of the child.")
@click.option(
    "--weakness", "weaknesses", multiple=True, type=click.Choice(WEAKNESSES), help="A weakness used; at most two."
)
@click.option(
    "--fact",
    "facts",
    multiple=True,
    metavar="NAME=CODE",
    help=f"A known fact for the yearly digest, e.g. moved_to=messenger: {', '.join(load_facts())}.",
)
@click.option("--assessor", required=True, metavar="NAME", help="The person who assessed it.")
@click.option("--immediate-risk", required=True, type=_YES_NO, help="Is a child at immediate risk?")
@click.option("--urgent", required=True, type=_YES_NO, help="Is it urgent?")
@click.option("--urgent-dissemination", required=True, type=_YES_NO, help="Must police or child protection know now?")
@click.option("--best-placed", required=True, type=click.Choice(BEST_PLACED), help="Who is best placed to act?")
@click.option("--redirected-to", type=click.Choice(REDIRECTS), help="With --outcome out_of_remit: the body named.")
@click.option("--same-as", metavar="CASE", help="Another case about the same person or incident.")
@click.option("--reply-recorded", type=click.Choice(REPLY_CODES), help="How the person reporting was answered.")
@click.option("--reply-reason", metavar="TEXT", help="Why no other reply is safe, without details of the report.")
@click.option("--release-outcome", is_flag=True, help="Tell the partner whose own report it is.")
def case_close(
    call: Call,
    case: str,
    outcome_code: str,
    kind: str,
    age_band: str,
    weaknesses: tuple[str, ...],
    facts: tuple[str, ...],
    redirected_to: str | None,
    same_as: str | None,
    reply_recorded: str | None,
    reply_reason: str | None,
    *,
    release_outcome: bool,
    **assessment: str,
) -> int:
    """Close a case with its assessment.

    A child who is owed a reply must have one first (--reply-recorded).
    """
    closing = Closing(
        assessment=Assessment(**assessment),
        outcome=outcome_code,
        kind=kind,
        age_band=age_band,
        weaknesses=weaknesses,
        facts=_parse_facts(facts),
        same_as=same_as,
        redirected_to=redirected_to,
    )
    check_closing(closing)
    desk, actor = open_desk(call.state), call.actor
    if reply_recorded is not None:
        record_reply(desk, case, code=reply_recorded, reason=reply_reason, actor=actor)
    closed = close_case(desk, case, closing, actor=actor, release_outcome=release_outcome)
    return print_result(call, {"case": asdict(closed)}, f"{closed.reference} is closed: {closed.outcome}.")


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
    columns = (case.score, case.priority, case.reference, case.received_at, came_by, case.about or "-")
    return _COLUMNS.format(*columns, ", ".join(words)).rstrip()
