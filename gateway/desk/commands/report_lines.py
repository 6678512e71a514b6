"""Prints an opened industry report: the same sections, words and order as on the page.

Never lets a line that somebody typed pass for one of ours: what they typed is set in.
"""

from typing import Final

from gateway.desk.commands.frame import say, say_lines
from gateway.desk.reading.partner_case import ShownReport
from gateway.desk.reading.report_blocks import Block, Grid, Message
from gateway.desk.reading.report_sections import Counted, ReportSection

_STEP: Final = "  "
_MOST_MISSING: Final = 3  # the page of the case lists all of them


def say_report(shown: ShownReport) -> None:
    """Print everything of one report."""
    if shown.fault:
        say(f"WARNING: it does not open. {shown.fault}")
        return
    if shown.fingerprints:
        say("All files handed over:")
        for one in shown.fingerprints:
            _say_typed(_STEP, one.name, f"SHA-256 {one.sha256}")
        return
    for section in shown.sections:
        say("")
        say(section.title.upper() + (f" ({section.count})" if section.count else ""))
        _say_blocks(section)
    if shown.counted is not None:
        say("")
        _say_counted(shown.counted)


def say_changes(shown: ShownReport) -> None:
    """Print what a later report says otherwise than the first one."""
    for change in shown.changes:
        _say_typed("", change.title, change.after.words or "left blank")
        _say_typed(_STEP, "the first report says", change.before.words or "left blank")
    if shown.more_changes:
        say("There are more differences: read both.")


def _say_counted(counted: Counted) -> None:
    some = "; ".join(counted.missing[:_MOST_MISSING]) + ("; ..." if len(counted.missing) > _MOST_MISSING else "")
    missing = f"; {len(counted.missing)} missing: {some}" if counted.missing else ""
    say(f"Complete: {counted.score} of 100, as this desk counts{missing}.")
    if counted.said is not None:
        say(f"WARNING: The sender's program counted {counted.said} of 100.")


def _say_blocks(section: ReportSection) -> None:
    for block in section.blocks:
        _say_block(block, margin="", without_title=section.title)


def _say_block(block: Block, *, margin: str, without_title: str = "") -> None:
    inner = margin
    if block.title and block.title != without_title:
        _say_typed(margin, "--", block.title)
        inner = margin + _STEP
    for fact in block.facts:
        _say_typed(inner, fact.title, fact.value.words)
    for message in block.messages:
        _say_message(message, margin=inner)
    for grid in block.grids:
        _say_grid(grid, margin=inner)
    for below in block.blocks:
        _say_block(below, margin=inner, without_title=without_title)
    for fact in block.not_held:
        _say_typed(inner, fact.title, fact.value.words)
    if block.unsaid:
        _say_typed(inner, "Left blank", "; ".join(block.unsaid))


def _say_grid(grid: Grid, *, margin: str) -> None:
    for number, row in enumerate(grid.rows, start=1):
        say(f"{margin}{grid.title} {number}")
        for column, cell in zip(grid.columns, row, strict=True):
            _say_typed(margin + _STEP, column, cell.words or "left blank")


def _say_message(message: Message, *, margin: str) -> None:
    to = f", to {message.to}" if message.to else ""
    _say_typed(margin, f"{message.speaker}, {message.time}{to}, {message.kind.lower()}", message.text.words)
    for note in message.notes:
        _say_typed(margin + _STEP, note.title, note.value.words)


def _say_typed(margin: str, title: str, text: str) -> None:
    # Every further line stands deeper than any title: none of them can pass for a field.
    deeper = "\n" + margin + _STEP * 4
    say_lines(f"{margin}{title}: {text}".replace("\n", deeper))
