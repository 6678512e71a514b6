"""A request to show the button as labelled text, for the page and the terminal."""

from collections import Counter
from typing import Final

from gateway.desk.partners.adoption_clearing import UnreadableRequests
from gateway.desk.placements.register import SURFACE_TITLES
from partner_sdk.wire.adoption import AskingService
from partner_sdk.wire.adoption import format_request_number as format_request_number  # shown by the templates

SEND_YOURSELF: Final = (
    "Nothing was sent: the desk never writes to a service it does not know. Read this text, "
    "check who asked, then send it yourself."
)
STATES: Final = {"waiting": "Waits", "invited": "Invited", "agreed": "Agreed", "declined": "Declined"}
LANGUAGES: Final = {"en": "English", "cy": "Welsh"}
CHILD_USES: Final = {
    "mostly_children": "Most users are under 18",
    "many_children": "Many users are under 18",
    "some_children": "Some users are under 18",
    "no_children": "No users under 18, as far as the service knows",
    "not_known": "Not known",
}


def format_unreadable(found: UnreadableRequests) -> str:
    """Return how many waiting requests cannot be read, e.g. `2 of the 3 waiting requests cannot be read.`"""
    if not found.waiting:
        return "No request is waiting."
    if found.count:
        return f"{found.count} of the {found.waiting} waiting requests cannot be read."
    if found.key_missing or found.not_understood:
        return "None of the waiting requests can be declined together."
    return "Every waiting request can be read."


def format_codes(found: UnreadableRequests) -> str:
    """Return the reason codes with their counts, e.g. `Why: unknown-key (2).`"""
    counted = sorted(Counter(found.reasons.values()).items())
    return f"Why: {', '.join(f'{code} ({count})' for code, count in counted)}."


def format_key_missing(found: UnreadableRequests) -> str:
    """Return advice about requests that lack only a key file of this desk."""
    return (
        f"{found.key_missing} {'is' if found.key_missing == 1 else 'are'} sealed to a key of this "
        "desk whose file is missing or damaged. Restore the file from a backup; until then you "
        "cannot decline them together."
    )


def format_not_understood(found: UnreadableRequests) -> str:
    """Return advice about requests that open but are in an unknown format."""
    count = len(found.not_understood)
    opens, it = ("1 opens", "it") if count == 1 else (f"{count} open", "them")
    return (
        f"{opens}, but this desk does not understand {it}: a newer release may have sent {it}. "
        f"Update this desk and look again, or decline {it} one by one."
    )


def format_decline_button(found: UnreadableRequests) -> str:
    """Return the label of the button that declines them, with the number."""
    return "Decline this one" if found.count == 1 else f"Decline these {found.count}"


def format_declined_together(count: int) -> str:
    """Return the confirmation, e.g. `Declined 2 requests.`"""
    return "Declined 1 request." if count == 1 else f"Declined {count} requests."


def format_asking(service: AskingService) -> list[tuple[str, str]]:
    """Return titles and texts; a text may have several lines."""
    surfaces = ", ".join(SURFACE_TITLES.get(one, one) for one in service.surfaces)
    return [
        ("Organisation", service.organisation),
        ("Service", service.service_name),
        ("Website", service.website),
        ("Contact", service.contact_name),
        ("Role", service.contact_role or "-"),
        ("E-mail", service.contact_email),
        ("Telephone", service.contact_telephone or "-"),
        ("Preferred language", LANGUAGES[service.language]),
        ("Children", CHILD_USES[service.child_use]),
        ("Where", surfaces),
        ("Also wants to send reports", "Yes" if service.wants_to_report else "No"),
        ("Message", service.message or "-"),
    ]
