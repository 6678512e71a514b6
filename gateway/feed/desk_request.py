"""The desk's requests: signed by the feed key of `agency.pin`, body and query in one spelling.

Never trusts the network that the listener stands in.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from flask import current_app, request

from gateway.signed_request import check_signature, parse_public_key, read_signed_body
from gateway.wiring import Gateway, get_gateway
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.keys import Pin
from partner_sdk.wire.signature_profile import SignatureClaim
from partner_sdk.wire.statements import key_id_of

T = TypeVar("T")

MAX_SEQUENCE = 2**62
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class DeskRequest:
    """A request whose headers the desk has signed; the body is not read yet."""

    gateway: Gateway
    claim: SignatureClaim

    def read_body(self) -> bytes:
        """Read the body and return it if it is the one that was signed."""
        return read_signed_body(self.claim)

    def parse_body(self, kind: type[T], *, max_bytes: int) -> T:
        """Read the body into `kind`; raises `FormatError`."""
        return parse_exact(self.read_body(), kind=kind, max_bytes=max_bytes)


def get_desk_request() -> DeskRequest:
    """Return the request that is being answered if the desk signed it; raises `SignatureProfileError`."""
    gateway = get_gateway(current_app)
    claim = check_signature(
        origin=gateway.config.feed_origin,
        find_key=lambda key_id: find_feed_key(gateway.pin, key_id),
        now=gateway.clock(),
    )
    return DeskRequest(gateway=gateway, claim=claim)


def find_feed_key(pin: Pin, key_id: str) -> bytes | None:
    """Return the feed key if it has this id; a pin without one lets nobody in."""
    if pin.feed_key is None:
        return None
    feed_key = parse_public_key(pin.feed_key)
    return feed_key if key_id_of(feed_key) == key_id else None


def get_number(name: str, *, default: int, least: int, most: int) -> int:
    """Return a number of the query, or `default` where it is not named; raises `FormatError`."""
    values = request.args.getlist(name)
    if not values:
        return default
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or not least <= int(values[0]) <= most:
        raise FormatError(f"{name} must be one number from {least} to {most}.", reason="malformed")
    return int(values[0])
