"""What the command line writes: each line names the environment, so that a rehearsal is never taken for a report.

Never writes a character that steers a terminal: whatever came from outside passes `make_printable` here.
"""

import csv
import io
import json
import sys
from typing import IO, Any

from partner_sdk.wire.environment import NOT_A_REPORT
from partner_sdk.wire.keys import Environment

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
        """Write where a long command is, for whoever watches it: on a terminal only, whole lines for screen readers."""
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
