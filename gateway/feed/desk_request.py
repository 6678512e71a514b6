"""Requests from the desk, signed with the feed key in `agency.pin`, with canonical body and query.

Never trusts the network of the listener.
"""

from dataclasses import dataclass
from typing import TypeVar

from flask import current_app

from gateway.signed_request import check_signature, parse_public_key, read_signed_body
from gateway.wiring import Gateway, get_gateway
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.keys import Pin
from partner_sdk.wire.signature_profile import SignatureClaim
from partner_sdk.wire.statements import key_id_of

T = TypeVar("T")

MAX_SEQUENCE = 2**62


@dataclass(frozen=True, slots=True)
class DeskRequest:
    """A request whose headers the desk has signed; the body is not yet read."""

    gateway: Gateway
    claim: SignatureClaim

    def read_body(self) -> bytes:
        """Read the body and return it if it matches the signed digest."""
        return read_signed_body(self.claim)

    def parse_body(self, kind: type[T], *, max_bytes: int) -> T:
        """Read and parse the body; raises `FormatError`."""
        return parse_exact(self.read_body(), kind=kind, max_bytes=max_bytes)


def get_desk_request() -> DeskRequest:
    """Return the current request if the desk signed it; raises `SignatureProfileError`."""
    gateway = get_gateway(current_app)
    claim = check_signature(
        origin=gateway.config.feed_origin,
        find_key=lambda key_id: find_feed_key(gateway.pin, key_id),
        now=gateway.clock(),
        shared=gateway.shared,
    )
    return DeskRequest(gateway=gateway, claim=claim)


def find_feed_key(pin: Pin, key_id: str) -> bytes | None:
    """Return the feed key if it has this id; None if the pin has no feed key."""
    if pin.feed_key is None:
        return None
    feed_key = parse_public_key(pin.feed_key)
    return feed_key if key_id_of(feed_key) == key_id else None
