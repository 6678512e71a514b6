"""Commands for placements of the button: agree, list, show, change, suspend, resume, end.

And those for the checker: its list of pages, its checks from a file, its token.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.desk.people.permissions import Permission
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
from gateway.desk.terminal import DONE, FILE, LOOK, Call, desk_command, print_json, print_result, say
from gateway.desk.wiring import open_desk
from partner_sdk.durable_files import read_bounded, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.button import MAX_CHECKS_BODY_BYTES
from partner_sdk.wire.canonical import encode

_LINK_ID = click.argument("link_id", metavar="LINK-ID", help="The link id.")
_REASON = click.option("--reason", required=True, metavar="WORDS", help="The reason, in one line, for the history.")


def _term_options(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the terms of a placement."""
    options = (
        click.option("--service", required=required, metavar="NAME", help="The service's public name."),
        click.option("--surface", required=required, type=click.Choice(SURFACES), help="The kind of page."),
        click.option(
            "--address", required=required, metavar="URL", help="The pages: https, no query; * is one part of the path."
        ),
        click.option("--look-at", metavar="URL", help="The page to check.  [default: the address, if it has no *]"),
        click.option("--position", required=required, metavar="WORDS", help="The place on the page, as agreed."),
    )

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@desk_command(
    Permission.MANAGE_PARTNERS,
    example='--owner example-chat --service "Example Chat" --surface profile '
    '--address "https://chat.example/people/*" --position "Under the name, beside Block"',
)
@click.option("--owner", required=True, metavar="ID", help="The id of the partner or adopter.")
@_term_options(required=True)
@click.option("--link-id", metavar="ID", help="[default: made by the desk, e.g. example-chat-profile]")
@click.option("--agreed-on", metavar="DAY", help="E.g. 2026-11-25.  [default: today]")
@click.option("--new-owner", metavar="NAME", help="The name of an organisation without keys that is new here.")
def placement_agree(call: Call, **terms: Any) -> int:
    """Put an agreed placement into the register, under a link id of its own.

    The link id is part of the button's address: hand it to the service. No id is ever used twice.
    """
    row = agree_placement(open_desk(call.state), Agreement(**terms), actor=call.actor)
    return _print_changed(call, row, done=f"{row.placement} is agreed with {row.owner}: {format_placement(row)}.")


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
@click.option("--owner", metavar="ID", help="Only this owner's.")
def placement_list(call: Call, owner: str | None) -> int:
    """List the placements by service, each with its state and its last check."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        if owner is not None:
            check_owner(connection, owner)
        standings = list_standings(connection, now=desk.clock(), owner=owner)
    lines = []
    for one in standings:
        row = one.placement
        lines.append(f"{row.placement:40} {row.state:9} {_format_check(one):52} {row.owner:20} {format_placement(row)}")
    whose = "" if owner is None else f" with {owner}"
    empty = f"No placement is agreed{whose} yet. `placement agree` adds the first one."
    return print_result(call, {"placements": [_describe_standing(one) for one in standings]}, *lines, empty=empty)


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat-profile")
@_LINK_ID
def placement_show(call: Call, link_id: str) -> int:
    """Show one placement: its agreement, its history and the checks of its page."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        row = get_placement(connection, link_id)
        history = list_history(connection, row.placement)
        checks = list_checks(connection, row.placement)
        reports = count_reports(connection, row.placement)
    standing = make_standing(row, checks[0] if checks else None, now=desk.clock())
    if call.as_json:
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


@desk_command(Permission.MANAGE_PARTNERS, example='example-chat-profile --position "Beside Block"')
@_LINK_ID
@_term_options(required=False)
def placement_change(call: Call, link_id: str, **terms: Any) -> int:
    """Change the terms of a placement. Its owner and its link id cannot be changed."""
    row = change_placement(open_desk(call.state), link_id, TermChanges(**terms), actor=call.actor)
    return _print_changed(call, row, done=f"{row.placement} is changed: {format_placement(row)}.")


@desk_command(Permission.MANAGE_PARTNERS, example='example-chat-profile --reason "Behind a menu since the new design"')
@_LINK_ID
@_REASON
def placement_suspend(call: Call, link_id: str, reason: str) -> int:
    """Take a placement out of the register for a while. The button still opens the form."""
    row = suspend_placement(open_desk(call.state), link_id, reason=reason, actor=call.actor)
    return _print_changed(call, row, done=f"{row.placement} is suspended.")


@desk_command(Permission.MANAGE_PARTNERS, example="example-chat-profile")
@_LINK_ID
def placement_resume(call: Call, link_id: str) -> int:
    """Put a suspended placement back into the register."""
    row = resume_placement(open_desk(call.state), link_id, actor=call.actor)
    return _print_changed(call, row, done=f"{row.placement} is agreed again.")


@desk_command(Permission.MANAGE_PARTNERS, example='example-chat-profile --reason "The page is gone"')
@_LINK_ID
@_REASON
def placement_end(call: Call, link_id: str, reason: str) -> int:
    """End a placement for good. Its link id is never used again, and its button still opens the form."""
    row = end_placement(open_desk(call.state), link_id, reason=reason, actor=call.actor)
    return _print_changed(call, row, done=f"{row.placement} has ended.")


@desk_command(Permission.MANAGE_PARTNERS, example="--out pages.json")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The list to write; an old one is replaced.")
def placement_targets(call: Call, out: Path) -> int:
    """Write the checker's list of pages. It holds no key and no secret; the desk fetches no page."""
    found = make_targets(open_desk(call.state))
    write_durably(out, encode(found.check_list))
    count, without_page = len(found.check_list.targets), list(found.without_page)
    lines = [f"{count} pages to check are in {out}."]
    if without_page:
        lines.append(f"No page is named for {', '.join(without_page)}: `placement change --look-at`.")
    return print_result(call, {"out": str(out), "targets": count, "without_page": without_page}, *lines)


@desk_command(Permission.MANAGE_PARTNERS, example="checks.json")
@click.argument("file", type=FILE, help="From `report-abuse-checker run --out` or `button check --json`.")
def placement_import_checks(call: Call, file: Path) -> int:
    """Import checks from a file, by the same rules as those that a checker posts."""
    try:
        raw = read_bounded(file, max_bytes=MAX_CHECKS_BODY_BYTES + 1)  # and the end of the last line
    except LocalStateError:
        raise PlacementError(f"{file} is missing or unreadable.", reason="no-file") from None
    taken = take_checks(open_desk(call.state), raw.removesuffix(b"\n"), channel="file", actor=call.actor)
    return print_result(call, asdict(taken), format_taken(taken), code=LOOK if taken.unknown or taken.not_yet else DONE)


@desk_command(Permission.MANAGE_PARTNERS)
@click.option("--replace", is_flag=True, help="Replace the current token, which stops working immediately.")
@click.option("--forget", is_flag=True, help="End the token without making a new one.")
def placement_runner_token(call: Call, *, replace: bool, forget: bool) -> int:
    """Make the checker's token and print it once. The desk keeps only a hash of it.

    With it a checker can submit checks and read nothing here. Hand it over by a trusted channel.
    """
    if replace and forget:
        raise click.UsageError("Give --replace or --forget.")
    desk = open_desk(call.state)
    if forget:
        ended = forget_runner_token(desk, actor=call.actor)
        line = "The token has ended: no checker can submit checks." if ended else "There is no token."
        return print_result(call, {"forgotten": ended}, line)
    token = make_runner_token(desk, replace=replace, actor=call.actor)
    return print_result(call, {"token": token}, token)


def _print_changed(call: Call, row: PlacementRow, *, done: str) -> int:
    lines = [f"{done} {NEXT_PUBLISH}"]
    if row.look_at is None and row.state != "ended":
        lines.append(format_no_page(row))
    return print_result(call, {**asdict(row), "published": False}, *lines)


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
