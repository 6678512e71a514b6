"""Follows the gateway's chain of intake statements: gaps and forks are alarms, never a reason to lose a report.

A link counts once its intake statement is genuine, whatever else is wrong with its row.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Select, func, insert, select, update

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.store.schema import ALARMS, CHAIN_LINKS
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.intake import EPOCH_PATTERN, FIRST_PREVIOUS, INSTANCE_PATTERN, IntakeStatement

GAP: Final = "chain-gap"
FORK: Final = "chain-fork"
NEW_EPOCH: Final = "new-epoch"
# A gateway that stands before a number of the same epoch that the desk holds: its newest rows are gone.
WENT_BACK: Final = "chain-went-back"
# A number that some epoch of the gateway has and the desk has not: which one, nobody but the gateway knows.
ANY_EPOCH: Final = "*"
# Only what `Chain.name` makes of names that row_checks.py lets pass.
_GAP_NAME: Final = re.compile(rf"({INSTANCE_PATTERN})/({EPOCH_PATTERN}|\*)/([0-9]+)(?:-([0-9]+))?")
_NO_PREVIOUS: Final = bytes.fromhex(FIRST_PREVIOUS)


@dataclass(frozen=True, slots=True)
class Chain:
    """One run of sequence numbers: a gateway begins a new epoch after every restore, and its numbers go on."""

    instance: str
    epoch: str

    def name(self, first: int, last: int) -> str:
        """Return how an alarm names links of this chain."""
        return f"{self.instance}/{self.epoch}/{first}" + ("" if first == last else f"-{last}")


@dataclass(frozen=True, slots=True)
class Link:
    """One genuine intake statement as the chain sees it."""

    chain: Chain
    sequence: int
    statement_sha256: bytes
    previous_sha256: bytes


def make_link(intake: IntakeStatement, *, statement_sha256: bytes) -> Link:
    """Return the link of a genuine statement."""
    chain = Chain(intake.instance, intake.epoch)
    return Link(chain, intake.sequence, statement_sha256, bytes.fromhex(intake.previous))


def add_links(connection: Connection, links: Sequence[Link], *, now: datetime) -> None:
    """Enter genuine intake statements, many at once, and raise an alarm where one forks."""
    for chain in dict.fromkeys(link.chain for link in links):
        note_epoch(connection, chain, now=now)
        _add_to_chain(connection, chain, [link for link in links if link.chain == chain], now=now)


def note_epoch(connection: Connection, chain: Chain, *, now: datetime) -> bool:
    """Raise the alarm of a new epoch of a gateway that the desk knows already; a person clears it.

    Run it before the first link of the epoch is entered. The first epoch of a new gateway is no alarm: a person has
    added its card.
    """
    of_instance = select(CHAIN_LINKS.c.sequence).where(CHAIN_LINKS.c.instance == chain.instance).limit(1)
    if connection.execute(of_instance).first() is None or connection.execute(_of(chain).limit(1)).first() is not None:
        return False
    return raise_alarm(connection, NEW_EPOCH, f"{chain.instance}/{chain.epoch}", now=now)


def list_gaps(connection: Connection, *, now: datetime) -> list[str]:
    """Look for the link before each new one, raise an alarm for every gap, and return the gaps that are open.

    Run it when nothing more waits at the gateway. A link that comes late closes its gap.
    """
    unfollowed = connection.execute(select(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False))).all()
    for row in unfollowed:
        is_first = bytes(row.previous_sha256) == _NO_PREVIOUS
        _check_before(connection, Chain(row.instance, row.epoch), row.sequence, is_first=is_first, now=now)
    connection.execute(update(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False)).values(followed=True))
    _close_filled_gaps(connection, now=now)
    return list_subjects(connection, GAP)


def get_highest(connection: Connection, *, instance: str) -> int:
    """Return the highest number seen of a gateway, 0 before the first."""
    highest = select(func.max(CHAIN_LINKS.c.sequence)).where(CHAIN_LINKS.c.instance == instance)
    return connection.execute(highest).scalar() or 0


def get_highest_of(connection: Connection, chain: Chain) -> int:
    """Return the highest number seen of one epoch of a gateway, 0 before the first."""
    highest = select(func.max(CHAIN_LINKS.c.sequence)).where(
        CHAIN_LINKS.c.instance == chain.instance, CHAIN_LINKS.c.epoch == chain.epoch
    )
    return connection.execute(highest).scalar() or 0


def _add_to_chain(connection: Connection, chain: Chain, links: Sequence[Link], *, now: datetime) -> None:
    known = _read_around(connection, chain, [link.sequence for link in links])
    fresh: list[Link] = []
    for link in sorted(links, key=lambda link: link.sequence):
        seen = known.get(link.sequence)
        if seen is None:
            known[link.sequence] = link
            fresh.append(link)
        elif seen.statement_sha256 != link.statement_sha256:
            name = chain.name(link.sequence, link.sequence)
            raise_alarm(connection, FORK, f"{name} two statements carry this number", now=now)
    suspect = {sequence for link in fresh for sequence in (link.sequence, link.sequence + 1)}
    for sequence in sorted(suspect & known.keys()):
        before = known.get(sequence - 1)
        expected = before.statement_sha256 if before else _NO_PREVIOUS if sequence == 1 else None
        if expected is not None and known[sequence].previous_sha256 != expected:
            name = chain.name(sequence, sequence)
            raise_alarm(connection, FORK, f"{name} does not follow the statement before it", now=now)
    _check_firsts(connection, chain, fresh, known=known.keys(), now=now)
    if fresh:
        connection.execute(
            insert(CHAIN_LINKS),
            [
                {
                    "instance": chain.instance,
                    "epoch": chain.epoch,
                    "sequence": link.sequence,
                    "statement_sha256": link.statement_sha256,
                    "previous_sha256": link.previous_sha256,
                    "followed": False,
                }
                for link in fresh
            ],
        )


def _check_firsts(
    connection: Connection, chain: Chain, fresh: Sequence[Link], *, known: Collection[int], now: datetime
) -> None:
    """Raise an alarm for each link that says it follows nothing while the chain has a lower number (WIRE.md §6.2)."""
    if not fresh:
        return
    stored = connection.execute(
        select(func.min(CHAIN_LINKS.c.sequence)).where(
            CHAIN_LINKS.c.instance == chain.instance, CHAIN_LINKS.c.epoch == chain.epoch
        )
    ).scalar()
    firsts = {link.sequence for link in fresh if link.previous_sha256 == _NO_PREVIOUS}
    lowest = min(link.sequence for link in fresh)
    if stored is not None and lowest < stored:
        # What was the first until now may be none.
        former = connection.execute(_of(chain).where(CHAIN_LINKS.c.previous_sha256 == _NO_PREVIOUS))
        firsts.update(row.sequence for row in former)
    elif stored is not None:
        lowest = stored
    for sequence in sorted(firsts):
        # Where the very number before is known, "does not follow" is raised already.
        if sequence > lowest and sequence - 1 not in known:
            name = chain.name(sequence, sequence)
            raise_alarm(connection, FORK, f"{name} says that it is the first of its epoch", now=now)


def _check_before(connection: Connection, chain: Chain, sequence: int, *, is_first: bool, now: datetime) -> None:
    """Raise an alarm for the numbers below a link that nothing accounts for."""
    if _has_link(connection, chain, sequence - 1):
        return
    below = _find_below(connection, chain, sequence)
    if below is not None:
        raise_alarm(connection, GAP, chain.name(below + 1, sequence - 1), now=now)
        return
    reached = sequence - 1
    if not is_first:
        # It names one before it, in its own epoch.
        raise_alarm(connection, GAP, chain.name(reached, reached), now=now)
        reached -= 1
    # Numbers go on through a restore: an epoch begins right behind a number that the desk holds, or is the very first.
    highest = _find_below(connection, Chain(chain.instance, ANY_EPOCH), sequence) or 0
    if highest < reached:
        raise_alarm(connection, GAP, Chain(chain.instance, ANY_EPOCH).name(highest + 1, reached), now=now)


def _read_around(connection: Connection, chain: Chain, sequences: Sequence[int]) -> dict[int, Link]:
    wanted = {near for sequence in sequences for near in (sequence - 1, sequence, sequence + 1)}
    rows = connection.execute(
        select(CHAIN_LINKS.c.sequence, CHAIN_LINKS.c.statement_sha256, CHAIN_LINKS.c.previous_sha256).where(
            CHAIN_LINKS.c.instance == chain.instance,
            CHAIN_LINKS.c.epoch == chain.epoch,
            CHAIN_LINKS.c.sequence.in_(wanted),
        )
    )
    return {row.sequence: Link(chain, row.sequence, row.statement_sha256, row.previous_sha256) for row in rows}


def _has_link(connection: Connection, chain: Chain, sequence: int) -> bool:
    return connection.execute(_of(chain).where(CHAIN_LINKS.c.sequence == sequence)).first() is not None


def _find_below(connection: Connection, chain: Chain, sequence: int) -> int | None:
    below = _of(chain).where(CHAIN_LINKS.c.sequence < sequence).order_by(CHAIN_LINKS.c.sequence.desc()).limit(1)
    row = connection.execute(below).first()
    return None if row is None else row.sequence


def _of(chain: Chain) -> Select[tuple[int]]:
    links = select(CHAIN_LINKS.c.sequence).where(CHAIN_LINKS.c.instance == chain.instance)
    return links if chain.epoch == ANY_EPOCH else links.where(CHAIN_LINKS.c.epoch == chain.epoch)


def _close_filled_gaps(connection: Connection, *, now: datetime) -> None:
    gaps = connection.execute(
        select(ALARMS.c.id, ALARMS.c.subject).where(ALARMS.c.kind == GAP, ALARMS.c.cleared_at.is_(None))
    )
    for gap in gaps.all():
        named = _GAP_NAME.fullmatch(gap.subject)
        if named is None:
            continue  # a person clears it
        instance, epoch, first, last = named.groups()
        low, high = int(first), int(last or first)
        numbers = _of(Chain(instance, epoch)).where(CHAIN_LINKS.c.sequence.between(low, high)).distinct().subquery()
        filled = connection.execute(select(func.count()).select_from(numbers)).scalar_one()
        if filled == high - low + 1:
            connection.execute(
                update(ALARMS).where(ALARMS.c.id == gap.id).values(cleared_at=format_time(now), cleared_by="filled")
            )
