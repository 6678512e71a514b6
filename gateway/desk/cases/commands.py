"""Commands of cases for operators and machines: list, index, save a file; services and checks of words.

All work on a case is on its page.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.desk.cases.actions.model import list_clocks
from gateway.desk.cases.case_files import ANOTHER_HASH, save_file
from gateway.desk.cases.linking import merge_services, part_service
from gateway.desk.cases.opening import list_sources
from gateway.desk.cases.queue import QueueView, list_later, list_queue
from gateway.desk.cases.reply_templates import ACTS, list_signoffs, record_signoff
from gateway.desk.cases.search import index_cases
from gateway.desk.office.organisations import get_owner_names, has_keys
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.terminal import (
    DONE,
    FILE,
    LOOK,
    Call,
    desk_command,
    end_progress,
    print_json,
    print_result,
    say,
    show_progress,
)
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.wiring import open_desk
from gateway.desk.partners.placement_register import read_merges
from gateway.guidance.signoffs import BY, CODE_CHARACTERS, KEY, ON, ROLE, WHY, WORDS, describe_status, format_status

_SERVICE = click.argument("service", metavar="SERVICE", help="Its id, e.g. other-chat.")
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why, without details of a report.")
_WHO = '--by "A. Reader" --role "First-language Welsh reader"'


@desk_command(Permission.SEE_QUEUE, example="--json")
@click.option("--all", "with_closed", is_flag=True, help="The closed cases too.")
def case_list(call: Call, *, with_closed: bool) -> int:
    """List open cases in the order of the queue: crisis lane, score, waiting time.

    This opens no case. The page of the queue shows more.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        cases = list_queue(connection, QueueView(lane="all" if with_closed else "open"))
        # What a line of the page has beside its case: the sender, later reports, and the clock of a request.
        beside: dict[str, Mapping[str, Any]] = {
            "source": list_sources(connection, cases),
            "later": list_later(connection, cases),
            "request": list_clocks(connection, today=get_uk_day(desk.clock())),
        }
    found = []
    for one in cases:
        keys = {"source": one.partner, "later": one.case_id, "request": one.case_id}
        known = {name: beside[name].get(key) for name, key in keys.items()}
        found.append(one._asdict() | {name: None if value is None else asdict(value) for name, value in known.items()})
    lines = (f"{one.score:5} {one.priority:4} {one.reference:18} {one.received_at} {one.came_by}" for one in cases)
    return print_result(call, {"cases": found}, *lines, empty="No case is open.")


@desk_command(Permission.RUN_DESK, example="--json")
@click.option("--anew", "is_anew", is_flag=True, help="All cases, e.g. after the key of the index was replaced.")
def case_index(call: Call, *, is_anew: bool) -> int:
    """Add older cases to the index of identifiers.

    Needed once after an upgrade: a new case is added when it is filed. A run that was stopped goes on where it was.
    Opening a report for this is not reading it: its sender learns nothing.

    Exit code 1: a report did not open.
    """
    desk = open_desk(call.state)
    done = index_cases(desk, actor=call.actor, is_anew=is_anew, progress=partial(show_progress, verb="indexed"))
    end_progress()
    text = f"{done.added} cases added to the index, {done.unopened} do not open."
    found = {"added": done.added, "unopened": done.unopened}
    return print_result(call, found, text, code=LOOK if done.unopened else DONE)


@desk_command(Permission.OPEN_FILES, example="K7QF-2M9TX-D file-1 --out file-1.bin")
@click.argument("case", help="Its reference or case id.")
@click.argument("file_id", metavar="FILE_ID", help="Its id on the page of the case, or its evidence id.")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="A file that does not exist yet.")
def evidence_save(call: Call, case: str, file_id: str, out: Path) -> int:
    """Open one file of a case and write it to a new file that only you can read.

    The audit log records it. A file id means the newest version that is here; an evidence id names one exactly. The
    new file gets its name only when its size and hash match the report.

    The file may be harmful to open and to see: move it to the machine that is meant for that.
    """
    desk = open_desk(call.state)
    row = save_file(desk, case, file_id, to=out, actor=call.actor)
    saved, reference = row.file, row.file.reference
    size_bytes = 0 if reference is None else reference.size_bytes
    if call.as_json:
        doubts = list(saved.doubts)
        print_json({"doubts": doubts, "file_id": saved.file_id, "out": str(out), "size_bytes": size_bytes})
        return DONE
    # The file key is made from the hash that is sealed with it: that check always held, or nothing was saved.
    say(f"{out}: {size_bytes:,} bytes, checked: size and SHA-256 are as sealed.")
    for doubt in saved.doubts:
        say(f"{'NOT THE SAME' if doubt == ANOTHER_HASH else 'DOUBT'}: {doubt}")
    if saved.replaced_by is not None:
        say(f"{saved.advice} This is the older one, {'' if reference is None else reference.evidence_id}.")
    return DONE


@desk_command(Permission.SEE_DIGESTS, example="--json")
def service_list(call: Call) -> int:
    """List the services of the register, and those that count as another."""
    with open_desk(call.state).store.read() as connection:
        merges = read_merges(connection)
        services = [
            {"service": service, "name": name, "has_keys": has_keys(connection, service), "into": merges.get(service)}
            for service, name in get_owner_names(connection).items()
        ]
    lines = (
        f"{one['service']:32} {one['name']}{'' if one['has_keys'] else '  without keys'}"
        f"{'' if one['into'] is None else '  counts as ' + str(one['into'])}"
        for one in services
    )
    return print_result(call, {"services": services}, *lines, empty="The register has no service yet.")


@desk_command(
    Permission.MANAGE_PARTNERS, example='otherchat other-chat --reason "The same service, entered by its web address"'
)
@_SERVICE
@click.argument("into", metavar="INTO", help="The id that stays.")
@_REASON
def service_merge(call: Call, service: str, into: str, reason: str) -> int:
    """Record that a service was entered twice and counts as another from the next digest on.

    Digests that exist stay as they are. Make those of ended quarters first, or their incidents of SERVICE are in none.
    """
    stays = merge_services(open_desk(call.state), service, into, reason=reason, actor=call.actor)
    return print_result(
        call,
        {"service": service, "into": stays},
        f"{service} counts as {stays} in every digest from now on. Those that exist stay as they are.",
    )


@desk_command(Permission.MANAGE_PARTNERS, example='otherchat --reason "Another company after all"')
@_SERVICE
@_REASON
def service_part(call: Call, service: str, reason: str) -> int:
    """Record that a merged service counts as itself again.

    Incidents that a digest has counted are counted nowhere again.
    """
    part_service(open_desk(call.state), service, reason=reason, actor=call.actor)
    return print_result(call, {"service": service, "into": None}, f"{service} counts as itself again.")


@desk_command(Permission.SIGN_OFF, example="--json")
def signoff_list(call: Call) -> int:
    """List every check: given, owed or stale.

    A check is stale once the words that were read have changed. Exit code 1 when any is owed or stale.
    """
    with open_desk(call.state).store.read() as connection:
        found = list_signoffs(connection)
    is_done = all(one.state == "given" for one in found)
    checks = {"checks": [describe_status(one) for one in found]}
    return print_result(call, checks, *map(format_status, found), code=DONE if is_done else LOOK)


@desk_command(Permission.SIGN_OFF, example=f"replies-cy-welsh-reader {_WHO} --words 81d50c2f --on 2026-11-20")
@KEY
@BY
@ROLE
@WORDS
@ON
def signoff_give(call: Call, key: str, by: str, role: str, words: str, on: datetime | None) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release changes them, the check
    is owed again.
    """
    day = None if on is None else on.date()
    return _record(call, key, action="give-signoff", words=words, by=by, role=role, checked_on=day)


@desk_command(Permission.SIGN_OFF, example=f'replies-cy-welsh-reader {_WHO} --why "Read another version."')
@KEY
@BY
@ROLE
@WHY
def signoff_withdraw(call: Call, key: str, by: str, role: str, why: str) -> int:
    """Withdraw a check that was given.

    The audit log keeps both.
    """
    return _record(call, key, action="withdraw-signoff", by=by, role=role, why=why)


def _record(call: Call, key: str, *, action: str, **fields: Any) -> int:
    entry = record_signoff(open_desk(call.state), key, action=action, actor=call.actor, **fields)
    done, code = ("given" if ACTS[action] == "give" else "withdrawn"), entry.words_sha256[:CODE_CHARACTERS]
    line = f"{key} is {done} by {entry.by} ({entry.role}) for the words {code}, {entry.version}."
    return print_result(call, msgspec.to_builtins(entry), line)
