"""What came of the partner's reports, and the agency's notices."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response

from partner_sdk.console.collecting import collect
from partner_sdk.console.letters import OUTCOMES, Letter, read_letters, say_letter
from partner_sdk.console.page import NavItem, get_state, show_page
from partner_sdk.console.seen import get_seen
from partner_sdk.wire.mailbox import OutcomeNote, SetAsideNotice

blueprint = Blueprint("outcomes", __name__)
NAV: Final = NavItem("Outcomes", "outcomes.get_list")
MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One message in a list: its words, its reports by id and reference, and whether it is new."""

    words: str
    issued_at: str
    reports: tuple[tuple[str, str], ...]
    is_new: bool


@blueprint.get("/outcomes")
def get_list() -> Response:
    """Show the newest outcome of each report, and the notices."""
    look = collect()
    letters, unreadable = read_letters(get_state(), OUTCOMES)
    seen = get_seen().list_numbers()
    newest: dict[str, Letter] = {}
    for one in letters:
        if isinstance(one.body, OutcomeNote):
            newest.setdefault(one.body.report_id, one)  # a later note about a report replaces the one before
    outcomes = [_tell(one, seen) for one in newest.values()]
    notices = [_tell(one, seen) for one in letters if not isinstance(one.body, OutcomeNote)]
    get_seen().add(one.number for one in letters)
    return show_page(
        "outcomes.html",
        look=look,
        outcomes=outcomes[:MOST_SHOWN],
        notices=notices[:MOST_SHOWN],
        unreadable=unreadable,
        delivered=get_state().list_delivered(),
    )


def _tell(letter: Letter, seen: frozenset[int]) -> Told:
    body = letter.body
    reports: tuple[tuple[str, str], ...] = ()
    if isinstance(body, OutcomeNote):
        reports = ((body.report_id, body.reference),)
    elif isinstance(body, SetAsideNotice):
        reports = tuple((one.report_id, one.reference) for one in body.reports)
    return Told(say_letter(body), letter.issued_at, reports, letter.number not in seen)
