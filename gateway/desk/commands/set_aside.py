"""Commands about what was set aside: list, open, retry, resolve.

Never lets what a row holds pass for a line of ours: nobody vouches for it.
"""

import argparse
import json
from dataclasses import asdict

import msgspec

from gateway.desk.collection.collect import try_again
from gateway.desk.collection.filing import BY_FILE
from gateway.desk.collection.importing import try_imports_again
from gateway.desk.collection.set_aside import RESOLUTIONS, SetAsideRow, list_set_aside, open_row, resolve_row
from gateway.desk.collection.shelf import list_groups, resolve_group
from gateway.desk.terminal import (
    DONE,
    LOOK,
    WRONG_USE,
    Commands,
    add_group,
    complain,
    get_actor,
    print_json,
    print_result,
    say,
)
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import open_desk


def run_set_aside_list(parsed: argparse.Namespace) -> int:
    """List what was set aside, by sender and cause; with --rows or --all row by row, the most urgent first."""
    with open_desk(parsed.state).store.read() as connection:
        groups = list_groups(connection)
        rows = list_set_aside(connection, with_resolved=parsed.all)
    if parsed.json:
        print_json({"groups": [asdict(group) for group in groups], "set_aside": [asdict(row) for row in rows]})
        return DONE
    for group in [] if parsed.rows or parsed.all else groups:
        stated = ", ".join(f"{count} with {code or 'no priority'}" for code, count in sorted(group.priorities.items()))
        marks = (f"URGENT ({group.urgent}) " if group.urgent else "") + ("ALARM " if group.alarmed else "")
        way = ", came as files" if group.channel == BY_FILE else ""
        times = group.first_at if group.first_at == group.last_at else f"{group.first_at} to {group.last_at}"
        claim = f"claims to be {group.partner or '?'}"
        say(f"{group.count:5} {marks}{group.reason} {claim}: {stated}, {times}{way}, up to row {group.last_id}")
    for row in rows if parsed.rows or parsed.all else []:
        say(_line(row))
    if not rows:
        say("Nothing is set aside.")
    return DONE


def run_set_aside_open(parsed: argparse.Namespace) -> int:
    """Print what a row seals, as far as it opens; that you did is noted in the audit log.

    Nobody vouches for it: it may be forged, and is printed as it is, each line set in behind a bar. The secrets that
    open evidence are left out. Exit code 1 when it does not open.
    """
    opened = open_row(open_desk(parsed.state), parsed.row, actor=get_actor(parsed))
    content = None if opened.plain is None else _format_plain(opened.plain)
    if parsed.json:
        under = None if opened.clear is None else msgspec.to_builtins(opened.clear)
        print_json({"clear": under, "content": content, "fault": opened.fault, "row": asdict(opened.row)})
        return DONE if content is not None else LOOK
    say(_line(opened.row))
    if content is None:
        say(f"It cannot be decrypted ({opened.fault}). Its bytes are kept; `set-aside retry` judges it once more.")
        return LOOK
    say("NOT VERIFIED: it may be forged. What it seals, as it is:")
    for line in content.splitlines():
        say(f"  | {line}")
    return DONE


def run_set_aside_retry(parsed: argparse.Namespace) -> int:
    """Judge everything that was set aside once more, with the keys and the register of today.

    A row whose partner's key had ended stays, until the partner has confirmed by another way that it sent it: then
    --accept-ended-key files it.
    """
    desk, accepted = open_desk(parsed.state), parsed.accept_ended_key
    collected = try_again(desk, actor=get_actor(parsed), accept_ended_key=accepted)
    imported = try_imports_again(desk, actor=get_actor(parsed), accept_ended_key=accepted)
    collected.filed += sum(one.state == "filed" for one in imported)
    collected.known += sum(one.state == "known" for one in imported)
    with desk.store.read() as connection:
        waiting = len(list_set_aside(connection))
    lines = [f"{collected.filed} filed now, {collected.known} known already, {waiting} still set aside."]
    if imported:
        lines.append(f"{len(imported)} of them came as files: run `import` with each file again for its receipt.")
    return print_result(parsed, {"filed": collected.filed, "known": collected.known, "waiting": waiting}, *lines)


def run_set_aside_resolve(parsed: argparse.Namespace) -> int:
    """Note how a row that was set aside was dealt with, or those of one sender and cause; their bytes stay.

    A group is settled up to the row that `set-aside list` named: what arrived since goes on waiting.
    """
    if (parsed.row is None) == (parsed.reason is None):
        return complain("Name one row by its number, or a group by --partner and --reason.", code=WRONG_USE)
    if (parsed.up_to is None) != (parsed.reason is None):
        return complain("A group is settled --up-to the row that `set-aside list` names.", code=WRONG_USE)
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    if parsed.reason is not None:
        with desk.store.write() as connection:
            count = resolve_group(
                connection,
                partner=parsed.partner,
                reason=parsed.reason,
                up_to=parsed.up_to,
                resolution=parsed.how,
                actor=actor,
                now=desk.clock(),
            )
        settle_alarms(desk)
        value = {"resolution": parsed.how, "rows": count}
        return print_result(parsed, value, f"{count} rows are dealt with: {parsed.how}.")
    with desk.store.write() as connection:
        resolve_row(connection, parsed.row, resolution=parsed.how, actor=actor, now=desk.clock())
    return print_result(
        parsed, {"resolution": parsed.how, "row": parsed.row}, f"Row {parsed.row} is dealt with: {parsed.how}."
    )


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "set-aside")
    listed = add("list", run=run_set_aside_list, example="--json")
    listed.add_argument("--rows", action="store_true", help="row by row, with their numbers")
    listed.add_argument("--all", action="store_true", help="row by row, also what was dealt with")
    opened = add("open", run=run_set_aside_open, example="3")
    opened.add_argument("row", type=int, metavar="NUMBER", help="its number in `set-aside list`")
    retry = add("retry", run=run_set_aside_retry)
    retry.add_argument(
        "--accept-ended-key", type=int, metavar="NUMBER", help="file this row though its partner's key had ended"
    )
    resolve = add("resolve", run=run_set_aside_resolve, example="3 --how forged")
    resolve.add_argument("row", type=int, nargs="?", metavar="NUMBER", help="its number in `set-aside list --rows`")
    resolve.add_argument("--partner", default="", metavar="ID", help="whose rows, as the list names it (default: none)")
    resolve.add_argument("--reason", metavar="CODE", help="the rows of this partner and cause")
    resolve.add_argument("--up-to", type=int, metavar="NUMBER", help="the newest of them that the list named")
    resolve.add_argument("--how", required=True, choices=RESOLUTIONS, help="what became of it")


def _line(row: SetAsideRow) -> str:
    claim = f"{row.claimed_partner or '?'} {row.claimed_report_id or '?'}"
    marks = f"{'URGENT' if row.is_urgent else '':6} {'ALARM' if row.alarmed else '':5}"
    way = ", came as a file" if row.channel == BY_FILE else ""
    return f"{row.id:5} {row.priority} {marks} {row.reason:24} {row.set_aside_at} claims to be {claim}{way}"


def _format_plain(plain: bytes) -> str:
    """Return what was sealed as text: JSON on lines of its own, and anything else as it is."""
    try:
        value = msgspec.json.decode(plain)
        evidence = value.get("evidence") if isinstance(value, dict) else None
        for one in evidence if isinstance(evidence, list) else ():
            if isinstance(one, dict):
                one.pop("secret", None)
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return plain.decode("utf-8", "backslashreplace")
