"""`report-abuse-gateway`: makes, serves and examines a gateway, and runs the demonstration.

Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 the command line or the settings are wrong.
"""

import sys
from collections.abc import Sequence

from gateway.commands.terminal import WRONG_USE, complain, program
from gateway.web.process_guard import protect_memory
from partner_sdk.errors import ReportAbuseError
from partner_sdk.lazy_group import run_program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    protect_memory()
    try:
        return run_program(program, arguments, name="report-abuse-gateway")
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


if __name__ == "__main__":
    sys.exit(main())
