"""The recipient of an action: a body of the register of destinations, or a partner, and the mailbox that it has now."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from gateway.desk.actions.model import TO_DESTINATIONS, Action, ActionError, ActionKind, ActionWay
from gateway.desk.destinations.register import Destination, load_register
from gateway.desk.partners.register import PartnerError, get_partner
from gateway.desk.placements.register import find_owner_name
from gateway.desk.store.partner_tables import PARTNERS
from gateway.desk.wiring import Desk

_MOST_CHARACTERS = 80  # of an id or a key, with room


def find_recipient(
    desk: Desk, connection: Connection, *, kind: ActionKind, recipient: str, way: ActionWay
) -> Destination | None:
    """Return the body of the register, or None for a partner or a service, if it can get this by this way today.

    Raises `ActionError`: `recipient-gone`, `recipient-suspended`.
    """
    if not 0 < len(recipient) <= _MOST_CHARACTERS:
        raise _make_gone("Choose a recipient.")
    if way == "mailbox":
        get_mailbox(desk, connection, kind=kind, recipient=recipient)
    return _get_destination(desk, recipient) if kind in TO_DESTINATIONS else None


def get_mailbox(desk: Desk, connection: Connection, *, kind: ActionKind, recipient: str) -> str:
    """Return the partner in whose mailbox the recipient reads.

    Raises `ActionError`: `recipient-gone` for a body that retired or has no keys, and `recipient-suspended`.
    """
    partner = recipient
    if kind in TO_DESTINATIONS:
        body = _get_destination(desk, recipient)
        if body.partner is None:
            raise _make_gone(f"{body.name} has no mailbox at the gateway.")
        partner = body.partner
    try:
        row = get_partner(connection, partner, now=desk.clock())
    except PartnerError as error:
        raise _make_gone(str(error)) from None
    if row.state != "active":
        raise ActionError(f"{row.name} is suspended: nothing goes to it.", reason="recipient-suspended")
    return partner


def name_recipients(desk: Desk, connection: Connection, actions: Iterable[Action]) -> dict[str, str]:
    """Return the name of each recipient by the id of its action; one that is gone keeps its key."""
    return {one.action_id: name_recipient(desk, connection, one.recipient, kind=one.kind) for one in actions}


def name_recipient(desk: Desk, connection: Connection, recipient: str, *, kind: str = "") -> str:
    """Return the name of a body, a partner or a service; one that is gone keeps its key."""
    body = load_register(desk.paths.destinations).get(recipient) if kind in TO_DESTINATIONS else None
    if body is not None:
        return body.name
    name = connection.execute(select(PARTNERS.c.name).where(PARTNERS.c.partner == recipient)).scalar()
    return name or find_owner_name(connection, recipient) or recipient


def _get_destination(desk: Desk, key: str) -> Destination:
    body = load_register(desk.paths.destinations).get(key)
    if body is None:
        raise _make_gone("No destination has this key. Choose one from the list.")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise _make_gone(f"{body.name} takes nothing more. Choose another body.")
    return body


def _make_gone(message: str) -> ActionError:
    return ActionError(message, reason="recipient-gone")
