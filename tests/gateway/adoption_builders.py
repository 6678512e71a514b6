"""Shared by the tests of adoption: a correct request, sealed or typed, and the requests that wait at a gateway."""

from gateway.exchange.feed import ADOPTION_REQUEST
from gateway.store.items import put_item
from gateway.wiring import Gateway
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.wire.button import (
    EXAMPLE,
    AdoptionPost,
    AdoptionRequest,
    AskingService,
    adoption_context,
    parse_adoption,
    seal_adoption,
)
from partner_sdk.wire.canonical import make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope, make_suite, unpad
from partner_sdk.wire.signing import Environment
from tests.builders import NOW, Agency, House

MAX_WAITING = ADOPTION_REQUEST.max_waiting or 0
MARKER = "A marker that must stay sealed"
# As a person types it into the page: the site's address without https, and spaces around a line.
TYPED: dict[str, str | list[str]] = {
    "organisation": "Example Chat Ltd",
    "service_name": "  Example Chat ",
    "website": "chat.example",
    "contact_name": "S. Safety",
    "contact_role": "",
    "contact_email": "safety@chat.example",
    "contact_telephone": "",
    "child_use": "many_children",
    "surfaces": ["chat", "profile"],
    "wants_to_report": "yes",
    "message": MARKER,
}


def make_id(number: int) -> str:
    """Return a request's id of its own."""
    return make_report_id(NOW, number.to_bytes(10, "big"))


def make_request(
    number: int = 1, *, service: AskingService = EXAMPLE, environment: Environment = "live"
) -> AdoptionRequest:
    """Return a request."""
    return AdoptionRequest(environment=environment, request_id=make_id(number), service=service)


def make_post(agency: Agency, number: int = 1, *, service: AskingService = EXAMPLE) -> AdoptionPost:
    """Return the body of `POST /v1/adoption`."""
    request = make_request(number, service=service)
    sealed = seal_adoption(request, sealing_key=agency.sealing_key).to_bytes()
    return AdoptionPost(envelope=to_base64url(sealed), request_id=request.request_id)


def fill_up(gateway: Gateway, count: int) -> None:
    """Fill the gateway with this many waiting requests; their boxes are never opened."""
    with gateway.store.write() as connection:
        for number in range(count):
            request_id = make_id(1_000 + number)
            put_item(connection, ADOPTION_REQUEST, address="", item_id=request_id, envelope=b"box", now=NOW)


def open_waiting(house: House) -> list[AdoptionRequest]:
    """Open every waiting request with the agency's key: a reader of our own, not the desk's code."""
    private_key = load_xwing_private_key(parse_base64url(house.agency.key(KeyRole.SEALING).secret))
    found = []
    for item in house.items(ADOPTION_REQUEST):
        assert item.envelope is not None
        envelope = Envelope.parse(item.envelope)
        context = adoption_context(environment="live", request_id=item.item_id)
        padded = make_suite().decrypt(envelope.box, private_key, info=context.info(key_id=envelope.key_id))
        found.append(parse_adoption(unpad(padded, purpose="enrol", sender="public")))
    return found
