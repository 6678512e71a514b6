"""Requests to show the button: taken sealed from the feed, listed, and opened for a person, which is recorded (R37).

Never trusts a request: its sender is unproven, so a person first calls back at a published number. Never takes more
than people could read: the gateway is not trusted, and any stranger can send one.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from gateway.desk import audit
from gateway.desk.feed_client import FeedClient
from gateway.desk.inbox import Intake, collect_items, keep_envelope
from gateway.desk.placements.register import count_button_requests
from gateway.desk.store import copy_fields
from gateway.desk.store.placement_tables import ADOPTION_REQUESTS
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.adoption import MAX_ADOPTION_ENVELOPE_BYTES, AskingService, adoption_context, parse_adoption
from partner_sdk.wire.canonical import check_report_id, format_time, parse_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.items import ADOPTION_REQUEST, ItemRow

# A gateway keeps 300 at most. Beyond this, the feed is endless, or a flood that a person must clear first.
INTAKE: Final = Intake(
    ADOPTION_REQUEST,
    most_items=500,
    most_bytes=16 * 1024 * 1024,
    endless="adoptions-endless",
    too_large="adoption-too-large",
)
MOST_WAITING: Final = 2_000
_NUMBER: Final = re.compile(r"[0-9a-f]{4}-[0-9a-f]{4}")


class AdoptionError(ReportAbuseError):
    """A request is unknown, does not open, or cannot be decided this way; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class AdoptionLine:
    """One request for lists. `state` is `waiting`, `invited`, `agreed` or `declined`."""

    request_id: str
    state: str
    received_at: str
    owner: str | None
    reason: str | None
    decided_at: str | None
    decided_by: str | None


def collect_adoptions(desk: Desk, feed: FeedClient, *, actor: str) -> int:
    """Store the feed's requests, still sealed, acknowledge them, and return the number of new ones.

    While more than `MOST_WAITING` wait for a person, none are taken: the gateway keeps its own, and answers later
    senders that there is no room.
    """
    take = partial(_take, desk=desk, actor=actor)
    return len(collect_items(desk, feed, INTAKE, take=take, has_room=_has_room))


def list_adoptions(
    connection: Connection, *, with_decided: bool = False, first: int = 0, most: int | None = None
) -> list[AdoptionLine]:
    """Return the waiting requests, the oldest first; on request the decided ones after them.

    `first` and `most` select a page of a long list: `first` entries are skipped, and at most `most` returned, or all.
    """
    query = select(*(ADOPTION_REQUESTS.c[name] for name in AdoptionLine.__dataclass_fields__)).order_by(
        ADOPTION_REQUESTS.c.state != "waiting", ADOPTION_REQUESTS.c.received_at, ADOPTION_REQUESTS.c.request_id
    )
    if not with_decided:
        query = query.where(ADOPTION_REQUESTS.c.state == "waiting")
    return [_to_line(row) for row in connection.execute(query.limit(most).offset(first))]


def get_adoption(connection: Connection, request_id: str) -> AdoptionLine:
    """Return one request by its id or its short number, unopened, or raise `AdoptionError` (`unknown-request`)."""
    return _to_line(_get_row(connection, request_id))


def open_adoption(desk: Desk, request_id: str, *, actor: str) -> AskingService:
    """Open one request for a person, and record the reader. Raises `AdoptionError` if it does not open."""
    with desk.store.write() as connection:
        found = read_adoption(connection, desk, request_id, actor=actor)
        opened = get_adoption(connection, request_id).request_id
        audit.append_entry(connection, "open-adoption", opened, at=desk.clock(), actor=actor)
    return found


def read_adoption(connection: Connection, desk: Desk, request_id: str, *, actor: str) -> AskingService:
    """Return the content of a request, inside an action that is recorded itself.

    Raises `AdoptionError` (`does-not-open`; `not-understood` for one that opens but is in an unknown format).
    """
    row = _get_row(connection, request_id)
    environment = desk.config.environment
    try:
        vault = desk.load_vault(actor=actor, reason="read")
        raw = open_box(bytes(row.envelope), vault=vault, environment=environment, request_id=row.request_id)
    except (FormatError, OpeningError) as error:
        raise AdoptionError(
            f"This request cannot be read ({error.reason}). {_explain_next_step(_to_line(row))}", reason="does-not-open"
        ) from None
    try:
        return parse_box(raw, environment=environment, request_id=row.request_id)
    except OpeningError as error:
        raise AdoptionError(
            f"This request cannot be read ({error.reason}). {_explain_next_step(_to_line(row))}", reason="does-not-open"
        ) from None
    except FormatError as error:
        raise AdoptionError(
            f"This request opens, but this desk does not understand it ({error.reason}). "
            f"{_explain_next_step(_to_line(row), is_open=True)}",
            reason="not-understood",
        ) from None


def open_box(envelope: bytes, *, vault: Vault, environment: str, request_id: str) -> bytes:
    """Return the raw content of one box. Raises `FormatError` for a malformed box, and `OpeningError`."""
    raw = parse_base64url(envelope.decode("ascii", "replace"), max_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
    context = adoption_context(environment=environment, request_id=request_id)
    return vault.open_enrolment(Envelope.parse(raw), context=context)


def parse_box(raw: bytes, *, environment: str, request_id: str) -> AskingService:
    """Return the content of an opened box. Raises `OpeningError` (`wrong-id`: it names another request).

    Raises `FormatError` for content in an unknown format, e.g. from a newer release.
    """
    request = parse_adoption(raw)
    if (request.environment, request.request_id) != (environment, request_id):
        raise OpeningError("The box names a different request from the one it came with.", reason="wrong-id")
    return request.service


def _explain_next_step(line: AdoptionLine, *, is_open: bool = False) -> str:
    if line.state == "declined":
        return "It is already declined: there is nothing left to do."
    if line.state == "agreed":
        return "Its agreed places are still valid: see `placement list`."
    if is_open:
        return (
            f"A newer release may have sent it: update this desk, or decline it (`adoption decline {line.request_id}`)."
        )
    return (
        "Decline it, or decline all unreadable requests together (`adoption "
        "decline-unreadable`). A genuine sender will ask again."
    )


def _get_row(connection: Connection, request_id: str) -> Row[Any]:
    ids = ADOPTION_REQUESTS.c.request_id
    # A service quotes the short number, e.g. `81d5-0c2f`, from its thank-you page.
    is_number = _NUMBER.fullmatch(request_id) is not None
    is_it = ids.endswith(request_id.replace("-", "")) if is_number else ids == request_id
    rows = connection.execute(select(ADOPTION_REQUESTS).where(is_it).limit(2)).all()
    if not rows:
        raise AdoptionError(
            "No request has that id. `adoption list --all` shows every request.", reason="unknown-request"
        )
    if len(rows) > 1:
        raise AdoptionError("Two requests have that number: give the whole id.", reason="unknown-request")
    return rows[0]


def _to_line(row: Row[Any]) -> AdoptionLine:
    return copy_fields(AdoptionLine, row)


def _has_room(connection: Connection) -> bool:
    return count_button_requests(connection) < MOST_WAITING


def _take(connection: Connection, row: ItemRow, *, desk: Desk, actor: str) -> str | None:
    try:
        check_report_id(row.item_id)
    except FormatError:
        return None
    known = select(ADOPTION_REQUESTS.c.request_id).where(ADOPTION_REQUESTS.c.request_id == row.item_id)
    if connection.execute(known).first() is not None:
        return None
    now = desk.clock()
    envelope = keep_envelope(desk, connection, row, intake=INTAKE)
    connection.execute(
        insert(ADOPTION_REQUESTS).values(
            request_id=row.item_id, state="waiting", envelope=envelope, received_at=format_time(now)
        )
    )
    audit.append_entry(connection, "take-adoption", row.item_id, at=now, actor=actor)
    return row.item_id
