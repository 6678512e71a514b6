"""Commands for digests: make, show, release, list; and synthetic cases to try them on."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.eligibility import DEFAULT_THRESHOLD, has_adopted
from gateway.desk.digests.ledger import OVERVIEW_OF, get_spent
from gateway.desk.digests.making import BatchOrder, DigestOrder, make_all, make_digest
from gateway.desk.digests.overview import (
    OverviewOrder,
    make_overview,
    release_overview,
)
from gateway.desk.digests.public_overview import publish_overview
from gateway.desk.digests.records import DigestRecord, get_record, list_records, make_digest_id
from gateway.desk.digests.releases import release_to_mailbox
from gateway.desk.digests.signatures import get_body
from gateway.desk.digests.synthetic import make_synthetic_cases
from gateway.desk.digests.trends import MOST_QUARTERS, make_trends
from gateway.desk.keyring.key_set import (
    Quarter,
    Year,
    get_last_closed_quarter,
    get_quarter_of,
    parse_period,
    parse_quarter,
)
from gateway.desk.partners.register import get_partner, get_partner_names
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import DONE, FILE, LOOK, Call, desk_command, print_result, say_lines
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.wire.digest import (
    format_epsilon,
    parse_digest,
    parse_overview,
    render_csv,
    render_json,
    render_overview,
    render_table,
)

_DIGEST = click.argument("digest_id", metavar="DIGEST", help="Its name, e.g. 2026-Q3.example-chat.")


_QUARTER = click.option(
    "--quarter",
    "quarter_name",
    metavar="2026-Q3",
    help="A quarter or year (2026) that has ended.  [default: the last quarter]",
)


@desk_command(Permission.MAKE_DIGESTS, example="--all --quarter 2026-Q3")
@click.option("--partner", metavar="PARTNER", help="The partner's id.")
@click.option("--all", "of_all", is_flag=True, help="All partners, and the services without keys that cases are about.")
@_QUARTER
@click.option(
    "--adopted",
    is_flag=True,
    help="The partner shows the button, so it is eligible.  [default: if the register has a placement for it]",
)
@click.option(
    "--threshold",
    type=int,
    metavar="N",
    help="Without the button, the noisy count of incidents that makes it eligible; "
    f"{DEFAULT_THRESHOLD} or more, because noise alone often reaches lower counts.",
)
@click.option("--without-lost", is_flag=True, help="Leave out a table whose noise was lost.")
def digest_make(
    call: Call,
    partner: str | None,
    quarter_name: str | None,
    threshold: int | None,
    *,
    of_all: bool,
    adopted: bool,
    without_lost: bool,
) -> int:
    """Make the digests of a closed quarter, of one partner or of all, or print the existing ones.

    Each digest spends its privacy budget once. A run over all that was stopped goes on where it stopped.
    """
    if of_all == (partner is not None) or (of_all and adopted):
        raise click.UsageError("Give --partner, or --all. With --all the register decides who shows the button.")
    desk = open_desk(call.state)
    period = get_last_closed_quarter(desk.clock()) if quarter_name is None else parse_period(quarter_name)
    if partner is None:
        order = BatchOrder(
            quarter=period,
            environment=desk.config.environment,
            made_by=call.actor,
            threshold=desk.config.significant_incidents if threshold is None else threshold,
            accept_lost=without_lost,
        )
        return _make_all(call, desk, order)
    _check_partner(desk, partner)
    # The choice is final, so neither ground is ever a default: the register decides, or a person. A year has
    # the choices of its quarters.
    is_open = threshold is None and not adopted
    if is_open and isinstance(period, Quarter) and not _has_adopted(desk, partner, quarter=period):
        raise DigestError(
            "Choose why the partner gets a digest; this is decided only once: --adopted if it shows the button (the "
            "register has no placement for it: see `placement agree`), or "
            "--threshold N, the incidents that it needs without the button "
            f"({desk.config.significant_incidents} or more).",
            reason="no-limb",
        )
    return _make_one(
        call,
        desk,
        DigestOrder(
            partner=partner,
            quarter=period,
            environment=desk.config.environment,
            made_by=call.actor,
            adopted=adopted,
            threshold=desk.config.significant_incidents if threshold is None else threshold,
            accept_lost=without_lost,
        ),
    )


def _make_one(call: Call, desk: Desk, order: DigestOrder) -> int:
    record = make_digest(desk.store, order, clock=desk.clock)
    if record.state == "not-eligible":
        line = (
            f"{record.partner} is not eligible for {record.quarter}: no button, and too few incidents by a noisy "
            f"count. This was decided on {record.made_at[:10]} without --adopted, and is final."
        )
        return print_result(call, _describe(desk, record), line, code=LOOK)
    return print_result(
        call,
        _describe(desk, record),
        f"{record.digest_id} is {record.state}. Privacy cost {format_epsilon(_get_spent(desk, record))} of 1.0.",
        f"Read it: {suggest(f'digest show {record.digest_id}')}",
        "A second person releases it.",
    )


def _make_all(call: Call, desk: Desk, order: BatchOrder) -> int:
    results = make_all(desk.store, order, clock=desk.clock)
    states = Counter(result.state for result in results)
    lost = [result.service for result in results if result.state == "lost"]
    to_invite = [result.service for result in results if result.is_to_invite]
    lines = [f"{order.quarter.name}: {', '.join(f'{count:,} {state}' for state, count in states.items())}."]
    if to_invite:
        lines.append(f"Without keys, and to be invited on the page of the placements: {', '.join(to_invite)}")
    if lost:
        lines.append(
            f"Noise was lost in an earlier run, and is never drawn again: {', '.join(lost)}. Run this again with "
            "--without-lost to make these digests without the lost tables."
        )
    lines.append("A second person releases each digest: `digest list` shows those made.")
    found = {"quarter": order.quarter.name, "states": dict(states), "to_invite": to_invite, "lost": lost}
    return print_result(call, found, *lines, code=LOOK if lost else DONE)


_YEAR = click.argument("year", metavar="YEAR", help="A year that has ended, e.g. 2026.")


@desk_command(Permission.MAKE_DIGESTS, example='2026 --pattern "First contact moves to voice chat."')
@_YEAR
@click.option("--pattern", "patterns", multiple=True, metavar="TEXT", help="An emerging pattern, in your own words.")
@click.option("--change", "changes", multiple=True, metavar="TEXT", help="A change that earlier feedback led to.")
@click.option("--without-lost", is_flag=True, help="Leave out a table whose noise was lost.")
def overview_make(
    call: Call,
    year: str,
    patterns: tuple[str, ...],
    changes: tuple[str, ...],
    *,
    without_lost: bool,
) -> int:
    """Make the overview of a year from the digests of its quarters and of the year itself.

    An existing one is not made again: its state is printed. Its texts reach every adopter of the button: they name no
    service and no person.
    """
    desk = open_desk(call.state)
    period = parse_period(year)
    if not isinstance(period, Year):
        raise DigestError("An overview covers a year, e.g. 2026.", reason="not-a-year")
    order = OverviewOrder(
        year=period,
        environment=desk.config.environment,
        made_by=call.actor,
        patterns=patterns,
        changes=changes,
        accept_lost=without_lost,
    )
    record = make_overview(desk.store, order, clock=desk.clock)
    lines = f"{record.digest_id} is {record.state}.", f"Read it: {suggest(f'overview show {year}')}"
    return print_result(call, _describe(desk, record), *lines, "A second person releases it.")


@desk_command(Permission.SEE_DIGESTS, example="2026")
@_YEAR
def overview_show(call: Call, year: str) -> int:
    """Print an overview exactly as its readers will see it."""
    return _show_overview(call, _get_body(call, _make_overview_id(year)))


def _show_overview(call: Call, body: bytes) -> int:
    overview = parse_overview(body)
    say_lines(msgspec.json.format(body).decode() if call.as_json else render_overview(overview).rstrip("\n"))
    return DONE


def _get_body(call: Call, digest_id: str) -> bytes:
    with open_desk(call.state).store.read() as connection:
        return get_body(get_record(connection, digest_id))


@desk_command(Permission.RELEASE_DIGESTS, example="2026")
@_YEAR
def overview_release(call: Call, year: str) -> int:
    """Send an overview that a second person signed to the mailbox of every adopter.

    They sign it on its page with a passkey, which sends it too: this command repeats a sending that failed.
    """
    desk = open_desk(call.state)
    record = release_overview(desk, _make_overview_id(year))
    return print_result(call, _describe(desk, record), f"{record.digest_id} is released by {record.released_by}.")


@desk_command(Permission.RELEASE_DIGESTS, example="2026 --out overview.html")
@_YEAR
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The page; its figures go beside it as JSON.")
def overview_publish(call: Call, year: str, out: Path) -> int:
    """Write a released overview as a page and a file for the public.

    Two people decide this on the overview's page: one proposes it and says why, the other signs it.
    """
    desk = open_desk(call.state)
    page, body = publish_overview(desk.store, _make_overview_id(year), by=call.actor, now=desk.clock())
    data = out.with_suffix(".json")
    out.write_text(page, "utf-8")
    data.write_bytes(body)
    return print_result(call, {"page": str(out), "data": str(data)}, f"Written: {out} and {data}.")


def _is_of_overview(digest_id: str) -> bool:
    return digest_id.partition(".")[2] == OVERVIEW_OF


def _make_overview_id(year: str) -> str:
    return make_digest_id(partner=OVERVIEW_OF, quarter=parse_period(year))


@desk_command(Permission.SEE_DIGESTS, example="2026-Q3.example-chat")
@_DIGEST
@click.option("--csv", "as_csv", is_flag=True, help="One line for each number.")
def digest_show(call: Call, digest_id: str, *, as_csv: bool) -> int:
    """Print a digest exactly as its partner will see it."""
    body = _get_body(call, digest_id)
    if _is_of_overview(digest_id):
        if as_csv:
            raise click.UsageError("An overview has no lines for a spreadsheet: use --json.")
        return _show_overview(call, body)
    render = render_json if call.as_json else render_csv if as_csv else render_table
    say_lines(render(parse_digest(body)).rstrip("\n"))
    return DONE


@desk_command(Permission.RELEASE_DIGESTS, example="2026-Q3.example-chat")
@_DIGEST
def digest_release(call: Call, digest_id: str) -> int:
    """Send a digest that a second person signed into its partner's mailbox.

    They sign it on its page with a passkey, which sends it too: this command repeats a sending that failed.
    """
    if _is_of_overview(digest_id):
        year = digest_id.partition(".")[0]
        raise click.UsageError(f"That is an overview: {suggest(f'overview release {year}')}")
    desk = open_desk(call.state)
    record = release_to_mailbox(desk, digest_id)
    return print_result(
        call,
        _describe(desk, record),
        f"{record.digest_id} is released by {record.released_by}: message {record.message_id}.",
    )


@desk_command(Permission.SEE_DIGESTS, example="--json")
@click.option("--partner", metavar="PARTNER", help="Only this partner's.")
def digest_list(call: Call, partner: str | None) -> int:
    """List the digests, newest quarter first."""
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        records = list_records(connection, partner=partner)
        partners = get_partner_names(connection)
    lines = (
        f"{one.digest_id:32} {one.state:13} made by {one.made_by}{'  SYNTHETIC' if one.workings.synthetic else ''}"
        f"{'  NO KEYS: INVITE IT' if one.state == 'made' and one.partner not in (*partners, OVERVIEW_OF) else ''}"
        for one in records
    )
    found = {"digests": [_describe(desk, record) for record in records]}
    return print_result(call, found, *lines, empty="There are no digests yet.")


@desk_command(Permission.SEE_FIGURES, example="--quarters 4")
@click.option(
    "--quarters",
    type=click.IntRange(2, MOST_QUARTERS),
    default=5,
    show_default=True,
    metavar="N",
    help="Quarters, the running one included.",
)
def trends(call: Call, quarters: int) -> int:
    """Print the exact trend of closed cases, by quarter.

    There is no noise in it: it never leaves the desk.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        found = make_trends(connection, last=get_quarter_of(desk.clock()), quarters=quarters)
    lines = ["For the desk alone: exact, without noise."]
    for trend in found:
        lines += ["", f"{trend.title:<44}{''.join(f'{quarter:>9}' for quarter in trend.quarters)}"]
        lines += [f"  {row.title:<42}{''.join(f'{count:>9,}' for count in row.counts)}" for row in trend.rows]
    return print_result(call, {"trends": [asdict(trend) for trend in found]}, *lines)


@desk_command(Permission.MAKE_DIGESTS, example="--partner example-chat --quarter 2026-Q3 --count 240")
@_QUARTER
@click.option("--partner", required=True, metavar="PARTNER", help="The partner's id.")
@click.option("--count", type=int, default=240, show_default=True, metavar="N", help="Number of cases.")
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="The same seed gives the same cases.")
def synthetic(call: Call, partner: str, quarter_name: str | None, count: int, seed: int) -> int:
    """File made-up cases about a partner, marked and closed.

    They belong to a past quarter and have no report behind them.
    """
    desk = open_desk(call.state)
    _check_partner(desk, partner)
    quarter = _read_quarter(desk, quarter_name)
    added = make_synthetic_cases(desk, partner=partner, quarter=quarter, count=count, seed=seed, actor=call.actor)
    return print_result(
        call,
        {"added": added, "partner": partner, "quarter": quarter.name, "synthetic": True},
        f"{added} SYNTHETIC cases about {partner} in {quarter.name}.",
        *(("This is a live desk: none of its digests counts them.",) if desk.config.environment == "live" else ()),
    )


def _read_quarter(desk: Desk, name: str | None) -> Quarter:
    return get_last_closed_quarter(desk.clock()) if name is None else parse_quarter(name)


def _check_partner(desk: Desk, partner: str) -> None:
    with desk.store.read() as connection:
        get_partner(connection, partner, now=desk.clock())


def _has_adopted(desk: Desk, partner: str, *, quarter: Quarter) -> bool:
    with desk.store.read() as connection:
        return has_adopted(connection, partner=partner, quarter=quarter)


def _get_spent(desk: Desk, record: DigestRecord) -> int:
    with desk.store.read() as connection:
        return get_spent(connection, partner=record.partner, period=parse_period(record.quarter))


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
