"""`report-abuse-desk`: makes a desk, publishes its keys, and collects."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from gateway.desk.office.suggestions import PROGRAM
from gateway.desk.office.terminal import DONE, EXIT_CODES, LOOK, TRY_AGAIN, WRONG_USE, complain
from gateway.web.logs import format_exception
from gateway.web.process_guard import protect_memory
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError
from partner_sdk.lazy_group import LazyGroup, run_program


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
            fault = f"This is a bug: {format_exception(error)}. Completed work is kept; report it to the developers."
            return complain(fault, code=LOOK)


def _make_group(name: str, summary: str, *, room: str, commands: dict[str, str]) -> tuple[LazyGroup, str]:
    """Return a first word and its summary. Its command `rotate` is the function `keys_rotate` of its room."""
    functions = {word: f"{name}_{word}".replace("-", "_") for word in commands}
    table = {word: (f"gateway.desk.{room}:{functions[word]}", commands[word]) for word in commands}
    return LazyGroup(name, help=summary, epilog=EXIT_CODES, table=table), summary


program: Final = DeskProgram(
    help="The agency's desk: the only holder of the keys that open reports.",
    epilog=EXIT_CODES,
    table={
        "init": (
            "gateway.desk.running.commands.setup:init",
            "Make a desk with all its keys, and agency.pin for the gateway.",
        ),
        "gateway": _make_group(
            "gateway",
            "Gateways whose receipts this desk accepts: add, end-key.",
            room="running.commands.setup",
            commands={
                "add": "Accept the receipts of a gateway from now on.",
                "end-key": "Accept no new receipts under a gateway's receipt key, e.g. after a change or a leak.",
            },
        ),
        "publish": (
            "gateway.desk.running.commands.setup:publish_command",
            "Sign the key set and the register, and publish them.",
        ),
        "move-database": (
            "gateway.desk.running.commands.setup:move_database",
            "Copy the rows of desk.sqlite to the server of database_uri.",
        ),
        "retention": _make_group(
            "retention",
            "How long cases are kept: run.",
            room="retention.destruction",
            commands={
                "run": "Draft the cases whose time is over, and finish lists whose week is over.",
            },
        ),
        "doctor": ("gateway.desk.running.commands.setup:doctor", "Check this desk and list its faults."),
        "people": _make_group(
            "people",
            "The people of this desk: their roles, authorities and one-time links.",
            room="running.commands.people",
            commands={
                "add": "Add a person and their roles, and print the handle that every record will name.",
                "list": "List the people: roles, and as JSON account, authorities, and who added and ended them.",
                "grant": "Give a person one more role, or several.",
                "end-role": "Take a role from a person.",
                "end": "End a person for good: roles, passkeys, sessions and account.",
                "authority": "Record that people are trained and authorised for a kind of work up to a day; "
                "a past day ends it.",
                "account": "Give a person the account by which commands know them, or take it away.",
                "mail": "Set the address for mail about a person's own passkeys, or take it away.",
                "link": "Print for each person a one-time address that registers their first passkey.",
            },
        ),
        "audit": _make_group(
            "audit",
            "The audit log: check, accept-loss.",
            room="running.commands.setup",
            commands={
                "check": "Check the audit log, every second signature, and every certificate of destruction.",
                "accept-loss": "Record that entries of the audit log are lost, "
                "after this desk was restored from a backup.",
            },
        ),
        "keys": _make_group(
            "keys",
            "The agency's own keys: list, protect, rotate, renew, replace, revoke, destroy.",
            room="keyring.commands",
            commands={
                "list": "List every key with its times.",
                "rotate": "Make the successor of a signing key.",
                "renew-delegation": "Sign the root's delegation to the key-set key for two more years, and publish.",
                "change-root": "Switch to the next root, name its successor, and publish.",
                "replace-sealing": "Replace the sealing key, which may have leaked, and publish.",
                "protect": "Put a passphrase over every private key in daily use, or change it.",
                "revoke": "Revoke a signing key that leaked, with all its signatures, and publish.",
                "destroy-sealing": "Destroy a sealing key that has expired.",
            },
        ),
        "collect": (
            "gateway.desk.running.commands.collecting:collect",
            "Collect reports and enrolments from the gateway, and send the outbox.",
        ),
        "alarms": ("gateway.desk.running.commands.collecting:alarms", "List the open alarms: gaps, forks, forgeries."),
        "quarantine": (
            "gateway.desk.running.commands.collecting:quarantine",
            "List the reports in quarantine, which did not verify or open.",
        ),
        "import": ("gateway.desk.running.commands.collecting:import_command", "Import a sealed report from a file."),
        "evidence": _make_group(
            "evidence",
            "Files that partners handed over: save.",
            room="cases.commands",
            commands={
                "save": "Open one file of a case and write it to a new file that only you can read.",
            },
        ),
        "package": _make_group(
            "package",
            "Packages for bodies outside: save.",
            room="outgoing.package_gathering",
            commands={"save": "Save the sealed file of a released package, and print its passphrase."},
        ),
        "partner": _make_group(
            "partner",
            "Online services that send reports and receive digests: list.",
            room="running.commands.lists",
            commands={"list": "List partners, enrolments that wait for approval, and open invitations."},
        ),
        "placement": _make_group(
            "placement",
            "Places that show the button: list; for the checker: targets, runner-token, import-checks.",
            room="running.commands.lists",
            commands={
                "list": "List the placements by service, each with its state and its last check.",
                "targets": "Write the checker's list of pages.",
                "import-checks": "Import checks from a file, by the same rules as those that a checker posts.",
                "runner-token": "Make the checker's token and print it once.",
            },
        ),
        "case": _make_group(
            "case",
            "Cases: list, index.",
            room="cases.commands",
            commands={
                "list": "List open cases in the order of the queue: crisis lane, score, waiting time.",
                "index": "Add older cases to the index of identifiers.",
            },
        ),
        "signoff": _make_group(
            "signoff",
            "Checks of the words that this desk sends: list, give, withdraw.",
            room="cases.commands",
            commands={
                "list": "List every check: given, owed or stale.",
                "give": "Record that the words of a check were read.",
                "withdraw": "Withdraw a check that was given.",
            },
        ),
        "service": _make_group(
            "service",
            "Services that reports are about: list, merge, part.",
            room="cases.commands",
            commands={
                "list": "List the services of the register, and those that count as another.",
                "merge": "Record that a service was entered twice and counts as another from the next digest on.",
                "part": "Record that a merged service counts as itself again.",
            },
        ),
        "stale-data": ("gateway.desk.running.commands.setup:stale_data", "List facts whose last check is too old."),
        "digest": _make_group(
            "digest",
            "Digests: list.",
            room="running.commands.lists",
            commands={"list": "List the digests, newest quarter first."},
        ),
        "synthetic": (
            "gateway.desk.running.commands.lists:synthetic",
            "File made-up cases about a partner, marked and closed.",
        ),
        "vault": (
            "gateway.desk.running.commands.serving:vault",
            "Hold the private keys for the desk's other processes, until stopped.",
        ),
        "unlock": (
            "gateway.desk.running.commands.serving:unlock",
            "Give the vault the passphrases of the private keys.",
        ),
        "lock": (
            "gateway.desk.running.commands.serving:lock",
            "Make the vault forget the private keys until `unlock`.",
        ),
        "serve": (
            "gateway.desk.running.commands.serving:serve",
            "Serve the desk's pages on this machine until Ctrl-C.",
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
