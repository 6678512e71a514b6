"""Commands about digests: make, show, release, reject, list; and synthetic cases to try them on."""

import argparse

from gateway.desk.digests.eligibility import DEFAULT_THRESHOLD, has_adopted
from gateway.desk.digests.ledger import get_spends
from gateway.desk.digests.publishing import (
    DigestError,
    DigestOrder,
    get_body,
    make_digest,
    reject_digest,
    release_to_mailbox,
)
from gateway.desk.digests.records import DigestRecord, get_record, list_records
from gateway.desk.digests.synthetic import make_synthetic_cases
from gateway.desk.keyring.quarters import Quarter, get_last_closed_quarter, parse_quarter
from gateway.desk.partners.register import get_partner
from gateway.desk.terminal import DONE, LOOK, Commands, add_command, add_group, get_actor, print_result, say_lines
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.wire.digest import format_epsilon, parse_digest, render_csv, render_json, render_table


def run_make(parsed: argparse.Namespace) -> int:
    """Make the digest of one partner and one closed quarter, or give the one that exists; spends its budget once."""
    desk = open_desk(parsed.state)
    _check_partner(desk, parsed.partner)
    quarter = _read_quarter(desk, parsed)
    order = DigestOrder(
        partner=parsed.partner,
        quarter=quarter,
        environment=desk.config.environment,
        made_by=_get_name(parsed),
        adopted=parsed.adopted,
        threshold=_get_threshold(desk, parsed, quarter=quarter),
        accept_lost=parsed.without_lost,
    )
    record = make_digest(desk.store, order, clock=desk.clock)
    if record.state == "not-eligible":
        line = (
            f"{record.partner} is not eligible for {record.quarter}: no button, and too few incidents by a noisy "
            f"count. This was decided on {record.made_at[:10]} without --adopted; this cannot be changed."
        )
        return print_result(parsed, _describe(desk, record), line, code=LOOK)
    return print_result(
        parsed,
        _describe(desk, record),
        f"{record.digest_id} is {record.state}. Privacy cost {format_epsilon(_get_spent(desk, record))} of 1.0.",
        f"Read it: report-abuse-desk digest show {record.digest_id}; a second person releases it.",
    )


def run_show(parsed: argparse.Namespace) -> int:
    """Show a digest exactly as its partner will see it."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        digest = parse_digest(get_body(get_record(connection, parsed.digest)))
    render = render_json if parsed.json else render_csv if parsed.csv else render_table
    say_lines(render(digest).rstrip("\n"))
    return DONE


def run_release(parsed: argparse.Namespace) -> int:
    """Release a digest into its partner's mailbox. Whoever made it does not release it."""
    desk = open_desk(parsed.state)
    record = release_to_mailbox(desk, parsed.digest, by=_get_name(parsed))
    return print_result(
        parsed,
        _describe(desk, record),
        f"{record.digest_id} is released by {record.released_by}: message {record.message_id}.",
    )


def run_reject(parsed: argparse.Namespace) -> int:
    """Reject a digest that waits for release. Its budget stays spent and the quarter gets no other digest."""
    desk = open_desk(parsed.state)
    record = reject_digest(desk.store, parsed.digest, by=_get_name(parsed), now=desk.clock())
    return print_result(parsed, _describe(desk, record), f"{record.digest_id} is rejected. Its budget stays spent.")


def run_list(parsed: argparse.Namespace) -> int:
    """List the digests, newest quarter first."""
    desk = open_desk(parsed.state)
    with desk.store.read() as connection:
        records = list_records(connection, partner=parsed.partner)
    lines = (
        f"{one.digest_id:32} {one.state:13} made by {one.made_by}{'  SYNTHETIC' if one.workings.synthetic else ''}"
        for one in records
    )
    found = {"digests": [_describe(desk, record) for record in records]}
    return print_result(parsed, found, *lines, empty="There is no digest yet.")


def run_synthetic(parsed: argparse.Namespace) -> int:
    """Run `synthetic`, and return its exit code."""
    desk = open_desk(parsed.state)
    _check_partner(desk, parsed.partner)
    quarter = _read_quarter(desk, parsed)
    added = make_synthetic_cases(
        desk, partner=parsed.partner, quarter=quarter, count=parsed.count, seed=parsed.seed, actor=get_actor(parsed)
    )
    return print_result(
        parsed,
        {"added": added, "partner": parsed.partner, "quarter": quarter.name, "synthetic": True},
        f"{added} SYNTHETIC cases about {parsed.partner} in {quarter.name}.",
    )


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "digest")
    make = add("make", run=run_make, example='--partner example-chat --quarter 2026-Q3 --adopted --by "A. Analyst"')
    _add_partner_and_quarter(make)
    make.add_argument("--by", metavar="NAME", help="who makes it (default: as --as)")
    make.add_argument(
        "--adopted",
        action="store_true",
        help="the partner carries the button, so it is eligible (default: whether it has a placement in the register)",
    )
    make.add_argument(
        "--threshold",
        type=int,
        metavar="N",
        help="without the button, this many incidents by a noisy count make it eligible; "
        f"{DEFAULT_THRESHOLD} or more, as the noise alone often reaches less",
    )
    make.add_argument("--without-lost", action="store_true", help="go on without a table whose noise was lost")
    show = add("show", run=run_show, example="2026-Q3.example-chat")
    _add_digest(show)
    show.add_argument("--csv", action="store_true", help="one line for each number")
    release = add("release", run=run_release, example='2026-Q3.example-chat --by "B. Supervisor"')
    _add_digest(release)
    release.add_argument("--by", metavar="NAME", help="who releases it: not who made it (default: as --as)")
    reject = add("reject", run=run_reject, example='2026-Q3.example-chat --by "B. Supervisor"')
    _add_digest(reject)
    reject.add_argument("--by", metavar="NAME", help="who rejects it (default: as --as)")
    listed = add("list", run=run_list, example="--json")
    listed.add_argument("--partner", metavar="PARTNER", help="only this partner's")
    synthetic = add_command(
        commands, "synthetic", run=run_synthetic, example="--partner example-chat --quarter 2026-Q3 --count 240"
    )
    _add_partner_and_quarter(synthetic)
    synthetic.add_argument("--count", type=int, default=240, metavar="N", help="how many (default: 240)")
    synthetic.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same cases")


def _add_digest(command: argparse.ArgumentParser) -> None:
    command.add_argument("digest", metavar="DIGEST", help="its name, such as 2026-Q3.example-chat")


def _add_partner_and_quarter(command: argparse.ArgumentParser) -> None:
    command.add_argument("--partner", required=True, metavar="PARTNER", help="the partner's short name")
    command.add_argument("--quarter", metavar="2026-Q3", help="a quarter that has ended (default: the last one)")


def _read_quarter(desk: Desk, parsed: argparse.Namespace) -> Quarter:
    return get_last_closed_quarter(desk.clock()) if parsed.quarter is None else parse_quarter(parsed.quarter)


def _check_partner(desk: Desk, partner: str) -> None:
    with desk.store.read() as connection:
        get_partner(connection, partner, now=desk.clock())


def _get_threshold(desk: Desk, parsed: argparse.Namespace, *, quarter: Quarter) -> int:
    # What is decided here is decided for good, so neither limb is ever a default: the register says, or a person.
    if parsed.threshold is None and not parsed.adopted and not _has_adopted(desk, parsed.partner, quarter=quarter):
        raise DigestError(
            "Say why the partner gets a digest, as this is decided once: --adopted if it carries the button (no "
            "placement of it is in the register, see `placement agree`), or "
            f"--threshold N for how many incidents it needs without ({DEFAULT_THRESHOLD} or more).",
            reason="no-limb",
        )
    return DEFAULT_THRESHOLD if parsed.threshold is None else int(parsed.threshold)


def _has_adopted(desk: Desk, partner: str, *, quarter: Quarter) -> bool:
    with desk.store.read() as connection:
        return has_adopted(connection, partner=partner, quarter=quarter)


def _get_name(parsed: argparse.Namespace) -> str:
    return str(parsed.by or get_actor(parsed))


def _get_spent(desk: Desk, record: DigestRecord) -> int:
    with desk.store.read() as connection:
        spends = get_spends(connection, partner=record.partner, quarter=parse_quarter(record.quarter))
    return sum(spends.values())


def _describe(desk: Desk, record: DigestRecord) -> dict[str, object]:
    return {
        "digest_id": record.digest_id,
        "partner": record.partner,
        "quarter": record.quarter,
        "state": record.state,
        "synthetic": record.workings.synthetic,
        "epsilon_micro": _get_spent(desk, record),
        "made_at": record.made_at,
        "made_by": record.made_by,
        "released_by": record.released_by,
        "message_id": record.message_id,
    }
