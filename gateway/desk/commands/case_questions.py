"""`case ask` and `case outcome`: one question to the partner that sent a case, and what it is told of its report.

Never sends anything itself: the next `collect` takes it along.
"""

import argparse
from dataclasses import asdict
from datetime import date
from pathlib import Path

from gateway.desk.casework.asking import DAYS_TO_ANSWER, Question, ask_partner
from gateway.desk.casework.case_codes import OUTCOMES
from gateway.desk.casework.cases import CaseError
from gateway.desk.casework.partner_outcomes import take_back, tell_outcome
from gateway.desk.casework.promised_days import parse_day
from gateway.desk.commands.case_reply import read_text
from gateway.desk.commands.frame import DONE, Commands, add_command, get_actor, print_json, say
from gateway.desk.wiring import open_desk
from partner_sdk.wire.mailbox_message import OUTCOMES as TOLD


def run_ask(parsed: argparse.Namespace) -> int:
    """Ask the partner that sent a report one question about it. Read the report first.

    It is sealed to the partner's mailbox and goes out with the next `collect`; your name is noted. One question at a
    time: the next may be asked when this one is answered or late.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    question = Question(
        question=parsed.question if parsed.question_file is None else read_text(parsed.question_file),
        purpose=parsed.purpose,
        legal_basis=parsed.legal_basis,
        due=parsed.due,
    )
    request_id = ask_partner(desk, parsed.case, question, actor=actor)
    if parsed.json:
        print_json({"request_id": request_id})
    else:
        say(f"The question is sealed and waits: {request_id}. `collect` takes it along.")
    return DONE


def run_outcome(parsed: argparse.Namespace) -> int:
    """Tell the partner that sent a report what became of it, or take that back before it went out.

    It goes with the next `collect`, or with the first one on the day of --hold-until. Never for a report of the public.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    if parsed.take_back:
        signal = take_back(desk, parsed.case, actor=actor)
    else:
        signal = tell_outcome(desk, parsed.case, outcome=parsed.outcome, hold_until=parsed.hold_until, actor=actor)
    if parsed.json:
        print_json({"outcome": asdict(signal), "taken_back": parsed.take_back})
    elif parsed.take_back:
        say(f"Taken back: the partner is not told {signal.outcome}.")
    else:
        when = (
            "with the next `collect`"
            if parsed.hold_until is None
            else f"with the first `collect` from {signal.held_until}"
        )
        say(f"The partner is told {signal.outcome} {when}.")
    return DONE


def add_commands_to(group: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands to the group `case`."""
    ask = add_command(
        group,
        "ask",
        run=run_ask,
        example='K7QF-2M9TX-D --question-file question.txt --purpose "To find the child" '
        '--legal-basis "Data Protection Act 2018, Schedule 2, paragraph 2"',
        group="case",
    )
    ask.add_argument("case", metavar="CASE", help="its reference or case id")
    words = ask.add_mutually_exclusive_group(required=True)
    words.add_argument("--question", metavar="TEXT", help="the question; others on this machine may see a command line")
    words.add_argument(
        "--question-file", type=Path, metavar="FILE", help="the question, in plain text; - reads it from here"
    )
    ask.add_argument("--purpose", required=True, metavar="TEXT", help="what the answer is needed for")
    ask.add_argument("--legal-basis", required=True, metavar="TEXT", help="the law that it is asked under")
    ask.add_argument(
        "--due", type=_read_day, metavar="DATE", help=f"by when, like 2026-12-24 (default: {DAYS_TO_ANSWER} days)"
    )
    told = "; ".join(f"{code}: {words_of}" for code, words_of in TOLD)
    outcome = add_command(group, "outcome", run=run_outcome, example="K7QF-2M9TX-D --outcome used", group="case")
    outcome.add_argument("case", metavar="CASE", help="its reference or case id")
    what = outcome.add_mutually_exclusive_group(required=True)
    what.add_argument("--outcome", choices=OUTCOMES, help=f"what the partner is told. {told}")
    what.add_argument("--take-back", action="store_true", help="take back the outcome that waits")
    outcome.add_argument(
        "--hold-until", type=_read_day, metavar="DATE", help="tell it on this day and not before, like 2026-12-24"
    )


def _read_day(text: str) -> date:
    # The parser of arguments turns this one error into words, and no other.
    try:
        return parse_day(text)
    except CaseError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
