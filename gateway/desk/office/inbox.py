"""Takes sealed items from the feed, page by page; each is stored by its kind before it is acknowledged.

Never trusts the feed: a run takes a limited number of items and bytes of a kind, and stores no envelope larger than the
wire allows.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.wiring import Desk
from gateway.desk.store.audit import raise_alarm
from gateway.exchange.feed import Acknowledgement, ItemKind, ItemPage, ItemRow, parse_item
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode

T = TypeVar("T")

MALFORMED: Final = "item-malformed"


class FeedCircleError(Exception):
    """The gateway leads in a circle: the items behind this page are not shown."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The limits for one kind: items and bytes per run, beyond which the feed counts as endless; and its two alarms."""

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
    """Pass every waiting item to `take`, a page in one transaction, acknowledge it, and return the results.

    `take` stores an item, or returns None if it is known or malformed. Without room, nothing is taken: the gateway
    keeps its items. A run that reaches its limits, or a feed in a circle, raises an alarm. A row that is not an item
    raises one too; it stays at the gateway and holds back no other.
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
    """Yield the pages after a position, until the gateway has no more. Raises `FeedCircleError`.

    The gateway alone decides whether there is more: the caller limits the number of pages.
    """
    while (page := feed.get_items(kind, after=after, limit=limit)).items or page.unreadable:
        yield page
        if page.last <= after:
            raise FeedCircleError
        if not page.more:
            return
        after = page.last


def keep_envelope(desk: Desk, connection: Connection, row: ItemRow, *, intake: Intake) -> bytes:
    """Return the base64url envelope's bytes; if there are too many, its hash and size, with an alarm."""
    # Only ASCII is base64url; other characters become longer, and reach the limit sooner.
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
