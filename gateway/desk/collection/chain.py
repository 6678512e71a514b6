"""Follows the gateway's chains of intake statements, one for each sender.

Gaps and forks are alarms, never a reason to lose a report.

A link counts once its intake statement is genuine, even if the rest of its row is refused.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.outbox.queue import queue
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.schema import ALARMS, CHAIN_LINKS, DESTRUCTIONS
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.receipts import EPOCH_PATTERN, FIRST_PREVIOUS, INSTANCE_PATTERN, IntakeStatement
from partner_sdk.wire.submission import SENDER_PATTERN

GAP: Final = "chain-gap"
FORK: Final = "chain-fork"
NEW_EPOCH: Final = "new-epoch"
# Raised when a gateway is behind a number of the same epoch that the desk already has: its newest rows are gone.
WENT_BACK: Final = "chain-went-back"
# Any epoch, e.g. for a missing number that only the gateway can date.
ANY_EPOCH: Final = "*"
# Built by `Chain.name`, from names that row_checks.py has checked.
_GAP_NAME: Final = re.compile(rf"({INSTANCE_PATTERN})/({EPOCH_PATTERN}|\*)/({SENDER_PATTERN})/([0-9]+)(?:-([0-9]+))?")
_OLDEST_BACKUP: Final = timedelta(days=31)  # docs/running.md: backups are kept for 30 days
_NO_PREVIOUS: Final = bytes.fromhex(FIRST_PREVIOUS)


@dataclass(frozen=True, slots=True)
class Chain:
    """One sender's sequence of numbers. A gateway begins a new epoch after every restore; the numbers continue.

    `partner` is `public` for all reports of the form.
    """

    instance: str
    epoch: str
    partner: str

    def name(self, first: int, last: int) -> str:
        """Return the text for this chain's links in an alarm."""
        return f"{self.instance}/{self.epoch}/{self.partner}/{first}" + ("" if first == last else f"-{last}")


@dataclass(frozen=True, slots=True)
class Link:
    """One genuine intake statement as a link of the chain."""

    chain: Chain
    sequence: int
    statement_sha256: bytes
    previous_sha256: bytes
    report_id: str = ""
    reference: str = ""
    filed: bool = False


def make_link(intake: IntakeStatement, *, statement_sha256: bytes, filed: bool = False) -> Link:
    """Return the link of a genuine statement."""
    chain = Chain(intake.instance, intake.epoch, intake.clear.partner)
    previous = bytes.fromhex(intake.previous)
    return Link(chain, intake.sequence, statement_sha256, previous, intake.clear.report_id, intake.reference, filed)


def add_links(connection: Connection, links: Sequence[Link], *, now: datetime) -> None:
    """Enter genuine intake statements, many together, and raise an alarm for each fork."""
    for chain in dict.fromkeys(link.chain for link in links):
        note_epoch(connection, instance=chain.instance, epoch=chain.epoch, now=now)
        _add_to_chain(connection, chain, [link for link in links if link.chain == chain], now=now)


def note_epoch(connection: Connection, *, instance: str, epoch: str, now: datetime) -> bool:
    """Raise the alarm for a new epoch of a known gateway; a person clears it.

    Run it before the epoch's first link is entered. A new gateway's first epoch raises no alarm: a person has added its
    card.
    """
    of_instance = select(CHAIN_LINKS.c.sequence).where(CHAIN_LINKS.c.instance == instance).limit(1)
    of_epoch = of_instance.where(CHAIN_LINKS.c.epoch == epoch)
    if connection.execute(of_instance).first() is None or connection.execute(of_epoch).first() is not None:
        return False
    # A copy of the gateway from before a destruction brought back the reports of it: they are forgotten again.
    is_young = DESTRUCTIONS.c.begun_at > format_time(now - _OLDEST_BACKUP)
    forgotten = select(DESTRUCTIONS.c.destruction_id).where(is_young, DESTRUCTIONS.c.forget.is_not(None))
    queue(connection, "forget", connection.execute(forgotten).scalars().all(), now=now)
    return raise_alarm(connection, NEW_EPOCH, f"{instance}/{epoch}", now=now)


def list_gaps(connection: Connection, *, now: datetime) -> list[str]:
    """Look for the link before each new one, raise an alarm for every gap, and return the open gaps.

    Run it once no more rows wait at the gateway. A late link closes its gap.
    """
    unfollowed = connection.execute(select(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False))).all()
    for row in unfollowed:
        is_first = bytes(row.previous_sha256) == _NO_PREVIOUS
        _check_before(connection, Chain(row.instance, row.epoch, row.partner), row.sequence, is_first=is_first, now=now)
    connection.execute(update(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False)).values(followed=True))
    _close_filled_gaps(connection, now=now)
    return list_subjects(connection, GAP)


def list_senders(connection: Connection, *, instance: str) -> list[str]:
    """Return the senders for whom the desk has chains from this gateway, in any epoch."""
    found: list[str] = []
    # Steps from one sender to the next through the key: a DISTINCT would walk every link.
    following = select(func.min(CHAIN_LINKS.c.partner)).where(CHAIN_LINKS.c.instance == instance)
    partner = connection.execute(following).scalar()
    while partner is not None:
        found.append(partner)
        partner = connection.execute(following.where(CHAIN_LINKS.c.partner > partner)).scalar()
    return found


def get_highest(connection: Connection, chain: Chain) -> int:
    """Return the highest number seen of a chain (of all epochs for `ANY_EPOCH`), 0 before the first."""
    numbers = _of(chain).order_by(CHAIN_LINKS.c.sequence.desc()).limit(1)
    row = connection.execute(numbers).first()
    return 0 if row is None else row.sequence


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
        elif link.filed:  # first refused, now filed
            mine = (*_conditions_of(chain), CHAIN_LINKS.c.sequence == link.sequence)
            connection.execute(update(CHAIN_LINKS).where(*mine).values(filed=True))
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
                    "partner": chain.partner,
                    "sequence": link.sequence,
                    "statement_sha256": link.statement_sha256,
                    "previous_sha256": link.previous_sha256,
                    "report_id": link.report_id,
                    "reference": link.reference,
                    "filed": link.filed,
                    "followed": False,
                }
                for link in fresh
            ],
        )


def _check_firsts(
    connection: Connection, chain: Chain, fresh: Sequence[Link], *, known: Collection[int], now: datetime
) -> None:
    """Raise an alarm for each link that claims to be the first while the chain has a lower number (WIRE.md §6.2)."""
    if not fresh:
        return
    stored = connection.execute(select(func.min(CHAIN_LINKS.c.sequence)).where(*_conditions_of(chain))).scalar()
    firsts = {link.sequence for link in fresh if link.previous_sha256 == _NO_PREVIOUS}
    lowest = min(link.sequence for link in fresh)
    if stored is not None and lowest < stored:
        # An older "first" link may now follow a lower number.
        former = connection.execute(_of(chain).where(CHAIN_LINKS.c.previous_sha256 == _NO_PREVIOUS))
        firsts.update(row.sequence for row in former)
    elif stored is not None:
        lowest = stored
    for sequence in sorted(firsts):
        # If the preceding number is known, "does not follow" is raised already.
        if sequence > lowest and sequence - 1 not in known:
            name = chain.name(sequence, sequence)
            raise_alarm(connection, FORK, f"{name} claims to be the first of its epoch", now=now)


def _check_before(connection: Connection, chain: Chain, sequence: int, *, is_first: bool, now: datetime) -> None:
    """Raise an alarm for unexplained missing numbers below a link."""
    if _has_link(connection, chain, sequence - 1):
        return
    below = _find_below(connection, chain, sequence)
    if below is not None:
        raise_alarm(connection, GAP, chain.name(below + 1, sequence - 1), now=now)
        return
    reached = sequence - 1
    if not is_first:
        # It names a previous one, in its own epoch.
        raise_alarm(connection, GAP, chain.name(reached, reached), now=now)
        reached -= 1
    # Numbers continue through a restore: an epoch begins directly after a number that the desk has, or with the very
    # first one.
    every_epoch = Chain(chain.instance, ANY_EPOCH, chain.partner)
    highest = _find_below(connection, every_epoch, sequence) or 0
    if highest < reached:
        raise_alarm(connection, GAP, every_epoch.name(highest + 1, reached), now=now)


def _read_around(connection: Connection, chain: Chain, sequences: Sequence[int]) -> dict[int, Link]:
    wanted = {near for sequence in sequences for near in (sequence - 1, sequence, sequence + 1)}
    rows = connection.execute(
        select(CHAIN_LINKS.c.sequence, CHAIN_LINKS.c.statement_sha256, CHAIN_LINKS.c.previous_sha256).where(
            *_conditions_of(chain), CHAIN_LINKS.c.sequence.in_(wanted)
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
    return select(CHAIN_LINKS.c.sequence).where(*_conditions_of(chain))


def _conditions_of(chain: Chain) -> tuple[ColumnElement[bool], ...]:
    links = CHAIN_LINKS.c
    of_sender = (links.instance == chain.instance, links.partner == chain.partner)
    return of_sender if chain.epoch == ANY_EPOCH else (*of_sender, links.epoch == chain.epoch)


def _close_filled_gaps(connection: Connection, *, now: datetime) -> None:
    gaps = connection.execute(
        select(ALARMS.c.id, ALARMS.c.subject).where(ALARMS.c.kind == GAP, ALARMS.c.cleared_at.is_(None))
    )
    for gap in gaps.all():
        named = _GAP_NAME.fullmatch(gap.subject)
        if named is None:
            continue  # a person clears it
        instance, epoch, partner, first, last = named.groups()
        low, high = int(first), int(last or first)
        numbers = (
            _of(Chain(instance, epoch, partner)).where(CHAIN_LINKS.c.sequence.between(low, high)).distinct().subquery()
        )
        filled = connection.execute(select(func.count()).select_from(numbers)).scalar_one()
        if filled == high - low + 1:
            connection.execute(
                update(ALARMS).where(ALARMS.c.id == gap.id).values(cleared_at=format_time(now), cleared_by=BY_THE_DESK)
            )
