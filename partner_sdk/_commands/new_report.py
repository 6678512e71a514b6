"""The command `report new`: asks for a report question by question and saves a draft after every answer."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

from partner_sdk._commands.delivery import say_fault
from partner_sdk._commands.interview import Course, Draft
from partner_sdk._commands.interview_questions import HOW_TO_ANSWER, Questioner
from partner_sdk._commands.runtime import EMERGENCY, EXIT_DONE, EXIT_FAILED, Call, CommandGroup
from partner_sdk.client._earlier_reports import list_requests
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.mailbox import read_message
from partner_sdk.errors import LocalStateError, ReportAbuseError, ReportError
from partner_sdk.report import measure_completeness, parse_report
from partner_sdk.report.preview import format_missing
from partner_sdk.wire.submission import Priority, ReportKind

DEFAULT_OUT = "report.json"
_HOW_URGENT: Final = "How urgent is it? P1: a child is at risk now. P2: urgent. P3: everything else."


def run_new(call: Call) -> int:
    """Ask, save, and show the missing fields and the next step."""
    args, speaker = call.args, call.speaker
    # With --json standard output holds the one object and nothing else.
    say = speaker.warn if args.json else speaker.say
    kind: ReportKind = args.kind if args.answers is None else "response"
    draft = _open_draft(call, kind=kind)
    if args.like is not None:
        draft.take_reporter(Path(args.like))
    if args.answers is not None:
        _say_question(call, say)
        draft.root["answers_request"] = args.answers
        draft.save()
    known: Priority | None = args.priority
    try:
        questioner = Questioner(read=sys.stdin.readline, say=say)
        for line in HOW_TO_ANSWER:
            say(line)
        say(f"A wrong answer can be mended afterwards in the file {draft.path}.")
        priority: Priority = known or questioner.choose(_HOW_URGENT, get_args(Priority))
        known = priority
        call.urgency.is_p1_waiting = priority == "P1"
        if priority == "P1":
            say(EMERGENCY)
        Course(draft, questioner=questioner, priority=priority, kind=kind).run()
    except (EOFError, KeyboardInterrupt):
        speaker.warn(f"Stopped. All that you answered is in {draft.path}.")
        speaker.warn(f"To go on: {_format_going_on(draft, priority=known, kind=kind)}")
        return EXIT_FAILED
    return _say_end(call, draft, priority=priority, kind=kind)


def add_commands(report: CommandGroup) -> None:
    """Add this file's command to the group `report`."""
    new = report.add_alone(
        "new",
        run=run_new,
        summary="write a report question by question, with help; sends nothing",
        example="--priority P2 --out report.json",
    )
    new.add_argument("--priority", choices=get_args(Priority), help="P1: a child is at risk now (else it is asked)")
    new.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    new.add_argument("--answers", metavar="REQUEST_ID", help="the agency's request that this answers (kind response)")
    new.add_argument(
        "--like", metavar="FILE", help="take who reports from an earlier report or draft, so that it is not typed again"
    )
    file = new.add_mutually_exclusive_group()
    file.add_argument(
        "--out", metavar="FILE", default=DEFAULT_OUT, help=f"the file to make; never over another ({DEFAULT_OUT})"
    )
    file.add_argument("--draft", metavar="FILE", help="go on with a file that was begun before")


def _open_draft(call: Call, *, kind: ReportKind) -> Draft:
    args = call.args
    if args.draft is not None:
        return Draft.resume(Path(args.draft))
    path = Path(args.out)
    try:
        return Draft.begin(path)
    except LocalStateError as error:
        if error.reason == "file-exists":
            draft = Draft(path, root={})
            going_on = _format_going_on(draft, priority=args.priority, kind=kind)
            call.speaker.warn(f"If it is a report that was begun before: {going_on}")
        raise


def _say_question(call: Call, say: Callable[[str], None]) -> None:
    """Show the question, where this folder holds it: the person who answers has it before their eyes."""
    try:
        state = PartnerState.open(Path(call.args.state))
        messages = [read_message(state, number) for number in state.list_messages()]
        kept = list_requests(state, messages=messages).questions
    except ReportAbuseError:
        kept = ()  # a report may be written where no folder is
    found = [one.request for one in kept if one.request.request_id == call.args.answers]
    if not found:
        call.speaker.warn("No request with this id is saved here: `requests` fetches and lists them.")
    for request in found:
        say(f"The agency asks about your report {request.reference}, and needs the answer by {request.due_at}:")
        say(request.question)


def _say_end(call: Call, draft: Draft, *, priority: Priority, kind: ReportKind) -> int:
    args, speaker = call.args, call.speaker
    try:
        report = parse_report(draft.encode(), priority=priority, kind=kind)
    except ReportError as error:
        say_fault(speaker, error)
        speaker.warn(f"It is saved. To go on: {_format_going_on(draft, priority=priority, kind=kind)}")
        if args.json:
            faults = {one.pointer: one.detail for one in error.faults}
            speaker.say_json({"faults": faults, "file": str(draft.path), "ready": False})
        return EXIT_FAILED
    completeness = measure_completeness(report)
    if args.json:
        missing = list(completeness.missing)
        speaker.say_json({"file": str(draft.path), "missing": missing, "ready": True, "score": completeness.score})
        return EXIT_DONE
    speaker.say(f"The report is in {draft.path}. Complete: {completeness.score} of 100.")
    if completeness.missing:
        speaker.say("Not said, the most useful to police first:")
        for line in format_missing(completeness):
            speaker.say(f"  {line}")
    speaker.say(f"{draft.path} holds your words in clear: keep it where your case files are safe.")
    speaker.say("Nothing was sent. Next:")
    # A response goes to the report that the saved request names.
    earlier = "" if kind in {"initial", "response"} else " --earlier-reference REFERENCE"
    for name in ("report preview", "report submit"):
        speaker.say(f"  {_format_command(name, f'{draft.path} --priority {priority}', kind=kind)}{earlier}")
    return EXIT_DONE


def _format_going_on(draft: Draft, *, priority: Priority | None, kind: ReportKind) -> str:
    # The file is the report and holds no priority: the command remembers it.
    known = "" if priority is None else f" --priority {priority}"
    return _format_command("report new", f"--draft {draft.path}{known}", kind=kind)


def _format_command(name: str, words: str, *, kind: ReportKind) -> str:
    option = "" if kind == "initial" else f" --kind {kind}"
    return f"report-abuse-partner {name} {words}{option}"
