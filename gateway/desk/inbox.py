"""Takes sealed items from the feed: page by page, each into the hands of its kind, durable here before it is
acknowledged.

Never believes the feed: a run takes so many items and bytes of a kind and no more, and stores no envelope that is
larger than the wire allows.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.items import Acknowledgement, ItemKind, ItemPage, ItemRow, parse_item

T = TypeVar("T")

MALFORMED: Final = "item-malformed"


class FeedCircleError(Exception):
    """The gateway leads in a circle: what it holds behind this page is not shown."""


@dataclass(frozen=True, slots=True)
class Intake:
    """How the desk takes one kind: so much in one run, behind which the feed counts as endless; its two alarms."""

    kind: ItemKind
    most_items: int
    most_bytes: int
    endless: str
    too_large: str


def collect_items(
    desk: Desk,
    feed: FeedClient,
    intake: Intake,
    *,
    take: Callable[[Connection, ItemRow], T | None],
    has_room: Callable[[Connection], bool] = lambda _: True,
) -> list[T]:
    """Hand every item that waits to `take`, a page in one transaction, acknowledge it, and return what came of them.

    `take` stores an item, or returns None for one that is here already or is none. Without room nothing is taken: the
    gateway keeps what it has. Behind the bounds of a run, or where the feed leads in a circle, is an alarm. A row that
    is no item raises one too; it stays at the gateway and keeps back no other.
    """
    taken: list[T] = []
    seen = seen_bytes = malformed = 0
    try:
        for page in read_pages(feed, intake.kind):
            held: list[Acknowledgement] = []
            rows = [row for raw in page.items if (row := _find_item(raw, kind=intake.kind)) is not None]
            malformed += len(page.items) - len(rows)
            if len(rows) < len(page.items):
                _raise_alarm(desk, MALFORMED, f"{intake.kind.name}: ")
            with desk.store.write() as connection:
                is_full = not has_room(connection)
                for row in rows:
                    if is_full or seen >= intake.most_items or seen_bytes >= intake.most_bytes:
                        break
                    outcome = take(connection, row)
                    if outcome is not None:
                        taken.append(outcome)
                    held.append(Acknowledgement(address=row.address, item_id=row.item_id))
                    seen, seen_bytes = seen + 1, seen_bytes + len(row.envelope)
            feed.acknowledge(intake.kind, tuple(held))
            if len(held) < len(rows) or malformed >= intake.most_items:
                _raise_alarm(desk, intake.endless)
                break
    except FeedCircleError:
        _raise_alarm(desk, intake.endless)
    return taken


def read_pages(feed: FeedClient, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> Iterator[ItemPage]:
    """Yield page after page of what waits behind a position, until nothing more does. Raises `FeedCircleError`.

    The gateway alone says whether there is more: the caller bounds how many pages it takes.
    """
    while (page := feed.get_items(kind, after=after, limit=limit)).items or page.unreadable:
        yield page
        if page.last <= after:
            raise FeedCircleError
        if not page.more:
            return
        after = page.last


def keep_envelope(desk: Desk, connection: Connection, row: ItemRow, *, intake: Intake) -> bytes:
    """Return what to keep of an envelope in base64url: its bytes, or hash and size (and an alarm) where too many."""
    # ASCII alone is base64url; what is not grows by this, and is over its bound the sooner.
    spelled = row.envelope.encode("ascii", "backslashreplace")
    if len(spelled) <= (intake.kind.max_envelope_bytes * 4 + 2) // 3:
        return spelled
    now = desk.clock()
    raise_alarm(connection, intake.too_large, f"on {now:%Y-%m-%d}", now=now)
    return encode({"sha256": hashlib.sha256(spelled).hexdigest(), "size": len(spelled)})


def _find_item(raw: msgspec.Raw, *, kind: ItemKind) -> ItemRow | None:
    try:
        return parse_item(bytes(raw), kind=kind)
    except FormatError:
        return None


def _raise_alarm(desk: Desk, alarm: str, subject: str = "") -> None:
    now = desk.clock()
    with desk.store.write() as connection:
        raise_alarm(connection, alarm, f"{subject}on {now:%Y-%m-%d}", now=now)
