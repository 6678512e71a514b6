"""Shared by the tests of adoption at the desk: services that ask, by the gateway or straight into it."""

import msgspec
from sqlalchemy import insert, select

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.adoption import collect_adoptions
from gateway.desk.store.agency_tables import ADOPTION_REQUESTS, SEALING_KEYS
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.button import EXAMPLE, AdoptionPost, AdoptionRequest, AskingService, seal_adoption
from partner_sdk.wire.canonical import format_time, parse_time, to_base64url
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.signing import make_sealing_key
from tests.builders import PUBLIC_ORIGIN, Door
from tests.desk.desk_loop import ACTOR, Loop
from tests.gateway.adoption_builders import make_id

MARKER = "MARKER-\N{SNOWMAN}"
MARKED = msgspec.structs.replace(EXAMPLE, message=f"first line\n{MARKER}", contact_name=f"S. {MARKER}")
CALLED = "example-show"


def make_row(key: SealingKey, number: int = 1, *, service: AskingService = MARKED) -> AdoptionPost:
    """Return one sealed request."""
    request = AdoptionRequest(environment="live", request_id=make_id(number), service=service)
    sealed = seal_adoption(request, sealing_key=key).to_bytes()
    return AdoptionPost(envelope=to_base64url(sealed), request_id=request.request_id)


def ask(loop: Loop, number: int = 1, *, service: AskingService = MARKED) -> str:
    """Send a request through the industry door; return its id."""
    post = make_row(loop.sealing_key(), number, service=service)
    assert Door(loop.open_app("industry"), PUBLIC_ORIGIN, loop.clock).post("/v1/adoption", post).status_code == 202
    return post.request_id


def collect(loop: Loop) -> int:
    """Let the desk collect the waiting requests."""
    return collect_adoptions(loop.desk, loop.desk.make_feed(), actor=ACTOR)


def add_waiting(desk: Desk, number: int = 1, *, service: AskingService = MARKED, state: str = "waiting") -> str:
    """Put a request, sealed to this desk, into its table; return its id."""
    with desk.store.write() as connection:
        row = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.quarter == "2026-Q4")).one()
        key = make_sealing_key(
            bytes(row.public_key),
            not_before=parse_time(row.not_before),
            seal_until=parse_time(row.seal_until),
            open_until=parse_time(row.open_until),
            state="active",
        )
        post = make_row(key, number, service=service)
        connection.execute(
            insert(ADOPTION_REQUESTS).values(
                request_id=post.request_id,
                state=state,
                envelope=post.envelope.encode(),
                received_at=format_time(desk.clock()),
            )
        )
    return post.request_id


def list_actions(desk: Desk, subject: str) -> list[tuple[str, str]]:
    """List the actions on a request with their actors, in order."""
    with desk.store.read() as connection:
        rows = connection.execute(select(AUDIT).where(AUDIT.c.subject == subject).order_by(AUDIT.c.id))
        return [(row.actor, row.action) for row in rows]
