"""Requests to show the button: the list, and opening one for a person, which is noted (R37).

Never believes what one says: nothing proves who sealed it, so whoever decides asks back at a published number first.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.desk import audit
from gateway.desk.store.adoption_tables import ADOPTION_REQUESTS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError
from partner_sdk.wire.adoption import MAX_ADOPTION_ENVELOPE_BYTES, AskingService, adoption_context, parse_adoption
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.envelope import Envelope

MOST_LISTED: Final = 500


class AdoptionError(ReportAbuseError):
    """A request is not there, can not be opened, or can not be decided as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AdoptionLine:
    """One request as lists show it. `state` is `waiting`, `invited`, `agreed` or `declined`."""

    request_id: str
    state: str
    received_at: str
    owner: str | None
    reason: str | None
    decided_at: str | None
    decided_by: str | None


def list_adoptions(connection: Connection, *, with_decided: bool = False) -> list[AdoptionLine]:
    """Return the requests that wait, the oldest first; with the decided ones behind them if asked."""
    query = select(ADOPTION_REQUESTS).order_by(
        ADOPTION_REQUESTS.c.state != "waiting", ADOPTION_REQUESTS.c.received_at, ADOPTION_REQUESTS.c.request_id
    )
    if not with_decided:
        query = query.where(ADOPTION_REQUESTS.c.state == "waiting")
    return [_to_line(row) for row in connection.execute(query.limit(MOST_LISTED))]


def get_adoption(connection: Connection, request_id: str) -> AdoptionLine:
    """Return one request without opening it, or raise `AdoptionError` (`unknown-request`)."""
    return _to_line(_get_row(connection, request_id))


def open_adoption(desk: Desk, request_id: str, *, actor: str) -> AskingService:
    """Open one request for a person, and note who did. Raises `AdoptionError` for one that does not open."""
    with desk.store.write() as connection:
        found = read_adoption(connection, desk, request_id)
        audit.append_entry(connection, at=desk.clock(), actor=actor, action="open-adoption", subject=request_id)
    return found


def read_adoption(connection: Connection, desk: Desk, request_id: str) -> AskingService:
    """Return what a request says, inside a deed that is noted itself. Raises `AdoptionError` (`does-not-open`)."""
    row = _get_row(connection, request_id)
    environment = desk.config.environment
    context = adoption_context(environment=environment, request_id=request_id)
    try:
        raw = parse_base64url(bytes(row.envelope).decode("ascii", "replace"), max_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
        request = parse_adoption(desk.load_vault().open_enrolment(Envelope.parse(raw), context=context))
        is_of_this_box = (request.environment, request.request_id) == (environment, request_id)
    except (FormatError, OpeningError) as error:
        raise _make_unreadable(error.reason) from None
    if not is_of_this_box:
        raise _make_unreadable("wrong-id")
    return request.service


def _make_unreadable(reason: str) -> AdoptionError:
    return AdoptionError(
        f"This request can not be read ({reason}): decline it. If its sender is real, it will ask again.",
        reason="does-not-open",
    )


def _get_row(connection: Connection, request_id: str) -> Row[Any]:
    row = connection.execute(select(ADOPTION_REQUESTS).where(ADOPTION_REQUESTS.c.request_id == request_id)).first()
    if row is None:
        raise AdoptionError("There is no such request. `adoption list` shows them.", reason="unknown-request")
    return row


def _to_line(row: Row[Any]) -> AdoptionLine:
    return AdoptionLine(**{name: getattr(row, name) for name in AdoptionLine.__dataclass_fields__})
