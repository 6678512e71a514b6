"""`gateway.card`, the file that a gateway hands to the desk, so that its receipts are believed there (WIRE.md §5.6)."""

from typing import Literal

import msgspec

from partner_sdk.errors import FormatError, KeySetError
from partner_sdk.wire.canonical import parse_base64url, parse_exact
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.statements import PUBLIC_KEY_BYTES, key_id_of

MAX_CARD_BYTES = 4096


class GatewayKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of a gateway's receipt key, or of the key of its public log."""

    key_id: str
    public_key: str


class GatewayCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The gateway's name, and the public keys that check its receipts and its public log. No secret."""

    environment: Environment
    instance: str
    origin: str
    receipt_key: GatewayKey
    type: Literal["report-abuse/gateway-card"]
    log_key: GatewayKey | None = None


def parse_gateway_card(raw: bytes) -> GatewayCard:
    """Read the bytes of a card file, or raise `KeySetError` (`bad-card`)."""
    try:
        card = parse_exact(raw.rstrip(b"\n"), kind=GatewayCard, max_bytes=MAX_CARD_BYTES)
        keys = [key for key in (card.receipt_key, card.log_key) if key is not None]
        ids = [key_id_of(parse_base64url(key.public_key, length=PUBLIC_KEY_BYTES)) for key in keys]
    except FormatError as error:
        raise KeySetError(f"This is not a gateway.card file: {error}", reason="bad-card") from None
    if [key.key_id for key in keys] != ids or len(set(ids)) != len(ids):
        raise KeySetError("The card's key does not have the id that it claims.", reason="bad-card")
    return card
