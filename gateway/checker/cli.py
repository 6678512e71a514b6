"""`report-abuse-checker`: visits the registered pages of services and hands the desk its checks of their buttons."""

import sys
from collections.abc import Sequence
from typing import Final

from partner_sdk.errors import ReportAbuseError, TransportError
from partner_sdk.lazy_group import LazyGroup, run_program

DONE: Final = 0
FAULTS: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3

program: Final = LazyGroup(
    help="Check the buttons on services' registered pages and send the results to the desk.",
    table={"run": ("gateway.checker.run:run", "Visit each page of the desk's list and check its button.")},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return run_program(program, arguments, name="report-abuse-checker")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("partner_sdk.console"):
            raise
        return complain("Install it with its extra: pip install 'report-abuse-gateway[checker]'", code=WRONG_USE)
    except TransportError as error:
        return complain(f"{error} Nothing is lost: run it again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


def complain(text: str, *, code: int) -> int:
    """Print an error and return the exit code."""
    sys.stderr.write(f"report-abuse-checker: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
