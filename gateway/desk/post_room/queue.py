"""The queue of short notes: a row for each, made in the transaction that files the case; states, and how to list them.

Never holds an address: the row says which case and which channel, and the envelope says the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, func, insert, select

from gateway.desk.post_room.who_may_get_note import find_note_channel
from gateway.desk.store.schema import OUTGOING_POST
from partner_sdk.canonical import format_time
from partner_sdk.public_report import PublicReport

PostState = Literal["waiting", "held", "sent", "given_up"]

ACKNOWLEDGEMENT: Final = "acknowledgement"
OPEN_STATES: Final[tuple[PostState, ...]] = ("waiting", "held")
# A note that says "your message got to us" after three days says something else: then a person has to.
GIVE_UP_AFTER: Final = timedelta(days=3)


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


def count_open(connection: Connection) -> int:
    """Return how many notes are neither sent nor given up."""
    query = select(func.count()).select_from(OUTGOING_POST).where(OUTGOING_POST.c.state.in_(OPEN_STATES))
    return int(connection.execute(query).scalar_one())
