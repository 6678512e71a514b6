"""What a request to show the button says, in lines for the page and for the terminal."""

from typing import Final

from gateway.desk.placements.surfaces import SURFACE_TITLES
from partner_sdk.wire.adoption import AskingService

SEND_YOURSELF: Final = (
    "Nothing was sent: the desk writes to nobody whom it does not know. Read this, and send it yourself once you have "
    "checked who asked."
)
STATES: Final = {"waiting": "Waits", "invited": "Invited", "agreed": "Agreed", "declined": "Declined"}
LANGUAGES: Final = {"en": "English", "cy": "Welsh"}
CHILD_USES: Final = {
    "mostly_children": "Most users are under 18",
    "many_children": "Many users are under 18",
    "some_children": "Some users are under 18",
    "not_known": "Not known",
}


def spell_asking(service: AskingService) -> list[tuple[str, str]]:
    """Return titles and texts; a text may have lines of its own."""
    surfaces = ", ".join(SURFACE_TITLES.get(one, one) for one in service.surfaces)
    return [
        ("Organisation", service.organisation),
        ("Service", service.service_name),
        ("Website", service.website),
        ("Who asks", service.contact_name),
        ("Role", service.contact_role or "-"),
        ("E-mail", service.contact_email),
        ("Telephone", service.contact_telephone or "-"),
        ("Writes in", LANGUAGES[service.language]),
        ("Children", CHILD_USES[service.child_use]),
        ("Where", surfaces),
        ("Would report too", "Yes" if service.wants_to_report else "No"),
        ("Message", service.message or "-"),
    ]
