"""Commands between the desk and the runner of checks: the list of pages, the checks from a file, the runner's token."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gateway.desk.commands.frame import DONE, LOOK, Commands, add_command, get_actor, print_json, say
from gateway.desk.placements.checks import take_checks
from gateway.desk.placements.placements import PlacementError
from gateway.desk.placements.runner import forget_runner_token, make_runner_token, make_targets
from gateway.desk.reading.placement_words import spell_taken
from gateway.desk.wiring import open_desk
from partner_sdk.durable_files import write_durably
from partner_sdk.wire.button_check import MAX_CHECKS_BODY_BYTES
from partner_sdk.wire.canonical import encode


def run_targets(parsed: argparse.Namespace) -> int:
    """Write the list of pages for the runner of checks. It holds no key and no secret; the desk fetches no page."""
    targets = make_targets(open_desk(parsed.state))
    write_durably(parsed.out, encode(targets.check_list))
    if parsed.json:
        print_json(
            {
                "out": str(parsed.out),
                "targets": len(targets.check_list.targets),
                "without_page": list(targets.without_page),
            }
        )
        return DONE
    say(f"{len(targets.check_list.targets)} pages to look at are in {parsed.out}.")
    if targets.without_page:
        say(f"No page is named for {', '.join(targets.without_page)}: `placement change --look-at`.")
    return DONE


def run_import_checks(parsed: argparse.Namespace) -> int:
    """Take in checks from the file of a checker or a runner, by the same rule as those that a runner posts."""
    try:
        with parsed.file.open("rb") as handle:
            raw = handle.read(MAX_CHECKS_BODY_BYTES + 2)
    except OSError:
        raise PlacementError(f"{parsed.file} is not there or can not be read.", reason="no-file") from None
    taken = take_checks(open_desk(parsed.state), raw.removesuffix(b"\n"), channel="file", actor=get_actor(parsed))
    if parsed.json:
        print_json(asdict(taken))
    else:
        say(spell_taken(taken))
    return LOOK if taken.unknown or taken.not_yet else DONE


def run_runner_token(parsed: argparse.Namespace) -> int:
    """Make the token with which a runner hands in checks, and print it once. The desk keeps only a hash of it.

    It can hand in checks and nothing else: it reads nothing here. Give it to the runner by a trusted way.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    if parsed.forget:
        ended = forget_runner_token(desk, actor=actor)
        if parsed.json:
            print_json({"forgotten": ended})
        else:
            say("The token has ended: no runner can hand in anything." if ended else "There is no token.")
        return DONE
    token = make_runner_token(desk, replace=parsed.replace, actor=actor)
    if parsed.json:
        print_json({"token": token})
    else:
        say(token)
    return DONE


def add_commands(group: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands to the group `placement`."""
    targets = add_command(group, "targets", run=run_targets, example="--out pages.json", group="placement")
    targets.add_argument("--out", type=Path, required=True, metavar="FILE", help="the list to write, over an old one")
    taken = add_command(group, "import-checks", run=run_import_checks, example="checks.json", group="placement")
    taken.add_argument("file", type=Path, metavar="FILE", help="what a runner wrote, or `button check --json`")
    token = add_command(group, "runner-token", run=run_runner_token, example="", group="placement")
    choice = token.add_mutually_exclusive_group()
    choice.add_argument("--replace", action="store_true", help="end the token of before, at once")
    choice.add_argument("--forget", action="store_true", help="only end the token")
