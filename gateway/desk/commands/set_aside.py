"""Commands for rows that were set aside: list, open, retry, resolve.

Never lets the content of a row, which may be forged, pass for a line of the desk's.
"""

from dataclasses import asdict

import click
import msgspec

from gateway.desk.collection.collect import try_again
from gateway.desk.collection.filing import BY_FILE
from gateway.desk.collection.importing import try_imports_again
from gateway.desk.collection.set_aside import (
    RESOLUTIONS,
    SetAsideRow,
    format_plain,
    list_set_aside,
    open_row,
    resolve_row,
)
from gateway.desk.collection.shelf import list_groups, resolve_group
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_json, print_result, say, say_typed
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import open_desk


@desk_command(Permission.SEE_SET_ASIDE, example="--json")
@click.option("--rows", "by_row", is_flag=True, help="Row by row, with their numbers.")
@click.option("--all", "with_resolved", is_flag=True, help="Row by row, with the resolved ones.")
def set_aside_list(call: Call, *, by_row: bool, with_resolved: bool) -> int:
    """List the rows by sender and cause; with --rows or --all row by row, the most urgent first."""
    with open_desk(call.state).store.read() as connection:
        groups = list_groups(connection)
        rows = list_set_aside(connection, with_resolved=with_resolved)
    by_row = by_row or with_resolved
    if call.as_json:
        print_json({"groups": [asdict(group) for group in groups], "set_aside": [asdict(row) for row in rows]})
        return DONE
    for group in [] if by_row else groups:
        stated = ", ".join(f"{count} with {code or 'no priority'}" for code, count in sorted(group.priorities.items()))
        marks = (f"URGENT ({group.urgent}) " if group.urgent else "") + ("ALARM " if group.alarmed else "")
        way = ", came as files" if group.channel == BY_FILE else ""
        times = group.first_at if group.first_at == group.last_at else f"{group.first_at} to {group.last_at}"
        claim = f"claims to be {group.partner or '?'}"
        say(f"{group.count:5} {marks}{group.reason} {claim}: {stated}, {times}{way}, up to row {group.last_id}")
    for row in rows if by_row else []:
        say(_line(row))
    if not rows:
        say("Nothing is set aside.")
    return DONE


@desk_command(Permission.RESOLVE_SET_ASIDE, example="3")
@click.argument("row", type=int, metavar="NUMBER", help="Its number in `set-aside list --rows`.")
def set_aside_open(call: Call, row: int) -> int:
    """Open a row and print its content; the audit log records it.

    The content may be forged. Each of its lines is marked with a bar. The secrets that open evidence are left out. Exit
    code 1 when it does not open.
    """
    opened = open_row(open_desk(call.state), row, actor=call.actor)
    content = None if opened.plain is None else format_plain(opened.plain)
    if call.as_json:
        under = None if opened.clear is None else msgspec.to_builtins(opened.clear)
        print_json({"clear": under, "content": content, "fault": opened.fault, "row": asdict(opened.row)})
        return DONE if content is not None else LOOK
    say(_line(opened.row))
    if content is None:
        say(f"It cannot be decrypted ({opened.fault}). Its bytes are kept; `set-aside retry` judges it again.")
        return LOOK
    say("NOT VERIFIED: it may be forged. Its content:")
    for line in content.splitlines():
        say_typed("  | ", line, indent="  | ")
    return DONE


@desk_command(Permission.SEE_SET_ASIDE)
@click.option(
    "--accept-ended-key", type=int, metavar="NUMBER", help="File this row even though its partner's key had ended."
)
def set_aside_retry(call: Call, accept_ended_key: int | None) -> int:
    """Judge every row again, with today's keys and register.

    A row whose partner's key had ended stays set aside. Once the partner confirms by another channel that it sent the
    row, --accept-ended-key files it.
    """
    desk = open_desk(call.state)
    collected = try_again(desk, actor=call.actor, accept_ended_key=accept_ended_key)
    imported = try_imports_again(desk, actor=call.actor, accept_ended_key=accept_ended_key)
    collected.filed += sum(one.state == "filed" for one in imported)
    collected.known += sum(one.state == "known" for one in imported)
    with desk.store.read() as connection:
        waiting = len(list_set_aside(connection))
    lines = [f"{collected.filed} filed now, {collected.known} known already, {waiting} still set aside."]
    if imported:
        lines.append(f"{len(imported)} of them came as files: run `import` again with each file for its receipt.")
    return print_result(call, {"filed": collected.filed, "known": collected.known, "waiting": waiting}, *lines)


@desk_command(Permission.RESOLVE_SET_ASIDE, example="3 --how forged")
@click.argument("row", type=int, required=False, metavar="[NUMBER]", help="Its number in `set-aside list --rows`.")
@click.option("--partner", default="", metavar="ID", help="Resolve a group: its partner in the list, if any.")
@click.option("--reason", metavar="CODE", help="Resolve a group: its cause.")
@click.option("--up-to", type=int, metavar="NUMBER", help="Resolve a group: its newest row in the list.")
@click.option("--how", required=True, type=click.Choice(RESOLUTIONS), help="How you dealt with it.")
def set_aside_resolve(
    call: Call, row: int | None, partner: str, reason: str | None, up_to: int | None, how: str
) -> int:
    """Mark a row as resolved, or all rows of one sender and cause; their bytes stay.

    A group is resolved up to the row that `set-aside list` named: newer rows still wait.
    """
    desk = open_desk(call.state)
    if row is not None and reason is None and up_to is None:
        with desk.store.write() as connection:
            resolve_row(connection, row, resolution=how, actor=call.actor, now=desk.clock())
        return print_result(call, {"resolution": how, "row": row}, f"Row {row} is resolved: {how}.")
    if row is not None or reason is None or up_to is None:
        raise click.UsageError("Name one row by its number, or a group by --partner, --reason and --up-to.")
    with desk.store.write() as connection:
        count = resolve_group(
            connection,
            partner=partner,
            reason=reason,
            up_to=up_to,
            resolution=how,
            actor=call.actor,
            now=desk.clock(),
        )
    settle_alarms(desk)
    return print_result(call, {"resolution": how, "rows": count}, f"{count} rows are resolved: {how}.")


def _line(row: SetAsideRow) -> str:
    claim = f"{row.claimed_partner or '?'} {row.claimed_report_id or '?'}"
    marks = f"{'URGENT' if row.is_urgent else '':6} {'ALARM' if row.alarmed else '':5}"
    way = ", came as a file" if row.channel == BY_FILE else ""
    return f"{row.id:5} {row.priority} {marks} {row.reason:24} {row.set_aside_at} claims to be {claim}{way}"
