"""Prints how to reach a person safely, before anything else of a report: the same words as on the page.

Never lets a line that somebody typed pass for one of ours: what they typed is set in.
"""

from typing import TextIO

from gateway.desk.casework.opening import OpenedCase, find_first_report
from gateway.desk.commands.frame import say, say_lines
from gateway.desk.reading.contact import ContactBlock, list_doubts, make_contact_blocks
from gateway.desk.wiring import Desk
from partner_sdk.wire.public_report import PublicReport


def list_said_doubts(desk: Desk, opened: OpenedCase, *, actor: str) -> list[str]:
    """List what speaks against an addition, for machines; the first report is opened for it, which is noted."""
    if not isinstance(opened.content, PublicReport):
        return []
    first = find_first_report(desk, opened.case, actor=actor)
    is_proven = first is not None and first.is_proven
    doubts = list_doubts(opened.case, earlier=None if first is None else first.case, is_proven=is_proven)
    return [f"{head} {rest}" for head, rest in doubts]


def say_contact(desk: Desk, opened: OpenedCase, *, actor: str, to: TextIO | None = None) -> None:
    """Print what speaks against an addition, and whom and how to contact; nothing for a partner's report."""
    if not isinstance(opened.content, PublicReport):
        return
    first = find_first_report(desk, opened.case, actor=actor)
    earlier = None if first is None else first.case
    for head, rest in list_doubts(opened.case, earlier=earlier, is_proven=first is not None and first.is_proven):
        say(f"WARNING: {head} {rest}", to=to)
    for block in make_contact_blocks(opened.case, opened.content, first=first):
        _say_block(block, to=to)


def say_typed(title: str, text: str, *, to: TextIO | None = None) -> None:
    """Print one field. Lines of a text are set in: none of them can pass for a field of the report."""
    say_lines(f"{title}: {text}".replace("\n", "\n    "), to=to)


def _say_block(block: ContactBlock, *, to: TextIO | None) -> None:
    say("", to=to)
    say(block.title.upper(), to=to)
    for line in block.danger:
        say(f"DANGER: {line}", to=to)
    if block.must_not_know:
        say_typed("WE MUST NOT CONTACT", block.must_not_know, to=to)
    for head, rest in block.warnings:
        say(f"WARNING: {head} {rest}", to=to)
    for way in block.ways:
        bar = "DO NOT USE: " if way.is_barred else "" if way.is_picked else "Given, but not picked as a way: "
        say_typed(f"{bar}{way.title}", way.line or "They gave nothing to go with it", to=to)
    for fact in block.facts:
        say_typed(fact.title, fact.text or fact.unsaid, to=to)
