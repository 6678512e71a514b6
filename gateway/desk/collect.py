"""Collects from the feed: judges each row, stores it durably, and only then acknowledges it.

Never acknowledges what is not on this desk's own disk, and never lets one bad row hold up the next. An acknowledgement
means "held here, byte for byte": a row that was set aside is acknowledged too, because its bytes are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, insert, select

from gateway.desk import audit
from gateway.desk.cases import file_cases
from gateway.desk.chain import GAP, Chain, Link, add_links, find_gaps, find_highest, make_link, raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.publication import make_key_set
from gateway.desk.row_checks import Believed, RowRefusedError, VerifiedRow, check_row
from gateway.desk.set_aside import find_claim, keep_row, list_waiting_bytes, resolve_row
from gateway.desk.store.schema import FORMER_PARTNER_KEYS, PARTNERS, REPORTS
from gateway.desk.wiring import Desk
from partner_sdk.canonical import format_time
from partner_sdk.feed_messages import Acknowledgement, FeedStatus

PAGE_ROWS: Final = 200
STUCK: Final = "feed-stuck"
# The gateway's own columns no longer fit the statement beside them: somebody changed the row.
NOT_TAKEN: Final = "acknowledgement-not-taken"

Progress = Callable[[int], None]


@dataclass(slots=True)
class Collected:
    """What one run did; counts of rows, and the gaps of the chain that are open now."""

    filed: int = 0
    set_aside: int = 0
    known: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One row of a page: verified, or refused."""

    raw: bytes
    verified: VerifiedRow | None
    refused: RowRefusedError | None


def collect_reports(desk: Desk, feed: FeedClient, *, actor: str, progress: Progress | None = None) -> Collected:
    """Take every row that the gateway still holds for us, in one pass from the first.

    Rows that can not be acknowledged are passed by, and come again at the next run: they never hold up the rest.
    Raises what the feed client raises; what was stored until then stays, and the next run goes on from there.
    """
    collected = Collected()
    believed = load_believed(desk)
    status = feed.get_status()
    after, more = 0, True
    while more:
        page = feed.get_reports(limit=PAGE_ROWS, after=after)
        if not page.reports:
            break
        rows = [bytes(row) for row in page.reports]
        claims = take_rows(desk, rows, believed=believed, actor=actor, collected=collected)
        taken = feed.post_acknowledgements(claims)
        if taken < len(claims):
            _note(desk, NOT_TAKEN, status)
        if progress is not None:
            progress(collected.filed + collected.set_aside)
        if page.last <= after:
            # The gateway leads us in a circle: what it holds behind this point is not shown to us.
            _note(desk, STUCK, status)
            break
        after, more = page.last, page.more
    _check_chains(desk, status, collected=collected)
    return collected


def take_rows(
    desk: Desk, rows: Sequence[bytes], *, believed: Believed, actor: str, collected: Collected
) -> tuple[Acknowledgement, ...]:
    """Judge rows, store every one of them in one durable transaction, and return what may be acknowledged now."""
    judged = [_judge(raw, believed=believed) for raw in rows]
    now = desk.clock()
    with desk.store.write() as connection:
        refused = [one for one in judged if one.refused is not None]
        verified, known, clashing = _sort_out(connection, [one for one in judged if one.verified is not None])
        kept = _store_refused(connection, [*refused, *clashing], desk=desk, actor=actor, collected=collected)
        _store_verified(connection, verified, desk=desk)
        add_links(connection, _links(judged), now=now)
        if verified or kept:
            audit.append_entry(
                connection,
                at=now,
                actor=actor,
                action="collect",
                subject="feed",
                detail={"filed": len(verified), "set_aside": kept},
            )
    collected.filed += len(verified)
    collected.set_aside += kept
    collected.known += known
    return _claims(judged)


def try_again(desk: Desk, *, actor: str) -> Collected:
    """Judge everything that was set aside once more, with the keys and the register of today."""
    collected = Collected()
    believed = load_believed(desk)
    with desk.store.read() as connection:
        waiting = list_waiting_bytes(connection)
    for row_id, raw in waiting:
        judged = _judge(raw, believed=believed)
        if judged.verified is None:
            continue
        with desk.store.write() as connection:
            verified, known, clashing = _sort_out(connection, [judged])
            if clashing:
                continue
            _store_verified(connection, verified, desk=desk)
            add_links(connection, _links([judged]), now=desk.clock())
            resolution = "filed" if verified else "known"
            resolve_row(connection, row_id, resolution=resolution, actor=actor, now=desk.clock())
        collected.filed += len(verified)
        collected.known += known
    return collected


def load_believed(desk: Desk) -> Believed:
    """Return what rows are judged by: this desk's own key set and register, never what the gateway serves."""
    with desk.store.read() as connection:
        key_set = make_key_set(connection, desk=desk, now=desk.clock())
        keys: dict[str, dict[str, bytes]] = {}
        for table in (FORMER_PARTNER_KEYS, PARTNERS):
            for row in connection.execute(select(table.c.partner, table.c.key_id, table.c.submission_key)):
                keys.setdefault(row.partner, {})[row.key_id] = bytes(row.submission_key)
    return Believed(key_set=key_set, submission_keys=keys, vault=desk.load_vault())


def _judge(raw: bytes, *, believed: Believed) -> _Judged:
    try:
        return _Judged(raw, check_row(raw, believed=believed), None)
    except RowRefusedError as refused:
        return _Judged(raw, None, refused)


def _sort_out(connection: Connection, judged: Sequence[_Judged]) -> tuple[list[VerifiedRow], int, list[_Judged]]:
    """Part verified rows into new ones, how many are stored already, and second reports under a taken id."""
    ids = {one.verified.intake.clear.report_id for one in judged if one.verified is not None}
    taken: dict[tuple[str, str], bytes] = {
        (row.partner, row.report_id): bytes(row.intake_sha256)
        for row in connection.execute(
            select(REPORTS.c.partner, REPORTS.c.report_id, REPORTS.c.intake_sha256).where(REPORTS.c.report_id.in_(ids))
        )
    }
    fresh: list[VerifiedRow] = []
    clashing: list[_Judged] = []
    known = 0
    for one in judged:
        if one.verified is None:
            continue
        clear = one.verified.intake.clear
        holder = taken.get((clear.partner, clear.report_id))
        if holder is None:
            taken[clear.partner, clear.report_id] = one.verified.intake_sha256
            fresh.append(one.verified)
        elif holder == one.verified.intake_sha256:
            known += 1
        else:
            refused = RowRefusedError(
                "Another report has this id already.", reason="duplicate-report-id", priority=clear.priority
            )
            clashing.append(_Judged(one.raw, None, refused))
    return fresh, known, clashing


def _store_refused(
    connection: Connection, judged: Sequence[_Judged], *, desk: Desk, actor: str, collected: Collected
) -> int:
    kept = 0
    for one in judged:
        if one.refused is None:
            continue
        if keep_row(connection, one.raw, one.refused, actor=actor, now=desk.clock()):
            kept += 1
            collected.refused[one.refused.reason] = collected.refused.get(one.refused.reason, 0) + 1
        else:
            collected.known += 1
    return kept


def _store_verified(connection: Connection, rows: Sequence[VerifiedRow], *, desk: Desk) -> None:
    now = desk.clock()
    if rows:
        connection.execute(insert(REPORTS), [_report_values(row, collected_at=format_time(now)) for row in rows])
        file_cases(connection, rows, case_ids=[desk.make_id() for _ in rows], now=now)


def _report_values(row: VerifiedRow, *, collected_at: str) -> Mapping[str, object]:
    intake, clear = row.intake, row.intake.clear
    return {
        "environment": clear.environment,
        "partner": clear.partner,
        "report_id": clear.report_id,
        "door": intake.door,
        "kind": clear.kind,
        "priority": clear.priority,
        "earlier_reference": clear.earlier_reference,
        "schema_version": clear.schema_version,
        "reference": intake.reference,
        "instance": intake.instance,
        "epoch": intake.epoch,
        "sequence": intake.sequence,
        "received_at": intake.received_at,
        "collected_at": collected_at,
        "intake_sha256": row.intake_sha256,
        "envelope_sha256": bytes.fromhex(intake.envelope_sha256),
        "intake": row.intake_raw,
        "submission": row.submission_raw,
        "envelope": row.envelope_raw,
    }


def _links(judged: Sequence[_Judged]) -> list[Link]:
    """Return a link for every genuine intake statement, also where the rest of its row was refused."""
    links = []
    for one in judged:
        if one.verified is not None:
            links.append(make_link(one.verified.intake, statement_sha256=one.verified.intake_sha256))
        elif one.refused is not None and one.refused.intake is not None and (claim := find_claim(one.raw)):
            links.append(make_link(one.refused.intake, statement_sha256=bytes.fromhex(claim.intake_sha256)))
    return links


def _claims(judged: Sequence[_Judged]) -> tuple[Acknowledgement, ...]:
    # A row without a statement can not be named: it stays at the gateway and is refused again each time.
    return tuple(claim for claim in map(_claim, judged) if claim is not None)


def _claim(one: _Judged) -> Acknowledgement | None:
    if one.verified is None:
        return find_claim(one.raw)
    clear = one.verified.intake.clear
    return Acknowledgement(
        intake_sha256=one.verified.intake_sha256.hex(), partner=clear.partner, report_id=clear.report_id
    )


def _check_chains(desk: Desk, status: FeedStatus, *, collected: Collected) -> None:
    now = desk.clock()
    chain = Chain(status.instance, status.epoch)
    with desk.store.write() as connection:
        highest = find_highest(connection, instance=status.instance)
        if highest < status.sequence:
            raise_alarm(connection, GAP, chain.name(highest + 1, status.sequence), now=now)
        collected.gaps = find_gaps(connection, now=now)


def _note(desk: Desk, kind: str, status: FeedStatus) -> None:
    with desk.store.write() as connection:
        raise_alarm(connection, kind, f"{status.instance}/{status.epoch}", now=desk.clock())
