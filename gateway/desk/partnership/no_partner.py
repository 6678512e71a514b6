"""Says what an id is that a command took for a partner: invited, without keys, a link id, or nobody's; and what to do.

Never a bare "unknown" for somebody whom the desk knows: who has to act must not go looking for the right command.
"""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from gateway.desk.partnership.open_invitations import find_open_invitation
from gateway.desk.placements.register import (
    PlacementRow,
    find_owner_name,
    find_placement,
    list_placements,
)
from gateway.desk.store.adoption_tables import ADOPTION_REQUESTS
from gateway.desk.store.partner_tables import ENROLMENTS

_MOST_NAMED: Final = 5
_REASON: Final = ' --reason "…"'

Deed = Literal["show", "suspend"]


def explain_no_partner(connection: Connection, partner: str, *, now: datetime, deed: Deed = "show") -> str:
    """Return in words, on one line, why there is no partner with keys of this id, and the command that was meant."""
    placement = find_placement(connection, partner)
    name = find_owner_name(connection, partner)
    if name is None and placement is not None:
        return f"{partner} is a link id, not a partner. {_name_command(placement, deed)}"
    if name is None and _is_request(connection, partner):
        return f"{partner} is a request for the button, not a partner. Next: report-abuse-desk adoption show {partner}"
    if name is None:
        return f"There is no partner {partner}. `partner list` shows them."
    return " ".join(
        (
            f"{partner} is {_quote(name)}. {_spell_way(connection, partner, now=now)}",
            *_list_placement_words(list_placements(connection, owner=partner), owner=partner, deed=deed),
        )
    )


def _is_request(connection: Connection, partner: str) -> bool:
    asked = select(ADOPTION_REQUESTS.c.request_id).where(ADOPTION_REQUESTS.c.request_id == partner)
    return connection.execute(asked).first() is not None


def _spell_way(connection: Connection, partner: str, *, now: datetime) -> str:
    waits = select(ENROLMENTS.c.id).where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
    if connection.execute(waits).first() is not None:
        return f"Its keys wait for `partner approve {partner}`: until then none of its reports is taken."
    invitation = find_open_invitation(connection, partner, now=now)
    if invitation is not None and invitation.has_ended:
        return f"Its invitation ended unused at {invitation.expires_at}. To invite it again: {invitation.command}."
    if invitation is not None:
        return f"It is invited until {invitation.expires_at} and has no keys yet: none of its reports is taken."
    return "It has no keys: it sends no reports, and there is nothing of a partner to see or to end."


def _quote(name: str) -> str:
    # A stranger may have chosen it, in a request: what it says never reads as a sentence of the desk.
    return '"' + name.replace('"', "'") + '"'


def _list_placement_words(placements: list[PlacementRow], *, owner: str, deed: Deed) -> list[str]:
    if not placements:
        return []
    if deed == "show":
        return [f"Its buttons: report-abuse-desk placement list --owner {owner}"]
    agreed = [row for row in placements if row.state == "agreed"]
    if not agreed:
        return ["No place of its button is in the register now, so there is nothing to suspend."]
    words = [f"Its button is suspended place by place. {_name_command(agreed[0], deed)}"]
    if len(agreed) > 1:
        others = ", ".join(row.placement for row in agreed[1:_MOST_NAMED])
        words.append(f"The same for {others}.")
    if len(agreed) > _MOST_NAMED:
        words.append(f"All {len(agreed)}: report-abuse-desk placement list --owner {owner}")
    return words


def _name_command(row: PlacementRow, deed: Deed) -> str:
    if deed == "suspend" and row.state != "agreed":
        return f"It is {row.state} already: report-abuse-desk placement show {row.placement}"
    return f"Next: report-abuse-desk placement {deed} {row.placement}{_REASON if deed == 'suspend' else ''}"
