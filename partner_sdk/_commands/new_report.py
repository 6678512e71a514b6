"""The command `report new`: asks for a report question by question and saves a draft after every answer."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from partner_sdk._commands.delivery import PRIORITIES, answering_options, choose_kind, priority_option
from partner_sdk._commands.interview import Course
from partner_sdk._commands.interview_questions import HOW_TO_ANSWER, Questioner
from partner_sdk._commands.runtime import (
    EMERGENCY,
    EXIT_DONE,
    EXIT_FAILED,
    FEW_EXIT_CODES,
    Call,
    PartnerCommand,
    shared_options,
)
from partner_sdk.client._earlier_reports import list_requests
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import LocalStateError, ReportAbuseError, ReportError
from partner_sdk.report import measure_completeness, parse_report
from partner_sdk.report.drafts import Draft
from partner_sdk.report.preview import format_missing
from partner_sdk.wire.submission import Priority, ReportKind

DEFAULT_OUT = "report.json"
_PATH: Final = click.Path(path_type=Path)
_HOW_URGENT: Final = "How urgent is it? P1: a child is at risk now. P2: urgent. P3: everything else."


@click.command(cls=PartnerCommand, example="--priority P2 --out report.json", exit_codes=FEW_EXIT_CODES)
@priority_option(more=" It is asked if you leave this out.")
@answering_options
@click.option(
    "--like", metavar="FILE", type=_PATH, help="Copy your organisation's details from an earlier report or draft."
)
@click.option("--out", metavar="FILE", type=_PATH, help=f"The new file, e.g. {DEFAULT_OUT} (the default).")
@click.option("--draft", "begun", metavar="FILE", type=_PATH, help="Continue a file that was begun earlier.")
@shared_options
def new(
    call: Call,
    *,
    priority: Priority | None,
    kind: ReportKind | None,
    answers: str | None,
    like: Path | None,
    out: Path | None,
    begun: Path | None,
) -> int:
    """Write a report question by question, with help; sends nothing."""
    chosen = choose_kind(kind, answers=answers)
    if out is not None and begun is not None:
        raise click.UsageError("--out begins a file and --draft continues one: give one of them.")
    # With --json standard output holds the one object and nothing else.
    say = call.speaker.warn if call.is_json else call.speaker.say
    if begun is not None:
        draft = Draft.resume(begun)
    else:
        draft = _begin(call, out or Path(DEFAULT_OUT), priority=priority, kind=chosen)
    if like is not None:
        draft.take_reporter(like)
    if answers is not None:
        _say_question(call, answers, say=say)
        draft.root["answers_request"] = answers
        draft.save()
    try:
        questioner = Questioner(read=sys.stdin.readline, say=say)
        for line in HOW_TO_ANSWER:
            say(line)
        say(f"A wrong answer can be corrected afterwards in the file {draft.path}.")
        priority = priority or questioner.choose(_HOW_URGENT, PRIORITIES)
        call.is_p1_waiting = priority == "P1"
        if priority == "P1":
            say(EMERGENCY)
        Course(draft, questioner=questioner, priority=priority, kind=chosen).run()
    except (EOFError, KeyboardInterrupt):
        call.speaker.warn(f"Stopped. All your answers are in {draft.path}.")
        call.speaker.warn(f"To continue: {_format_continuing(draft.path, priority=priority, kind=chosen)}")
        return EXIT_FAILED
    return _say_end(call, draft, priority=priority, kind=chosen)


def _begin(call: Call, path: Path, *, priority: Priority | None, kind: ReportKind) -> Draft:
    try:
        return Draft.begin(path)
    except LocalStateError as error:
        if error.reason == "file-exists":
            line = _format_continuing(path, priority=priority, kind=kind)
            call.speaker.warn(f"If it is a report that you began before: {line}")
        raise


def _say_question(call: Call, answers: str, *, say: Callable[[str], None]) -> None:
    """Show the question, if this folder holds it, to the person who answers it."""
    try:
        state = PartnerState.open(call.state)
        kept = list_requests(state).questions
    except ReportAbuseError:
        kept = ()  # a report may be written where no folder is
    found = [one.request for one in kept if one.request.request_id == answers]
    if not found:
        call.speaker.warn("No request with this id is saved here: `request list` fetches and shows them.")
    for request in found:
        about = "accounts" if request.reference is None else f"your report {request.reference}"
        say(f"The agency asks about {about}, and needs the answer by {request.due_at}:")
        say(request.question)


def _say_end(call: Call, draft: Draft, *, priority: Priority, kind: ReportKind) -> int:
    speaker = call.speaker
    try:
        report = parse_report(draft.encode(), priority=priority, kind=kind)
    except ReportError as error:
        call.warn_of(error)
        speaker.warn(f"It is saved. To continue: {_format_continuing(draft.path, priority=priority, kind=kind)}")
        if call.is_json:
            faults = {one.pointer: one.detail for one in error.faults}
            speaker.say_json({"faults": faults, "file": str(draft.path), "ready": False})
        return EXIT_FAILED
    completeness = measure_completeness(report)
    if call.is_json:
        missing = list(completeness.missing)
        speaker.say_json({"file": str(draft.path), "missing": missing, "ready": True, "score": completeness.score})
        return EXIT_DONE
    speaker.say(f"The report is in {draft.path}. Complete: {completeness.score} of 100.")
    if completeness.missing:
        speaker.say("Missing, the most useful to police first:")
        for line in format_missing(completeness):
            speaker.say(f"  {line}")
    speaker.say(f"{draft.path} holds your words unencrypted: keep it as safe as your case files.")
    speaker.say("Nothing was sent. Next:")
    # A response goes to the report that the saved request names.
    earlier = "" if kind in {"initial", "response"} else " --earlier-reference REFERENCE"
    words = f"{draft.path} --priority {priority}"
    speaker.say(f"  {_format_command('report preview', words, kind=kind)}{earlier}")
    if kind == "response":
        speaker.say(f"  report-abuse-partner request answer {report.answers_request} {words}")
    else:
        speaker.say(f"  {_format_command('report submit', words, kind=kind)}{earlier}")
    return EXIT_DONE


def _format_continuing(path: Path, *, priority: Priority | None, kind: ReportKind) -> str:
    # The file is the report and holds no priority: the command remembers it.
    known = "" if priority is None else f" --priority {priority}"
    return _format_command("report new", f"--draft {path}{known}", kind=kind)


def _format_command(name: str, words: str, *, kind: ReportKind) -> str:
    option = "" if kind == "initial" else f" --kind {kind}"
    return f"report-abuse-partner {name} {words}{option}"
