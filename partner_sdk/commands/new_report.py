"""The command `report new`: asks for a report question by question and saves a draft after every answer."""

import sys
from pathlib import Path
from typing import get_args

from partner_sdk.commands.delivery_words import say_fault
from partner_sdk.commands.frame import EMERGENCY, Call, CommandGroup
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED
from partner_sdk.errors import ReportError
from partner_sdk.interview.course import Course
from partner_sdk.interview.draft import Draft
from partner_sdk.interview.questions import HOW_TO_ANSWER, Questioner
from partner_sdk.report import measure_completeness, parse_report
from partner_sdk.report.preview import spell_missing
from partner_sdk.wire.submission import Priority, ReportKind

DEFAULT_OUT = "report.json"


def run_new(call: Call) -> int:
    """Ask, save, and say what is missing and what comes next."""
    args, speaker = call.args, call.speaker
    # With --json standard output holds the one object and nothing else.
    say = speaker.warn if args.json else speaker.say
    draft = Draft.begin(Path(args.out)) if args.draft is None else Draft.resume(Path(args.draft))
    if args.answers is not None:
        args.kind = "response"
        draft.root["answers_request"] = args.answers
        draft.save()
    try:
        questioner = Questioner(read=sys.stdin.readline, say=say)
        for line in HOW_TO_ANSWER:
            say(line)
        if args.priority is None:
            words = "How urgent is it? P1: a child is at risk now. P2: urgent. P3: everything else."
            args.priority = questioner.choose(words, get_args(Priority))
        if args.priority == "P1":
            say(EMERGENCY)
        Course(draft, questioner=questioner, priority=args.priority, kind=args.kind).run()
    except (EOFError, KeyboardInterrupt):
        speaker.warn(f"Stopped. All that you answered is in {draft.path}.")
        speaker.warn(f"To go on: {_spell_command('report new', f'--draft {draft.path}', call)}")
        return EXIT_FAILED
    return _say_end(call, draft)


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
    file = new.add_mutually_exclusive_group()
    file.add_argument(
        "--out", metavar="FILE", default=DEFAULT_OUT, help=f"the file to make; never over another ({DEFAULT_OUT})"
    )
    file.add_argument("--draft", metavar="FILE", help="go on with a file that was begun before")


def _say_end(call: Call, draft: Draft) -> int:
    args, speaker = call.args, call.speaker
    try:
        report = parse_report(draft.encode(), priority=args.priority, kind=args.kind)
    except ReportError as error:
        say_fault(speaker, error)
        speaker.warn(f"It is saved. To go on: {_spell_command('report new', f'--draft {draft.path}', call)}")
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
        for line in spell_missing(completeness):
            speaker.say(f"  {line}")
    speaker.say(f"{draft.path} holds your words in clear: keep it where your case files are safe.")
    speaker.say("Nothing was sent. Next:")
    earlier = "" if args.kind == "initial" else " --earlier-reference REFERENCE"
    for name in ("report preview", "report submit"):
        speaker.say(f"  {_spell_command(name, f'{draft.path} --priority {args.priority}', call)}{earlier}")
    return EXIT_DONE


def _spell_command(name: str, words: str, call: Call) -> str:
    kind = "" if call.args.kind == "initial" else f" --kind {call.args.kind}"
    return f"report-abuse-partner {name} {words}{kind}"
