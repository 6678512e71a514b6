"""Placements and checks for the tests of the register: mild, made up, and as small as the rule under test needs."""

from typing import Any

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_agreeing import Agreement, agree_placement
from gateway.desk.partners.placement_register import PlacementRow, get_placement
from partner_sdk.console.findings import ButtonCheck, CheckFinding, CheckPost, encode_checks

ADDRESS = "https://chat.example/people/*"
PAGE = "https://chat.example/people/sam"
POSITION = "Under the name, beside Block"
LINK_ID = "example-chat-profile"
# One agreement, under the names that the function, the form of the page and the options of the command all have.
TERMS = {
    "owner": "example-chat",
    "service": "Example Chat",
    "surface": "profile",
    "address": ADDRESS,
    "look_at": PAGE,
    "position": POSITION,
}


def make_agreement(**changes: Any) -> Agreement:
    return Agreement(**(TERMS | changes))


def agree(desk: Desk, *, actor: str = "test-analyst", **changes: Any) -> PlacementRow:
    """Agree a placement with the example partner."""
    return agree_placement(desk, make_agreement(**changes), actor=actor)


def get(desk: Desk, placement: str) -> PlacementRow:
    with desk.store.read() as connection:
        return get_placement(connection, placement)


def make_finding(**changes: Any) -> CheckFinding:
    values: dict[str, Any] = {
        "code": "too-small",
        "mend": "Make it 44 pixels or more.",
        "severity": "fault",
        "what": "The button is 28 pixels high.",
        "where": "line 12",
        "why": "A small target is missed by shaking hands.",
    }
    return CheckFinding(**(values | changes))


def make_check(**changes: Any) -> ButtonCheck:
    values: dict[str, Any] = {
        "address": PAGE,
        "checked_at": "2026-11-25T07:00:00Z",
        "checker": "report-abuse-partner 0.5.0",
        "findings": (),
        "method": "static",
        "placement": LINK_ID,
        "result": "passes",
    }
    return ButtonCheck(**(values | changes))


def make_post(*checks: ButtonCheck) -> bytes:
    return encode_checks(CheckPost(checks=checks))
