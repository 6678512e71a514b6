"""Commands for machines about partners: lists, the checker's list of pages and token, checks from a file.

People decide on the desk's pages. Never decides about a partner, a placement or a digest.
"""

from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from gateway.desk.digests.ledger import DigestRecord, get_spent, list_records
from gateway.desk.digests.synthetic import make_synthetic_cases
from gateway.desk.keyring.key_set import get_last_closed_quarter, parse_period, parse_quarter
from gateway.desk.office.organisations import get_partner, list_partners
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.terminal import DONE, FILE, LOOK, Call, desk_command, print_result
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.partners.placement_checks import (
    CheckRow,
    Condition,
    forget_runner_token,
    list_conditions,
    make_runner_token,
    make_targets,
    take_checks,
)
from gateway.desk.partners.placement_labels import format_condition, format_taken
from gateway.desk.partners.placement_register import PlacementError
from partner_sdk.console.findings import MAX_CHECKS_BODY_BYTES
from partner_sdk.durable_files import read_bounded, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
def partner_list(call: Call) -> int:
    """List partners, enrolments that wait for approval, and open invitations."""
    with open_desk(call.state).store.read() as connection:
        rows = list_partners(connection)
    lines = (f"{row.state:10} {row.partner:24} {row.type:16} {row.key_id or '-':12} {row.since}" for row in rows)
    return print_result(call, {"partners": [asdict(row) for row in rows]}, *lines, empty="There are no partners yet.")


@desk_command(Permission.MANAGE_PARTNERS, example="--json")
def placement_list(call: Call) -> int:
    """List the placements by service, each with its state and its last check."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        conditions = list_conditions(connection, now=desk.clock())
    lines = (
        f"{one.placement.placement:40} {one.placement.state:9} {one.placement.owner:24} {format_condition(one)}"
        for one in conditions
    )
    found = {"placements": [_describe_condition(one) for one in conditions]}
    return print_result(call, found, *lines, empty="No placement is agreed yet.")


@desk_command(Permission.MANAGE_PARTNERS, example="--out pages.json")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The list to write; an old one is replaced.")
def placement_targets(call: Call, out: Path) -> int:
    """Write the checker's list of pages. It holds no key and no secret; the desk fetches no page."""
    found = make_targets(open_desk(call.state))
    write_durably(out, encode(found.check_list))
    count, without_page = len(found.check_list.targets), list(found.without_page)
    lines = [f"{count} pages to check are in {out}."]
    if without_page:
        lines.append(f"No page is named for {', '.join(without_page)}: give one on the page of the placement.")
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


@desk_command(Permission.SEE_DIGESTS, example="--json")
def digest_list(call: Call) -> int:
    """List the digests, newest quarter first."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        records = list_records(connection)
    lines = (f"{one.digest_id:32} {one.state:13} made by {one.made_by}" for one in records)
    found = {"digests": [_describe_digest(desk, one) for one in records]}
    return print_result(call, found, *lines, empty="There are no digests yet.")


@desk_command(Permission.MAKE_DIGESTS, example="--partner example-chat --quarter 2026-Q3 --count 240")
@click.option("--quarter", "name", metavar="2026-Q3", help="A quarter that has ended.  [default: the last]")
@click.option("--partner", required=True, metavar="PARTNER", help="The partner's id.")
@click.option("--count", type=int, default=240, show_default=True, metavar="N", help="Number of cases.")
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="The same seed gives the same cases.")
def synthetic(call: Call, partner: str, name: str | None, count: int, seed: int) -> int:
    """File made-up cases about a partner, marked and closed.

    They belong to a past quarter and have no report behind them.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        get_partner(connection, partner)
    quarter = get_last_closed_quarter(desk.clock()) if name is None else parse_quarter(name)
    added = make_synthetic_cases(desk, partner=partner, quarter=quarter, count=count, seed=seed, actor=call.actor)
    return print_result(
        call,
        {"added": added, "partner": partner, "quarter": quarter.name, "synthetic": True},
        f"{added} SYNTHETIC cases about {partner} in {quarter.name}.",
        *(("This is a live desk: none of its digests counts them.",) if desk.config.environment == "live" else ()),
    )


def _describe_condition(condition: Condition) -> dict[str, object]:
    last = condition.last
    return {
        **condition.placement._asdict(),
        "last_check": None if last is None else _describe_check(last),
        "condition": condition.code,
    }


def _describe_check(check: CheckRow) -> dict[str, object]:
    values = {name: getattr(check, name) for name in ("address", "channel", "checked_at", "checker", "method", "named")}
    findings = msgspec.to_builtins(check.findings)
    return {**values, "faults": check.faults, "findings": findings, "result": check.result, "well": check.is_well}


def _describe_digest(desk: Desk, record: DigestRecord) -> dict[str, object]:
    with desk.store.read() as connection:
        spent = get_spent(connection, partner=record.partner, period=parse_period(record.quarter))
    names = ("digest_id", "partner", "quarter", "state", "made_at", "made_by", "released_by", "message_id")
    return {name: getattr(record, name) for name in names} | {
        "synthetic": record.workings.synthetic,
        "epsilon_micro": spent,
    }
