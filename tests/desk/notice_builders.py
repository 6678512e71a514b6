"""Cases that may be referred, services that may be alerted, and a desk with an address for them."""

import dataclasses
from typing import Any

import msgspec
from sqlalchemy import insert

from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.desk.store.agency_tables import PARTNERS
from partner_sdk.wire.canonical import format_time
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.view_builders import add_sealed_case
from tests.desk.work_builders import assess

CONTACT = "safety@agency.example"
# Everything that a marker test looks for: of the person reporting, of the child, and the words of the story.
MARKER = "Quetzalcoatlus"


def make_reachable(desk: Desk) -> Desk:
    """Return the desk with an address for services."""
    contact = msgspec.structs.replace(desk.config.contact, email=CONTACT)
    return dataclasses.replace(desk, config=msgspec.structs.replace(desk.config, contact=contact))


def add_referable(desk: Desk, *, marker: str = MARKER, assessed: dict[str, str] | None = None, **changes: Any) -> str:
    """File a public case about the example service, read it, assess it as not for action, and return its id."""
    case_id = open_case(desk, add_sealed_case(desk, marker=marker, **changes), actor=ACTOR).case.case_id
    assess(desk, case_id, **(assessed or {}))
    return case_id


def add_service(desk: Desk, service: str, *, name: str = "", **columns: Any) -> str:
    """Register a service with keys, e.g. `other-chat`, and return its id."""
    values = {
        "partner": service,
        "name": name or service.replace("-", " ").title(),
        "environment": "live",
        "state": "active",
        "key_id": f"key-of-{service}",
        "submission_key": bytes(32),
        "context_key": bytes(32),
        "mailbox_key": bytes(1216),
        "approved_at": format_time(desk.clock()),
        "approved_by": "test",
        **columns,
    }
    with desk.store.write() as connection:
        connection.execute(insert(PARTNERS).values(values))
    return service


SERVICES = (PARTNER, "other-chat", "third-game")
