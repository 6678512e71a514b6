"""The frame of every command: shared options, exit codes, the JSON that it writes, and the machine around it.

A command is for machines: one JSON object on standard output, and warnings for a person on standard error. Each names
the environment, so that a rehearsal is never taken for a report. Only `button snippet`, `button check` and `console`
write text for a person. Never writes a character that steers a terminal: text from outside passes `make_printable`.
Imports nothing heavy: the help of the program loads this file.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError, ProblemError, ReportAbuseError, ReportError
from partner_sdk.finding import make_printable
from partner_sdk.lazy_group import ExampleCommand

if TYPE_CHECKING:
    import requests

    from partner_sdk.client.partner import Partner
    from partner_sdk.wire.signing import Environment

STATE_VARIABLE: Final = "REPORT_ABUSE_PARTNER_STATE"
DEFAULT_STATE: Final = "report-abuse-partner"
# Of the commands that a service need not install.
DISTRIBUTIONS: Final = dict.fromkeys(("partner_sdk.console", "flask"), "report-abuse-partner-console")

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_NOT_DELIVERED = 3
EXIT_ALARM = 4
EXIT_LATE = 5
EXIT_CODES: Final = """Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong usage
  3  not fully delivered: the report, its evidence or your words are saved; `spool flush` sends them
  4  alarm: a receipt is not valid, or something is wrong with the mailbox
  5  late: the public log stood still when a receipt was given, and holds it since; nothing is missing
  130  stopped with Ctrl-C"""

# Of a command that sends no report and reads no mailbox.
FEW_EXIT_CODES: Final = """Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  wrong usage"""

# Written whenever a P1 does not get through: a sealed report in a spool protects no child.
EMERGENCY: Final = "If a child is in danger now, call 999. Do not wait for this command."


@dataclass(frozen=True, slots=True)
class Speaker:
    """Writes lines for one environment; results to standard output, everything else to standard error.

    Without an environment (no folder was found) lines have no mark.
    """

    environment: "Environment | None"

    @property
    def label(self) -> str:
        """The mark in front of each line, e.g. `[sandbox: NOT A REPORT]`."""
        return "" if self.environment is None else f"[{self._name_environment()}]"

    def say(self, text: str) -> None:
        """Write a result, each of its lines marked."""
        self._write(sys.stdout, text)

    def warn(self, text: str) -> None:
        """Write to standard error, each line marked."""
        self._write(sys.stderr, text)

    def say_progress(self, text: str) -> None:
        """Write the progress of a long command: on a terminal only, in whole lines for screen readers."""
        if sys.stderr.isatty():
            self.warn(text)

    def say_json(self, fields: dict[str, Any]) -> None:
        """Write one JSON object that names the environment, in printable ASCII."""
        self.say_document(json.dumps(self._mark(fields), indent=2, ensure_ascii=True) + "\n")

    def say_json_line(self, fields: dict[str, Any]) -> None:
        """Write one JSON object as `say_json`, on one line: further ones follow."""
        self.say_document(json.dumps(self._mark(fields), ensure_ascii=True) + "\n")

    def _mark(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"environment": self.environment, "not_a_report": self.environment != "live", **fields}

    def say_document(self, text: str) -> None:
        """Write a document for another program, without marks: it is ASCII, and its own format escapes the rest."""
        sys.stdout.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        sys.stdout.flush()

    def _name_environment(self) -> str:
        # Imported here, as below: a line without a mark needs no format of the wire.
        from partner_sdk.wire.problems import NOT_A_REPORT

        return "live" if self.environment == "live" else f"{self.environment}: {NOT_A_REPORT}"

    def _write(self, stream: IO[str], text: str) -> None:
        for line in text.splitlines():
            marked = f"{self.label} {make_printable(line)}" if self.label else make_printable(line)
            stream.write(f"{marked.rstrip()}\n")
        stream.flush()


def _read_clock() -> datetime:
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
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass
class Call:
    """One run of a command: its shared options, its output and the machine around it.

    `is_p1_waiting` changes while a command runs, because Ctrl-C leaves no result behind.
    """

    runtime: Runtime
    is_p1_waiting: bool = False
    speaker: Speaker = field(default_factory=lambda: Speaker(None))
    state: Path = Path(DEFAULT_STATE)
    ca_file: Path | None = None
    is_json: bool = True

    @cached_property
    def partner(self) -> "Partner":
        """The enrolled partner whose folder is `state`; raises `LocalStateError`."""
        from partner_sdk.client.partner import Partner

        return Partner.open(
            self.state,
            ca_file=self.ca_file,
            session=self.runtime.open_session(),
            clock=self.runtime.clock,
            sleep=self.runtime.sleep,
            notify=lambda text: self.speaker.warn(f"{text}\n{EMERGENCY}" if self.is_p1_waiting else text),
        )

    def run(self, command: Callable[[], int]) -> int:
        """Run a command in the folder `state`; show the error that stops it and return `EXIT_FAILED`."""
        self.speaker = Speaker(_find_environment(self.state))
        try:
            return command()
        except ReportAbuseError as error:
            return self.fail(error)
        finally:
            if "partner" in vars(self):
                self.partner.close()

    def answer(self, fields: dict[str, Any], *, code: int = EXIT_DONE) -> int:
        """Write a result as JSON, and return the exit code."""
        self.speaker.say_json(fields)
        return code

    def fail(self, error: ReportAbuseError) -> int:
        """Show an error, as JSON too, and return `EXIT_FAILED`."""
        self.warn_of(error)
        if self.is_json:
            faults = error.faults if isinstance(error, ReportError) else ()
            self.speaker.say_json({"faults": {one.pointer: one.detail for one in faults}, "reason": error.reason})
        return EXIT_FAILED

    def warn_of(self, error: ReportAbuseError) -> None:
        """Write an error to standard error, field by field where it names fields."""
        from partner_sdk.client.exchange import describe

        self.speaker.warn(describe(error))
        for fault in error.faults if isinstance(error, (ReportError, ProblemError)) else ():
            self.speaker.warn(f"  {fault.pointer}: {fault.detail}")
        if isinstance(error, ProblemError) and error.request_id:
            self.speaker.warn(f"  request id {error.request_id}")

    def find_origin(self, given: str | None) -> str | None:
        """Return the agency's address as given, else that of the partner's folder, or None without one."""
        from partner_sdk.client._partner_state import PartnerState

        if given is not None:
            return given
        try:
            return PartnerState.open(self.state).profile.origin
        except ReportAbuseError:
            return None

    def get_origin(self, given: str | None) -> str:
        """Return the agency's address as `find_origin`, or raise `LocalStateError` (`no-origin`)."""
        origin = self.find_origin(given)
        if origin is None:
            raise LocalStateError(
                f"{self.state} is not the folder of an enrolled partner: give the agency's address, "
                "e.g. --origin https://report.example.",
                reason="no-origin",
            )
        return origin


def _find_environment(folder: Path) -> "Environment | None":
    from partner_sdk.client._partner_state import PartnerState

    try:
        return PartnerState.open(folder).profile.environment
    except ReportAbuseError:
        return None


class PartnerCommand(ExampleCommand):
    """A command whose help ends with an example and its exit codes."""

    def __init__(self, *args: Any, exit_codes: str = EXIT_CODES, **settings: Any) -> None:
        super().__init__(*args, epilog=f"\b\n{exit_codes}", **settings)


class PartnerGroup(click.Group):
    """A word that has commands of its own, e.g. `report`."""

    command_class = PartnerCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of their definition."""
        return list(self.commands)


Run = Callable[..., int]


def shared_options(function: Run) -> Run:
    """Add the options of every command, and pass the command its `Call` first."""

    @click.option(
        "--state",
        metavar="DIR",
        type=click.Path(path_type=Path),
        envvar=STATE_VARIABLE,
        default=DEFAULT_STATE,
        show_envvar=True,
        show_default=True,
        help="The partner's own folder.",
    )
    @click.option(
        "--ca-file", metavar="FILE", type=click.Path(path_type=Path), help="Trust only this certificate authority."
    )
    @click.pass_context
    @wraps(function)
    def run(ctx: click.Context, /, **options: Any) -> int:
        call: Call = ctx.obj
        call.state, call.ca_file = options.pop("state"), options.pop("ca_file")
        call.is_json = options.pop("is_json", True)
        return call.run(lambda: function(call, **options))

    return run


origin_option: Final = click.option(
    "--origin", metavar="ADDRESS", help="The agency's address (default: the one in your folder)."
)
out_option: Final = click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to this file instead of standard output."
)


def read_input(name: str, *, max_bytes: int) -> bytes:
    """Return the bytes of a file (`-` is standard input), or raise `LocalStateError` (`no-such-file`)."""
    if name == "-":
        return sys.stdin.buffer.read(max_bytes + 1)
    try:
        return read_bounded(Path(name), max_bytes=max_bytes)
    except LocalStateError as error:
        raise LocalStateError(str(error), reason="no-such-file") from None


def pick(value: object, *names: str) -> dict[str, Any]:
    """Return attributes of a value by their names, for JSON."""
    return {name: getattr(value, name) for name in names}


def say_example(value: Any) -> int:
    """Write an example file to fill in. It has no mark: it becomes a file, and nothing of it is a report."""
    import msgspec

    Speaker(None).say(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))
    return EXIT_DONE
