"""Prints an opened case on a terminal, with the labels and order of its page: first how to reach the person safely.

Never lets a line from a report or a service pass for one of ours: it is indented.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

from gateway.desk.cases.opening import OpenedCase, find_first_report
from gateway.desk.cases.reading.contact import ContactBlock, list_doubts, make_contact_blocks
from gateway.desk.cases.reading.industry_report import Block, Counted, Grid, Message, ReportSection
from gateway.desk.cases.reading.partner_case import ShownReport
from gateway.desk.cases.reading.public_report import TITLE, ContextView
from gateway.desk.cases.replying.replies import ReplyError
from gateway.desk.terminal import say, say_typed
from gateway.desk.wiring import Desk
from gateway.exchange.public_report import PublicReport
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError

FROM_HERE: Final = "-"  # a file name for standard input
MAX_TEXT_BYTES: Final = 64 * 1024  # more than any text that may be sent; the rules know the exact bounds
_STEP: Final = "  "
_MOST_MISSING: Final = 3  # the page of the case lists all of them


def list_doubt_lines(desk: Desk, opened: OpenedCase, *, actor: str) -> list[str]:
    """List doubts about an addition, for machines; this opens the first report, which is recorded."""
    if not isinstance(opened.content, PublicReport):
        return []
    first = find_first_report(desk, opened.case, actor=actor)
    is_proven = first is not None and first.is_proven
    doubts = list_doubts(opened.case, earlier=None if first is None else first.case, is_proven=is_proven)
    return [f"{head} {rest}" for head, rest in doubts]


def print_contact(desk: Desk, opened: OpenedCase, *, actor: str, to: TextIO | None = None) -> None:
    """Print doubts about an addition, and how to contact the person; nothing for a partner's report."""
    if not isinstance(opened.content, PublicReport):
        return
    first = find_first_report(desk, opened.case, actor=actor)
    earlier = None if first is None else first.case
    for head, rest in list_doubts(opened.case, earlier=earlier, is_proven=first is not None and first.is_proven):
        say(f"WARNING: {head} {rest}", to=to)
    for block in make_contact_blocks(opened.case, opened.content, first=first):
        _print_block(block, to=to)


def print_typed(title: str, text: str, *, to: TextIO | None = None) -> None:
    """Print one field. Further lines of a text are indented: none of them can pass for a field of the report."""
    say_typed(f"{title}: ", text, indent=_STEP * 2, to=to)


def _print_block(block: ContactBlock, *, to: TextIO | None) -> None:
    say("", to=to)
    say(block.title.upper(), to=to)
    for line in block.danger:
        say(f"DANGER: {line}", to=to)
    if block.must_not_know:
        print_typed("WE MUST NOT CONTACT", block.must_not_know, to=to)
    for head, rest in block.warnings:
        say(f"WARNING: {head} {rest}", to=to)
    for way in block.ways:
        bar = "DO NOT USE: " if way.is_barred else "" if way.is_picked else "Given, but not chosen: "
        print_typed(f"{bar}{way.title}", way.line or "No details given", to=to)
    for fact in block.facts:
        print_typed(fact.title, fact.text or fact.unsaid, to=to)


def print_context(view: ContextView | None) -> None:
    """Print the verdict on a context and its content; nothing if there is none."""
    if view is None:
        return
    say("")
    say(TITLE.upper())
    say(f"{'WARNING: ' if view.is_doubted else ''}{' '.join(view.verdict)}")
    for notice in view.notices:
        say(f"WARNING: {' '.join(notice)}")
    for line in view.lines:
        print_typed(f"{line.title} (never name it to the service)" if line.is_sensitive else line.title, line.text)


def list_context_json(view: ContextView | None) -> dict[str, object]:
    """Return the same for machines, under its own key."""
    return {} if view is None else {"page_context": asdict(view)}


def print_report(shown: ShownReport) -> None:
    """Print one whole report."""
    if shown.fault:
        say(f"WARNING: this report does not open. {shown.fault}")
        return
    if shown.fingerprints:
        say("All files handed over:")
        for one in shown.fingerprints:
            _print_typed(_STEP, one.name, f"SHA-256 {one.sha256}")
        return
    for section in shown.sections:
        say("")
        say(section.title.upper() + (f" ({section.count})" if section.count else ""))
        _print_blocks(section)
    if shown.counted is not None:
        say("")
        _print_counted(shown.counted)


def print_changes(shown: ShownReport) -> None:
    """Print the fields in which a later report differs from the first one."""
    for change in shown.changes:
        _print_typed("", change.title, change.after.full_text or "left blank")
        _print_typed(_STEP, "in the first report", change.before.full_text or "left blank")
    if shown.more_changes:
        say("There are more differences. Read both reports.")


def _print_counted(counted: Counted) -> None:
    some = "; ".join(counted.missing[:_MOST_MISSING]) + ("; ..." if len(counted.missing) > _MOST_MISSING else "")
    missing = f"; {len(counted.missing)} missing: {some}" if counted.missing else ""
    say(f"Completeness: {counted.score} of 100, as counted by this desk{missing}.")
    if counted.said is not None:
        say(f"WARNING: The sender's program counted {counted.said} of 100.")


def _print_blocks(section: ReportSection) -> None:
    for block in section.blocks:
        _print_report_block(block, margin="", without_title=section.title)


def _print_report_block(block: Block, *, margin: str, without_title: str = "") -> None:
    inner = margin
    if block.title and block.title != without_title:
        _print_typed(margin, "--", block.title)
        inner = margin + _STEP
    for fact in block.facts:
        _print_typed(inner, fact.title, fact.value.full_text)
    for message in block.messages:
        _print_message(message, margin=inner)
    for grid in block.grids:
        _print_grid(grid, margin=inner)
    for below in block.blocks:
        _print_report_block(below, margin=inner, without_title=without_title)
    for fact in block.not_held:
        _print_typed(inner, fact.title, fact.value.full_text)
    if block.unsaid:
        _print_typed(inner, "Left blank", "; ".join(block.unsaid))


def _print_grid(grid: Grid, *, margin: str) -> None:
    for number, row in enumerate(grid.rows, start=1):
        say(f"{margin}{grid.title} {number}")
        for column, cell in zip(grid.columns, row, strict=True):
            _print_typed(margin + _STEP, column, cell.full_text or "left blank")


def _print_message(message: Message, *, margin: str) -> None:
    to = f", to {message.to}" if message.to else ""
    _print_typed(margin, f"{message.speaker}, {message.time}{to}, {message.kind.lower()}", message.text.full_text)
    for note in message.notes:
        _print_typed(margin + _STEP, note.title, note.value.full_text)


def _print_typed(margin: str, title: str, text: str) -> None:
    # Every further line is indented more than any title: none of them can pass for a field.
    say_typed(f"{margin}{title}: ", text, indent=margin + _STEP * 4)


def read_text(path: Path) -> str:
    """Read a text from a file or, for `-`, from standard input.

    Raises `ReplyError` (`no-file`, `not-text`, `text-too-long`).
    """
    try:
        if str(path) == FROM_HERE:
            raw = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        else:
            raw = read_bounded(path, max_bytes=MAX_TEXT_BYTES)
    except LocalStateError:
        raise ReplyError(f"{path} cannot be read.", reason="no-file") from None
    if len(raw) > MAX_TEXT_BYTES:
        raise ReplyError(f"{path} is too long: a text has at most {MAX_TEXT_BYTES:,} bytes.", reason="text-too-long")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ReplyError(f"{path} is not UTF-8 text.", reason="not-text") from None
