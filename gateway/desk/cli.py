"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from gateway.desk.suggestions import PROGRAM
from gateway.desk.terminal import DONE, EXIT_CODES, LOOK, TRY_AGAIN, WRONG_USE, complain
from gateway.web.logs import format_exception
from gateway.web.process_guard import protect_memory
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError
from partner_sdk.lazy_group import LazyGroup, run_program

_SETUP, _OUTBOX, _SERVING = (f"gateway.desk.commands.{name}" for name in ("setup", "outbox", "serving"))


class DeskProgram(LazyGroup):
    """The commands of the desk. Each error becomes one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run one command and return its exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader has seen enough (`| head`): write nothing more, not even at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except (TransportError, UnavailableError) as error:
            return complain(f"{error} Completed work is kept: run it again.", code=TRY_AGAIN)
        except ReportAbuseError as error:
            return complain(str(error), code=WRONG_USE)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - a traceback would print its message, which may be a report's words
            fault = f"This release has a fault: {format_exception(error)}. Completed work is kept; tell its makers."
            return complain(fault, code=LOOK)


program: Final = DeskProgram(
    help="The desk of the agency: the only holder of the keys that open reports.",
    epilog=EXIT_CODES,
    table={
        "init": (f"{_SETUP}:init", "Make a desk with all its keys, and agency.pin for the gateway."),
        "gateway": (f"{_SETUP}:gateway", "Gateways whose receipts this desk accepts: add, end-key."),
        "publish": (f"{_SETUP}:publish_command", "Sign the key set and the register, and publish them."),
        "doctor": (f"{_SETUP}:doctor", "Check this desk and list its faults."),
        "audit": (f"{_SETUP}:audit_group", "The audit log: check."),
        "keys": (
            "gateway.desk.keyring.commands:keys",
            "The agency's own keys: list, rotate, renew, replace, revoke, destroy.",
        ),
        "collect": (
            "gateway.desk.commands.collecting:collect",
            "Collect reports and enrolments from the gateway, and send the outbox.",
        ),
        "alarms": ("gateway.desk.commands.collecting:alarms", "List the open alarms: gaps, forks, forgeries."),
        "set-aside": (
            "gateway.desk.commands.set_aside:set_aside",
            "Rows that did not verify or open: list, open, retry, resolve.",
        ),
        "import": ("gateway.desk.commands.importing:import_command", "Import a sealed report from a file."),
        "evidence": ("gateway.desk.cases.file_commands:evidence", "Files that partners handed over: list, save."),
        "partner": ("gateway.desk.partners.commands:partner", "Online services that report, and get digests."),
        "placement": (
            "gateway.desk.placements.commands:placement",
            "Places of the button: agreements, link ids and checks.",
        ),
        "adoption": ("gateway.desk.partners.adoption_commands:adoption", "Services that ask to show the button."),
        "case": (
            "gateway.desk.cases.commands:case",
            "Cases: list, next, show, move, reply, ask, outcome, close.",
        ),
        "figures": (
            "gateway.desk.cases.figures_commands:figures",
            "Print how fast reports are read and answered.",
        ),
        "stale-data": ("gateway.desk.commands.stale_data:stale_data", "List facts whose last check is too old."),
        "outbox": (f"{_OUTBOX}:outbox", "All that this desk sends, short notes too: send, list, retry."),
        "alert": (f"{_OUTBOX}:alert", "Alerts to the people on duty: list, acknowledge."),
        "digest": ("gateway.desk.digests.commands:digest", "Digests: make, show, release, list."),
        "synthetic": ("gateway.desk.digests.commands:synthetic", "File marked, made-up, closed cases about a partner."),
        "serve": (f"{_SERVING}:serve", "Serve the desk's pages on this machine until Ctrl-C."),
        "start-link": (
            f"{_SERVING}:start_link",
            "Print a one-time address that signs a person in to the desk's pages.",
        ),
    },
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler, or with another program.
    protect_memory()
    return run_program(program, arguments, name=PROGRAM, obj=_check_release)


def _check_release() -> None:
    # Imported here: help and usage errors never need it.
    from gateway.desk.cases.reply_templates import load_release_files

    load_release_files()


if __name__ == "__main__":
    sys.exit(main())
