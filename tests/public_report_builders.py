"""Public reports for tests: everything left blank but the changes of a test."""

from typing import Any

from gateway.exchange.public_report import ChildDetails, KnownPerson, Meeting, PublicReport, SafeContact
from tests.builders import make_clear_fields


def make_contact(**changes: Any) -> SafeContact:
    """Return a contact block with nothing in it but the changes."""
    blank = dict.fromkeys(SafeContact.__struct_fields__, "") | {"access_needs": (), "ways": ()}
    return SafeContact(**{**blank, **changes})


def make_known_person(**changes: Any) -> KnownPerson:
    """Return the details of a person: nothing but the changes."""
    return KnownPerson(**{**dict.fromkeys(KnownPerson.__struct_fields__, ""), "knows": (), **changes})


def make_child_details(**changes: Any) -> ChildDetails:
    """Return an adult's details of a child: nothing but the changes."""
    return ChildDetails(**{**dict.fromkeys(ChildDetails.__struct_fields__, ""), "already_told": (), **changes})


def make_public_report(**changes: Any) -> PublicReport:
    """Return a report in which every question was skipped, with the changes."""
    blank: dict[str, Any] = dict.fromkeys(PublicReport.__struct_fields__, "")
    return PublicReport(
        **{
            **blank,
            "child": make_child_details(),
            "clear": make_clear_fields("public"),
            "contact": make_contact(),
            "context": None,
            "copy_version": "en-1",
            "kinds": (),
            "language": "en",
            "meeting": Meeting(place="", when=""),
            "person": make_known_person(),
            "placement": None,
            "reply_by": None,
            "reply_key": None,
            "schema_version": "1",
            "signals": (),
            "signposted": (),
            "submitted_at": "2026-11-25T08:30:00Z",
            "told": (),
            **changes,
        }
    )
