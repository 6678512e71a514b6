"""`case assess` and `case close`, for scripts and the demonstration: the page of the case does more."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.desk.cases.assessing import Assessment, assess_case
from gateway.desk.cases.closing import Closing, check_closing, check_may_close, close_case
from gateway.desk.cases.lines import read_text
from gateway.desk.cases.model import AGE_BANDS, BEST_PLACED, KINDS, OUTCOMES, REDIRECTS, WEAKNESSES, YES_NO
from gateway.desk.collection.row_checks import PRIORITIES
from gateway.desk.digests.facts import load_facts
from gateway.desk.people.permissions import ANY_CASE, Permission
from gateway.desk.terminal import FILE, Call, desk_command, print_result
from gateway.desk.wiring import open_desk

_CASE = click.argument("case", help="Its reference or case id.")
_YES_NO = click.Choice(YES_NO)


@desk_command(
    Permission.ASSESS_CASES,
    example="K7QF-2M9TX-D --immediate-risk no --urgent no --urgent-dissemination no --best-placed harm_reduction "
    "--priority P3 --kind grooming --age-band 13_15 --reasons-file reasons.txt",
)
@_CASE
@click.option("--immediate-risk", required=True, type=_YES_NO, help="Is a child at immediate risk?")
@click.option("--urgent", required=True, type=_YES_NO, help="Is it urgent?")
@click.option("--urgent-dissemination", required=True, type=_YES_NO, help="Must police or child protection know now?")
@click.option("--best-placed", required=True, type=click.Choice(BEST_PLACED), help="Who is best placed to act?")
@click.option("--priority", required=True, type=click.Choice(PRIORITIES), help="It raises the case, never lowers it.")
@click.option("--kind", required=True, type=click.Choice(KINDS))
@click.option("--age-band", required=True, type=click.Choice(AGE_BANDS), help="Of the child.")
@click.option("--contact", type=click.Choice(YES_NO), help="If an adult reported it: contact them?")
@click.option("--reasons-file", required=True, type=FILE, metavar="FILE", help="Your reasons; - reads standard input.")
def case_assess(call: Call, case: str, reasons_file: Path, contact: str | None, **answers: Any) -> int:
    """Record an assessment of a case: the four answers, and the reasons. The newest one stands.

    An unclaimed case is yours from then on.
    """
    assessment = Assessment(reasons=read_text(reasons_file), contact=contact or "", **answers)
    assessed = assess_case(open_desk(call.state), case, assessment, actor=call.actor)
    return print_result(call, {"case": asdict(assessed)}, f"{assessed.reference} is assessed.")


@desk_command(
    Permission.ASSESS_CASES,
    example="K7QF-2M9TX-D --outcome used --weakness open_direct_messages",
)
@_CASE
@click.option("--outcome", "outcome_code", required=True, type=click.Choice(OUTCOMES))
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
@click.option("--redirected-to", type=click.Choice(REDIRECTS), help="With --outcome out_of_remit: the body named.")
@click.option("--same-as", metavar="CASE", help="Another case about the same person or incident.")
@click.option("--release-outcome", is_flag=True, help="Tell the partner whose own report it is.")
def case_close(
    call: Call,
    case: str,
    outcome_code: str,
    weaknesses: tuple[str, ...],
    facts: tuple[str, ...],
    redirected_to: str | None,
    same_as: str | None,
    *,
    release_outcome: bool,
) -> int:
    """Close an assessed case with its outcome.

    A child who is owed a reply must have one first: `case reply --is-the-reply`, or one recorded on its page.
    """
    closing = Closing(
        outcome=outcome_code,
        weaknesses=weaknesses,
        same_as=same_as,
        redirected_to=redirected_to,
        facts=_parse_facts(facts),
        release_outcome=release_outcome,
    )
    check_closing(closing)
    check_may_close(call.roles, closing, case=ANY_CASE)
    closed = close_case(open_desk(call.state), case, closing, actor=call.actor)
    return print_result(call, {"case": asdict(closed)}, f"{closed.reference} is closed: {closed.outcome}.")


def _parse_facts(facts: Iterable[str]) -> dict[str, str]:
    pairs = [fact.partition("=") for fact in facts]
    if not all(code for _, _, code in pairs):
        raise click.UsageError("Write a fact as NAME=CODE, e.g. moved_to=messenger.")
    return {name: code for name, _, code in pairs}
