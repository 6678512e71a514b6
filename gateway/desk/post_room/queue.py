"""The queue of short notes: a row for each, made in the transaction that files the case; states, and how to list them.

Never holds an address: the row says which case and which channel, and the envelope says the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, case, delete, func, insert, select

from gateway.desk.post_room.who_may_get_note import find_note_channel
from gateway.desk.store.post_tables import OUTGOING_POST
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.public_report import PublicReport

PostState = Literal["waiting", "held", "sent", "given_up"]

ACKNOWLEDGEMENT: Final = "acknowledgement"
OPEN_STATES: Final[tuple[PostState, ...]] = ("waiting", "held")
# A note that says "your message got to us" after three days says something else: then a person has to.
GIVE_UP_AFTER: Final = timedelta(days=3)
# What is done is kept for as long as somebody may ask what became of a note, and no figure is made of it.
KEPT_FOR: Final = timedelta(days=90)
# What a person has to do something about comes first.
_STATES: Final[tuple[PostState, ...]] = ("given_up", "waiting", "held", "sent")


@dataclass(frozen=True, slots=True)
class PostRow:
    """One note as lists show it."""

    id: int
    case_id: str
    kind: str
    channel: str
    language: str
    state: str
    tries: int
    next_try_at: str
    queued_at: str
    sent_at: str | None
    last_error: str | None


def queue_notes(connection: Connection, reports: Mapping[str, PublicReport], *, now: datetime) -> int:
    """Note in the caller's transaction which of these reports (by case id) get a note; returns how many."""
    moment = format_time(now)
    values = [
        {
            "case_id": case_id,
            "kind": ACKNOWLEDGEMENT,
            "channel": channel,
            "language": report.language,
            "state": "waiting",
            "tries": 0,
            "next_try_at": moment,
            "queued_at": moment,
        }
        for case_id, report in reports.items()
        if (channel := find_note_channel(report)) is not None
    ]
    if values:
        connection.execute(insert(OUTGOING_POST), values)
    return len(values)


def list_post(connection: Connection, *, case_id: str | None = None, with_done: bool = False) -> list[PostRow]:
    """Return notes, the oldest first: those that are not done, or all of them."""
    columns = [OUTGOING_POST.c[name] for name in PostRow.__dataclass_fields__]
    query = select(*columns).order_by(OUTGOING_POST.c.id)
    if case_id is not None:
        query = query.where(OUTGOING_POST.c.case_id == case_id)
    if not with_done:
        query = query.where(OUTGOING_POST.c.state.in_(OPEN_STATES))
    return [PostRow(**row._mapping) for row in connection.execute(query)]


def list_newest(connection: Connection, *, most: int) -> list[PostRow]:
    """Return notes for the page: those that were given up first, then what waits, and of each the newest first."""
    columns = [OUTGOING_POST.c[name] for name in PostRow.__dataclass_fields__]
    places = case(
        {state: place for place, state in enumerate(_STATES)}, value=OUTGOING_POST.c.state, else_=len(_STATES)
    )
    rows = connection.execute(select(*columns).order_by(places, OUTGOING_POST.c.id.desc()).limit(most))
    return [PostRow(**row._mapping) for row in rows]


def count_by_state(connection: Connection) -> dict[str, int]:
    """Return how many notes are in each state."""
    query = select(OUTGOING_POST.c.state, func.count()).group_by(OUTGOING_POST.c.state)
    return {str(state): int(count) for state, count in connection.execute(query)}


def forget_done(connection: Connection, *, now: datetime) -> int:
    """Delete the rows of notes that were sent or given up and queued more than `KEPT_FOR` ago; returns how many."""
    old = OUTGOING_POST.c.state.not_in(OPEN_STATES) & (OUTGOING_POST.c.queued_at < format_time(now - KEPT_FOR))
    return connection.execute(delete(OUTGOING_POST).where(old)).rowcount


def count_open(connection: Connection) -> int:
    """Return how many notes are neither sent nor given up."""
    query = select(func.count()).select_from(OUTGOING_POST).where(OUTGOING_POST.c.state.in_(OPEN_STATES))
    return int(connection.execute(query).scalar_one())
