"""`gateway.card`: what a gateway hands to the desk, so that its receipts are believed there (WIRE.md §5.6)."""

from typing import Literal

import msgspec

from partner_sdk.errors import FormatError, KeySetError
from partner_sdk.wire.canonical import parse_base64url, parse_exact
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of

MAX_CARD_BYTES = 4096


class ReceiptKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of a gateway's receipt key."""

    key_id: str
    public_key: str


class GatewayCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the gateway is, and the public key that checks its receipts. No secret."""

    environment: Environment
    instance: str
    origin: str
    receipt_key: ReceiptKey
    type: Literal["report-abuse/gateway-card"] = "report-abuse/gateway-card"


def parse_gateway_card(raw: bytes) -> GatewayCard:
    """Read the bytes of a card file, or raise `KeySetError` (`bad-card`)."""
    try:
        card = parse_exact(raw.rstrip(b"\n"), kind=GatewayCard, max_bytes=MAX_CARD_BYTES)
        public_key = parse_base64url(card.receipt_key.public_key, length=PUBLIC_KEY_BYTES)
    except FormatError as error:
        raise KeySetError(f"This is not a gateway.card file: {error}", reason="bad-card") from None
    if card.receipt_key.key_id != key_id_of(public_key):
        raise KeySetError("The card's key does not have the id that it claims.", reason="bad-card")
    return card
