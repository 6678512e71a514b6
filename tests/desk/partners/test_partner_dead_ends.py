"""A decision about the wrong partner, placement or change is refused, with the state that it is in."""

import pytest
from sqlalchemy import insert, update

from gateway.desk.office.organisations import PartnerError
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.account_changes import get_partner_view, get_waiting_change, revoke_key, suspend_partner
from gateway.desk.partners.enrolments import approve_partner, invite_partner
from gateway.desk.partners.placement_agreeing import end_placement, resume_placement, suspend_placement
from gateway.desk.partners.placement_register import PlacementError, get_placement
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, PARTNERS
from tests.builders import PUBLIC_ORIGIN
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.placement_builders import LINK_ID, agree

NOON = "2026-11-25T12:00:00Z"


@pytest.mark.parametrize("known_by", ["nothing", "place", "invitation"])
def test_a_partner_without_keys_cannot_be_ended_or_approved(desk: Desk, known_by: str) -> None:
    if known_by == "place":
        agree(desk, owner="other", new_owner="Other CIC")
    elif known_by == "invitation":
        invite_partner(desk, partner="other", name="Other", origin=PUBLIC_ORIGIN, actor=ACTOR)
    for end in (suspend_partner, revoke_key):
        with pytest.raises(PartnerError, match="other has no keys at this desk") as caught:
            end(desk, partner="other", actor=ACTOR)
        assert caught.value.reason == "unknown-partner"
    for partner in ("other", PARTNER):
        with pytest.raises(PartnerError, match=f"No enrolment of {partner} is waiting"):
            approve_partner(desk, partner=partner, actor=ACTOR)
    if known_by != "invitation":
        with desk.store.read() as connection, pytest.raises(PartnerError, match="There is no partner other"):
            get_partner_view(connection, "other")


@pytest.mark.parametrize(
    ("state", "later"), [("active", "suspended"), ("suspended", "suspended"), ("revoked", "revoked")]
)
def test_suspending_never_weakens_a_revocation(state: str, later: str, desk: Desk) -> None:
    revoked_at = NOON if state == "revoked" else None
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(state=state, revoked_at=revoked_at))
    suspend_partner(desk, partner=PARTNER, actor=ACTOR)
    with desk.store.read() as connection:
        assert get_partner_view(connection, PARTNER).state == later


def test_change_that_does_not_wait_says_why(desk: Desk) -> None:
    row = {"partner": PARTNER, "kind": "unreadable", "state": "refused", "envelope": b"", "received_at": NOON}
    decided = {"decided_at": NOON, "decided_by": "a-manager"}
    with desk.store.write() as connection:
        connection.execute(insert(ACCOUNT_CHANGES).values(**row, change_id="on-arrival", reason="key-in-use"))
        connection.execute(insert(ACCOUNT_CHANGES).values(**row, **decided, change_id="by-hand", reason="more-needed"))
        connection.execute(insert(ACCOUNT_CHANGES).values(**row, **decided, change_id="older", reason="superseded"))
        for partner in ("one", "two"):
            waiting = row | {"partner": partner, "state": "waiting"}
            connection.execute(insert(ACCOUNT_CHANGES).values(**waiting, change_id="shared", reason=None))
    for change_id, said in (
        ("on-arrival", r"refused on arrival \(key-in-use\)\."),
        ("by-hand", f"refused on {NOON} by a-manager"),
        ("older", "A later change was accepted"),
        ("shared", "Two partners sent this id"),
        ("nothing", "There is no such change"),
    ):
        with desk.store.read() as connection, pytest.raises(PartnerError, match=said):
            get_waiting_change(connection, change_id)


def test_placement_in_the_wrong_state_says_since_when(desk: Desk) -> None:
    agree(desk)
    with pytest.raises(PlacementError, match="has been in the register since 2026-11-25"):
        resume_placement(desk, LINK_ID, actor=ACTOR)
    suspend_placement(desk, LINK_ID, reason="Behind a menu", actor="B. Analyst")
    with pytest.raises(PlacementError, match=r"since 2026-11-25 by B\. Analyst \(Behind a menu\)"):
        suspend_placement(desk, LINK_ID, reason="Again", actor=ACTOR)
    end_placement(desk, LINK_ID, reason="Gone", actor=ACTOR)
    with pytest.raises(PlacementError, match="Agree a new placement"):
        resume_placement(desk, LINK_ID, actor=ACTOR)
    with desk.store.read() as connection, pytest.raises(PlacementError, match="There is no placement other"):
        get_placement(connection, "other")
