"""Commands about placements of the button: agree, list, show, change, suspend, resume, end.

And those for the runner of checks: the list of pages, the checks from a file, the runner's token.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from gateway.desk.placements.agreeing import (
    agree_placement,
    change_placement,
    end_placement,
    resume_placement,
    suspend_placement,
)
from gateway.desk.placements.checks import CheckRow, Standing, list_checks, list_standings, make_standing, take_checks
from gateway.desk.placements.labels import (
    ACTIONS,
    CHANNELS,
    METHODS,
    NEXT_PUBLISH,
    SEVERITIES,
    STATES,
    format_age,
    format_changes,
    format_no_page,
    format_placement,
    format_result,
    format_standing,
    format_taken,
)
from gateway.desk.placements.register import (
    SURFACES,
    PlacementError,
    PlacementRow,
    check_owner,
    count_reports,
    get_placement,
)
from gateway.desk.placements.runner import forget_runner_token, make_runner_token, make_targets
from gateway.desk.placements.terms import Agreement, TermChanges, list_history
from gateway.desk.store import read_row
from gateway.desk.terminal import DONE, LOOK, AddCommand, Commands, add_group, get_actor, print_json, print_result, say
from gateway.desk.wiring import open_desk
from partner_sdk.durable_files import write_durably
from partner_sdk.wire.button_check import MAX_CHECKS_BODY_BYTES
from partner_sdk.wire.canonical import encode


def run_targets(parsed: argparse.Namespace) -> int:
    """Write the list of pages for the runner of checks. It holds no key and no secret; the desk fetches no page."""
    targets = make_targets(open_desk(parsed.state))
    write_durably(parsed.out, encode(targets.check_list))
    count, without_page = len(targets.check_list.targets), list(targets.without_page)
    lines = [f"{count} pages to look at are in {parsed.out}."]
    if without_page:
        lines.append(f"No page is named for {', '.join(without_page)}: `placement change --look-at`.")
    return print_result(parsed, {"out": str(parsed.out), "targets": count, "without_page": without_page}, *lines)


def run_import_checks(parsed: argparse.Namespace) -> int:
    """Take in checks from the file of a checker or a runner, by the same rule as those that a runner posts."""
    try:
        with parsed.file.open("rb") as handle:
            raw = handle.read(MAX_CHECKS_BODY_BYTES + 2)
    except OSError:
        raise PlacementError(f"{parsed.file} is not there or cannot be read.", reason="no-file") from None
    taken = take_checks(open_desk(parsed.state), raw.removesuffix(b"\n"), channel="file", actor=get_actor(parsed))
    return print_result(
        parsed, asdict(taken), format_taken(taken), code=LOOK if taken.unknown or taken.not_yet else DONE
    )


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
    return print_result(parsed, {"token": token}, token)


def _add_runner_commands(add: AddCommand) -> None:
    """Add this file's commands to the group `placement`."""
    targets = add("targets", run=run_targets, example="--out pages.json")
    targets.add_argument("--out", type=Path, required=True, metavar="FILE", help="the list to write, over an old one")
    taken = add("import-checks", run=run_import_checks, example="checks.json")
    taken.add_argument("file", type=Path, metavar="FILE", help="what a runner wrote, or `button check --json`")
    token = add("runner-token", run=run_runner_token)
    choice = token.add_mutually_exclusive_group()
    choice.add_argument("--replace", action="store_true", help="end the token of before, at once")
    choice.add_argument("--forget", action="store_true", help="only end the token")


_ADDRESS_HELP: Final = "where the button stands: https, no query; * stands for one whole part of the path"
_PAGE_HELP: Final = "the one page that a runner visits (default: the address, if it has no *)"


def run_agree(parsed: argparse.Namespace) -> int:
    """Put a placement that was agreed with a service into the register, under a link id of its own.

    The link id stands in the address of the button: hand it to the service. No id is ever given twice.
    """
    row = agree_placement(open_desk(parsed.state), read_row(Agreement, parsed), actor=get_actor(parsed))
    return _tell(parsed, row, said=f"{row.placement} is agreed with {row.owner}: {format_placement(row)}.")


def run_list(parsed: argparse.Namespace) -> int:
    """List the placements by service, each with its state and its last check."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        if parsed.owner is not None:
            check_owner(connection, parsed.owner)
        standings = list_standings(connection, now=desk.clock(), owner=parsed.owner)
    lines = []
    for one in standings:
        row = one.placement
        lines.append(f"{row.placement:40} {row.state:9} {_format_check(one):52} {row.owner:20} {format_placement(row)}")
    whose = "" if parsed.owner is None else f" with {parsed.owner}"
    empty = f"No placement is agreed{whose} yet. `placement agree` begins with one."
    return print_result(parsed, {"placements": [_describe_standing(one) for one in standings]}, *lines, empty=empty)


def run_show(parsed: argparse.Namespace) -> int:
    """Show one placement: the agreement, what was done with it, and what the checks of its page found."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        row = get_placement(connection, parsed.placement)
        history = list_history(connection, row.placement)
        checks = list_checks(connection, row.placement)
        reports = count_reports(connection, row.placement)
    standing = make_standing(row, checks[0] if checks else None, now=desk.clock())
    if parsed.json:
        print_json(
            {
                **_describe_standing(standing),
                "checks": [_describe_check(check) for check in checks],
                "history": [
                    {"at": one.at, "by": one.by, "action": one.action, "reason": one.reason}
                    | msgspec.to_builtins(one.terms)
                    for one in history
                ],
                "reports": reports,
            }
        )
        return DONE
    why = f" ({row.state_reason})" if row.state_reason else ""
    for title, text in (
        ("Link id", row.placement),
        ("Service", f"{row.service}, of {row.owner}"),
        ("Agreed", f"{format_placement(row)}; on {row.agreed_on}, by {row.agreed_by}"),
        ("Address", row.address),
        ("Looked at", row.look_at or "no page: the address stands for many (`placement change --look-at`)"),
        ("State", f"{STATES[row.state]} since {row.state_at}{why}"),
        ("Last check", _format_check(standing)),
        ("Reports", f"{reports} (for the desk alone)"),
    ):
        say(f"{title:11} {text}")
    for one, changed in zip(history, format_changes(history), strict=True):
        what = one.reason or changed
        say(f"{one.at}  {ACTIONS.get(one.action, one.action)} by {one.by}{f': {what}' if what else ''}")
    for check in checks[:1]:
        _say_findings(check)
    return DONE


def run_change(parsed: argparse.Namespace) -> int:
    """Change what was agreed of a placement. Its owner and its link id stay for good."""
    changes = read_row(TermChanges, parsed)
    row = change_placement(open_desk(parsed.state), parsed.placement, changes, actor=get_actor(parsed))
    return _tell(parsed, row, said=f"{row.placement} is changed: {format_placement(row)}.")


def run_suspend(parsed: argparse.Namespace) -> int:
    """Take a placement out of the register for a while. The button itself opens the form as before."""
    row = suspend_placement(open_desk(parsed.state), parsed.placement, reason=parsed.reason, actor=get_actor(parsed))
    return _tell(parsed, row, said=f"{row.placement} is suspended.")


def run_resume(parsed: argparse.Namespace) -> int:
    """Put a suspended placement back into the register."""
    row = resume_placement(open_desk(parsed.state), parsed.placement, actor=get_actor(parsed))
    return _tell(parsed, row, said=f"{row.placement} is agreed again.")


def run_end(parsed: argparse.Namespace) -> int:
    """End a placement for good. Its link id is never given again, and its button opens the form as before."""
    row = end_placement(open_desk(parsed.state), parsed.placement, reason=parsed.reason, actor=get_actor(parsed))
    return _tell(parsed, row, said=f"{row.placement} has ended.")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "placement")
    agree = add(
        "agree",
        run=run_agree,
        example='--owner example-chat --service "Example Chat" --surface profile '
        '--address "https://chat.example/people/*" --position "Under the name, beside Block"',
    )
    agree.add_argument("--owner", required=True, metavar="ID", help="whose it is: a partner's id, or an adopter's")
    _add_terms(agree, required=True)
    agree.add_argument("--link-id", metavar="ID", help="(default: one that the desk makes, like example-chat-profile)")
    agree.add_argument("--agreed-on", metavar="DAY", help="like 2026-11-25 (default: today)")
    agree.add_argument("--new-owner", metavar="NAME", help="the name of an organisation without keys that is new here")
    listed = add("list", run=run_list, example="--json")
    listed.add_argument("--owner", metavar="ID", help="only this owner's")
    show = add("show", run=run_show, example="example-chat-profile")
    change = add("change", run=run_change, example='example-chat-profile --position "Beside Block"')
    reason = '--reason "{}"'
    suspend = add(
        "suspend",
        run=run_suspend,
        example=f"example-chat-profile {reason.format('Behind a menu since the new design')}",
    )
    resume = add("resume", run=run_resume, example="example-chat-profile")
    end = add("end", run=run_end, example=f"example-chat-profile {reason.format('The page is gone')}")
    for command in (show, change, suspend, resume, end):
        command.add_argument("placement", metavar="LINK-ID", help="the link id")
    for command in (suspend, end):
        command.add_argument("--reason", required=True, metavar="WORDS", help="why, in one line, for the history")
    _add_terms(change, required=False)
    _add_runner_commands(add)


def _add_terms(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument("--service", required=required, metavar="NAME", help="the service, as people know it")
    command.add_argument("--surface", required=required, choices=SURFACES, help="what kind of page it is")
    command.add_argument("--address", required=required, metavar="URL", help=_ADDRESS_HELP)
    command.add_argument("--look-at", metavar="URL", help=_PAGE_HELP)
    command.add_argument("--position", required=required, metavar="WORDS", help="where on the page, as agreed")


def _tell(parsed: argparse.Namespace, row: PlacementRow, *, said: str) -> int:
    lines = [f"{said} {NEXT_PUBLISH}"]
    if row.look_at is None and row.state != "ended":
        lines.append(format_no_page(row))
    return print_result(parsed, {**asdict(row), "published": False}, *lines)


def _format_check(standing: Standing) -> str:
    if standing.placement.state == "ended":
        return "-"
    said = format_standing(standing)
    return said if standing.last is None else f"{said}, {format_age(standing.days)}"


def _say_findings(check: CheckRow) -> None:
    how = f"{METHODS[check.method]}, {CHANNELS[check.channel]}"
    say(f"{check.checked_at}  {format_result(check)}. {how}: {check.address}")
    if check.names_another:
        say(f"  The button there names {check.named}, not {check.placement}.")
    for one in check.findings:
        say(f"  {SEVERITIES[one.severity]}: {one.what}{f' ({one.where})' if one.where else ''}")
        say(f"    Why: {one.why}")
        say(f"    What to do: {one.mend}")


def _describe_standing(standing: Standing) -> dict[str, object]:
    last = standing.last
    return {
        **asdict(standing.placement),
        "last_check": None if last is None else _describe_check(last),
        "standing": standing.code,
    }


def _describe_check(check: CheckRow) -> dict[str, object]:
    values = {name: getattr(check, name) for name in ("address", "channel", "checked_at", "checker", "method", "named")}
    findings = msgspec.to_builtins(check.findings)
    return {**values, "faults": check.faults, "findings": findings, "result": check.result, "well": check.is_well}
