"""The frame of every command: how it is declared, its call, and how it writes.

Each line names the environment, so that a rehearsal is never taken for a report. Never writes a character that steers a
terminal: text from outside passes `make_printable`.
"""

import argparse
import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import DEFAULT_POLICY, RetryPolicy
from partner_sdk.command_table import Commands, CommandTable
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.problems import NOT_A_REPORT

if TYPE_CHECKING:
    import requests

    from partner_sdk.client.partner import Partner

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2  # argparse's own
EXIT_NOT_DELIVERED = 3
EXIT_ALARM = 4
EXIT_CODES = """exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong usage
  3  not delivered whole: the report, or its evidence, is saved; `spool flush` sends it
  4  alarm: a receipt does not hold, or something is wrong with the mailbox"""

# Of a command that sends no report and reads no mailbox.
FEW_EXIT_CODES = """exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong usage"""


class Speaker:
    """Writes lines for one environment; results to standard output, everything else to standard error.

    Without an environment (no folder was found) lines have no mark.
    """

    def __init__(
        self, environment: Environment | None, *, out: IO[str] | None = None, err: IO[str] | None = None
    ) -> None:
        self.environment = environment
        self._out = sys.stdout if out is None else out
        self._err = sys.stderr if err is None else err

    @property
    def label(self) -> str:
        """The mark in front of each line."""
        if self.environment is None:
            return ""
        return "[live]" if self.environment == "live" else f"[{self.environment}: {NOT_A_REPORT}]"

    def say(self, text: str) -> None:
        """Write a result, each of its lines marked."""
        self._write(self._out, text)

    def warn(self, text: str) -> None:
        """Write to standard error, each line marked."""
        self._write(self._err, text)

    def say_progress(self, text: str) -> None:
        """Write how far a long command is: on a terminal only, in whole lines for screen readers."""
        if self._err.isatty():
            self.warn(text)

    def say_json(self, fields: dict[str, Any]) -> None:
        """Write one JSON object that names the environment."""
        marked = {"environment": self.environment, "not_a_report": self.environment != "live", **fields}
        # Escapes every character that is no printable ASCII.
        self._out.write(json.dumps(marked, indent=2, ensure_ascii=True) + "\n")
        self._out.flush()

    def say_document(self, text: str) -> None:
        """Write a document for another program, without marks: it is ASCII, and its own format escapes the rest."""
        self._out.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        self._out.flush()

    def say_csv(self, text: str) -> None:
        """Write CSV with the environment as its first column."""
        rows = list(csv.reader(io.StringIO(text)))
        writer = csv.writer(self._out, lineterminator="\n")
        name = self.environment if self.environment == "live" else f"{self.environment}: {NOT_A_REPORT}"
        for place, row in enumerate(rows):
            writer.writerow(["environment" if place == 0 else name, *(make_printable(cell) for cell in row)])
        self._out.flush()

    def _write(self, stream: IO[str], text: str) -> None:
        for line in text.splitlines():
            text_of_line = make_printable(line).rstrip()
            stream.write((f"{self.label} {text_of_line}".rstrip() if self.label else text_of_line) + "\n")
        stream.flush()


def make_printable(text: str) -> str:
    """Return one line with a question mark for each character that is not printable: controls, direction marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _read_clock() -> datetime:
    # Imported here, as below: with it comes all that sends, which a command that runs alone does not need.
    from partner_sdk.client.http import read_clock

    return read_clock()


def _open_session() -> "requests.Session":
    from partner_sdk.client.transport import make_session

    return make_session()


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of the machine that commands use: clock, connections, waiting, environment variables.

    The defaults are this machine's own; a test passes its own.
    """

    clock: Callable[[], datetime] = _read_clock
    open_session: "Callable[[], requests.Session]" = _open_session
    sleep: Callable[[float], None] = time.sleep
    policy: RetryPolicy = DEFAULT_POLICY
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


# The first word of each command, its file and its summary, in the order of the help.
COMMANDS: Final = CommandTable(
    room="partner_sdk._commands",
    files={
        "report": {"report": "submit reports and follow them"},
        "spool": {"spool": "reports that are sealed and wait for their receipt"},
        "evidence": {"evidence": "hand over files that belong to reports"},
        "receipts": {"receipt": "check and keep receipts"},
        "mailbox": {
            "inbox": "fetch, check, save and list the agency's messages",
            "digest": "show your newest digest",
            "requests": "list the agency's questions and their deadlines; `requests show ID` shows one whole",
        },
        "account": {
            "enrol": "answer the agency's invitation",
            "keys": "the keys of this partner",
            "account": "this partner's registration",
        },
        "button": {"button": "the Report Abuse button on your own pages"},
        "doctor": {"doctor": "list what is wrong and how to fix it"},
    },
)


# Written by cli.py whenever a P1 does not get through: a sealed report in a spool protects no child.
EMERGENCY: Final = "If a child is in danger now, call 999. Do not wait for this command."


@dataclass(slots=True)
class Urgency:
    """Whether a P1 has not got through at this moment. Changes while a command runs: Ctrl-C leaves no result behind."""

    is_p1_waiting: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a command: its arguments, how it writes, the machine around it, and how urgent it is by now."""

    args: argparse.Namespace
    speaker: Speaker
    runtime: Runtime
    urgency: Urgency

    def answer(self, fields: dict[str, Any], lines: Iterable[str] = (), *, code: int = EXIT_DONE) -> int:
        """Write a result, as JSON where that is asked for, else as lines; return the exit code."""
        if self.args.json:
            self.speaker.say_json(fields)
        else:
            for line in lines:
                self.speaker.say(line)
        return code


def pick(value: object, *names: str) -> dict[str, Any]:
    """Return some attributes of a value by their names, for JSON."""
    return {name: getattr(value, name) for name in names}


@dataclass(frozen=True, slots=True)
class PartnerCall(Call):
    """One run of a command that works in the folder of an enrolled partner."""

    partner: "Partner"


RunAlone = Callable[[Call], int]
RunForPartner = Callable[[PartnerCall], int]
# Returns why options do not go together, in words, or None.
FindMisuse = Callable[[argparse.Namespace], str | None]


def _find_no_misuse(_args: argparse.Namespace) -> None:
    return None


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """Where commands are added: the top, or a word such as `report`. `shared` holds the options of every command.

    The summary of a word at the top stands in `COMMANDS`; below it a command is added with its own.
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
        self,
        name: str,
        *,
        run: RunForPartner,
        example: str,
        summary: str = "",
        find_misuse: FindMisuse = _find_no_misuse,
    ) -> argparse.ArgumentParser:
        """Add a command of an enrolled partner; `example` is the rest of its line, e.g. `report.json --priority P2`."""
        command = self._add(name, summary=summary, example=example, exit_codes=EXIT_CODES)
        command.set_defaults(command=run, needs_partner=True, find_misuse=find_misuse, parser=command)
        return command

    def add_alone(
        self, name: str, *, run: RunAlone, example: str, summary: str = "", find_misuse: FindMisuse = _find_no_misuse
    ) -> argparse.ArgumentParser:
        """Add a command that needs no folder of an enrolled partner."""
        command = self._add(name, summary=summary, example=example, exit_codes=FEW_EXIT_CODES)
        command.set_defaults(command=run, needs_partner=False, find_misuse=find_misuse, parser=command)
        return command

    def _add(self, name: str, *, summary: str, example: str, exit_codes: str) -> argparse.ArgumentParser:
        summary = self._choose_summary(name, own=summary)
        line = f"report-abuse-partner {self.words}{name} {example}".rstrip()
        return self.commands.add_parser(
            name,
            help=summary,
            description=f"{_capital(summary)}.",
            epilog=f"example:\n  {line}\n\n{exit_codes}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[self.shared],
        )

    def _choose_summary(self, name: str, *, own: str) -> str:
        return own if self.words else COMMANDS.list_summaries()[name]


def read_input(name: str, *, max_bytes: int) -> bytes:
    """Return the bytes of a file (`-` is standard input), or raise `LocalStateError` (`no-such-file`)."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(max_bytes + 1)
        with Path(name).open("rb") as handle:
            return handle.read(max_bytes + 1)
    except OSError as error:
        reason = "no-such-file"
        raise LocalStateError(f"{name} cannot be read: {error.strerror}.", reason=reason) from None


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def find_origin(given: str | None, *, state: Path) -> str | None:
    """Return the agency's address as given, else that of the partner's folder, or None without one."""
    if given is not None:
        return given
    try:
        return PartnerState.open(state).profile.origin
    except ReportAbuseError:
        return None


def get_origin(given: str | None, *, state: Path) -> str:
    """Return the agency's address as `find_origin`, or raise `LocalStateError` (`no-origin`)."""
    origin = find_origin(given, state=state)
    if origin is None:
        raise LocalStateError(
            f"{state} is no folder of an enrolled partner: give the agency's address, --origin https://report.example.",
            reason="no-origin",
        )
    return origin


def write_out(file: Path, text: str) -> None:
    """Write a file of the service's own tree, or raise `LocalStateError` (`cannot-write`)."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalStateError(f"{file} cannot be written: {error.strerror}.", reason="cannot-write") from None
