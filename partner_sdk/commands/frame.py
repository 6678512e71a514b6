"""What every command shares: how it is declared, what it is given when it runs, and how it reads a file."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from partner_sdk.commands.output import EXIT_CODES, FEW_EXIT_CODES, Speaker
from partner_sdk.commands.words import WORDS
from partner_sdk.errors import LocalStateError
from partner_sdk.word_table import Commands

# The help of the commands never needs them, and with them comes all that sends.
if TYPE_CHECKING:
    from partner_sdk.client.partner import Partner
    from partner_sdk.commands.surroundings import Surroundings

# Said whenever a P1 does not get through, by cli.py: a sealed report in a spool protects nobody.
EMERGENCY: Final = "If a child is in danger now, call 999. Do not wait for this command."


@dataclass(slots=True)
class Urgency:
    """Whether a P1 has not got through at this moment. Changes while a command runs: Ctrl-C leaves no result behind."""

    is_p1_waiting: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a command: its arguments, how it speaks, what it uses of the machine, and how urgent it is by now."""

    args: argparse.Namespace
    speaker: Speaker
    surroundings: "Surroundings"
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class PartnerCall(Call):
    """One run of a command that works in the folder of an enrolled partner."""

    partner: "Partner"


RunAlone = Callable[[Call], int]
RunForPartner = Callable[[PartnerCall], int]
# What is wrong with options that do not go together, in words, or None.
FindMisuse = Callable[[argparse.Namespace], str | None]


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """Where commands are added: the top, or a word such as `report`. `shared` holds the options of every command.

    The summary of a word at the top stands in words.py; below it a command is added with its own.
    """

    commands: "Commands[argparse.ArgumentParser]"
    shared: argparse.ArgumentParser
    words: str = ""

    def add_group(self, name: str, *, summary: str = "") -> "CommandGroup":
        """Add a word that has commands of its own."""
        summary = self._choose_summary(name, own=summary)
        parser = self.commands.add_parser(name, help=summary, description=f"{_capital(summary)}.")
        actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
        return CommandGroup(commands=actions, shared=self.shared, words=f"{self.words}{name} ")

    def add(
        self, name: str, *, run: RunForPartner, example: str, summary: str = "", find_misuse: FindMisuse | None = None
    ) -> argparse.ArgumentParser:
        """Add a command of an enrolled partner; `example` is what follows its name."""
        command = self._add(name, summary=summary, example=example, run=run, needs_partner=True)
        if find_misuse is not None:
            command.set_defaults(find_misuse=find_misuse)
        return command

    def add_alone(
        self, name: str, *, run: RunAlone, example: str, summary: str = "", find_misuse: FindMisuse | None = None
    ) -> argparse.ArgumentParser:
        """Add a command that needs no folder of an enrolled partner."""
        command = self._add(name, summary=summary, example=example, run=run, needs_partner=False)
        if find_misuse is not None:
            command.set_defaults(find_misuse=find_misuse)
        return command

    def _add(
        self, name: str, *, summary: str, example: str, run: RunForPartner | RunAlone, needs_partner: bool
    ) -> argparse.ArgumentParser:
        summary = self._choose_summary(name, own=summary)
        line = f"report-abuse-partner {self.words}{name} {example}".rstrip()
        command = self.commands.add_parser(
            name,
            help=summary,
            description=f"{_capital(summary)}.",
            epilog=f"example:\n  {line}\n\n{EXIT_CODES if needs_partner else FEW_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[self.shared],
        )
        command.set_defaults(command=run, needs_partner=needs_partner, find_misuse=_find_no_misuse, parser=command)
        return command

    def _choose_summary(self, name: str, *, own: str) -> str:
        return own if self.words else WORDS.list_summaries()[name]


def read_input(name: str, *, max_bytes: int) -> bytes:
    """Return what a file holds (`-` is standard input), or raise `LocalStateError` (`no-such-file`)."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(max_bytes + 1)
        with Path(name).open("rb") as handle:
            return handle.read(max_bytes + 1)
    except OSError as error:
        reason = "no-such-file"
        raise LocalStateError(f"{name} can not be read: {error.strerror}.", reason=reason) from None


def _find_no_misuse(_args: argparse.Namespace) -> None:
    return None


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
