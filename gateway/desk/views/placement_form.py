"""Reads the forms about placements, and says in words which field is to be mended.

The rules and their words live in `gateway/desk/placements`; here stands where on the page a fault belongs.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import MultiDict

from gateway.desk.placements.placements import PlacementError, PlacementRow
from gateway.desk.placements.terms import Agreement, TermChanges
from gateway.desk.views.case_form import Fault

Form = MultiDict[str, str]

_FIELDS: Final = {
    "bad-owner": "owner",
    "unknown-owner": "owner",
    "owner-known": "new_owner",
    "bad-owner-name": "new_owner_name",
    "bad-service": "service",
    "bad-surface": "surface",
    "bad-address": "address",
    "bad-look-at": "look_at",
    "bad-position": "position",
    "bad-link-id": "link_id",
    "link-id-taken": "link_id",
    "agreed-already": "link_id",
    "bad-day": "agreed_on",
    "no-reason": "reason",
    "no-change": "service",
}
# The terms that no placement is agreed without, in the words and the order of the form.
_TERM_TITLES: Final = {
    "service": "Service, as people know it",
    "surface": "Kind of page",
    "position": "Where on the page",
    "address": "Address",
}
# Where the words of the rules are for a terminal.
_WORDS: Final = {
    "unknown-owner": "Choose whose the service is, or give the id and the name of a new organisation.",
    "bad-owner": "An id has 1 to 64 of a-z, 0-9 and inner hyphens.",
    "bad-surface": "Choose what kind of page it is.",
}


@dataclass(frozen=True, slots=True)
class PlacementAnswers:
    """What a form holds, so that a page that comes back has lost nothing."""

    owner: str = ""
    new_owner: str = ""
    new_owner_name: str = ""
    service: str = ""
    surface: str = ""
    address: str = ""
    look_at: str = ""
    position: str = ""
    link_id: str = ""
    agreed_on: str = ""
    reason: str = ""


def read_placement(form: Form) -> PlacementAnswers:
    """Return the answers as they stand in the form."""
    return PlacementAnswers(**{name: form.get(name, "").strip() for name in PlacementAnswers.__dataclass_fields__})


def list_missing(answers: PlacementAnswers) -> list[Fault]:
    """Return what a placement can not be agreed without, in the order of the form, if more than one field is empty.

    Of one alone the rules say more than that it is missing.
    """
    is_new = bool(answers.new_owner or answers.new_owner_name)
    asked = {"new_owner": "Its id", "new_owner_name": "Its name"} if is_new else {"owner": "Owner"}
    titles = asked | _TERM_TITLES
    missing = [Fault(name, f"Fill in: {title}.") for name, title in titles.items() if not getattr(answers, name)]
    return missing if len(missing) > 1 else []


def fill_in(row: PlacementRow) -> PlacementAnswers:
    """Return the answers of a placement as it was agreed, for the form that changes it."""
    return PlacementAnswers(
        service=row.service,
        surface=row.surface,
        address=row.address,
        look_at=row.look_at or "",
        position=row.position,
    )


def make_agreement(answers: PlacementAnswers) -> Agreement:
    """Return the agreement that the form asks for. A new organisation goes before one that was chosen."""
    is_new = bool(answers.new_owner or answers.new_owner_name)
    return Agreement(
        owner=answers.new_owner if is_new else answers.owner,
        service=answers.service,
        surface=answers.surface,
        address=answers.address,
        position=answers.position,
        look_at=answers.look_at or None,
        link_id=answers.link_id or None,
        agreed_on=answers.agreed_on or None,
        new_owner=answers.new_owner_name or None,
    )


def make_changes(answers: PlacementAnswers) -> TermChanges:
    """Return the changes that the form asks for: it holds every term."""
    return TermChanges(
        service=answers.service,
        surface=answers.surface,
        address=answers.address,
        look_at=answers.look_at,
        position=answers.position,
    )


def placement_fault_of(error: PlacementError, answers: PlacementAnswers) -> Fault:
    """Return the fault of the page for an error of the rules."""
    field, said = _FIELDS.get(error.reason, "main"), _WORDS.get(error.reason, str(error))
    if field == "owner" and (answers.new_owner or answers.new_owner_name):
        field = "new_owner" if error.reason == "bad-owner" else "new_owner_name"
    elif field == "owner":
        said = _WORDS["unknown-owner"]
    return Fault(field, said)
